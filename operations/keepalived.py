"""The address that control planes have in common: keepalived, on each of them."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.keepalived import PATH, UNIT, Keepalived
from formats import keepalived as formats
from formats.node_record import fingerprint
from messages import network as messages
from messages import rollout as rollout_messages
from operations import files
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    hide,
    operation,
    plan_change,
    read,
)
from operations.packages import apt
from remote.failures import RemoteFailure

# keepalived starts with a configuration that it has understood in part only. The one of Debian 12
# ends itself with SIGTERM (143) when it has checked all of a good one.
_CHECK = """t=$(mktemp); trap 'rm -f -- "$t"' EXIT; cat > "$t";
said=$(keepalived -t -f "$t" 2>&1); s=$?;
[ "$s" = 0 ] || { [ "$s" = 143 ] && [ -z "$said" ]; } || { printf '%s\\n' "$said" >&2; exit 1; }"""
# It gives the address back when it is stopped, so a restart is no longer pause than a reload.
_START = f"""systemctl reset-failed {UNIT} 2>/dev/null; systemctl enable --quiet {UNIT} &&
systemctl restart {UNIT} && sleep 1 && systemctl is-active --quiet {UNIT} ||
{{ journalctl -u {UNIT} -o cat -n 5 --no-pager >&2; exit 1; }}"""

# Moves the address "$1": the others take it when this one gives it back, and it does not return.
# The API server answers there again at the end.
_MOVE = f"""held() {{ [ -n "$(ip -o -4 address show to "$1")" ]; }}; held "$1" || exit 0;
systemctl restart {UNIT}; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1;
said=$(curl -sSfk -m 3 "https://$1:{formats.API_PORT}/livez" 2>&1);
! held "$1" || said="this node keeps it"; [ "$said" != ok ] || exit 0; done;
printf '%s\\n' "$said" | tail -n1 >&2; exit 1"""


@operation()
def address(
    shared: str,
    interface: str,
    own: str,
    peers: Sequence[str],
    priority: int,
    beside_api_server: bool = False,
) -> Commands:
    """
    Hold an address on this node while it is its turn, now and after every boot.

    A node whose API server does not answer, or has no etcd, does not hold it.

    + shared: the address
    + interface: by which this node has it
    + own: this node's own address there
    + peers: those of the other nodes
    + priority: 1 to 254; the highest of those that begin together gets the address
    + beside_api_server: True: only if this node is a control plane already

    ``HostFailure``: somebody else's keepalived is there, or it refuses the configuration.
    """
    observed = read(Keepalived)
    if beside_api_server and not observed.has_api_server:
        hide()
        host.noop("this node is no control plane yet")
        return
    if not (observed.file.text or formats.HEAD).startswith(formats.HEAD):
        raise HostFailure(messages.KEEPALIVED_OF_OTHERS(path=PATH))
    text = formats.configuration(shared, interface, own, peers, priority)
    content = fingerprint("644", "root", "root", text)
    unit = f"unit {UNIT}"
    declare("package keepalived", "package curl")
    declare_recorded(unit, content, keeps=[PATH], path=PATH)
    installed = {"keepalived": observed.installed, "curl": observed.has_curl}
    missing = [package for package, present in installed.items() if not present]
    if missing:
        apt.expect(missing)
        plan_change(f"install {' and '.join(missing)}", *(f"package {name}" for name in missing))
    commands = list(files.ensure(PATH, text, now=observed.file, recorded=False))
    if not commands and not missing and observed.enabled and observed.active:
        host.noop(f"keepalived takes part in holding {shared}")
        return
    plan_change(f"start {UNIT}, now and at every boot", unit)
    if missing:
        yield from apt.install(missing)
    yield FunctionCommand(_check, (text,), {})
    yield from commands
    yield StringCommand("sh", "-c", QuoteString(_START))


def move_away(host: Host, shared: str) -> None:
    """
    Let another control plane hold the address, if a node holds it that will be away.

    ``HostFailure``: no other one takes it.
    """
    try:
        remote.of(host).run(_MOVE, shared, seconds=120)
    except RemoteFailure as failure:
        values = {"address": shared, "node": host.name, "reason": failure.args[0]}
        raise HostFailure(rollout_messages.ADDRESS_STAYS(**values)) from failure


def _check(state: State, host: Host, text: str) -> bool:
    """Have keepalived check a configuration before it gets it."""
    try:
        remote.of(host).run(_CHECK, stdin=text)
    except RemoteFailure as failure:
        raise HostFailure(messages.KEEPALIVED_REFUSES(reason=failure.args[0])) from failure
    return True
