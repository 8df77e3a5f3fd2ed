"""What the settings no longer have goes away: the nodes are as if they had never had it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from posixpath import dirname
from typing import Any

import pytest

from facts.node_record import DIGEST, PATH
from formats.node_record import fingerprint
from lab.api import Lab
from messages import codes
from messages import kubernetes as messages_of_kubernetes
from messages import nodes as messages
from tests.lab.clusters import kubeconfig, kubectl, nodes
from tests.lab.runs import CLUSTER, Run, differences, ok, pyinfra, snapshot

pytestmark = pytest.mark.slow

INVENTORY = """
control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = [("node2", {"address": "192.168.2.12"})]
"""
LABELLED = INVENTORY.replace(
    '"192.168.2.12"', '"192.168.2.12", "node_labels": {"disktype": "ssd", "own": "1"}'
)
PLAIN = INVENTORY.replace('"192.168.2.12"', '"192.168.2.12", "node_labels": {}')
EXTRAS = {
    "kubectl_proxy": True,
    "registry_mirrors": {"docker.io": "http://192.168.1.1:5000"},
    "password_login": False,
}
WITHOUT = {"kubectl_proxy": False, "registry_mirrors": {}, "password_login": None}
# A second user who may log in, and the first one's keys, which go while it is the admin user.
_ANNA = """useradd -m anna; echo 'anna ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/anna;
cp -a /home/pi/.ssh /home/anna/; chown -R anna:anna /home/anna/.ssh; cp -a /home/pi/.ssh /var/pi"""
_PI_AGAIN = "cp -a /var/pi/. /home/pi/.ssh"
WRITES = "chmod 700 /var/lib/bramble"  # part of what writes the record
PROXY = "unit bramble-kubectl-proxy.service"
MIRRORS = "mirrors of containerd"
MIRROR = "/etc/containerd/certs.d/docker.io/hosts.toml"
# What an earlier bramble could have left, by resource: how it is made, and its entry.
FILE = "/etc/sysctl.d/60-bramble-old.conf"
UNIT = "old-bramble.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
LATER = "thing of a later bramble"
_UNIT_TEXT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"


def configure(lab: Lab, inventory: str = PLAIN, **settings: object) -> None:
    """Write settings into the files, as a person does."""
    path = lab.project / "group_data" / "all.py"
    text = path.read_text()
    for name, value in settings.items():
        text, found = re.subn(rf"(?m)^{name}\b[^=]*=.*$", f"{name} = {value!r}", text)
        assert found == 1, name
    path.write_text(text)
    end = "\nimport settings as _settings\n\n_settings.prepare(__file__)\n"
    (lab.project / "inventory.py").write_text(inventory + end)


def deploy(lab: Lab, *arguments: str) -> Run:
    return pyinfra(lab, "-y", *arguments, deploys=CLUSTER)


def removed(run: Run) -> dict[str, set[str]]:
    """What the summary says was removed, or will be, by node."""
    found: dict[str, set[str]] = {}
    for node, words in re.findall(r"(?m)^(?:To be r|R)emoved from (\S+): (.*)$", run.output):
        found.setdefault(node, set()).update(words.split(", "))
    return found


def is_named(run: Run) -> bool:
    """Whether a run that succeeded names something that was changed since, and is left."""
    assert run.status == 0, run.output
    return messages.CHANGED_SINCE.code in codes(run.output)


def cluster_record(lab: Lab) -> str:
    """The record on the operator's computer."""
    return (lab.project / ".cluster" / "record.json").read_text()


def record(lab: Lab, node: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ok(lab.console(node, ["cat", PATH])))
    return found


def everything(lab: Lab) -> dict[str, set[str]]:
    """All that a deploy could change on the nodes, and the labels in the cluster."""
    found = snapshot(lab)
    for name, node in nodes(lab).items():
        labels = node["metadata"]["labels"].items()
        found[name] |= {f"label {key}={value}" for key, value in labels}
    return found


def is_settled(lab: Lab) -> None:
    """Another run changes nothing, and reads the record in an execution that there was before."""
    again = deploy(lab, "-vv")
    assert again.status == 0, again.output
    for node in ("node1", "node2"):
        assert again.left_alone(node), again.output
    assert DIGEST not in again.output
    assert WRITES not in again.output
    assert removed(again) == {}


@dataclass(frozen=True)
class Deployed:
    """A cluster, and its nodes before anything was added to the settings."""

    lab: Lab
    plain: dict[str, set[str]]
    kubeconfig: str


@pytest.fixture(scope="module")
def cluster(new_lab: Callable[..., Lab]) -> Iterator[Deployed]:
    lab = new_lab("removals", PLAIN, in_use=True, share_downloads=False)
    lab.up()
    for node in ("node1", "node2"):
        ok(lab.console(node, ["sh", "-ec", _ANNA]))
    run = deploy(lab, "-vv")
    assert run.status == 0, run.output
    assert WRITES in run.output
    assert DIGEST in run.output
    assert removed(run) == {}
    is_settled(lab)
    yield Deployed(lab, everything(lab), kubeconfig(lab).read_text())
    lab.down()


def as_never(cluster: Deployed) -> None:
    """The nodes are, byte for byte, as if nothing had ever been added."""
    assert differences(cluster.plain, everything(cluster.lab)) == []
    assert kubeconfig(cluster.lab).read_text() == cluster.kubeconfig


def test_what_is_taken_out_of_the_settings_goes_away(cluster: Deployed) -> None:
    lab = cluster.lab
    configure(lab, LABELLED, admin_user="anna", **EXTRAS)
    kubectl(lab, "label", "node", "node2", "own=0")
    with_all = deploy(lab)
    assert with_all.status == 0, with_all.output
    is_settled(lab)
    assert nodes(lab)["node2"]["metadata"]["labels"]["own"] == "1"
    assert lab.console("node1", ["ls", "/home/pi/.kube/config"]).returncode != 0
    for node in ("node1", "node2"):
        assert ok(lab.console(node, ["cat", "/home/pi/.ssh/authorized_keys"])) == ""
        ok(lab.console(node, ["sh", "-c", _PI_AGAIN]))
    configure(lab, PLAIN, admin_user="pi", **WITHOUT)
    before = everything(lab)
    dry = pyinfra(lab, "--dry", "--diff", deploys=CLUSTER)
    assert differences(before, everything(lab)) == []
    drift = json.loads(lab.run(["python", "-m", "report", "drift", "--json"]).stdout)
    run = deploy(lab)
    assert run.status == 0, run.output
    labels = {"label node2 disktype", "label node2 own"}
    assert removed(dry) == removed(run)
    copy = "kubeconfig /home/anna/.kube/config"
    assert labels | {PROXY, "context bramble-proxy", copy} < removed(run)["node1"]
    assert f"file {MIRROR}" in removed(run)["node2"]
    assert labels < {name for name, state in drift["nodes"]["node1"]["resources"].items()
                     if state == "changed"}  # fmt: skip
    assert "Will label node2: disktype-" in dry.output
    assert nodes(lab)["node2"]["metadata"]["labels"]["own"] == "0"
    kubectl(lab, "label", "node", "node2", "own-")
    as_never(cluster)
    is_settled(lab)


def test_what_a_mirror_replaced_comes_back(cluster: Deployed) -> None:
    lab = cluster.lab
    theirs = f"mkdir -p '{dirname(MIRROR)}'; echo '# theirs' > {MIRROR}; chmod 640 {MIRROR}"
    ok(lab.console("node2", ["sh", "-c", theirs]))
    before = everything(lab)
    configure(lab, registry_mirrors=EXTRAS["registry_mirrors"])
    assert deploy(lab).status == 0
    assert differences(before, everything(lab)) != []
    configure(lab, registry_mirrors={})
    assert deploy(lab).status == 0
    assert differences(before, everything(lab)) == []
    ok(lab.console("node2", ["sh", "-c", f"rm -r {dirname(MIRROR)}"]))
    as_never(cluster)


@pytest.mark.long
def test_a_mirror_that_was_edited_by_hand_is_left_and_named(cluster: Deployed) -> None:
    lab = cluster.lab
    configure(lab, registry_mirrors=EXTRAS["registry_mirrors"])
    assert deploy(lab).status == 0
    ok(lab.console("node2", ["sh", "-c", f"echo '# mine' >> {MIRROR}"]))
    configure(lab, registry_mirrors={})
    for _ in range(2):
        run = deploy(lab)
        assert is_named(run)
        assert ok(lab.console("node2", ["cat", MIRROR])).endswith("# mine")
    command = re.search(r"as root on the node \(`([^`]+)`\)", run.output)
    assert command
    ok(lab.console("node2", ["sh", "-c", command[1]]))
    assert not is_named(deploy(lab))
    as_never(cluster)


@pytest.mark.long
def test_a_partial_run_removes_nothing(cluster: Deployed) -> None:
    lab = cluster.lab
    configure(lab, LABELLED, registry_mirrors=EXTRAS["registry_mirrors"])
    assert deploy(lab).status == 0
    configure(lab)
    for arguments in (["--limit", "node1"], ["--data", "guard_seconds=61"]):
        run = deploy(lab, *arguments)
        assert run.status == 0, run.output
        assert removed(run) == {}
    configure(lab, registry_mirrors={})
    lab.cut("node2")
    run = deploy(lab)
    lab.mend("node2")
    assert run.status != 0
    assert "node2" not in removed(run)
    assert MIRROR in ok(lab.console("node2", ["ls", MIRROR]))
    assert f"file {MIRROR}" in record(lab, "node2")["resources"]
    configure(lab, LABELLED)
    run = pyinfra(lab, "-y", deploys=["deploys/workers.py"])
    assert run.status == 0, run.output
    configure(lab)
    run = pyinfra(lab, "-y", deploys=["deploys/workers.py", "deploys/removals.py"])
    assert run.status == 0, run.output
    assert nodes(lab)["node2"]["metadata"]["labels"]["disktype"] == "ssd"
    run = deploy(lab)
    assert "label node2 disktype" in removed(run)["node1"]
    assert f"file {MIRROR}" in removed(run)["node2"]
    as_never(cluster)


# --- as of an earlier bramble ---------------------------------------------------------------------

_OLD = f"""printf 'net.ipv4.ip_default_ttl = 63\\n' > {FILE}; sysctl -q -p {FILE};
printf '{_UNIT_TEXT.encode("unicode_escape").decode()}' > {UNIT_FILE};
systemctl daemon-reload; systemctl enable -q --now {UNIT}"""


def leave_behind(lab: Lab, node: str = "node2") -> None:
    """Make what an earlier bramble had on a node, and record it, with a kind of a later one."""
    time_to_live = ok(lab.console(node, ["sysctl", "-n", "net.ipv4.ip_default_ttl"]))
    ok(lab.console(node, ["sh", "-c", _OLD]))
    status = ("644", "root", "root")
    entries = {
        f"unit {UNIT}": {
            "content": [fingerprint(*status, _UNIT_TEXT)],
            "arguments": {"path": UNIT_FILE},
            "keeps": [UNIT_FILE],
        },
        f"file {FILE}": {
            "content": [fingerprint(*status, "net.ipv4.ip_default_ttl = 63\n")],
            "arguments": {"path": FILE},
            "keeps": [FILE],
        },
        "sysctl net.ipv4.ip_default_ttl": {
            "content": ["63"],
            "arguments": {"path": FILE},
            "before": time_to_live,
        },
        LATER: {"arguments": {"path": FILE}},
    }
    data = record(lab, node)
    data["resources"] |= entries
    put_record(lab, node, data)


def put_record(lab: Lab, node: str, data: dict[str, Any]) -> None:
    write = f"umask 077; printf %s '{json.dumps(data)}' > {PATH}"
    ok(lab.console(node, ["sh", "-c", write]))


def time_to_live(lab: Lab) -> str:
    return ok(lab.console("node2", ["sysctl", "-n", "net.ipv4.ip_default_ttl"]))


def test_a_file_that_was_edited_by_hand_is_left_and_named_until_it_is_removed(
    cluster: Deployed,
) -> None:
    lab = cluster.lab
    usual = time_to_live(lab)
    leave_behind(lab)
    ok(lab.console("node2", ["sh", "-c", f"echo '# mine' >> {FILE}"]))
    for _ in range(2):
        run = deploy(lab)
        assert is_named(run)
        assert f"file {FILE}" in run.output
        assert f"file {FILE}" in record(lab, "node2")["resources"]
    assert ok(lab.console("node2", ["cat", FILE])).endswith("# mine")
    command = re.search(r"as root on the node \(`([^`]+)`\)", run.output)
    assert command
    ok(lab.console("node2", ["sh", "-c", command[1]]))
    assert not is_named(deploy(lab))
    assert time_to_live(lab) == usual
    as_never(cluster)
    is_settled(lab)
    assert LATER in record(lab, "node2")["resources"]


# Kills a run of cluster.py on this computer once some commands that change a resource were run.
KILLED = """
import os, signal
from pyinfra import local
from operations import node_record
from workstation import context_record

write_ahead, done = node_record.write_ahead, []


def counting(host, work):
    if len(done) == COUNT:
        os.kill(os.getpid(), signal.SIGKILL)
    if host.name == "node1" and "RESOURCE" in work.resources:
        done.append(work)
    write_ahead(host, work)


node_record.write_ahead = counting
if "RESOURCE" == "context record":
    context_record.remove = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
local.include("deploys/cluster.py")
"""


def is_killed(lab: Lab, resource: str, count: int = 1) -> None:
    """Run cluster.py until node1's commands that change a resource, so many of them, were run."""
    text = KILLED.replace("RESOURCE", resource).replace("COUNT", str(count))
    (lab.project / "cluster.py").write_text(text)
    run = pyinfra(lab, "-y", deploys=["cluster.py"])
    assert run.status != 0, (resource, run.output)
    assert "Traceback" not in run.output, run.output


@pytest.mark.parametrize(
    "kills",
    [
        [(f"file {MIRROR}", 2)],  # it is gone; containerd has to be restarted
        pytest.param(
            [
                *((PROXY, 1), (PROXY, 2)),  # it is stopped, its file is gone
                *((MIRRORS, 1), (MIRRORS, 2)),
                ("label node2 disktype", 1),
            ],
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_run_that_is_killed_at_a_removal_is_completed_by_the_next(
    cluster: Deployed, kills: Sequence[tuple[str, int]]
) -> None:
    lab = cluster.lab
    configure(lab, LABELLED, **EXTRAS)
    assert deploy(lab).status == 0
    configure(lab, PLAIN, **WITHOUT)
    for resource, count in kills:
        is_killed(lab, resource, count)
    assert deploy(lab).status == 0
    as_never(cluster)
    is_settled(lab)


def test_a_lost_or_damaged_record_is_made_anew_and_nothing_is_removed(cluster: Deployed) -> None:
    lab = cluster.lab
    before = record(lab, "node2")
    for spoil, damaged in ((f"rm {PATH}", False), (f"echo '{{' > {PATH}", True)):
        leave_behind(lab)
        ok(lab.console("node2", ["sh", "-c", spoil]))
        run = deploy(lab)
        assert run.status == 0, run.output
        assert (messages.RECORD_DAMAGED.code in codes(run.output)) is damaged
        assert removed(run) == {}
        assert ok(lab.console("node2", ["cat", FILE]))
        after = record(lab, "node2")
        assert after["resources"].keys() >= {
            name for name in before["resources"] if not name.startswith(("sysctl", "thing"))
        }
        assert after["nodes"] == before["nodes"]
    ok(lab.console("node2", ["sh", "-c", f"systemctl disable -q --now {UNIT}; rm {UNIT_FILE}"]))
    ok(
        lab.console(
            "node2",
            [
                "sh",
                "-c",
                f"rm {FILE}; systemctl daemon-reload; sysctl -qw net.ipv4.ip_default_ttl=64",
            ],
        )
    )
    as_never(cluster)


def test_another_inventory_or_checkout_that_has_no_use_for_most_of_a_node_stops(
    cluster: Deployed,
) -> None:
    lab = cluster.lab
    data = record(lab, "node2")
    strange = {
        f"file /etc/strange-{n}": {"arguments": {"path": f"/etc/strange-{n}"}} for n in range(99)
    }
    more = {**data, "resources": data["resources"] | strange}
    for other, code in (
        ({**more, "nodes": {"nodeA": "10.0.0.1"}}, messages.OTHER_INVENTORY.code),
        ({**more, "settings": "5f", "by": "anna on elsewhere"}, messages.OTHER_SETTINGS.code),
    ):
        put_record(lab, "node2", other)
        run = deploy(lab)
        assert run.status == 1
        assert codes(run.output).count(code) == 1, run.output
        assert record(lab, "node2") == other
    assert "(by anna on elsewhere)" in run.output
    remedy = re.search(r"again with `(--data take_over=node2)`", run.output)
    assert remedy
    assert deploy(lab, *remedy[1].split()).status == 0
    after = record(lab, "node2")
    assert "anna" not in after["by"]
    assert {**after, "by": ""} == {**data, "by": ""}
    as_never(cluster)
    is_settled(lab)


def test_a_context_is_removed_unless_it_was_changed(cluster: Deployed) -> None:
    lab = cluster.lab
    configure(lab, kube_context="former")
    assert deploy(lab).status == 0
    assert "name: former\n" in kubeconfig(lab).read_text()
    ok(lab.run(["kubectl", "config", "set-context", "former", "--namespace=mine"]))
    configure(lab, kube_context="bramble")
    run = deploy(lab)
    assert messages_of_kubernetes.CONTEXT_CHANGED.code in codes(run.output)
    ok(lab.run(["kubectl", "config", "set-context", "former", "--namespace="]))
    is_killed(lab, "context record")
    assert "former" not in kubeconfig(lab).read_text()
    assert "former" in cluster_record(lab)
    again = deploy(lab)
    assert messages_of_kubernetes.CONTEXT_CHANGED.code not in codes(again.output)
    assert "former" not in cluster_record(lab)
    assert ok(lab.run(["kubectl", "config", "get-contexts", "-o", "name"])) == "bramble"
    assert differences(cluster.plain, everything(lab)) == []
