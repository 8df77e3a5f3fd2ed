"""
Firewalls that are not iptables': programs that run one, and nftables' own chains.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask, data_of, words_of

# iptables-nft keeps its rules in tables of these names, which iptables-save shows.
_OF_IPTABLES = ("filter", "nat", "mangle", "raw", "security")

_SCRIPT = """for u in ufw firewalld; do
systemctl is-active --quiet $u && printf '%s ' $u; done; echo;
if command -v nft >/dev/null; then if c=$(nft -j list chains 2>&1); then echo "$c" | tr -d '\\n';
else echo "nft: $c" | tail -n 1 | tr -d '\\n'; fi; fi; echo"""


@dataclass(frozen=True)
class FirewallState(State):
    """
    + programs: those that run: "ufw", "firewalld"
    + dropping: nftables' own chains that drop what they do not let through: "inet filter input"
    """

    programs: list[str]
    dropping: list[str]


class Firewall(WholeFact[FirewallState]):
    """
    What may filter packets besides the rules that iptables-save shows.
    """

    @override
    def command(self) -> StringCommand:
        return ask(_SCRIPT)

    @override
    def parse(self, programs: str, chains: str) -> FirewallState:
        found = [
            each["chain"]
            for each in (data_of(chains) or {}).get("nftables", [{}])
            if "chain" in each
        ]
        return FirewallState(
            words_of(programs, ("ufw", "firewalld")),
            [
                f"{chain['family']} {chain['table']} {chain['name']}"
                for chain in found
                if chain.get("policy") == "drop"
                and not (chain["family"] in ("ip", "ip6") and chain["table"] in _OF_IPTABLES)
            ],
        )
