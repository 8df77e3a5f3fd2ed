"""Interfaces files as ifupdown itself reads them, and what keeps bramble from an interface."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from posixpath import normpath

import pytest

from formats.interfaces.tree import asked, definitions, errors, walk
from lab.api import Lab
from messages import codes
from tests.lab.runs import NETWORK, changes, differences, ok, pyinfra, snapshot
from tests.lab.test_undo import guarded

pytestmark = pytest.mark.slow

CONTROL_PLANE = """
control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = []
"""
ROOT = "/etc/network/interfaces"
TOP = "/tmp/corpus"  # on the node

FOLDER = {
    "eth0": "iface eth0 inet manual\n",
    "eth1": "iface eth1 inet manual\n",
    "eth0.bak": "iface bak inet manual\n",
    ".hidden": "iface hidden inet manual\n",
    "a b": "iface blank inet manual\n",
    "base": "iface base inet static\n  address 10.0.0.1/8\n  up hello\n",
    "[s]": "iface set inet manual\n",
    "$e": "iface dollar inet manual\n",
    "ä": "iface umlaut inet manual\n",
    "wrong": "iface w1 inet manual\nauto x\nbad\niface w2 inet manual\n",
}
PATTERNS = [
    *("d/*", "d/eth?", "d/eth[!0]", "d/[z-a]*", "d/[", "d/nosuch", '"d/eth0"', "'d/eth0'"),
    *("d/a\\ b", '"d/a b"', "d/eth0 d/eth1", f"d/eth1 {TOP}/d/*", "d/{eth0,eth1}", "d/.h*"),
    *("$(echo d/eth0)", "`echo d/eth0`", "d/eth0;d/eth1", "d/eth0|d/eth1", '"d/eth0', "d/(x)"),
    *("*/eth0", "d/../d/eth0", "d//eth0", "./d/eth0", "d/wrong"),
    *('d/"*"', "d/\\*", "d/[s]", 'd/"[s]"', "d/\\$e", "d/'$e'", "d/*~", "d/?", "d/[!e]*"),
    *("d/[[:punct:]]*", "d/[[:xdigit:]]*", "d/[[:nosuch:]]*", "d/[[.e.]]*", "d/[[=e=]]th0"),
    *("d/eth[--0]", "d/[]e]*", "d/[e-]*", "d/eth0\rd/eth1", "d/eth0\vd/eth1", '""d/eth0', "~/x"),
]
TEXTS = [
    "",
    "iface a inet manual inherits zz\n",
    "iface a inet manual inherits b\niface b inet manual\n",
    "iface b inet6 manual\niface a inet manual inherits b\n",
    "iface b inet6 manual\niface a inherits b\n",
    "iface b inherits b\n",
    "iface b inet manual\niface b inet manual inherits b\n",
    "iface b inet static\n  address 10.0.0.1/8\n  up one\niface a inherits b\n  up two\n",
    "source d/base\niface a inet static inherits base\n  mtu 1400\n",
    "iface a inet static inherits base\nsource d/base\n",
    "iface a inet nosuch\n",
    "iface a nosuch static\n",
    "iface a\n",
    "iface\n",
    "auto a\nmisplaced option\n",
    "iface a inet manual\n  empty\n",
    "iface a inet \\\n  manual\n  up x \\\n   y\n",
    "mapping x\n  script /x\n  script /y\n",
    "mapping x\n  other y\n",
    "source-directory d\n",
    'source-directory "d"\n',
    "iface a inet manual\0x\n  up y\n",
    "iface a\0 inet manual\n",
    "iface a inet manual\n  up\0 x\n",
    "source-dir d\n",
    "source-directory d/*\n",
    *(f"source {pattern}\niface last inet manual\n" for pattern in PATTERNS),
]


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    made = new_lab("ifs", CONTROL_PLANE)
    made.up()
    yield made
    made.down()


def put(lab: Lab, path: str, text: str) -> None:
    put_all(lab, {path: text})


def put_all(lab: Lab, texts: Mapping[str, str]) -> None:
    """Write files, by path, as root."""
    encoded = {path: b64encode(text.encode()).decode() for path, text in texts.items()}
    lines = (f"echo {text} | base64 -d > '{path}'" for path, text in encoded.items())
    ok(lab.ssh("node1", shlex.join(["sudo", "sh", "-c", "\n".join(lines)])))


def ifquery(lab: Lab, names: Sequence[str]) -> list[list[str]]:
    """Output of the real ifquery for each corpus file and each interface in it."""
    script = (
        f"PATH=$PATH:/usr/sbin; cd /; for n in {' '.join(names)}; do "
        f"ifquery -v -l -i {TOP}/$n 2>&1; "
        f'for i in a b last eth0 base; do echo "== $i"; ifquery -i {TOP}/$n $i 2>/dev/null; done; '
        "echo ====; done"
    )
    said = ok(lab.ssh("node1", script))
    return [part.splitlines() for part in said.split("====")[:-1]]


def test_files_are_read_as_ifupdown_reads_them_before_it_is_installed(lab: Lab) -> None:
    ok(lab.ssh("node1", f"mkdir -p {TOP}/d"))
    names = [f"t{number}" for number in range(len(TEXTS))]
    put_all(lab, {f"{TOP}/{name}": text for name, text in zip(names, TEXTS, strict=True)})
    folder = {f"{TOP}/d/{name}": text for name, text in FOLDER.items()}
    put_all(lab, folder)
    for name, text, said in zip(names, TEXTS, ifquery(lab, names), strict=True):
        start = f"{TOP}/{name}"
        texts = {**folder, start: text}
        read, stops = asked([f"ifquery: parsing file {start}", *said])
        ours = errors(texts, start)
        assert [f"{path}:{error.line}" for path, error in ours] == [
            ":".join(stop.split(":")[:2]) for stop in stops
        ], text
        if any(path == start for path, _ in ours):
            continue  # then ifupdown has nothing of the file, whatever stands before
        there = dict.fromkeys([start, *(path for path, _ in walk(texts, start))])
        assert list(there) == [normpath(path) for path in read if path.startswith("/")], text
        for interface, lines in answers(said).items():
            meant = [each for each in definitions(texts, read) if each.iface.name == interface]
            options = [f"{key}: {value}" for each in meant for key, value in each.options]
            assert plain(options) == plain(lines), (text, interface)


def plain(lines: Sequence[str]) -> list[str]:
    """Drop what ifquery derives from an address."""
    computed = ("netmask:", "broadcast:")
    return sorted(line.split("/")[0] for line in lines if not line.startswith(computed))


def answers(said: list[str]) -> dict[str, list[str]]:
    """By interface, the lines of ``ifquery NAME``."""
    found: dict[str, list[str]] = {}
    name = None
    for line in said:
        if line.startswith("== "):
            name = line.removeprefix("== ")
            found[name] = []
        elif name is not None:
            found[name].append(line)
    return found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "iface a inet manual inherits nobody\n",
            rf"{ROOT}:1: unknown iface to inherit from: nobody.*\(NET007\)",
        ),
        ("mapping eth*\n  script /bin/true\n", rf"{ROOT}, line 1 .*eth0.*\(NET008\)"),
        ("rename eth0=lan0\n", rf"{ROOT}, line 1 .*eth0 .*lan0.*\(NET008\)"),
        ("iface br0 inet dhcp\n  bridge_ports eth0\n", rf"{ROOT}, line 2 .*eth0.*br0.*\(NET008\)"),
        ("source d/[z-a]*\niface eth0 inet dhcp\n", rf"eth0 .*{ROOT}, line 2.*\(NET009\)"),
    ],
)
def test_conflicting_definitions_are_reported_before_anything_is_changed(
    lab: Lab, text: str, told: str
) -> None:
    put(lab, ROOT, text)
    try:
        before = snapshot(lab, "node1")
        for step, seen in (("preflight", list), ("network", guarded)):
            run = pyinfra(lab, "-y", deploys=[f"deploys/{step}.py"])
            assert run.status != 0
            assert re.search(told, run.output.replace("\n", " ")), run.output
            assert seen(differences(before, snapshot(lab, "node1"))) == []
    finally:
        ok(lab.ssh("node1", f"sudo rm {ROOT}"))


def test_a_port_of_a_bridge_is_reported_before_anything_is_changed(lab: Lab) -> None:
    ok(lab.ssh("node1", "sudo ip link add br9 type bridge; sudo ip link set eth0 master br9"))
    try:
        run = pyinfra(lab, "-y", deploys=["deploys/network.py"])
        assert run.status != 0
        assert "br9" in run.output
        assert "NET006" in codes(run.output), run.output
    finally:
        ok(lab.ssh("node1", "sudo ip link set eth0 nomaster; sudo ip link del br9"))


def test_once_installed_ifupdown_says_what_it_reads_and_where_it_stops(lab: Lab) -> None:
    run = pyinfra(lab, "-y", deploys=NETWORK)
    assert run.status == 0, run.output
    mine = ok(lab.ssh("node1", f"cat {ROOT}")).rstrip("\n") + "\n"
    quoted = mine.replace(f"source {ROOT}.d/*", f'source {ROOT}".d"$NOWHERE/*')
    assert quoted != mine
    try:
        put(lab, ROOT, quoted)
        assert changes(lab, deploys=NETWORK) == []
        put(lab, ROOT, f"{quoted}iface a inet manual inherits nobody\n")
        run = pyinfra(lab, "-y", deploys=NETWORK)
        assert run.status != 0
        assert "unknown iface to inherit from: nobody" in run.output
        assert "NET007" in codes(run.output), run.output
    finally:
        put(lab, ROOT, mine)
    assert changes(lab, deploys=NETWORK) == []


def test_two_interfaces_both_get_their_line_in_a_main_file_without_includes(lab: Lab) -> None:
    lab.fresh("node1")
    put(lab, ROOT, "auto lo\niface lo inet loopback\n")
    done = pyinfra(lab, "-y")
    assert done.status == 0, done.output[-3000:]
    text = ok(lab.ssh("node1", f"sudo cat {ROOT}"))
    assert text.splitlines() == [
        "auto lo",
        "iface lo inet loopback",
        *(f"source {ROOT}.d/{name}" for name in re.findall(r"\.d/(\w+)", text)),
    ]
    assert set(re.findall(r"\.d/(\w+)", text)) == {"eth0", "wlan0"}
    assert changes(lab) == []


def test_a_dhcp_client_does_not_outlive_its_definition(lab: Lab) -> None:
    """It was removed while the client ran: at the end of its lease it would take the address."""
    lab.fresh("node1")
    client = ["dhclient", "-nw", "-pf", "/run/dhclient.eth0.pid", "eth0"]
    ok(lab.console("node1", client))
    running = ["pgrep", "-f", "dhclient.*eth0"]
    ok(lab.console("node1", running))
    done = pyinfra(lab, "-y")
    assert done.status == 0, done.output[-3000:]
    assert lab.console("node1", running).returncode == 1
    assert changes(lab) == []
