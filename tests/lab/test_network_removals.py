"""What the settings no longer declare of the network goes away, inside the guard's change."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab import cgroup, host, network
from lab.api import Lab
from lab.plan import Port, mac_address, save
from lab.waiting import until
from messages import codes
from tests.lab.guarded import nothing_is_left
from tests.lab.runs import Run, differences, ok, pyinfra, reaches_internet, snapshot, start
from tests.lab.test_removals import leave_behind, removed

pytestmark = pytest.mark.long

# A whole run of the network alone: only a deploy of this name removes anything.
WHOLE = ["cluster.py"]
DEPLOY = """from pyinfra import local

for part in ("ssh_access", "network", "removals"):
    local.include(f"deploys/{part}.py")
"""
ALONE = """
control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = []
"""
THREE = """
control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = [("node2", {"address": "192.168.2.12"}), ("node3", {"address": "192.168.2.13"})]
"""
MOVED = """
control_plane = [("node1", {"address": "192.168.2.11"})]
workers = [
    ("node2", {"address": "192.168.2.12", "uplink_address": "192.168.1.33"FIRST}),
    ("node3", {"address": "192.168.2.13"}),
]
"""

FIRST_BOOT = "/etc/machine-id |/etc/ssh/ssh_host_|/etc/sudoers.d/90-cloud-init-users "


def settings(lab: Lab, inventory: str | None = None, **changes: object) -> None:
    """Rewrite settings of group_data/all.py, and the inventory."""
    file = lab.project / "group_data" / "all.py"
    text = file.read_text()
    for name, value in changes.items():
        text, found = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value!r}", text)
        assert found == 1, name
    file.write_text(text)
    if inventory is not None:
        ending = "\nimport settings as _settings\n\n_settings.prepare(__file__)\n"
        (lab.project / "inventory.py").write_text(inventory + ending)


def to_nat(lab: Lab) -> None:
    settings(lab, ALONE, topology="nat")


def is_nat(lab: Lab) -> dict[str, set[str]]:
    """Make the node the gateway, and look at it."""
    to_nat(lab)
    succeeds(lab)
    return looks(lab)


def to_router(lab: Lab) -> None:
    settings(lab, ALONE.replace(', "uplink_address": "192.168.1.32"', ""), topology="router")


def whole(lab: Lab, *arguments: str) -> Run:
    return pyinfra(lab, *(arguments or ("-y",)), deploys=WHOLE)


def succeeds(lab: Lab, *arguments: str) -> Run:
    run = whole(lab, *arguments)
    assert run.status == 0, run.output[-6000:]
    return run


def looks(lab: Lab, *nodes: str) -> dict[str, set[str]]:
    """
    A snapshot without what each card's first boot makes.

    NetworkManager counts the metrics of its routes up in the order in which interfaces come.
    """
    return {
        node: {re.sub(r"metric 10\d", "", line) for line in lines if not re.match(FIRST_BOOT, line)}
        for node, lines in snapshot(lab, *nodes).items()
    }


def differing(before: dict[str, set[str]], lab: Lab) -> str:
    """What differs on the nodes, a line each."""
    return "\n".join(differences(before, looks(lab, *before)))


def is_settled(lab: Lab) -> None:
    """Check that a further run changes nothing, not even the record."""
    record = ["sha256sum", "/var/lib/bramble/record.json"]
    nodes = [node.name for node in lab.plan.nodes]
    before = [ok(lab.console(node, record)) for node in nodes]
    run = succeeds(lab)
    assert all(run.left_alone(node) for node in nodes), run.output
    assert before == [ok(lab.console(node, record)) for node in nodes]


def recorded(lab: Lab, node: str) -> dict[str, Any]:
    text = ok(lab.console(node, ["cat", "/var/lib/bramble/record.json"]))
    resources: dict[str, Any] = json.loads(text)["resources"]
    return resources


def router_at_home(lab: Lab) -> None:
    """Connect the lab's router and the operator to the cluster's switch too."""
    for part, address in (("router", "192.168.2.1/24"), ("operator", "192.168.2.200/24")):
        network._connect(lab.plan.name, part, "home", "cluster", f"{part}-home")
        lines = [f"address add {address} dev home", "link set home up"]
        network._batch(lab.plan.name, part, lines)
    enter = ["nsenter", f"--net={network.namespace_path(lab.plan.name, 'router')}"]
    rule = 'ip saddr 192.168.2.0/24 oifname "uplink" masquerade'
    host.run([*enter, "nft", f"add rule inet lab postrouting {rule}"])
    # The router's dnsmasq answers on one of its networks only.
    upstream, _ = network.transfer_addresses(lab.plan)
    words = ["--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-hosts", "--no-resolv"]
    words += ["--listen-address=192.168.2.1", "--bind-interfaces", f"--server={upstream}"]
    command = network.inside(lab.plan.name, "router", ["dnsmasq", "--keep-in-foreground", *words])
    group = f"{cgroup.root(lab.plan.name)}/services"
    subprocess.Popen(cgroup.wrap(group, command), start_new_session=True, env=host.environment())


def home(lab: Lab, state: str) -> None:
    """Switch the router's cable to the cluster's switch up or down."""
    network._batch(lab.plan.name, "switch", [f"link set router-home {state}"])


def add_port(lab: Lab, node: str, interface: str, bridge: str) -> None:
    """Plug one more network card into a node."""
    plan = lab.plan
    port = Port(interface, mac_address(node, interface), bridge)
    each = plan.node(node)
    more = [n if n != each else _with(each, port) for n in plan.nodes]
    save(type(plan)(**{**vars(plan), "nodes": tuple(more)}))
    lab.power_off(node)
    lab.power_on(node)


def _with(node: Any, port: Port) -> Any:
    return type(node)(**{**vars(node), "ports": (*node.ports, port)})


@pytest.fixture(scope="module")
def alone(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A gateway without workers, and a router on both of its networks."""
    lab = new_lab("leaves", ALONE, nameservers=["router"])
    (lab.project / "cluster.py").write_text(DEPLOY)
    lab.up()
    router_at_home(lab)
    yield lab
    lab.down()


def test_a_gateway_that_is_one_no_more_is_as_if_it_had_never_been_one_and_back(alone: Lab) -> None:
    lab = alone
    to_router(lab)
    succeeds(lab)
    never = looks(lab)
    to_nat(lab)
    lab.fresh("node1")
    succeeds(lab)
    nat = looks(lab)
    assert "interface wlan0" in recorded(lab, "node1")

    to_router(lab)
    dry = succeeds(lab, "--dry", "--diff").lines("node1")
    for path in ("interfaces.d/wlan0", "../cluster_ip_rules.fw"):
        assert f"Will remove {Path('/etc/network', path).resolve()}" in dry, dry
    assert differing(nat, lab) == ""
    run = succeeds(lab)
    assert sum("confirmed after" in line for line in run.lines("node1")) == 1, run.output
    assert differing(never, lab) == ""
    left = recorded(lab, "node1")
    assert not [each for each in left if "wlan0" in each or "rules" in each or "forward" in each]
    assert ok(lab.console("node1", ["nft", "list", "ruleset"])) == ""
    is_settled(lab)

    to_nat(lab)
    succeeds(lab)
    assert differing(nat, lab) == ""
    is_settled(lab)


def test_a_removal_that_cuts_the_node_off_is_rolled_back_with_all_of_its_change(alone: Lab) -> None:
    lab = alone
    before, known = is_nat(lab), recorded(lab, "node1")
    to_router(lab)
    home(lab, "down")
    run = whole(lab)
    assert run.status != 0
    assert "NET026" in codes(run.output), run.output
    assert differing(before, lab) == ""
    assert known.keys() <= recorded(lab, "node1").keys()
    nothing_is_left(lab, "node1")
    home(lab, "up")
    succeeds(lab)
    assert "BRAMBLE" not in ok(lab.ssh("node1", "sudo iptables-save"))
    to_nat(lab)
    succeeds(lab)
    assert differing(before, lab) == ""


def test_a_partial_run_removes_nothing_and_what_was_edited_by_hand_stays(alone: Lab) -> None:
    lab = alone
    before = is_nat(lab)
    to_router(lab)
    for run in (pyinfra(lab, "-y"), whole(lab, "-y", "--limit", "node1")):
        assert "NET066" in codes(run.output), run.output
    assert differing(before, lab) == ""
    ok(lab.ssh("node1", "echo '# mine' | sudo tee -a /etc/cluster_ip_rules.fw"))
    run = succeeds(lab)
    said = [line for line in run.lines("node1") if codes(line) == ["NOD053"]]
    assert len(said) == 1, run.output
    assert "rules BRAMBLE-*" in said[0]
    assert "# mine" in ok(lab.ssh("node1", "sudo cat /etc/cluster_ip_rules.fw"))
    left = recorded(lab, "node1")
    assert "rules BRAMBLE-*" in left
    assert "interface wlan0" not in left


@pytest.fixture(scope="module")
def three(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A gateway and two workers with their network."""
    lab = new_lab("leave", THREE, uplink_method="static")
    (lab.project / "cluster.py").write_text(DEPLOY)
    lab.up()
    succeeds(lab)
    yield lab
    lab.down()


def test_a_nameserver_that_is_named_no_more_is_asked_no_more(three: Lab) -> None:
    lab = three
    before = looks(lab)
    settings(lab, nameservers=["8.8.8.8"])
    succeeds(lab)
    for node in ("node1", "node2", "node3"):
        lines = ok(lab.ssh(node, "grep ^nameserver /etc/resolv.conf")).splitlines()
        assert lines == ["nameserver 8.8.8.8"]
    settings(lab, nameservers=["8.8.8.8", "8.8.4.4", "router"])
    succeeds(lab)
    assert differing(before, lab) == ""


def test_an_interface_that_has_another_name_in_the_settings(three: Lab) -> None:
    lab = three
    add_port(lab, "node2", "eth1", "cluster")
    ok(lab.ssh("node2", "true"))
    renamed = THREE.replace('"192.168.2.12"', '"192.168.2.12", "cluster_interface": "eth1"')
    before = looks(lab, "node2")
    settings(lab, renamed)
    run = succeeds(lab)
    assert removed(run) == {"node2": {"interface eth0"}}
    files = ok(lab.console("node2", ["ls", "/etc/network/interfaces.d"])).split()
    assert files == ["eth1"]
    names = ok(lab.console("node2", ["ls", "/etc/NetworkManager/conf.d"]))
    assert "bramble-eth0" not in names
    assert " dev eth1 " in ok(lab.ssh("node2", "ip route show default | head -n 1"))
    is_settled(lab)
    settings(lab, THREE)
    succeeds(lab)
    assert differing(before, lab) == ""


def test_the_gateway_is_another_node(three: Lab) -> None:
    """Each node's way out moves before the former gateway stops."""
    lab = three
    add_port(lab, "node2", "wlan0", "lan")
    address = r"dev wlan0 .* src ([0-9.]+)"
    shown = ["ip", "route", "show"]

    def leased() -> str:
        found = re.search(address, ok(lab.console("node2", shown)))
        return found[1] if found else ""

    assert until(lambda: bool(leased())), ok(lab.console("node2", shown))
    before = looks(lab)
    settings(lab, MOVED.replace("FIRST", f', "first_address": "{leased()}"'))
    run = succeeds(lab)
    order = [line for line in run.output.splitlines() if "confirmed after" in line]
    assert [re.findall(r"node\d", line)[0] for line in order] == ["node2", "node3", "node1"]
    reaches_internet_by(lab, "192.168.2.12", "node1", "node3")
    assert "BRAMBLE" not in ok(lab.ssh("node1", "sudo iptables-save"))
    assert "wlan0" not in ok(lab.ssh("node1", "ls /etc/network/interfaces.d"))
    is_settled(lab)
    settings(
        lab, THREE.replace('"192.168.1.32"', '"192.168.1.32", "first_address": "192.168.1.32"')
    )
    succeeds(lab)
    reaches_internet(lab, "node2", "node3")
    assert differing(before, lab) == ""


def reaches_internet_by(lab: Lab, gateway: str, *nodes: str) -> None:
    for node in nodes:
        route = ok(lab.ssh(node, "ip route show default"))
        assert route.startswith(f"default via {gateway} "), route
        ok(lab.ssh(node, "sudo apt-get update --error-on=any"))


# Stops a run on the node after the commands that remove the resources of a kind.
CUT = """
from pyinfra.api import QuoteString, StringCommand
from operations import guard, removals

remove = removals.KINDS["KIND"]


def stopping(resource, entry):
    commands = list(remove(resource, entry))
    yield from commands
    if commands:
        words = ("sh", "-c", QuoteString("touch /run/removed; sleep infinity"))
        yield guard.Step(*words, what="it") if entry.guarded else StringCommand(*words)


removals.KINDS["KIND"] = stopping
"""
IN_THE_GUARD = ("rules", "interface", "key")


def test_a_power_cut_at_each_removal_is_completed_by_the_next_run(alone: Lab) -> None:
    """What the guard has removed by then comes back first, with all of its change."""
    lab = alone
    settings(lab, ssh_private_key=None)
    to_router(lab)
    lab.fresh("node1")
    succeeds(lab)
    never = looks(lab)
    to_nat(lab)
    succeeds(lab)
    leave_behind(lab, "node1")
    keys = has_another_key(lab)
    before = looks(lab)
    to_router(lab)
    for kind in (*IN_THE_GUARD, "unit", "file", "sysctl"):
        (lab.project / "cluster.py").write_text(CUT.replace('"KIND"', f'"{kind}"') + DEPLOY)
        running = start(lab, "-y", deploys=WHOLE)
        assert until(partial(has_removed, lab, running)), kind
        assert running.poll() is None, running.communicate()
        lab.power_off("node1")
        lab.power_on("node1")
        running.communicate()
        nothing_is_left(lab, "node1")
        if kind in IN_THE_GUARD:
            assert differing(before, lab) == "", kind
    (lab.project / "cluster.py").write_text(DEPLOY)
    succeeds(lab)
    assert ok(lab.console("node1", ["cat", KEYS])).split()[1] == keys[1]
    assert ok(lab.console("node1", ["sysctl", "-n", "net.ipv4.ip_default_ttl"])) == "64"
    ok(lab.console("node1", ["sed", "-i", f"s|{keys[1]}|{keys[0]}|", KEYS]))
    assert differing(never, lab) == ""
    ok(lab.console("node1", ["sed", "-i", f"s|{keys[0]}|{keys[1]}|", KEYS]))
    is_settled(lab)


KEYS = "/home/pi/.ssh/authorized_keys"


def has_removed(lab: Lab, running: subprocess.Popen[str]) -> bool:
    done = lab.console("node1", ["test", "-e", "/run/removed"])
    return done.returncode == 0 or running.poll() is not None


def has_another_key(lab: Lab) -> tuple[str, str]:
    """Let the settings have another key, which a login with the former one brings: return both."""
    new = ".cluster/new_ed25519"
    if not (lab.project / new).exists():
        comment = "bramble operator"
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", new]
        ok(lab.run(make))
    settings(lab, ssh_private_key=new)
    succeeds(lab, "-y", "--ssh-key", ".cluster/id_ed25519")
    former, present = (
        (lab.project / f"{path}.pub").read_text().split()[1]
        for path in (".cluster/id_ed25519", new)
    )
    keys = ok(lab.console("node1", ["cat", KEYS]))
    assert former in keys
    assert present in keys
    return former, present


def test_a_key_that_is_the_operators_no_longer_goes_after_a_login_with_the_present_one(
    alone: Lab,
) -> None:
    lab = alone
    settings(lab, ssh_private_key=None)
    to_router(lab)
    lab.fresh("node1")
    succeeds(lab)
    before = ok(lab.console("node1", ["cat", KEYS]))
    former, present = has_another_key(lab)
    run = succeeds(lab)
    assert f"key ssh-ed25519 …{former[-8:]} of pi" in run.output
    assert any("the keys of pi: confirmed after" in line for line in run.lines("node1"))
    assert ok(lab.console("node1", ["cat", KEYS])) == before.replace(former, present)
    login = ["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i", ".cluster/id_ed25519"]
    known = ["-o", "UserKnownHostsFile=.cluster/known_hosts", "pi@192.168.2.11", "true"]
    refused = lab.run(["ssh", "-F", "none", *login, *known])
    assert "Permission denied (publickey" in refused.stderr
    is_settled(lab)


def test_an_undo_brings_back_what_was_removed_and_its_entries(alone: Lab) -> None:
    lab = alone
    to_nat(lab)
    lab.fresh("node1")
    succeeds(lab)
    known = recorded(lab, "node1")
    to_router(lab)
    succeeds(lab)
    undone = pyinfra(lab, "-y", deploys=["deploys/undo.py"])
    assert undone.status == 0, undone.output
    assert "BRAMBLE" in ok(lab.console("node1", ["iptables-save"]))
    network_of = ("rules", "interface")
    assert {each for each in known if each.startswith(network_of)} <= recorded(lab, "node1").keys()
    succeeds(lab)
    assert "BRAMBLE" not in ok(lab.ssh("node1", "sudo iptables-save"))
    assert "wlan0" not in ok(lab.ssh("node1", "ls /etc/network/interfaces.d"))
