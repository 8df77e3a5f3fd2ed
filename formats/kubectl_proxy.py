"""
``kubectl proxy`` as a service: its systemd unit, and the hosts that it accepts.

``--accept-hosts`` takes regular expressions (Go's RE2), split at commas, not anchored, matched
against the Host header without its port. They are made here from networks, addresses and names,
each anchored at both ends and free of commas: ``^192.168.1`` would also let ``192.168.10.7`` and
``192x168y1.evil`` in.

Source: systemd.exec(5), for the unit's credentials.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from formats.systemd import HEAD, SANDBOX, command_line
from messages.settings import HOST_BITS, INVALID

# systemd reads the kubeconfig as root and passes it on; the service's dynamic user can read no
# other file of root's.
_UNIT = """\
{head}
[Unit]
Description=kubectl proxy: the Kubernetes API over plain HTTP, without authentication
Documentation=https://kubernetes.io/docs/reference/kubectl/generated/kubectl_proxy/
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart={command}
LoadCredential=kubeconfig:{kubeconfig}
# The address may come up late: Wi-Fi, DHCP.
Restart=on-failure
RestartSec=5
DynamicUser=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
{sandbox}
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def unit(address: str, port: int, accept_hosts: str, kubeconfig: str) -> str:
    """
    The unit's text.

    + address, port: to listen on
    + accept_hosts: the option's value, from ``formats.kubectl_proxy``
    + kubeconfig: whose rights everybody who reaches the proxy has
    """
    words = ["/usr/bin/kubectl", "proxy", f"--address={address}", f"--port={port}"]
    # ``%d`` is systemd's specifier for the folder of credentials, so it is not escaped.
    command = f"{command_line(words)} --kubeconfig=%d/kubeconfig "
    command += command_line([f"--accept-hosts={accept_hosts}"])
    return _UNIT.format(head=HEAD, command=command, kubeconfig=kubeconfig, sandbox=SANDBOX)


_NAME = re.compile(
    r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*"
)


def accept_hosts(hosts: Iterable[str]) -> str:
    """
    Write the value of ``--accept-hosts``.

    + hosts: IPv4 networks, addresses or names
    + raises ``ValueError``: anything else, or no host: an empty option is kubectl's default list
    """
    patterns = list(dict.fromkeys(pattern(host) for host in hosts))
    if not patterns:
        raise ValueError(INVALID(value="[]", kind="a list of hosts", instead='["localhost"]'))
    return ",".join(patterns)


def pattern(host: str) -> str:
    """Write the anchored expression of one host or network."""
    try:
        network = IPv4Network(host)
    except (AddressValueError, NetmaskValueError) as error:
        looks_numeric = re.fullmatch(r"[0-9./]+", host)
        if looks_numeric or not _NAME.fullmatch(host):
            kind = "a network, an address or a host name"
            near = "one such as 192.168.1.0/24"
            raise ValueError(INVALID(value=repr(host), kind=kind, instead=near)) from error
        # Host names know no case; nothing but the dot in one means anything in an expression.
        return "(?i)^" + host.replace(".", r"\.") + "$"
    except ValueError as error:  # host bits set
        network = IPv4Network(host, strict=False)
        raise ValueError(HOST_BITS(value=repr(host), instead=network)) from error
    first = str(network.network_address).split(".")
    last = str(network.broadcast_address).split(".")
    octets = [octet(int(low), int(high)) for low, high in zip(first, last, strict=True)]
    return "^" + r"\.".join(octets) + "$"


def octet(low: int, high: int) -> str:
    """Write the expression for the decimal numbers from ``low`` to ``high`` (0 to 255)."""
    if low == high:
        return str(low)
    if (low, high) == (0, 255):
        return "([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"
    return f"({'|'.join(map(str, range(low, high + 1)))})"
