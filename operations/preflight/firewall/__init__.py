"""
Whether the firewall of a node accepts what the nodes of a cluster send to each other.

The rules of iptables and nftables are followed in their order, through all tables and chains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from facts.firewall import Firewall
from facts.iptables import Iptables
from facts.networks import Networks
from formats.iptables import Tables, parse_save
from formats.nftables import Table, parse_ruleset
from messages import preflight as messages
from operations import iptables as rulesets
from operations.base import HostFailure
from operations.preflight.firewall.chains import BaseChain, Place, walk
from operations.preflight.firewall.flows import API_PORT, PacketPath, Site, needed
from operations.preflight.firewall.iptables_rules import base_chains as iptables_chains
from operations.preflight.firewall.nft_rules import base_chains as nft_chains
from operations.preflight.firewall.remedies import commands
from operations.preflight.node import Node, Nodes
from operations.preflight.results import Result, ok, warning

_SHOWN = 3  # flows of a rule, rules of a node


def iptables(node: Node, nodes: Nodes) -> Result:
    """Only one of iptables' back ends is in use, and its rules can be read."""
    state = node.known(Iptables)
    try:
        rulesets.check_readable(state, {"filter", "nat"})
    except HostFailure as reason:
        if node.desired.is_gateway:
            raise
        return Result("warning", str(reason))
    if state.backend is None:
        return ok("not installed yet")
    return ok("nft" if state.backend == "nf_tables" else "legacy")


def firewall(node: Node, nodes: Nodes) -> Result:
    """No rule drops what the nodes send to each other."""
    site = _site(node, nodes)
    tables = parse_save(node.known(Iptables).rules)
    _add_rules_of_the_run(tables, site)
    listed, why = _nftables(node)
    findings = evaluate(_chains(node, tables, listed), site)
    if findings.dropped:
        return warning(
            messages.FIREWALL_DROPS(
                node=node.name, rules=findings.dropped, command=findings.command
            )
        )
    unsure = [f"uncertain: {findings.unsure}"] if findings.unsure else []
    unsure += [f"nftables' own tables are unknown ({why})"] if why else []
    return ok("; ".join(["no rule drops the cluster's traffic", *unsure]))


@dataclass(frozen=True)
class Findings:
    """
    + dropped: which rules drop which traffic; empty when none does
    + command: what accepts it
    + unsure: which rules may drop which traffic
    """

    dropped: str
    command: str
    unsure: str


def evaluate(chains: Iterable[BaseChain], site: Site) -> Findings:
    """
    Send all required traffic through a node's chains.

    + chains: of the node
    + site: the node's place in the cluster
    """
    chains = list(chains)
    dropped: dict[Place, dict[str, bool]] = {}
    unsure: dict[Place, dict[str, bool]] = {}
    cases: list[tuple[PacketPath, Place]] = []
    for flow in needed(site):
        if flow.beside and any(walk(chains, path.stages).drops for path in flow.beside.paths):
            continue
        for path in flow.paths:
            outcome = walk(chains, path.stages)
            cases += [(path, place) for place in outcome.drops]
            for place in outcome.drops:
                dropped.setdefault(place, {}).setdefault(flow.words, path.reply)
            for place in outcome.doubts if flow.certain and not outcome.drops else ():
                unsure.setdefault(place, {}).setdefault(flow.words, path.reply)
    return Findings(
        _described(dropped, "drops"),
        " && ".join(commands(cases, site)),
        _described(unsure, "may drop"),
    )


def _described(found: Mapping[Place, Mapping[str, bool]], verb: str) -> str:
    described = []
    for place, flows in found.items():
        names = [f"{'the answer to ' * reply}{flow}" for flow, reply in flows.items()]
        described.append(f"{_place(place)} {verb} {_list(names, ', ', ' and')}")
    return _list(described, "; ", "; and")


def _list(words: Sequence[str], between: str, last: str) -> str:
    shown = between.join(words[:_SHOWN])
    return shown + (f"{last} {len(words) - _SHOWN} more" if len(words) > _SHOWN else "")


def _place(place: Place) -> str:
    base = place.base
    table = f"{base.family} {base.table}" if base.program == "nft" else base.table
    if place.rule is None:
        return f"the policy of {place.chain} ({base.program}, table {table})"
    return f"`{place.rule.text}` ({base.program}, table {table}, chain {place.chain})"


def _site(node: Node, nodes: Nodes) -> Site:
    desired, networks = node.desired, node.known(Networks)
    hardware = {
        name: other.hardware[inner].lower()
        for name, other in nodes.items()
        if (inner := other.desired.names[0]) in other.hardware
    }
    pods = [str(IPv4Network(each, strict=False)) for each in networks.addresses.get("cni0", [])]
    return Site(
        name=node.name,
        address=desired.address,
        interface=desired.names[0],
        cluster=desired.networks["cluster_network"],
        pods=desired.networks["pod_network"],
        services=desired.networks["service_network"],
        control_planes=desired.control_planes,
        peers=desired.peers,
        hardware=hardware,
        own_pods=pods[0] if pods else None,
        uplink=desired.names[1] if desired.is_gateway else None,
        uplink_network=desired.networks["uplink_network"] if desired.is_gateway else None,
        nameservers=desired.resolver["nameservers"],
        downloads=desired.downloads,
        common_address=desired.common_address,
    )


def _add_rules_of_the_run(tables: Tables, site: Site) -> None:
    """Add to FORWARD what the run puts first (NAT for the workers) and flannel last (pods)."""
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
            f"-A FORWARD -d {site.endpoint[1]} -i {far} -o {near} -p tcp -m tcp"
            f" --dport {API_PORT} -j ACCEPT",
        ]
    if "FLANNEL-FWD" not in table.chains:
        forward += [f"-A FORWARD -s {pods} -j ACCEPT", f"-A FORWARD -d {pods} -j ACCEPT"]


def _chains(
    node: Node, tables: Tables, listed: Mapping[tuple[str, str], Table]
) -> Iterator[BaseChain]:
    state = node.known(Iptables)
    is_nft = state.backend == "nf_tables"
    yield from iptables_chains("iptables", tables)
    others = parse_save(state.other)
    yield from iptables_chains("iptables-legacy" if is_nft else "iptables-nft", others)
    shown = parse_save(state.rules) if is_nft else others  # as iptables' tables in nftables
    yield from nft_chains(
        {
            (family, name): table
            for (family, name), table in listed.items()
            if family != "ip" or name not in shown
        }
    )


def _nftables(node: Node) -> tuple[dict[tuple[str, str], Table], str]:
    """The tables of nftables, or why they are not known."""
    others = node.known(Firewall)
    if others.nft != "ok":
        return {}, "nft is not installed" if others.nft == "absent" else others.nft
    try:
        return parse_ruleset(others.ruleset, others.listing), ""
    except ValueError as error:
        return {}, str(error)
