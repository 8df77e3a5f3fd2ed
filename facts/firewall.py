"""The rules of nftables."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of, text_of

# JSON has no rules as a person types them, so both lists are read.
_SCRIPT = """if ! command -v nft >/dev/null; then echo absent; echo; echo;
elif j=$(nft -j list ruleset 2>/dev/null); then echo ok; printf %s "$j" | base64 -w0; echo;
nft -a list ruleset 2>/dev/null | base64 -w0; echo;
else echo failed; nft -j list ruleset 2>&1 >/dev/null | head -n 1 | base64 -w0; echo; echo; fi"""


@dataclass(frozen=True)
class FirewallState(State):
    """
    + nft: "ok", "absent" (there is no nft), or what nft says when it fails
    + ruleset: what ``nft -j list ruleset`` prints
    + listing: what ``nft -a list ruleset`` prints
    """

    nft: str
    ruleset: str
    listing: str


class Firewall(WholeFact[FirewallState]):
    """Read the rules of nftables, of which iptables-save shows only iptables' own."""

    script = (_SCRIPT,)

    def parse(self, nft: str, ruleset: str, listing: str) -> FirewallState:
        if one_of(nft, "ok", "absent", "failed") == "failed":
            return FirewallState(_text(ruleset).strip() or "it failed", "", "")
        return FirewallState(nft, _text(ruleset), _text(listing))


def _text(line: str) -> str:
    """A comment may have any bytes: what is not UTF-8 is shown as ``\\xff``."""
    return text_of(line, "backslashreplace")
