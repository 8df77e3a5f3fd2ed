"""The network: names, routes, and NAT rules."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from formats.shared_downloads import PORT
from messages import verify as messages
from settings import Cluster, Node
from settings import kubernetes as names
from tests.cluster.findings import deploy, last_line, listed, wrong

# On no real network (RFC 5737), so that the default route leads there.
ELSEWHERE = "192.0.2.1"
# Where apt fetches the node's packages from, which may be a mirror.
ARCHIVES = "apt-get indextargets --format '$(BASE_URI)' 'Created-By: Packages' | sort -u"
LOOK_UP = """for name in %s; do
echo "$name $(getent ahostsv4 "$name" | sed -n '1s/ .*//p')"; done"""
GET = """cd "$(mktemp -d)" && trap 'rm -rf "$PWD"' EXIT &&
/usr/lib/apt/apt-helper -o Acquire::Retries=0 -o Acquire::http::Timeout=10 \
download-file %s InRelease"""

CACHE_ANSWERS = """timeout 10 bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit
printf "HEAD /ready HTTP/1.0\\r\\nHost: $1\\r\\n\\r\\n" >&3
read -r _ status _ <&3 && [ "$status" = 204 ]' bash %s %s"""


@pytest.fixture
def archive(host: Any) -> str:
    """The address of the node's package archive."""
    found = [line for line in host.check_output(ARCHIVES).split() if line.startswith("http")]
    by_name = [url for url in found if re.search("[a-z]", urlsplit(url).hostname or "")]
    if not by_name:
        pytest.skip("its package archives have no hostname")
    return str(by_name[0])


def test_names_of_the_nodes(node: Node, cluster: Cluster, host: Any) -> None:
    """names of the nodes"""
    expected = {name: address for address, names in cluster.host_names.items() for name in names}
    found = dict(
        line.split(" ", 1) for line in host.check_output(LOOK_UP % " ".join(expected)).splitlines()
    )
    for name, address in expected.items():
        if found[name] != address:
            text, step = found[name] or "nothing", deploy("network")
            wrong(messages.NAME(name=name, found=text, expected=address, deploy=step))


def test_default_route(node: Node, cluster: Cluster, host: Any) -> None:
    """default route"""
    done = host.run("ip -json route get %s", ELSEWHERE)
    if done.rc:
        wrong(messages.NO_DEFAULT_ROUTE(reason=last_line(done), deploy=deploy("network")))
    route = json.loads(done.stdout)[0]
    device = next(each.name for each in cluster.interfaces(node) if each.default_route)
    found = f"{route.get('gateway', 'no gateway')} on {route['dev']}"
    if found != (expected := f"{cluster.default_gateway(node)} on {device}"):
        step = deploy("network")
        wrong(messages.DEFAULT_ROUTE(found=found, expected=expected, deploy=step))


def test_nameservers(node: Node, cluster: Cluster, host: Any) -> None:
    """nameservers"""
    text = host.file("/etc/resolv.conf").content_string
    found = re.findall(r"(?m)^\s*nameserver\s+(\S+)", text)
    expected = [str(server) for server in cluster.nameservers_of(node)]
    if found != expected:
        wrong(
            messages.NAMESERVERS(
                found=listed(found), expected=listed(expected), deploy=deploy("network")
            )
        )


def test_dns(archive: str, host: Any) -> None:
    """DNS"""
    name = urlsplit(archive).hostname
    if host.run("timeout 15 getent ahostsv4 %s", name).rc:
        wrong(messages.DNS(name=name))


def test_package_archive(archive: str, host: Any) -> None:
    """package archive"""
    done = host.run(GET, archive + "InRelease")
    if done.rc:
        why = next(
            (line for line in done.stderr.splitlines() if line.startswith("E: ")), last_line(done)
        )
        wrong(messages.ARCHIVE_UNREACHABLE(url=archive, reason=why, deploy=deploy("gateway")))


def rules(cluster: Cluster) -> dict[str, str]:
    """The gateway's rules (iptables(8)), each with the built-in chain that leads to it: NAT,
    forwarding, and the API server's port, which leads to control planes behind the gateway."""
    gateway, common = cluster.gateway, cluster.control_plane_address
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
    if common or cluster.first_control_plane != gateway:
        at, port = gateway.uplink_address, names.API_PORT
        behind = common or cluster.first_control_plane.address
        there = f"--to-destination {behind}:{port}"
        found |= {
            f"-d {at}/32 -i {outer} -p tcp .*--dport {port} -j DNAT {there}": "PREROUTING",
            f"-d {behind}/32 -i {outer} -o {inner} .*--dport {port} -j ACCEPT": "FORWARD",
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
        pytest.skip('topology = "router" needs no NAT')


@pytest.mark.gateway
def test_rules_live(node: Node, cluster: Cluster, host: Any) -> None:
    """NAT rules now"""
    of_the_gateway_alone(cluster)
    saved = host.check_output("iptables-save")
    if lacks := missing(cluster, saved):
        step = deploy("gateway")
        wrong(messages.RULES_MISSING(where="iptables", rules=listed(lacks), deploy=step))
    # A chain has an effect only if something jumps to it.
    for rule, start in rules(cluster).items():
        chain = re.search(rf"(?m)^-A (\S+) {rule}", saved)
        assert chain is not None
        if chain[1] != start and not re.search(rf"(?m)^-A {start} -j {chain[1]}$", saved):
            step = deploy("gateway")
            wrong(messages.CHAIN_UNUSED(chain=start, target=chain[1], deploy=step))


@pytest.mark.gateway
def test_rules_on_disk(node: Node, cluster: Cluster, host: Any) -> None:
    """NAT rules at boot"""
    of_the_gateway_alone(cluster)
    path, unit = "/etc/cluster_ip_rules.fw", "cluster-ip-rules.service"
    file = host.file(path)
    if not file.exists:
        wrong(messages.RULES_FILE_MISSING(path=path, deploy=deploy("gateway")))
    # iptables itself reads the file, in a network namespace without other rules.
    read = host.run(f"unshare --net sh -c 'iptables-restore --noflush < {path} && iptables-save'")
    if read.rc:
        reason, step = read.stderr.strip(), deploy("gateway")
        wrong(messages.RULES_FILE_INVALID(path=path, reason=reason, deploy=step))
    if lacks := missing(cluster, read.stdout):
        wrong(messages.RULES_MISSING(where=path, rules=listed(lacks), deploy=deploy("gateway")))
    if not host.service(unit).is_enabled:
        wrong(messages.SERVICE_DISABLED(service=unit, deploy=deploy("gateway")))


def test_shared_downloads(cluster: Cluster, host: Any) -> None:
    """shared downloads"""
    cache = cluster.download_cache
    if cache is None:
        pytest.skip("no node keeps downloads for the others (share_downloads)")
    if host.run(CACHE_ANSWERS, str(cache.address), str(PORT)).rc:
        step = deploy("shared_downloads")
        wrong(messages.DOWNLOADS_NOT_KEPT(node=cache.name, port=PORT, deploy=step))
