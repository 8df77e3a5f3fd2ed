"""
The few lines that DHCP clients need so that ifupdown gets on with them, and no boot waits for them.

Sources: dhcpcd.conf(5), dhclient.conf(5). In dhcpcd.conf a line after ``interface …`` holds for
that interface alone, so ours come first in the file.
"""

from __future__ import annotations

import re

from formats import marked

_OURS = re.compile(
    r"\A# bramble: [^\n]*\n(?P<background>background\n)?(?:denyinterfaces (?P<denied>[^\n]*)\n)?"
)


def dhcpcd(text: str, background: bool = False, deny: str | None = None) -> str:
    """
    dhcpcd.conf with what is asked for added to what is ours already.

    + text: the whole file; empty when there is none
    + background: do not hold up ifup (and with it the boot) until there is an answer, and never
      stop asking; without it dhcpcd gives up after 30 s
    + deny: an interface that the dhcpcd service must leave alone, since ifupdown has it; ifupdown
      itself can't use dhcpcd for it then
    """

    ours = _OURS.match(text)
    denied = (ours["denied"] or "").split() if ours else []
    if deny and deny not in denied:
        denied.append(deny)
    background = background or bool(ours and ours["background"])
    lines = ["# bramble: interfaces(5) says what is to be done with these interfaces\n"]
    lines += ["background\n"] if background else []
    lines += [f"denyinterfaces {' '.join(denied)}\n"] if denied else []
    rest = text[ours.end() :] if ours else text
    return "".join(lines) + rest if len(lines) > 1 else rest


def dhcpcd_is_ours(text: str) -> bool:
    """Whether there is something of ours in dhcpcd.conf."""
    return _OURS.match(text) is not None


def dhcpcd_allow(text: str, interface: str) -> str:
    """dhcpcd.conf without our line that denies it an interface."""
    ours = _OURS.match(text)
    if not ours or interface not in (ours["denied"] or "").split():
        return text
    rest = text[ours.end() :]
    denied = [name for name in ours["denied"].split() if name != interface]
    kept = dhcpcd(rest, bool(ours["background"]))
    for name in denied:
        kept = dhcpcd(kept, deny=name)
    return kept


def dhclient(text: str) -> str:
    """
    dhclient.conf with short times: wait little for an answer, then go on asking in the background.

    Without them a boot waits a minute for each interface, and dhclient asks again after five.
    """

    why = "a boot does not wait long for an address, and asking goes on"
    return marked.put(text, "timeout 20;\nretry 20;\n", why)
