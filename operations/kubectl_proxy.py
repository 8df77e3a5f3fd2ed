"""Run ``kubectl proxy`` on the control plane: access to the API without credentials."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand
from pyinfra.context import ctx_host

from facts.kubectl import ADMIN_CONF
from facts.kubectl_proxy import PATH, UNIT, ProxyService
from formats import kubectl_proxy
from formats.kubectl_proxy import accept_hosts
from formats.node_record import fingerprint
from operations import files, node_record
from operations.base import (
    Commands,
    declare_recorded,
    note_removed,
    operation,
    plan_change,
    read,
)

# systemd counts a service that exits at once (its port is in use, its address does not exist) as
# started, so it is asked again a second later.
_START = f"""systemctl reset-failed {UNIT} 2>/dev/null;
systemctl daemon-reload && systemctl enable --quiet {UNIT} &&
systemctl restart {UNIT} && sleep 1 && systemctl is-active --quiet {UNIT} ||
{{ journalctl -u {UNIT} -o cat -n 5 --no-pager >&2; exit 1; }}"""


@operation()
def service(
    address: str,
    port: int,
    accept: Sequence[str],
    present: bool = True,
) -> Commands:
    """
    Run ``kubectl proxy`` on this node, now and at every boot, as an unprivileged user.

    It has no authentication: **whoever reaches its port is administrator of the cluster**, over
    plain HTTP. ``accept`` protects browsers from DNS rebinding; it does not restrict who may call.

    + address: to listen on, one of the node's
    + port: 1024 to 65535
    + accept: IPv4 networks, addresses and names that are allowed in a request's Host header
    + present: False: stop and remove it
    """
    observed = read(ProxyService)
    if not present:
        if observed.unit is None and not observed.active:
            host.noop(f"{UNIT} is not installed")
            return
        content = fingerprint("644", "root", "root", observed.unit or "")
        if node_record.was_changed(ctx_host.get(), f"unit {UNIT}", content):
            host.noop(f"{UNIT} was changed, and is left")
            return
        note_removed(f"unit {UNIT}")
        plan_change(f"stop {UNIT} and remove it", f"unit {UNIT}")
        yield StringCommand("systemctl", "disable", "--now", "--quiet", UNIT)
        yield StringCommand("rm", "-f", "--", QuoteString(PATH))
        yield StringCommand("systemctl", "daemon-reload")
        return
    desired = kubectl_proxy.unit(address, port, accept_hosts(accept), ADMIN_CONF)
    content = fingerprint("644", "root", "root", desired)
    declare_recorded(f"unit {UNIT}", content, keeps=[PATH], path=PATH)
    commands = list(files.ensure(PATH, desired, recorded=False))
    if not commands and observed.active and observed.enabled:
        host.noop(f"kubectl proxy listens on {address}:{port}")
        return
    if not (observed.active and observed.enabled):
        plan_change(f"start {UNIT}, now and at every boot", f"unit {UNIT}")
    yield from commands
    yield StringCommand("sh", "-c", QuoteString(_START))
