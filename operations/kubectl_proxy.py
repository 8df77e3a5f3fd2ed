"""
``kubectl proxy`` on the control plane, as a service: the blog's way in from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand

from facts.kubectl import ADMIN_CONF
from facts.kubectl_proxy import PATH, UNIT, ProxyService
from formats import kubectl_proxy
from formats.kubectl_proxy import accept_hosts
from operations import files
from operations.base import Commands, HostFailure, declare, operation, plan_change, read

# A service that ends at once (a port that is taken, an address that is not there) has started all
# the same, as systemd sees it: look again a moment later.
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
    kubeconfig: str = ADMIN_CONF,
) -> Commands:
    """
    ``kubectl proxy`` runs on this node, now and at each boot, as a user without any rights here.

    It knows no authentication: **whoever reaches its port does with the cluster what the
    kubeconfig allows**, over plain HTTP. ``accept`` is about names that a browser may be led to
    (DNS rebinding), not about who is calling.

    + address: to listen on, one of the node's
    + port: from 1024
    + accept: IPv4 networks, addresses and names that may stand in a request's Host header
    + present: False: stopped and removed
    + kubeconfig: on this node; handed to the service by systemd

    **Example:**

    .. code:: python

        kubectl_proxy.service(
            name="kubectl proxy for the home network",
            address="192.168.1.32",
            port=8080,
            accept=["192.168.1.0/24"],
        )
    """

    now = read(ProxyService)
    if not present:
        if now.unit is None and not now.active:
            host.noop("there is no kubectl proxy here")
            return
        plan_change(f"stop {UNIT} and remove it", f"unit {UNIT}")
        yield StringCommand("systemctl", "disable", "--now", "--quiet", UNIT)
        yield StringCommand("rm", "-f", "--", QuoteString(PATH))
        yield StringCommand("systemctl", "daemon-reload")
        return
    try:
        ip_address(address)
        wanted = kubectl_proxy.unit(address, port, accept_hosts(accept), kubeconfig)
    except ValueError as error:
        raise HostFailure(f"kubectl proxy: {error}") from error
    if not 1024 <= port <= 65535:
        raise HostFailure(f"kubectl proxy: port {port} is not from 1024 to 65535")
    declare(f"unit {UNIT}")
    commands = list(files.ensure(PATH, wanted))
    if not commands and now.active and now.enabled:
        host.noop(f"kubectl proxy listens on {address}:{port}")
        return
    if not (now.active and now.enabled):
        plan_change(f"start {UNIT}, now and at every boot", f"unit {UNIT}")
    yield from commands
    yield StringCommand("sh", "-c", QuoteString(_START))
