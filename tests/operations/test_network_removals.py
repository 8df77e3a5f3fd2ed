"""What removes the network's resources: what is returned, and what is left."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from facts import resolv_conf as paths
from facts.authorized_keys import KeysState
from facts.files import FileState
from facts.interfaces import Link
from facts.iptables import IptablesState
from facts.node_record import KEPT, RecordState
from facts.resolv_conf import ResolverState
from formats import marked
from formats.iptables import OwnChains, parse_save
from formats.node_record import Entry, NodeRecord, fingerprint
from operations import guard, interfaces, iptables, node_record, removals, resolv_conf
from operations.base import HostFailure
from operations.guard import Step
from operations.node_record import ChangedSince
from remote import pyinfra_internals
from tests.operations.test_removals import node, said

ABSENT = FileState("absent")
HEADER = "# Written by bramble, which replaces it at its next run.\n"
WLAN0 = f"{HEADER}auto wlan0\niface wlan0 inet dhcp\n"
KEPT_RESOLV = f"{KEPT}{paths.PATH}"


def text(content: str) -> FileState:
    return FileState("file", "644", "root", "root", content)


# --- interfaces -----------------------------------------------------------------------------------


def interfaces_of(own: str | None) -> dict[str, Any]:
    files = {"/etc/network/interfaces": text("source /etc/network/interfaces.d/*\n")}
    if own is not None:
        files["/etc/network/interfaces.d/wlan0"] = text(own)
    return {
        "interfaces.InterfacesFiles": {
            "files": files,
            "ifquery": [],
            "keys": {},
            "tools": ["ifup"],
            "units": {},
            "up": ["wlan0"],
            "pending": "",
            "links": {"wlan0": Link([], [], [], "")},
            "networkmanager": {},
        }
    }


def test_an_interface_gives_way_before_it_is_released() -> None:
    with node(interfaces_of(WLAN0)):
        steps = list(interfaces.remove("interface wlan0", Entry((fingerprint(WLAN0),))))
    assert all(isinstance(step, Step) for step in steps)
    assert said(steps[:1]) == ["rm -f -- /etc/network/interfaces.d/wlan0"]
    assert [step.interface for step in steps if isinstance(step, Step)] == ["", "", "wlan0"]


@pytest.mark.parametrize("own", [None, f"{WLAN0}# mine\n"])
def test_an_interface_that_is_gone_is_done_and_one_that_was_edited_is_left(own: str | None) -> None:
    entry = Entry((fingerprint(WLAN0),))
    with node(interfaces_of(own)):
        if own is None:
            assert list(interfaces.remove("interface wlan0", entry)) == []
        else:
            with pytest.raises(ChangedSince):
                list(interfaces.remove("interface wlan0", entry))


CLOUD_INIT = "# by cloud-init\nauto eth0 wlan0\niface eth0 inet dhcp\niface wlan0 inet dhcp\n"


def test_two_interfaces_of_one_change_both_count_in_the_files_that_they_share() -> None:
    facts = interfaces_of(None)
    now = facts["interfaces.InterfacesFiles"]
    now["files"]["/etc/network/interfaces.d/50-cloud-init"] = text(CLOUD_INIT)
    now["files"]["/etc/dhcpcd.conf"] = text("hostname\n")
    now["units"]["dhcpcd"] = ["enabled", "active"]
    now["links"]["eth0"] = Link([], [], [], "")
    written: dict[str, str] = {}
    with node(facts) as host:
        host.state.is_executing = True
        define = inspect.unwrap(interfaces.interface._inner)
        for name in ("eth0", "wlan0"):
            for step in define(interface=name, method="manual"):
                path = step.paths[0] if step.paths else ""
                stdin = pyinfra_internals.arguments(step).get("_stdin", "")
                written[path] = f"{step.get_raw_value()}{stdin}"
    assert "denyinterfaces eth0 wlan0\nhostname\n" in written["/etc/dhcpcd.conf"]
    assert written["/etc/network/interfaces.d/50-cloud-init"].startswith("rm ")


# --- rules ----------------------------------------------------------------------------------------

RULES = ["-t nat -A POSTROUTING -o wlan0 -j MASQUERADE"]
LIVE = """*nat
:POSTROUTING ACCEPT [0:0]
:BRAMBLE-POSTROUTING - [0:0]
-A POSTROUTING -j BRAMBLE-POSTROUTING
-A BRAMBLE-POSTROUTING -o wlan0 -j MASQUERADE
COMMIT
"""
FILE, UNIT = "/etc/cluster_ip_rules.fw", "/etc/systemd/system/cluster-ip-rules.service"


def rules_entry() -> Entry:
    chains = OwnChains("BRAMBLE", RULES)
    files = [fingerprint("file\n"), fingerprint("unit\n")]
    return Entry((fingerprint(chains.show_desired()),), {"path": FILE, "files": files})


def rules_of(live: str, file: str) -> dict[str, Any]:
    files = {FILE: text(file), UNIT: text("unit\n")}
    state = IptablesState("nf_tables", live, "", enabled=True, stale=False, files=files)
    key = f"paths={[FILE, UNIT]}, trial=, unit=cluster-ip-rules.service"
    return {"iptables.Iptables": {key: state}}


def test_rules_are_what_was_recorded_as_long_as_nobody_changes_them() -> None:
    chains = OwnChains("BRAMBLE", RULES)
    assert chains.show_live(parse_save(LIVE)) == chains.show_desired()


def test_rules_are_removed_after_the_other_nodes_have_changed() -> None:
    with node(rules_of(LIVE, "file\n")):
        steps = list(iptables.remove("rules BRAMBLE-*", rules_entry()))
    assert len(steps) == 6
    assert all(isinstance(step, Step) and step.after_others for step in steps)


@pytest.mark.parametrize(
    ("live", "file"),
    [(LIVE.replace("wlan0", "wlan1"), "file\n"), (LIVE, "file\n# mine\n")],
)
def test_rules_that_somebody_has_changed_are_left(live: str, file: str) -> None:
    with node(rules_of(live, file)), pytest.raises(ChangedSince):
        list(iptables.remove("rules BRAMBLE-*", rules_entry()))


# --- resolver -------------------------------------------------------------------------------------

OURS = "# Written by bramble\nnameserver 8.8.8.8\n"
RESOLVER = Entry((fingerprint("8.8.8.8", "", ""),))


def resolver_of(now: str, kept: FileState, **writers: Any) -> dict[str, Any]:
    files = {**dict.fromkeys(paths.FILES, ABSENT), paths.PATH: text(now), **writers.pop("files")}
    state = ResolverState(text=now, real=paths.PATH, files=files, **writers)
    return {
        "resolv_conf.Resolver": state,
        "files.Files": {f"paths={[KEPT_RESOLV]}": {KEPT_RESOLV: kept}},
    }


def test_the_resolver_returns_to_networkmanager_and_the_dhcp_clients() -> None:
    files = {
        paths.NETWORK_MANAGER: text(resolv_conf.NETWORK_MANAGER_TEXT),
        paths.DHCLIENT: text(resolv_conf.DHCLIENT_TEXT),
        paths.DHCPCD: text(marked.put("", resolv_conf.DHCPCD_TEXT)),
        paths.OPENRESOLV: text(marked.put("x=1\n", resolv_conf.OPENRESOLV_TEXT)),
    }
    kept = text("# Generated by NetworkManager\nnameserver 192.168.1.1\n")
    facts = resolver_of(OURS, kept, files=files, network_manager_now="none")
    with node(facts):
        steps = list(resolv_conf.remove("resolver /etc/resolv.conf", RESOLVER))
    assert [step.paths for step in steps if isinstance(step, Step)] == [
        (paths.NETWORK_MANAGER,),
        (paths.DHCPCD,),
        (paths.DHCLIENT,),
        (paths.OPENRESOLV,),
        (paths.PATH,),
        (),
    ]
    shown = said(steps)
    assert shown[0] == f"rm -f -- {paths.NETWORK_MANAGER}"
    assert shown[4].endswith(f"restore {KEPT_RESOLV} {paths.PATH}")
    assert shown[5] == "systemctl reload NetworkManager.service"


def test_nameservers_that_somebody_has_changed_are_left() -> None:
    facts = resolver_of(f"{OURS}nameserver 9.9.9.9\n", text("x\n"), files={})
    with node(facts), pytest.raises(ChangedSince):
        list(resolv_conf.remove("resolver /etc/resolv.conf", RESOLVER))


# --- the order of the nodes -----------------------------------------------------------------------


def planned(function: Any) -> list[Any]:
    return list(inspect.unwrap(function._inner)(60))


def test_a_change_that_takes_something_from_others_waits_for_them() -> None:
    with node() as host:
        host.state.failed_hosts = []
        changes = guard._changes()
        changes.planned.add("node1")
        changes.waiting.add("node1")
        assert planned(guard._apply_staged) == []
        assert len(planned(guard.after_others)) == 1
        assert planned(guard.after_others) == []


def test_it_is_not_made_if_another_node_has_failed() -> None:
    with node() as host:
        guard._changes().planned.add("node1")
        guard._changes().waiting.add("node1")
        host.state.failed_hosts = [SimpleNamespace(name="node2")]
        with pytest.raises(HostFailure):
            planned(guard.after_others)
        guard._changes().waiting.clear()
        assert len(planned(guard.after_others)) == 1


# --- keys -----------------------------------------------------------------------------------------


def public_key() -> str:
    made = Ed25519PrivateKey.generate().public_key()
    return made.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_of_two_keys_that_go_in_one_run_none_stays() -> None:
    """Each step writes the whole file, and the second must not write the first key again."""
    one, two, stays = (public_key() for _ in range(3))
    home = FileState("directory", "755", "pi", "pi")
    there = FileState("file", "600", "pi", "pi", f"{one} a\n{two} b\n{stays} c\n")
    folder = FileState("directory", "700", "pi", "pi")
    path = "/home/pi/.ssh/authorized_keys"
    keys = KeysState(True, "pi", path, [], True, home, folder, there, FileState("absent"))
    record = {
        f"key {key[-8:]} of pi": Entry(arguments={"user": "pi", "key": key}) for key in (one, two)
    }
    with node({"authorized_keys.AuthorizedKeys": {"user=pi": keys}}) as host:
        node_record.put(host, RecordState(NodeRecord(record, True)))
        commands = removals._removals(guarded=False)
    steps = [step for each in commands.values() for step in each if isinstance(step, Step)]
    written = [pyinfra_internals.arguments(step)["_stdin"] for step in steps]
    assert len(written) == 2
    assert written[-1] == f"{stays} c\n"
