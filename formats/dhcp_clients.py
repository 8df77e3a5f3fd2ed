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


def dhcpcd(
    text: str, background: bool | None = None, deny: str | None = None, allow: str | None = None
) -> str:
    """
    Change bramble's lines in dhcpcd.conf; without a setting they go.

    + text: the whole file; empty when there is none
    + background: whether ifup (and the boot) does not wait for an answer, and dhcpcd keeps asking
      (otherwise it gives up after 30 s); None: as it is
    + deny: an interface that the dhcpcd service must not configure, because ifupdown does; ifupdown
      cannot use dhcpcd for it then
    + allow: an interface that it may configure again
    """
    own = _OURS.match(text)
    names = [*((own["denied"] or "").split() if own else []), *([deny] if deny else [])]
    denied = [name for name in dict.fromkeys(names) if name != allow]
    if background is None:
        background = bool(own and own["background"])
    lines = ["background\n"] if background else []
    lines += [f"denyinterfaces {' '.join(denied)}\n"] if denied else []
    head = (
        "# bramble: interfaces(5) says what is to be done with these interfaces\n" if lines else ""
    )
    return head + "".join(lines) + (text[own.end() :] if own else text)


def dhcpcd_is_managed(text: str) -> bool:
    """Tell whether dhcpcd.conf has lines of bramble."""
    return _OURS.match(text) is not None


def dhclient(text: str) -> str:
    """
    Set short times in dhclient.conf: a short wait, then it keeps asking in the background.

    Without them a boot waits a minute for each interface, and dhclient asks again after five.
    """
    why = "a boot does not wait long for an address, and asking goes on"
    return marked.put(text, "timeout 20;\nretry 20;\n", why)
