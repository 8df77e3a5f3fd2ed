"""The network: how a node finds the others, and the world."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from settings import Cluster, Node
from settings import kubernetes as names
from tests.cluster.words import deploy, listed, said, wrong

# Of no network that there is (RFC 5737): the way there is the way to the world.
ELSEWHERE = "192.0.2.1"
# Where the node's own packages come from, as apt knows it: a desk may have a mirror.
ARCHIVES = "apt-get indextargets --format '$(BASE_URI)' 'Created-By: Packages' | sort -u"
LOOK_UP = """for name in %s; do
echo "$name $(getent ahostsv4 "$name" | sed -n '1s/ .*//p')"; done"""
GET = """cd "$(mktemp -d)" && trap 'rm -rf "$PWD"' EXIT &&
/usr/lib/apt/apt-helper -o Acquire::Retries=0 -o Acquire::http::Timeout=10 \
download-file %s InRelease"""


@pytest.fixture
def archive(host: Any) -> str:
    """The address of the node's package archive."""
    found = [line for line in host.check_output(ARCHIVES).split() if line.startswith("http")]
    by_name = [url for url in found if re.search("[a-z]", urlsplit(url).hostname or "")]
    if not by_name:
        pytest.skip("its packages come from no archive with a name")
    return str(by_name[0])


def test_names_of_the_nodes(node: Node, cluster: Cluster, host: Any) -> None:
    """names of the nodes"""
    wanted = {name: address for address, names in cluster.host_names.items() for name in names}
    found = dict(
        line.split(" ", 1) for line in host.check_output(LOOK_UP % " ".join(wanted)).splitlines()
    )
    for name, address in wanted.items():
        if found[name] != address:
            text = found[name] or "unknown to it"
            wrong(f"{name} is {text}; it should be {address}", deploy("network"))


def test_default_route(node: Node, cluster: Cluster, host: Any) -> None:
    """default route"""
    done = host.run("ip -json route get %s", ELSEWHERE)
    if done.rc:
        wrong(f"there is no way out: {said(done)}", deploy("network"))
    route = json.loads(done.stdout)[0]
    device = next(each.name for each in cluster.interfaces(node) if each.leads_out)
    found = f"{route.get('gateway', 'no gateway')} on {route['dev']}"
    if found != (should := f"{cluster.default_gateway(node)} on {device}"):
        wrong(f"it leads to {found}; it should lead to {should}", deploy("network"))


def test_nameservers(node: Node, cluster: Cluster, host: Any) -> None:
    """nameservers"""
    text = host.file("/etc/resolv.conf").content_string
    found = re.findall(r"(?m)^\s*nameserver\s+(\S+)", text)
    wanted = [str(server) for server in cluster.nameservers_of(node)]
    if found != wanted:
        wrong(
            f"/etc/resolv.conf has {listed(found)}; it should have {listed(wanted)}",
            deploy("network"),
        )


def test_names_of_the_world(archive: str, host: Any) -> None:
    """names of the world"""
    name = urlsplit(archive).hostname
    if host.run("timeout 15 getent ahostsv4 %s", name).rc:
        wrong(
            f"none of its nameservers knows {name}, where its packages come from",
            "see `nameservers` in group_data/, and its default route",
        )


def test_the_world(archive: str, host: Any) -> None:
    """the way out"""
    done = host.run(GET, archive + "InRelease")
    if done.rc:
        why = next(
            (line for line in done.stderr.splitlines() if line.startswith("E: ")), said(done)
        )
        wrong(
            f"it does not reach its packages at {archive}: {why}",
            f"see its default route; {deploy('gateway')}",
        )


def rules(cluster: Cluster) -> dict[str, str]:
    """What the gateway does (iptables(8)), each rule with the built-in chain that leads to it:
    it translates and forwards, and passes the API server's port on to a node behind it."""
    gateway, first = cluster.gateway, cluster.first_control_plane
    assert gateway is not None
    network, inner, outer = (
        cluster.cluster_network,
        gateway.cluster_interface,
        cluster.uplink_interface,
    )
    found = {
        f"-s {network} -o {outer} -j MASQUERADE": "POSTROUTING",
        f"-s {network} -i {inner} -o {outer} -j ACCEPT": "FORWARD",
        f"-d {network} -i {outer} -o {inner} .*RELATED,ESTABLISHED -j ACCEPT": "FORWARD",
    }
    if first != gateway:
        at, port = gateway.uplink_address, names.API_PORT
        there = f"--to-destination {first.address}:{port}"
        found |= {
            f"-d {at}/32 -i {outer} -p tcp .*--dport {port} -j DNAT {there}": "PREROUTING",
            f"-d {first.address}/32 -i {outer} -o {inner} .*--dport {port} -j ACCEPT": "FORWARD",
        }
    return found


def missing(cluster: Cluster, saved: str) -> list[str]:
    return [
        rule.replace(".*", "… ")
        for rule in rules(cluster)
        if not re.search(rf"(?m)^-A \S+ {rule}", saved)
    ]


def of_the_gateway_alone(cluster: Cluster) -> None:
    if cluster.topology == "router":
        pytest.skip("a router of their own leads the nodes out")


@pytest.mark.gateway
def test_rules_live(node: Node, cluster: Cluster, host: Any) -> None:
    """the gateway's rules, live"""
    of_the_gateway_alone(cluster)
    saved = host.check_output("iptables-save")
    if lacks := missing(cluster, saved):
        wrong(f"iptables has no {listed(lacks)}", deploy("gateway"))
    # A chain of ours is worth as much as the jump to it.
    for rule, start in rules(cluster).items():
        chain = re.search(rf"(?m)^-A (\S+) {rule}", saved)
        assert chain is not None
        if chain[1] != start and not re.search(rf"(?m)^-A {start} -j {chain[1]}$", saved):
            wrong(f"nothing in {start} leads to the rules in {chain[1]}", deploy("gateway"))


@pytest.mark.gateway
def test_rules_on_disk(node: Node, cluster: Cluster, host: Any) -> None:
    """the gateway's rules at boot"""
    of_the_gateway_alone(cluster)
    path, unit = "/etc/cluster_ip_rules.fw", "cluster-ip-rules.service"
    file = host.file(path)
    if not file.exists:
        wrong(f"there is no {path}", deploy("gateway"))
    # What is written there is for iptables to read: among no other rules.
    read = host.run(f"unshare --net sh -c 'iptables-restore --noflush < {path} && iptables-save'")
    if read.rc:
        wrong(f"iptables does not take {path}: {read.stderr.strip()}", deploy("gateway"))
    if lacks := missing(cluster, read.stdout):
        wrong(f"{path} has no {listed(lacks)}", deploy("gateway"))
    if not host.service(unit).is_enabled:
        wrong(f"{unit}, which restores {path}, is not enabled", deploy("gateway"))
