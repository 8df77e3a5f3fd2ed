"""Share downloads: one node keeps packages and images, the others ask it first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.files import Files
from facts.shared_downloads import CONFIG, UNIT, UNIT_PATH, DownloadCache
from formats import shared_downloads as formats
from formats.node_record import fingerprint
from messages import nodes as messages
from operations.base import Commands, declare, declare_recorded, operation, plan_change, read
from operations.files import ensure
from operations.packages import apt
from runs.output import warned

APT_CONFIG = "/etc/apt/apt.conf.d/30bramble-shared-downloads"
DETECTION = "/etc/apt/bramble-proxy"

# Its package would start nginx on port 80 of all addresses. A node that has it already needs it.
_MASK = "systemctl mask --quiet nginx.service"
_START = f"""systemctl daemon-reload && systemctl reset-failed {UNIT} 2>/dev/null;
systemctl enable --quiet {UNIT} && systemctl restart {UNIT}; n=0;
until timeout 2 bash -c 'exec 3<>/dev/tcp/$1/{formats.PORT} || exit
printf "HEAD /ready HTTP/1.0\\r\\nHost: $1\\r\\n\\r\\n" >&3
read -r _ status _ <&3 && [ "$status" = 204 ]' bash "$1" 2>/dev/null; do
n=$((n+1)); [ $n -lt 15 ] || {{ journalctl -u {UNIT} -o cat -n 50 --no-pager |
grep -F '[emerg]' | tail -n 1; exit 1; }}; sleep 1; done"""


@operation()
def server(
    address: str, nameservers: Sequence[str], kubernetes: str, mirrors: Mapping[str, str]
) -> Commands:
    """
    Keep downloads on this node, for all nodes, now and at every boot.

    It is not needed: the nodes ask the sources themselves while it does not answer. So one that
    does not start is a warning.

    + address: to listen on: this node's on the cluster network
    + nameservers: addresses of DNS servers
    + kubernetes: URL of the repository of Kubernetes packages, with {minor} in it
    + mirrors: of registries: ``{"registry.k8s.io": "http://…:5000"}``, "_default" for all others
    """
    observed = read(DownloadCache)
    unit = formats.unit(CONFIG)
    declare("package nginx")
    content = fingerprint("644", "root", "root", unit)
    declare_recorded(f"unit {UNIT}", content, keeps=[UNIT_PATH], path=UNIT_PATH)
    text = formats.server(address, nameservers, kubernetes, mirrors)
    commands = [
        *ensure(CONFIG, text, now=observed.files[CONFIG]),
        *ensure(UNIT_PATH, unit, now=observed.files[UNIT_PATH], recorded=False),
    ]
    runs = observed.installed and observed.enabled and observed.active
    if runs and not commands and not observed.needs_restart:
        host.noop(f"downloads are kept at {address}:{formats.PORT}")
        return
    if not observed.installed:
        plan_change("install nginx, with its own service masked", "package nginx")
    verb = "restart" if observed.active else "start"
    plan_change(f"{verb} {UNIT}, now and at every boot", f"unit {UNIT}")
    if not observed.installed:
        yield StringCommand("sh", "-c", QuoteString(_MASK))
        yield from apt.install(["nginx", "ca-certificates"])
    yield from commands
    yield FunctionCommand(_start, (address,), {})


def _start(state: State, host: Host, address: str) -> bool:
    command = StringCommand("sh", "-c", QuoteString(_START), "start", QuoteString(address))
    result = remote.of(host).stream(command)
    if result.status != 0:
        reason = result.last_line or "no reason given"
        warned(host, messages.DOWNLOADS_NOT_KEPT(unit=UNIT, reason=reason))
    return True


@operation()
def client(address: str) -> Commands:
    """
    Let this node's apt ask the node that keeps downloads first, whenever that one answers.

    A proxy of the node's own (``Acquire::http::Proxy``) stays in use. containerd's mirrors and the
    list of Kubernetes packages belong to ``containerd.runtime`` and ``packages.repository``.

    + address: that node's on the cluster network
    """
    observed = read(Files, paths=[DETECTION, APT_CONFIG])
    text = formats.apt_configuration(DETECTION)
    commands = [
        *ensure(DETECTION, formats.detection(address), "755", now=observed[DETECTION]),
        *ensure(APT_CONFIG, text, now=observed[APT_CONFIG]),
    ]
    if not commands:
        host.noop(f"apt asks {address}:{formats.PORT} first")
    yield from commands
