# Commands for people. `make` lists them.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help tools preflight diff drift verify backups demo down picture clean
.PHONY: test test-slow test-long test-tools bench check
.PHONY: lab-preflight lab-diff lab-drift lab-verify lab-backups

help:  ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

tools: $(READY)  ## install the tools into .venv

preflight: $(READY)  ## check your boards before anything is changed
	@$(BIN)/python -m settings
	@$(BIN)/pyinfra inventory.py deploys/preflight.py -y $(ARGS)

lab-preflight: $(READY)  ## like preflight, for the virtual nodes
	@$(BIN)/python -m lab run -- python -m settings
	@$(BIN)/python -m lab run -- pyinfra inventory.py deploys/preflight.py -y $(ARGS)

diff: $(READY)  ## show what a run would change on each node; changes nothing
	@$(BIN)/python -m report diff $(ARGS)

# For programs: python -m report drift, since make exits with 2 whatever fails.
drift: $(READY)  ## show what differs from the settings (ARGS=--json for programs)
	@$(BIN)/python -m report drift $(ARGS)

lab-diff: $(READY)  ## like diff, for the virtual nodes
	@$(BIN)/python -m lab run -- python -m report diff $(ARGS)

lab-drift: $(READY)  ## like drift, for the virtual nodes
	@$(BIN)/python -m lab run -- python -m report drift $(ARGS)

verify: $(READY)  ## check that the cluster works (ARGS="--reboot --junitxml=FILE")
	@$(BIN)/python -m pytest tests/cluster $(ARGS)

lab-verify: $(READY)  ## like verify, for the virtual nodes
	@$(BIN)/python -m lab run -- python -m pytest tests/cluster $(ARGS)

backups: $(READY)  ## list the backups of your cluster (ARGS=--json for programs)
	@$(BIN)/python -m report.backups $(ARGS)

lab-backups: $(READY)  ## like backups, for the virtual nodes
	@$(BIN)/python -m lab run -- python -m report.backups $(ARGS)

demo: $(READY)  ## make a cluster of virtual nodes on this computer
	@$(BIN)/python -m lab demo

down: $(READY)  ## remove the virtual nodes
	@$(BIN)/python -m lab down

picture: $(READY)  ## draw the cluster of inventory.py: docs/topology-*.svg
	@$(BIN)/python -m settings.picture docs

test: $(READY)  ## run the tests: under 20 minutes (root or sudo)
	@$(BIN)/python -m tests.suite test

test-slow: $(READY)  ## run the other tests on virtual nodes: about 40 minutes (root or sudo)
	@$(BIN)/python -m tests.suite test-slow

test-long: $(READY)  ## run the tests that take longest: over an hour (root or sudo)
	@$(BIN)/python -m tests.suite test-long

test-tools: $(READY)  ## install the programs that the tests call, with apt (part of `make test`)
	@$(BIN)/python -m tests.needs

bench: $(READY)  ## measure durations on virtual nodes (ARGS=bars: the ratios; root or sudo)
	@$(BIN)/python -m tests.bench $(ARGS)

check: $(READY)  ## check style, types, shell scripts and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.shell_scripts

clean:  ## remove the virtual nodes and .venv
	@test ! -e $(READY) || $(BIN)/python -m lab down
	rm -rf .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "bramble needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.13 ..."; exit 1; }
	@echo "Installing bramble's tools into .venv (once; about a minute)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv 2>/dev/null || { \
	  echo "This Python has no venv: installing python3-venv with apt"; \
	  rm -rf .venv; $$(test $$(id -u) = 0 || echo sudo) apt-get install -qq -y python3-venv >/dev/null \
	  && $(PYTHON) -m venv .venv; }
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
	  $$($(PYTHON) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  print(*sum(p["optional-dependencies"].values(), p["dependencies"]))')
	@touch $@
