"""
The node's resolver: /etc/resolv.conf, and peace with the programs that overwrite it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import QuoteString
from pyinfra.api.command import PyinfraCommand

from facts import resolv_conf as paths
from facts.resolv_conf import PATH, Resolver, ResolverState
from formats import marked, resolv_conf
from formats.resolv_conf import Meaning
from operations import files, guard
from operations.base import Commands, HostFailure, declare, diff, plan_change, read
from operations.guard import Step

Command = PyinfraCommand | str

_WHAT = "resolv.conf"
RESOLVED_FILE = "/run/systemd/resolve/resolv.conf"
# The programs that a link at /etc/resolv.conf can lead to, by the directory of the file behind it.
_LINK_OWNERS = {
    "/run/systemd/resolve/": "systemd-resolved",
    "/usr/lib/systemd/": "systemd-resolved",
    "/run/resolvconf/": "resolvconf",
    "/run/NetworkManager/": "NetworkManager",
}

NETWORK_MANAGER_TEXT = """# bramble writes /etc/resolv.conf itself.
[main]
dns=none
"""
DHCPCD_TEXT = """skip_hooks="${skip_hooks:+$skip_hooks }resolv.conf"
"""
DHCLIENT_TEXT = """# bramble writes /etc/resolv.conf itself.
make_resolv_conf() { :; }
"""
OPENRESOLV_TEXT = """resolvconf=NO
"""

# The old link or the new one, never none: programs look names up while this runs.
_RELINK = """set -e; t=$(mktemp -u -- "$2.XXXXXX"); trap 'rm -f -- "$t"' EXIT;
ln -s -- "$1" "$t"; mv -fT -- "$t" "$2\""""


@guard.operation
def resolver(
    nameservers: list[str],
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    replace_link: bool = False,
) -> Commands:
    """
    The name servers that this node asks, now, after a reboot and after a DHCP lease is renewed.

    + nameservers: IP addresses, one to three, in the order in which they are asked
    + search: domains to try after a short name
    + options: as in resolv.conf(5), such as ``ndots:2``
    + replace_link: make a link at /etc/resolv.conf a file; without it a link is left to the
      program that it belongs to, and that program is configured

    A file at /etc/resolv.conf is ours afterwards: NetworkManager (``dns=none``), dhcpcd and
    dhclient (hooks of theirs) and openresolv (``resolvconf=NO``) are told to leave it alone. The
    two DHCP clients are told whether they are installed yet or not: a later step may bring them.

    A link to systemd-resolved is led to its list of real servers, because pods can't use its
    127.0.0.53, and its servers are set; those that it learns by DHCP stay, behind ours. A link
    to Debian's resolvconf stays, and ours are put first. A link elsewhere, a bind mount and an
    immutable file are refused, and so is a file in which a program that is not known here says
    that it is its own. Nothing is ever written through a link.

    **Example:**

    .. code:: python

        resolv_conf.resolver(
            name="Ask the Wi-Fi router for names",
            nameservers=["192.168.1.1", "8.8.8.8"],
            search=["lan"],
        )
    """

    try:
        asked = resolv_conf.wanted(nameservers, search, options)
    except ValueError as error:
        raise HostFailure(f"{PATH}: {error}") from None
    now = read(Resolver)
    declare(f"file {PATH}")
    owner = _link_owner(now)
    check_ours_to_set(now, replace_link)
    if owner is None or replace_link:
        commands = _as_file(now, asked)
    elif owner == "systemd-resolved":
        commands = _by_resolved(now, asked)
    else:
        commands = _by_resolvconf(now, asked)
    if not commands:
        host.noop(f"{PATH} is up to date")
    yield from commands


def check_ours_to_set(now: ResolverState, replace_link: bool = False) -> None:
    """``HostFailure`` where nothing that is set here would last."""
    owner = _link_owner(now)
    if now.udhcpc:
        raise HostFailure(
            "udhcpc has an interface here, and nothing stops it from overwriting "
            f"{PATH} at each renewal: install dhcpcd-base, remove udhcpc, then run this again"
        )
    lasting = (
        owner is None
        or replace_link
        or (owner == "systemd-resolved" and now.resolved)
        or (owner == "resolvconf" and now.resolvconf == "resolvconf")
    )
    if not lasting:
        raise HostFailure(
            f"{PATH} is a link to {now.files[PATH].text}"
            f"{f' ({owner})' if owner else ''}, where nothing lasting can be set: "
            "remove the link, or say replace_link=True"
        )
    writer = resolv_conf.generator(now.text or "") or ""
    if owner is None and writer[:1] in ("#", ";"):
        raise HostFailure(
            f"{PATH} is written by a program that is not known here: {writer!r} stands in it. It "
            "would overwrite what is set: stop it, or tell it to leave this file alone (tailscale: "
            f"sudo tailscale set --accept-dns=false), then sudo sed -i '/^[#;]/d' {PATH}, then run "
            "this again"
        )


def is_as_asked(
    now: ResolverState,
    nameservers: list[str],
    search: Sequence[str] = (),
    options: Sequence[str] = (),
) -> bool:
    """Whether the node asks these name servers, whoever has written them."""
    return resolv_conf.meaning(now.text or "") == resolv_conf.wanted(nameservers, search, options)


def check_replaceable(
    now: ResolverState,
    nameservers: list[str],
    search: Sequence[str] = (),
    options: Sequence[str] = (),
) -> None:
    """``HostFailure`` where the file would have to be another one, and can't be replaced."""
    asked = resolv_conf.wanted(nameservers, search, options)
    if _link_owner(now) is None and _differs(now, resolv_conf.update(now.text or "", asked)):
        _check_replaceable(now)


def writers(now: ResolverState) -> list[str]:
    """Programs that may write /etc/resolv.conf on this node, the likeliest first."""
    found = [_link_owner(now), resolv_conf.generator(now.text or "")]
    found += ["NetworkManager" if now.network_manager not in ("", "none") else None]
    found += ["openresolv" if now.resolvconf == "openresolv" else None, *now.dhcp_clients]
    return list(dict.fromkeys(name for name in found if name))


def _link_owner(now: ResolverState) -> str | None:
    """Whose link it is; empty for one that nobody is known for; None when it is no link."""
    if now.files[PATH].kind != "link":
        return None
    for directory, owner in _LINK_OWNERS.items():
        if now.real.startswith(directory):
            return owner
    return ""


def _as_file(now: ResolverState, asked: Meaning) -> list[Command]:
    """All writers told off, then the file itself."""
    text = resolv_conf.update(now.text or "", asked)
    state = now.files[PATH]
    differs = _differs(now, text)
    if differs:
        _check_replaceable(now)
        plan_change(
            f"take {PATH} over from {' and '.join(writers(now)) or 'whoever has written it'}"
        )
    commands: list[Command] = [
        *_network_manager(now),
        *_ensure(now, paths.DHCPCD, _part(now, paths.DHCPCD, DHCPCD_TEXT)),
        *_ensure(now, paths.DHCLIENT, DHCLIENT_TEXT),
    ]
    if now.resolvconf == "openresolv":
        commands += _ensure(now, paths.OPENRESOLV, _part(now, paths.OPENRESOLV, OPENRESOLV_TEXT))
    if state.kind == "link":
        plan_change(f"make {PATH} a file (it is a link to {state.text})", f"file {PATH}")
        diff(PATH, now.text, text)
        write = files.write_command(PATH, text, "644", "root", "root")
        commands.append(Step.of(write, what=_WHAT, paths=[PATH]))
    elif differs:
        commands += _ensure(now, PATH, text)
    return commands


def _network_manager(now: ResolverState) -> list[Command]:
    if not now.network_manager:
        return []
    commands = _ensure(now, paths.NETWORK_MANAGER, NETWORK_MANAGER_TEXT)
    live = "setting NetworkManager's dns"
    declare(*[live] * bool(now.network_manager_now))
    if not commands and now.network_manager != "none":
        raise HostFailure(
            f"NetworkManager's settings end in dns={now.network_manager} although "
            f"{paths.NETWORK_MANAGER} says none: see NetworkManager --print-config for the file "
            "that overrides it, and take that line out"
        )
    if now.network_manager_now and (commands or now.network_manager_now != "none"):
        plan_change(
            "reload NetworkManager's settings", *[live] * (now.network_manager_now != "none")
        )
        commands.append(_again("systemctl", "reload", "NetworkManager.service"))
    return commands


def _by_resolved(now: ResolverState, asked: Meaning) -> list[Command]:
    """Its own settings; the link first, so that names resolve while it restarts."""
    if asked.options:
        raise HostFailure(
            f"{PATH} belongs to systemd-resolved, which passes no options on: leave "
            f"{' '.join(asked.options)} out, or say replace_link=True"
        )
    commands: list[Command] = []
    if now.real != RESOLVED_FILE:
        there = now.files[PATH].text
        plan_change(f"lead the link {PATH} to {RESOLVED_FILE} (it is {there})", f"file {PATH}")
        words = ("sh", "-c", QuoteString(_RELINK), "relink", RESOLVED_FILE, QuoteString(PATH))
        commands.append(Step(*words, what=_WHAT, paths=[PATH]))
    # An empty value forgets what the files before it have set.
    text = f"{resolv_conf.HEADER}[Resolve]\nDNS=\nDNS={' '.join(asked.nameservers)}\nDomains=\n"
    if asked.search:
        text += f"Domains={' '.join(asked.search)}\n"
    settings = _ensure(now, paths.RESOLVED, text)
    live = resolv_conf.meaning(now.text or "")
    if settings or (not commands and not _leads(live, asked)):
        plan_change("restart systemd-resolved")
        settings.append(_again("systemctl", "restart", "systemd-resolved.service"))
    return commands + settings


def _by_resolvconf(now: ResolverState, asked: Meaning) -> list[Command]:
    """Name servers before what it collects; the search list behind, where the last line wins."""
    head = resolv_conf.statements(Meaning(asked.nameservers))
    tail = resolv_conf.statements(Meaning((), asked.search or (".",), asked.options))
    commands: list[Command] = [
        *_ensure(now, paths.RESOLVCONF_HEAD, _part(now, paths.RESOLVCONF_HEAD, head)),
        *_ensure(now, paths.RESOLVCONF_TAIL, _part(now, paths.RESOLVCONF_TAIL, tail)),
    ]
    live = resolv_conf.meaning(now.text or "")
    if commands or not _leads(live, asked):
        plan_change("let resolvconf write its list again")
        commands.append(_again("resolvconf", "-u"))
    return commands


def _leads(live: Meaning, asked: Meaning) -> bool:
    """Whether a collected list begins with what is asked."""
    return (
        live.nameservers[: len(asked.nameservers)] == asked.nameservers
        and live.search[: len(asked.search)] == asked.search
        and set(asked.options) <= set(live.options)
    )


def _differs(now: ResolverState, text: str) -> bool:
    state = now.files[PATH]
    return state.kind == "link" or files.differs(state, text, "644", "root", "root")


def _check_replaceable(now: ResolverState) -> None:
    state = now.files[PATH]
    if state.mounted and state.kind != "link":
        raise HostFailure(
            f"{PATH} is a bind mount, which can't be replaced: unmount it (umount {PATH}), or "
            "change it where it comes from"
        )
    if now.immutable:
        raise HostFailure(f"{PATH} is immutable: chattr -i {PATH}, then run this again")


def _part(now: ResolverState, path: str, body: str) -> str:
    """A file that others write too, with our marked lines."""
    try:
        return marked.put(now.files[path].text or "", body)
    except ValueError as error:
        raise HostFailure(f"{path}: {error}") from None


def _ensure(now: ResolverState, path: str, text: str) -> list[Command]:
    """The commands at once: every diff is to be shown before the first command is given away."""
    return list(guard.keeping(files.ensure(path, text, now=now.files[path]), path, what=_WHAT))


def _again(*words: str) -> Step:
    """Makes live what the files say; also the old ones, should they come back."""
    return Step(*words, what=_WHAT, live=" ".join(words))
