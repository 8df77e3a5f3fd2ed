"""
The configuration of DHCP clients: they must work with ifupdown, and no boot may wait for them.

Sources: dhcpcd.conf(5), dhclient.conf(5). In dhcpcd.conf a line after ``interface …`` is valid for
that interface only, so bramble's lines come first in the file.
"""

from __future__ import annotations

import re

from formats import marked

_OURS = re.compile(
    r"\A# bramble: [^\n]*\n(?P<background>background\n)?(?:denyinterfaces (?P<denied>[^\n]*)\n)?"
)


def dhcpcd(text: str, background: bool = False, deny: str | None = None) -> str:
    """
    Add to bramble's lines in dhcpcd.conf.

    + text: the whole file; empty when there is none
    + background: ifup (and the boot) does not wait for an answer, and dhcpcd keeps asking; without
      it dhcpcd gives up after 30 s
    + deny: an interface that the dhcpcd service must not configure, because ifupdown does; ifupdown
      cannot use dhcpcd for it then
    """
    own = _OURS.match(text)
    denied = (own["denied"] or "").split() if own else []
    if deny and deny not in denied:
        denied.append(deny)
    background = background or bool(own and own["background"])
    lines = ["# bramble: interfaces(5) says what is to be done with these interfaces\n"]
    lines += ["background\n"] if background else []
    lines += [f"denyinterfaces {' '.join(denied)}\n"] if denied else []
    rest = text[own.end() :] if own else text
    return "".join(lines) + rest if len(lines) > 1 else rest


def dhcpcd_is_managed(text: str) -> bool:
    """Tell whether dhcpcd.conf has lines of bramble."""
    return _OURS.match(text) is not None


def dhcpcd_allow(text: str, interface: str) -> str:
    """Remove bramble's line that denies dhcpcd an interface."""
    own = _OURS.match(text)
    if not own or interface not in (own["denied"] or "").split():
        return text
    rest = text[own.end() :]
    denied = [name for name in own["denied"].split() if name != interface]
    kept = dhcpcd(rest, bool(own["background"]))
    for name in denied:
        kept = dhcpcd(kept, deny=name)
    return kept


def dhcpcd_waits(text: str) -> str:
    """Remove bramble's line that no ifup waits for an answer."""
    own = _OURS.match(text)
    if not own or not own["background"]:
        return text
    kept = text[own.end() :]
    for name in (own["denied"] or "").split():
        kept = dhcpcd(kept, deny=name)
    return kept


def dhclient(text: str) -> str:
    """
    Set short times in dhclient.conf: a short wait, then it keeps asking in the background.

    Without them a boot waits a minute for each interface, and dhclient asks again after five.
    """
    why = "a boot does not wait long for an address, and asking goes on"
    return marked.put(text, "timeout 20;\nretry 20;\n", why)
