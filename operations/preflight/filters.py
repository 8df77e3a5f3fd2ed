"""
What filters packets on a node: iptables' back ends, and rules of others on our path.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from formats.iptables import CHAINS, parse_save, words
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
    """Whether a printed rule drops what comes and goes on our path."""
    given: dict[str, str] = {}  # an option's values in one word, with "!" before when negated
    name, negation = "", ""
    for word in words(line):
        if word == "!":
            negation = "!"
        elif word.startswith("-"):
            name = word
            given[name], negation = negation, ""
        else:
            given[name] += word
    if given.get("-j") not in ("DROP", "REJECT"):
        return False
    ours = [node.wanted.network(each) for each in node.wanted.networks if each != "uplink_network"]
    near = [*node.wanted.names[:1], "cni0", "flannel.1"]
    if any(not _meets(given.get(side), ours) for side in ("-s", "-d")):
        return False
    if given["-A"] in CHAINS["filter"] and not (
        _is_near(given.get("-i"), near) and _is_near(given.get("-o"), near)
    ):
        return False
    if "INVALID" in (given.get("--ctstate"), given.get("--state")):
        return False
    if any(option in given for option in ("--sport", "--sports", "--icmp-type")):
        return False
    ports = given.get("--dport", given.get("--dports", "!"))
    wanted = _PORTS[node.wanted.role]
    return ports.startswith("!") or any(port in wanted for port in _ports(ports))


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


def _ports(text: str) -> Iterator[int]:
    for word in text.split(","):
        first, _, last = word.partition(":")
        if first.isdigit() and (last or first).isdigit():
            yield from range(int(first), int(last or first) + 1)
