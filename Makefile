# The commands that a person types. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help tools preflight diff drift verify demo down picture clean
.PHONY: test test-slow test-tools bench check
.PHONY: lab-preflight lab-diff lab-drift lab-verify

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

tools: $(READY)  ## install the tools, into .venv

preflight: $(READY)  ## look at your boards before anything is changed: what is wrong, and the remedy
	@$(BIN)/python -m settings
	@$(BIN)/pyinfra inventory.py deploys/preflight.py -y $(ARGS)

lab-preflight: $(READY)  ## the same of the virtual nodes
	@$(BIN)/python -m lab run -- python -m settings
	@$(BIN)/python -m lab run -- pyinfra inventory.py deploys/preflight.py -y $(ARGS)

diff: $(READY)  ## what a run would change on your desk, by node and file; nothing is changed
	@$(BIN)/python -m report diff $(ARGS)

# For programs without make, whose own status is 2 for whatever goes wrong: python -m report drift
drift: $(READY)  ## what on your desk is no longer as it was made (ARGS=--json: for programs)
	@$(BIN)/python -m report drift $(ARGS)

lab-diff: $(READY)  ## the same of the virtual nodes
	@$(BIN)/python -m lab run -- python -m report diff $(ARGS)

lab-drift: $(READY)  ## the same of the virtual nodes
	@$(BIN)/python -m lab run -- python -m report drift $(ARGS)

verify: $(READY)  ## whether the nodes on your desk are as they should be (ARGS="--reboot --junitxml=FILE")
	@$(BIN)/python -m pytest tests/cluster $(ARGS)

lab-verify: $(READY)  ## the same of the virtual nodes
	@$(BIN)/python -m lab run -- python -m pytest tests/cluster $(ARGS)

demo: $(READY)  ## the main job, on virtual nodes on this machine, from nothing
	@$(BIN)/python -m lab demo

down: $(READY)  ## take the virtual nodes down
	@$(BIN)/python -m lab down

picture: $(READY)  ## draw the desk as inventory.py has it: docs/desk-*.svg
	@$(BIN)/python -m settings.picture docs

test: $(READY)  ## the tests, from file formats to whole runs on virtual nodes: under 20 minutes (root or sudo)
	@$(BIN)/python -m tests.suite test

test-slow: $(READY)  ## the tests that take minutes each: under 40 minutes (root or sudo)
	@$(BIN)/python -m tests.suite test-slow

test-tools: $(READY)  ## install the programs that the tests call, with apt (`make test` begins with it)
	@$(BIN)/python -m tests.needs

bench: $(READY)  ## how long things take, on virtual nodes: numbers to look at, no test (root or sudo)
	@$(BIN)/python -m tests.bench

check: $(READY)  ## style, types, shell scripts, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.shell_scripts

clean:  ## take the virtual nodes down and forget the tools that were installed
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
