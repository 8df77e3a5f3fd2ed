"""
What filters packets on a node, and whether all that a cluster needs gets through.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from formats.iptables import Tables, parse_save
from formats.nftables import parse_ruleset
from operations import iptables as rulesets
from operations.base import HostFailure
from operations.preflight.firewall import judge
from operations.preflight.firewall.chains import BaseChain
from operations.preflight.firewall.flows import Site
from operations.preflight.firewall.iptables_rules import base_chains as iptables_chains
from operations.preflight.firewall.nft_rules import base_chains as nft_chains
from operations.preflight.rows import Desk, Node, Verdict, known, ok, warning


def iptables(node: Node, desk: Desk) -> Verdict:
    """One back end, whose rules can be read."""
    state = known(node.found.iptables)
    try:
        rulesets.check_readable(state, {"filter", "nat"})
    except HostFailure as reason:
        if node.wanted.is_gateway:
            raise
        return warning(str(reason))
    if state.backend is None:
        return ok("not installed yet")
    return ok(f"{'nft' if state.backend == 'nf_tables' else 'legacy'}, the only back end in use")


def firewall(node: Node, desk: Desk) -> Verdict:
    """What the nodes say to each other gets through."""
    site = _site(node, desk)
    tables = parse_save(known(node.found.iptables).rules)
    _add_what_the_run_adds(tables, node, site)
    chains = [*_chains(node, tables)]
    judgement = judge(chains, site)
    if judgement.dropped:
        return warning(f"on {node.name} {judgement.dropped}: let it pass: `{judgement.remedy}`")
    unsure = [f"can't tell whether {judgement.unsure}"] if judgement.unsure else []
    unsure += [f"nftables' own tables are not known ({why})" for why in _unread(node)]
    return ok("; ".join(["no rule of others drops what the nodes say to each other", *unsure]))


def _site(node: Node, desk: Desk) -> Site:
    wanted, networks = node.wanted, known(node.found.networks)
    hardware = {
        name: other.found.networks.hardware[other.wanted.names[0]].lower()
        for name, other in desk.items()
        if other.found.networks and other.wanted.names[0] in other.found.networks.hardware
    }
    pods = [str(IPv4Network(each, strict=False)) for each in networks.addresses.get("cni0", [])]
    return Site(
        name=node.name,
        address=wanted.address,
        interface=wanted.names[0],
        cluster=wanted.networks["cluster_network"],
        pods=wanted.networks["pod_network"],
        services=wanted.networks["service_network"],
        control_plane=wanted.control_plane,
        control_plane_address=wanted.control_plane_address,
        peers=wanted.peers,
        hardware=hardware,
        own_pods=pods[0] if pods else None,
        uplink=wanted.names[1] if wanted.is_gateway else None,
        nameservers=wanted.resolver["nameservers"],
    )


def _add_what_the_run_adds(tables: Tables, node: Node, site: Site) -> None:
    """Of ours what leads the workers out, first; of flannel what lets pods pass, last."""
    table = tables.get("filter")
    if table is None or "FORWARD" not in table.chains:
        return
    forward = table.rules.setdefault("FORWARD", [])
    inner, pods = site.cluster, site.pods
    if site.uplink and "BRAMBLE-FORWARD" not in table.chains:
        near, far = site.interface, site.uplink
        forward[:0] = [
            f"-A FORWARD -s {inner} -i {near} -o {far} -j ACCEPT",
            f"-A FORWARD -d {inner} -i {far} -o {near} -m conntrack"
            " --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ]
    if "FLANNEL-FWD" not in table.chains:
        forward += [f"-A FORWARD -s {pods} -j ACCEPT", f"-A FORWARD -d {pods} -j ACCEPT"]


def _chains(node: Node, tables: Tables) -> Iterator[BaseChain]:
    state, others = known(node.found.iptables), known(node.found.firewall)
    is_nft = state.backend == "nf_tables"
    yield from iptables_chains("iptables", tables)
    yield from iptables_chains(
        "iptables-legacy" if is_nft else "iptables-nft", parse_save(state.other)
    )
    if others.nft == "ok" and not _unread(node):
        listed = parse_ruleset(others.ruleset, others.listing)
        shown = parse_save(state.rules if is_nft else state.other)  # by iptables, of its own
        yield from nft_chains(
            {
                (family, name): table
                for (family, name), table in listed.items()
                if family != "ip" or name not in shown
            }
        )


def _unread(node: Node) -> list[str]:
    others = known(node.found.firewall)
    if others.nft != "ok":
        return ["nft is not installed" if others.nft == "absent" else others.nft]
    try:
        parse_ruleset(others.ruleset, others.listing)
    except ValueError as error:
        return [str(error)]
    return []
