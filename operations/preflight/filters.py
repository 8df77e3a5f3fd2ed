"""
What filters packets on a node: iptables' back ends, and rules of others on our path.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from formats.iptables import CHAINS, Rule, parse_save
from formats.iptables_words import RuleError
from operations import iptables as rulesets
from operations.base import Refused
from operations.preflight.rows import API_PORT, Desk, Node, Verdict, known, ok, warning

# Chains of Kubernetes, of flannel, of CNI's plugins, of Docker and of ours: they drop what they
# have to. fail2ban's drop single strangers.
_KNOWN = ("KUBE-", "FLANNEL-", "CNI-", "DOCKER", "BRAMBLE-", "f2b-")
# The kubelet's, etcd's, flannel's (UDP); the API server's is the head's.
_SHOWN = 3  # of what drops packets; ufw alone has dozens of rules
_PORTS = {"worker": (10250, 8472), "head": (API_PORT, 10250, 8472, 2379, 2380)}


def iptables(node: Node, desk: Desk) -> Verdict:
    """One back end, whose rules can be read."""
    state = known(node.found.iptables)
    try:
        rulesets.check_readable(state, {"filter", "nat"})
    except Refused as reason:
        if node.wanted.translates:
            raise
        return warning(str(reason))
    if state.backend is None:
        return ok("not installed yet")
    return ok(f"{'nft' if state.backend == 'nf_tables' else 'legacy'}, the only back end in use")


def firewall(node: Node, desk: Desk) -> Verdict:
    """Nobody else drops what the nodes say to each other."""
    others = known(node.found.firewall)
    table = parse_save(known(node.found.iptables).rules).get("filter")
    found = [f"{program} runs" for program in others.programs]
    found += [f"nftables' chain {chain} drops what it is not told of" for chain in others.dropping]
    if table is not None:
        found += [
            f"the policy of {chain} is {table.chains[chain]}"
            for chain in ("INPUT", "OUTPUT")
            if table.chains.get(chain, "ACCEPT") != "ACCEPT"
        ]
        lines = [
            line
            for chain in table.rules
            if not chain.startswith(_KNOWN)
            for line in table.rules[chain]
        ]
        found += [f"there is `{line}`" for line in lines if _drops_ours(line, node)]
    if not found:
        return ok("no rule of others drops what the nodes say to each other")
    shown = "; ".join(found[:_SHOWN])
    if len(found) > _SHOWN:
        shown += f"; and {len(found) - _SHOWN} more"
    return warning(f"{shown}: let pass {_needs(node)}, or take it out")


def _needs(node: Node) -> str:
    names = [f"{port}/{'udp' if port == 8472 else 'tcp'}" for port in _PORTS[node.wanted.role]]
    return f"{', '.join(names)} from {node.wanted.networks['cluster_network']}, and the pods'"


def _drops_ours(line: str, node: Node) -> bool:
    try:
        rules = Rule.parse(line).canonical()
    except RuleError:
        return False  # a match that nobody knows: not ours to judge
    return any(_is_on_path(rule, node) for rule in rules)


def _is_on_path(rule: Rule, node: Node) -> bool:
    if rule.target is None or rule.target.name not in ("DROP", "REJECT"):
        return False
    ours = [node.wanted.network(each) for each in node.wanted.networks if each != "uplink_network"]
    near = [*node.wanted.names[:1], "cni0", "flannel.1"]
    places = ((rule.source, ours), (rule.destination, ours))
    if any(not _meets(text, networks) for text, networks in places):
        return False
    if rule.chain in CHAINS["filter"] and not (
        _is_near(rule.in_interface, near) and _is_near(rule.out_interface, near)
    ):
        return False
    for option in (option for match in rule.matches for option in match.options):
        if option.name in ("--ctstate", "--state") and option.values == ("INVALID",):
            return False
        if option.name in ("--sport", "--sports", "--icmp-type"):
            return False
        if option.name in ("--dport", "--dports") and not option.negated:
            wanted = _PORTS[node.wanted.role]
            if not any(port in wanted for port in _ports(option.values)):
                return False
    return True


def _meets(text: str | None, networks: list[IPv4Network]) -> bool:
    if text is None or text.startswith("!"):
        return True
    return any(IPv4Network(text, strict=False).overlaps(network) for network in networks)


def _is_near(name: str | None, near: list[str]) -> bool:
    """Whether an interface may be one of these; ``cni+`` is every one that begins so."""
    if name is None or name.startswith("!"):
        return True
    if name.endswith("+"):
        return any(each.startswith(name[:-1]) for each in near)
    return name in near


def _ports(values: tuple[str, ...]) -> Iterator[int]:
    for word in ",".join(values).split(","):
        first, _, last = word.partition(":")
        if first.isdigit() and (last or first).isdigit():
            yield from range(int(first), int(last or first) + 1)
