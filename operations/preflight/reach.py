"""
What a node has to reach: the control plane, the package servers, the registries.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from operations.preflight.rows import (
    API_PORT,
    SSH_PORT,
    Desk,
    Node,
    Verdict,
    failure,
    known,
    ok,
    unless_in_cluster,
    warning,
)
from operations.resolv_conf import is_configured

_REFUSED = "Connection refused"  # by a machine that is there


def control_plane(node: Node, desk: Desk) -> Verdict | None:
    """The control plane answers a worker, and so does its API server where there is one."""
    if node.wanted.role == "control_plane":
        return None
    name, address = node.wanted.control_plane, node.wanted.control_plane_address
    answers = known(node.found.reach)["address"]
    there = desk.get(name)
    if not _is_at(node, node.wanted.address) or (there and not _is_at(there, address)):
        return ok(f"not asked: {name} and this node are yet to be given their addresses")
    why = answers.get(f"{address}:{SSH_PORT}", "it was not asked")
    if why not in ("", _REFUSED):
        return unless_in_cluster(
            node,
            f"{name} ({address}) can't be reached from here: {why}: look at the cables and the "
            f"switch, and at firewalls on both (`sudo iptables-save`)",
        )
    why = answers.get(f"{address}:{API_PORT}", "it was not asked")
    plane = there.found.control_plane if there else None
    if why and plane is not None and plane.state == "finished":
        return unless_in_cluster(
            node,
            f"{name} answers, and its API server ({address}:{API_PORT}) can't be reached from "
            f"here: {why}: look at firewalls on both (`sudo iptables-save`)",
        )
    return ok(f"{name} answers at {address}")


def package_servers(node: Node, desk: Desk) -> Verdict:
    """What apt fetches from can be reached, where something is to be fetched."""
    answers = known(node.found.reach)["archive"]
    bad = {_server(url): why for url, why in answers.items() if why}
    if not bad:
        return ok(f"{', '.join(_server(url) for url in answers) or 'none'}: reached")
    if not _leads_out(node, desk):
        return _later(node)
    words = f"{_list(bad)}: look at its way out (`ip route`), its nameservers and apt's proxy"
    if _is_the_runs(node, bad) or node.wanted.gateway or node.has_packages:
        return warning(words)
    return failure(words)


def registries(node: Node, desk: Desk) -> Verdict:
    """Those of the images that every node needs."""
    answers = known(node.found.reach)["registry"]
    if not node.wanted.registries:
        return ok("not asked: this computer sends the images (image_archives)")
    bad = {_server(url): why for url, why in answers.items() if why}
    if not bad:
        return ok(f"{', '.join(_server(url) for url in answers)}: reached")
    if not _leads_out(node, desk):
        return _later(node)
    return warning(
        f"{_list(bad)}: no image can come from there: look at its way out, or set registry_mirrors "
        "or image_archives (group_data/all.py)"
    )


def _server(url: str) -> str:
    return urlsplit(url).netloc or url


def _list(bad: dict[str, str]) -> str:
    return "; ".join(f"{server} can't be reached: {why}" for server, why in bad.items())


def _is_at(node: Node, address: str) -> bool:
    networks = node.found.networks
    texts = [text for each in networks.addresses.values() for text in each] if networks else []
    return any(text.partition("/")[0] == address for text in texts)


def _leads_out(node: Node, desk: Desk) -> bool:
    """Whether a node has its default route: behind a gateway, that needs the gateway's rules."""
    gateway = node.wanted.gateway
    if gateway is None:
        return True
    there = desk.get(gateway)
    rules = there.found.iptables if there else None
    networks = node.found.networks
    by_gateway = networks is not None and node.wanted.peers[gateway] in networks.default
    return by_gateway and (rules is None or "BRAMBLE-POSTROUTING" in rules.rules)


def _later(node: Node) -> Verdict:
    return ok(f"not in reach yet: the run makes {node.wanted.gateway} its gateway")


def _is_the_runs(node: Node, bad: dict[str, str]) -> bool:
    """Whether it is for want of what the run sets: a default route, nameservers."""
    networks, resolver = node.found.networks, node.found.resolver
    if networks is not None and not networks.default:
        return True
    unnamed = all("resolv" in why for why in bad.values())
    return unnamed and not (resolver and is_configured(resolver, **node.wanted.resolver))
