"""Name servers in /etc/resolv.conf, and the programs that would overwrite it."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import QuoteString
from pyinfra.api.command import PyinfraCommand

from facts import resolv_conf as paths
from facts.files import Files
from facts.node_record import KEPT
from facts.resolv_conf import PATH, Resolver, ResolverState
from formats import marked, resolv_conf
from formats.node_record import Entry, fingerprint
from formats.resolv_conf import Meaning
from messages import network, nodes
from operations import files, guard
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    diff,
    plan_change,
    read,
)
from operations.guard import Step
from operations.node_record import ChangedSince

Command = PyinfraCommand | str

_WHAT = "resolv.conf"
_RESOURCE = f"resolver {PATH}"
_KEPT = f"{KEPT}{PATH}"  # what it was before bramble
RESOLVED_FILE = "/run/systemd/resolve/resolv.conf"
# Owners of a link at /etc/resolv.conf, by the directory of its target.
_LINK_OWNERS = {
    "/run/systemd/resolve/": "systemd-resolved",
    "/usr/lib/systemd/": "systemd-resolved",
    "/run/resolvconf/": "resolvconf",
    "/run/NetworkManager/": "NetworkManager",
}

NETWORK_MANAGER_TEXT = """# bramble manages /etc/resolv.conf.
[main]
dns=none
"""
DHCPCD_TEXT = """skip_hooks="${skip_hooks:+$skip_hooks }resolv.conf"
"""
DHCLIENT_TEXT = """# bramble manages /etc/resolv.conf.
make_resolv_conf() { :; }
"""
OPENRESOLV_TEXT = """resolvconf=NO
"""

# Replaces the link atomically: programs look up names meanwhile.
_RESTORE = """set -e; t=$(mktemp -u -- "$2.XXXXXX"); trap 'rm -f -- "$t"' EXIT;
cp -a -- "$1" "$t"; mv -fT -- "$t" "$2\""""
_RELINK = """set -e; t=$(mktemp -u -- "$2.XXXXXX"); trap 'rm -f -- "$t"' EXIT;
ln -s -- "$1" "$t"; mv -fT -- "$t" "$2\""""


@guard.operation
def resolver(
    nameservers: list[str],
    search: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Commands:
    """
    Set the name servers, live, at boot, and when a DHCP lease is renewed.

    + nameservers: IP addresses, one to three, in the order in which they are asked
    + search: search domains
    + options: as in resolv.conf(5), such as ``ndots:2``

    A regular file is managed from then on: NetworkManager (``dns=none``), dhcpcd and dhclient
    (hooks), and openresolv (``resolvconf=NO``) are configured to leave it alone. The hooks of the
    two DHCP clients are written even if these are not installed: a later step may install them.

    A link to systemd-resolved is pointed to its list of real servers, since pods cannot use
    127.0.0.53, and its servers are set; servers from DHCP stay behind them. A link to Debian's
    resolvconf stays, and the servers are put first. The host fails if there is any other link, a
    bind mount, an immutable file, or a file that an unknown program claims. Nothing is written
    through a link.
    """
    desired = resolv_conf.desired(nameservers, search, options)
    now = read(Resolver)
    declare(f"file {PATH}")
    kept = [] if (now.text or "").startswith(resolv_conf.HEADER) else [PATH]
    content = fingerprint(*desired.nameservers, "", *desired.search, "", *desired.options)
    declare_recorded(_RESOURCE, content, keeps=kept, together=True)
    owner = _link_owner(now)
    check_manageable(now)
    if owner is None:
        commands = _as_file(now, desired)
    elif owner == "systemd-resolved":
        commands = _by_resolved(now, desired)
    else:
        commands = _by_resolvconf(now, desired)
    if not commands:
        host.noop(f"{PATH} is up to date")
    yield from commands


def remove(resource: str, entry: Entry) -> Commands:
    """
    Return /etc/resolv.conf to the programs that wrote it before; for ``removals``.

    + resource: "resolver /etc/resolv.conf"
    + entry: what the record says of it
    + raises ``ChangedSince``
    """
    now = read(Resolver)
    live = resolv_conf.meaning(now.text or "")
    content = fingerprint(*live.nameservers, "", *live.search, "", *live.options)
    old = read(Files, paths=[_KEPT])[_KEPT]
    if _link_owner(now) is None and old.kind != "absent" and not entry.holds(content):
        raise ChangedSince(f"cp -a {_KEPT} {PATH}")
    commands: list[Command] = []
    for path in paths.FILES[1:]:
        text = _without(now, path)
        own = list(files.ensure(path, text, now=now.files[path], recorded=False))
        commands += guard.as_steps(own if text != now.files[path].text else [], path, what=_WHAT)
    if old.kind != "absent" and old != now.files[PATH]:
        diff(PATH, now.files[PATH].text, old.text, verb="restore")
        words = ("sh", "-c", QuoteString(_RESTORE), "restore", _KEPT, PATH)
        commands.append(Step(*words, what=_WHAT, paths=[PATH]))
    if commands and now.network_manager_now:
        commands.append(_again("systemctl", "reload", "NetworkManager.service"))
    if commands and now.resolved:
        commands.append(_again("systemctl", "restart", "systemd-resolved.service"))
    if commands and now.resolvconf == "resolvconf":
        commands.append(_again("resolvconf", "-u"))
    yield from commands


def _without(now: ResolverState, path: str) -> str | None:
    """Return one of the writers' files without what bramble has put there; None: no file."""
    text = now.files[path].text
    if text is None or path in (paths.NETWORK_MANAGER, paths.RESOLVED, paths.DHCLIENT):
        return None
    left = _marked(path, text, None)
    return None if path == paths.DHCPCD and not left else left


def check_manageable(now: ResolverState) -> None:
    """``HostFailure`` if the name servers cannot be set permanently."""
    owner = _link_owner(now)
    if now.udhcpc:
        raise HostFailure(network.UDHCPC_OVERWRITES())
    manageable = (
        owner is None
        or (owner == "systemd-resolved" and now.resolved)
        or (owner == "resolvconf" and now.resolvconf == "resolvconf")
    )
    if not manageable:
        target = f"{now.files[PATH].text}{f' ({owner})' if owner else ''}"
        raise HostFailure(network.RESOLVER_LINK_UNKNOWN(target=target))
    writer = resolv_conf.generator(now.text or "") or ""
    if owner is None and writer[:1] in ("#", ";"):
        raise HostFailure(network.RESOLVER_FOREIGN(line=writer))


def is_configured(
    now: ResolverState,
    nameservers: list[str],
    search: Sequence[str] = (),
    options: Sequence[str] = (),
) -> bool:
    """Whether the node uses these name servers, whoever set them."""
    return resolv_conf.meaning(now.text or "") == resolv_conf.desired(nameservers, search, options)


def check_replaceable(
    now: ResolverState,
    nameservers: list[str],
    search: Sequence[str] = (),
    options: Sequence[str] = (),
) -> None:
    """``HostFailure`` if the file would have to change and cannot be replaced."""
    desired = resolv_conf.desired(nameservers, search, options)
    if _link_owner(now) is None and _differs(now, resolv_conf.update(now.text or "", desired)):
        _check_replaceable(now)


def writers(now: ResolverState) -> list[str]:
    """Return programs that may write /etc/resolv.conf on this node, the likeliest first."""
    found = [_link_owner(now), resolv_conf.generator(now.text or "")]
    found += ["NetworkManager" if now.network_manager not in ("", "none") else None]
    found += ["openresolv" if now.resolvconf == "openresolv" else None, *now.dhcp_clients]
    return list(dict.fromkeys(name for name in found if name))


def _link_owner(now: ResolverState) -> str | None:
    """Return the owner of the link; "" if unknown; None if it is not a link."""
    if now.files[PATH].kind != "link":
        return None
    for directory, owner in _LINK_OWNERS.items():
        if now.real.startswith(directory):
            return owner
    return ""


def _as_file(now: ResolverState, desired: Meaning) -> list[Command]:
    """Stop every program that rewrites the file, then write it."""
    text = resolv_conf.update(now.text or "", desired)
    differs = _differs(now, text)
    if differs:
        _check_replaceable(now)
        plan_change(f"take {PATH} over from {' and '.join(writers(now)) or 'its present writer'}")
    commands: list[Command] = [
        *_network_manager(now),
        *_ensure(now, paths.DHCPCD, _part(now, paths.DHCPCD, DHCPCD_TEXT)),
        *_ensure(now, paths.DHCLIENT, DHCLIENT_TEXT),
    ]
    if now.resolvconf == "openresolv":
        commands += _ensure(now, paths.OPENRESOLV, _part(now, paths.OPENRESOLV, OPENRESOLV_TEXT))
    return commands + (_ensure(now, PATH, text) if differs else [])


def _network_manager(now: ResolverState) -> list[Command]:
    if not now.network_manager:
        return []
    commands = _ensure(now, paths.NETWORK_MANAGER, NETWORK_MANAGER_TEXT)
    live = "setting NetworkManager's dns"
    declare(*[live] * bool(now.network_manager_now))
    if not commands and now.network_manager != "none":
        values = {"value": now.network_manager, "path": paths.NETWORK_MANAGER}
        raise HostFailure(network.NETWORK_MANAGER_DNS(**values))
    if now.network_manager_now and (commands or now.network_manager_now != "none"):
        plan_change(
            "reload NetworkManager's settings", *[live] * (now.network_manager_now != "none")
        )
        commands.append(_again("systemctl", "reload", "NetworkManager.service"))
    return commands


def _by_resolved(now: ResolverState, desired: Meaning) -> list[Command]:
    """Configure systemd-resolved; the link first, so that names resolve while it restarts."""
    if desired.options:
        raise HostFailure(network.RESOLVED_OPTIONS(options=" ".join(desired.options)))
    commands: list[Command] = []
    if now.real != RESOLVED_FILE:
        target = now.files[PATH].text
        plan_change(f"point the link {PATH} to {RESOLVED_FILE} (it is {target})", f"file {PATH}")
        words = ("sh", "-c", QuoteString(_RELINK), "relink", RESOLVED_FILE, QuoteString(PATH))
        commands.append(Step(*words, what=_WHAT, paths=[PATH]))
    # An empty value resets what earlier files have set.
    text = f"{resolv_conf.HEADER}[Resolve]\nDNS=\nDNS={' '.join(desired.nameservers)}\nDomains=\n"
    if desired.search:
        text += f"Domains={' '.join(desired.search)}\n"
    settings = _ensure(now, paths.RESOLVED, text)
    live = resolv_conf.meaning(now.text or "")
    if settings or (not commands and not _leads(live, desired)):
        plan_change("restart systemd-resolved")
        settings.append(_again("systemctl", "restart", "systemd-resolved.service"))
    return commands + settings


def _by_resolvconf(now: ResolverState, desired: Meaning) -> list[Command]:
    """Put the servers before those it collects, the search list behind: its last line wins."""
    head = resolv_conf.statements(Meaning(desired.nameservers))
    tail = resolv_conf.statements(Meaning((), desired.search or (".",), desired.options))
    commands: list[Command] = [
        *_ensure(now, paths.RESOLVCONF_HEAD, _part(now, paths.RESOLVCONF_HEAD, head)),
        *_ensure(now, paths.RESOLVCONF_TAIL, _part(now, paths.RESOLVCONF_TAIL, tail)),
    ]
    live = resolv_conf.meaning(now.text or "")
    if commands or not _leads(live, desired):
        plan_change("have resolvconf regenerate the file")
        commands.append(_again("resolvconf", "-u"))
    return commands


def _leads(live: Meaning, desired: Meaning) -> bool:
    """Whether a collected list begins with the desired one."""
    return (
        live.nameservers[: len(desired.nameservers)] == desired.nameservers
        and live.search[: len(desired.search)] == desired.search
        and set(desired.options) <= set(live.options)
    )


def _differs(now: ResolverState, text: str) -> bool:
    return files.differs(now.files[PATH], text, "644", "root", "root")


def _check_replaceable(now: ResolverState) -> None:
    if now.files[PATH].mounted:
        raise HostFailure(nodes.BIND_MOUNT(path=PATH))
    if now.immutable:
        raise HostFailure(network.RESOLVER_IMMUTABLE())


def _part(now: ResolverState, path: str, body: str) -> str:
    """Return a file that others write too, with the marked lines in it."""
    return _marked(path, now.files[path].text or "", body)


def _marked(path: str, text: str, body: str | None) -> str:
    try:
        return marked.put(text, body)
    except ValueError as error:
        raise HostFailure(network.MARKED_LINES_BROKEN(path=path, problem=error)) from None


def _ensure(now: ResolverState, path: str, text: str) -> list[Command]:
    """Return all commands at once: every diff must be shown before the first command."""
    commands = files.ensure(path, text, now=now.files[path], recorded=False)
    return list(guard.as_steps(commands, path, what=_WHAT))


def _again(*words: str) -> Step:
    """Make the files take effect; also the old ones after a rollback."""
    return Step(*words, what=_WHAT, reload=" ".join(words))
