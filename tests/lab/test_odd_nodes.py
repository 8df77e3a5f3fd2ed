"""Nodes whose login shells, languages and tools are not those of the next: each is one's own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.api import Lab
from remote.shell import portable
from tests.lab.clusters import ready
from tests.lab.runs import CLUSTER, Run, changes, ok, pyinfra

pytestmark = pytest.mark.long

INVENTORY = """
control_plane = [("node1", {"address": "192.168.2.11"})]
workers = [("node2", {"address": "192.168.2.12"}), ("node3", {"address": "192.168.2.13"})]
"""
PREPARE = ["deploys/preflight.py", "deploys/ssh_access.py", "deploys/prepare.py"]
SHELLS = ("bash", "dash", "fish", "ksh", "tcsh", "zsh")

# Before Debian's own lines, of which a session that is not interactive reads no more. Not UTF-8, no
# line feed, something on standard error, and a farewell on both.
GREETS = r"""printf 'Gr\374\337e von node1: '; printf 'W\344rter' >&2
trap 'printf "Tsch\374ss"; printf "ade" >&2' EXIT
"""
WELCOMES = "echo Willkommen auf node2; echo '-- end --'\n"
FISH = """echo Hej
function farewell --on-event fish_exit; echo Hej hej; end
"""
# The lab's image has left all translations out.
GERMAN = """export DEBIAN_FRONTEND=noninteractive; sed -i '/locale/d' /etc/dpkg/dpkg.cfg.d/*
apt-get update -qq; apt-get install -qq -y --reinstall locales coreutils util-linux sudo
echo 'de_DE.UTF-8 UTF-8' > /etc/locale.gen; locale-gen
printf 'LANG=de_DE.UTF-8\\nLC_ALL=de_DE.UTF-8\\nLANGUAGE=de\\n' > /etc/default/locale"""
MANY_SHELLS = """export DEBIAN_FRONTEND=noninteractive; apt-get update -qq
apt-get install -qq -y fish ksh tcsh zsh; chsh -s /usr/bin/fish pi"""


def put(lab: Lab, node: str, path: str, text: str) -> None:
    """Before what stands in the file."""
    script = (
        f'mkdir -p "$(dirname {path})"; touch {path}; {{ printf %s "$1"; cat {path}; }} > {path}.n;'
        f"mv {path}.n {path}; chown -R pi:pi /home/pi"
    )
    ok(lab.console(node, ["sh", "-c", script, "sh", text]))


@pytest.fixture(scope="module")
def odd(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    lab = new_lab("odd", INVENTORY, topology="router")
    lab.up()
    put(lab, "node1", "/home/pi/.bashrc", GREETS)
    put(lab, "node2", "/home/pi/.bashrc", WELCOMES)
    put(lab, "node3", "/home/pi/.config/fish/config.fish", FISH)
    with ThreadPoolExecutor() as pool:
        scripts = {"node2": GERMAN, "node3": MANY_SHELLS}
        made = [pool.submit(lab.console, node, ["sh", "-ec", scripts[node]]) for node in scripts]
        for each in made:
            ok(each.result())
    yield lab
    lab.down()


def said(lab: Lab, node: str, command: str) -> str:
    done = lab.ssh(node, command)
    assert done.returncode == 0, done
    return done.stdout


def test_the_nodes_are_as_odd_as_this_file_says(odd: Lab) -> None:
    assert said(odd, "node1", "echo me").endswith("von node1: me\nTsch\ufffdss")
    assert "Willkommen auf node2\n" in said(odd, "node2", "echo me")
    assert "Zugriff" in said(odd, "node2", "ls /none 2>&1 || true")
    assert "Zugriff" in said(odd, "node2", "sudo ls /none 2>&1 || true")
    assert said(odd, "node3", "echo $version").startswith("Hej\n")


def test_every_login_shell_hands_the_same_command_to_sh(odd: Lab) -> None:
    script = r"""printf '%s|' "$@"; x='a\\b\n'; printf '%s\n' "$x" '\'; echo "it's !! !x {a} ~ ä$1"
cat <<'END' # not the end of it
\\ 'a' "b" `c` $d
END
cat; exit 3"""
    inner = f"sh -c {shlex.quote(script)} sh 'a b' '' '\\'"
    command = portable(f"env A=b sh -c {shlex.quote(inner)}")
    found = {}
    for shell in SHELLS:
        done = odd.console("node3", ["sh", "-c", 'echo in | "$1" -c "$2"', "sh", shell, command])
        found[shell] = (done.returncode, done.stdout)
    assert found["dash"][0] == 3
    assert "a\\\\b\\n\n" in found["dash"][1]
    assert set(found.values()) == {found["dash"]}


def test_odd_nodes_are_prepared_as_others_are(odd: Lab) -> None:
    run = pyinfra(odd, "-y", deploys=PREPARE)
    assert run.status == 0, run.output
    assert changes(odd, deploys=PREPARE) == []


def test_a_node_that_answers_garbage_fails_alone_with_one_line(odd: Lab) -> None:
    fake = "#!/bin/sh\ncat >/dev/null\necho 'Segmentation fault (core dumped)'\n"
    keep = "cp -a /usr/bin/base64 /usr/bin/base64.kept; rm /usr/bin/base64"
    put_it = f"{keep}; printf %s {shlex.quote(fake)} > /usr/bin/base64; chmod 755 /usr/bin/base64"
    ok(odd.console("node2", ["sh", "-c", put_it]))
    try:
        run = pyinfra(odd, "-y", deploys=["deploys/prepare.py"])
    finally:
        ok(odd.console("node2", ["mv", "/usr/bin/base64.kept", "/usr/bin/base64"]))
    assert run.status != 0
    red = [line for line in run.lines("node2") if "could not read" in line]
    assert len(red) == 1, run.output
    assert "Traceback" not in run.output
    for other in ("node1", "node3"):
        assert run.counts(other)[2] == 0, run.output
    assert pyinfra(odd, "-y", deploys=["deploys/prepare.py"]).status == 0


# A deploy of one's own that has a mistake, at a place that the environment names, on node2 alone.
BROKEN = """import os
from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand
from operations.base import operation

PLACE = os.environ["PLACE"] if host.name == "node2" else ""

def function(state, host, place):
    if place == "function":
        raise KeyError("a mistake in a function")

@operation()
def broken(place):
    if place == "prepare":
        raise ZeroDivisionError("a mistake in prepare")
    yield StringCommand("true")
    if place == "execute":
        raise ZeroDivisionError("a mistake in execute")
    yield FunctionCommand(function, (place,), {})

if PLACE == "deploy":
    [].index("a mistake in a deploy")
broken(name="Whatever", place=PLACE)
"""


@pytest.mark.parametrize("place", ["deploy", "prepare", "execute", "function"])
def test_any_exception_costs_one_node_and_its_traceback_is_in_the_log(odd: Lab, place: str) -> None:
    (odd.project / "broken.py").write_text(BROKEN)
    command = ["pyinfra", "inventory.py", "broken.py"]
    yes = ["-y"] if place in ("execute", "function") else ["--dry"]
    if place == "deploy":
        yes = ["-y"]
    done = odd.run([*command, *yes], env={"PLACE": place})
    run = Run(done.returncode, done.stdout + done.stderr)
    assert run.status != 0
    assert "Traceback (most" not in run.output
    (line,) = [line for line in run.lines("node2") if line.startswith("unexpected ")]
    known = re.match(
        r"unexpected (\w+) in broken.py, line \d+: (.*)\. .* (\S+)\. \(RUN013\)$", line
    )
    assert known, line
    log = (odd.project / known[3]).read_text()
    assert "Traceback (most recent call last)" in log
    assert f"{known[1]}: {known[2]}" in log
    if yes == ["-y"]:
        assert run.counts("node1") == run.counts("node3") == (1, 0, 0)


@pytest.fixture(scope="module")
def deployed(odd: Lab) -> Run:
    return pyinfra(odd, "-y", deploys=CLUSTER)


def test_odd_nodes_become_a_cluster(odd: Lab, deployed: Run) -> None:
    assert deployed.status == 0, deployed.output
    assert ready(odd) == {"node1", "node2", "node3"}


def test_a_second_run_changes_nothing_on_odd_nodes(odd: Lab, deployed: Run) -> None:
    assert changes(odd, deploys=CLUSTER) == []


def test_odd_nodes_have_not_drifted(odd: Lab, deployed: Run) -> None:
    done = odd.run(["python", "-m", "report", "drift"], timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
