"""
The systemd unit of a ``kubectl proxy`` (systemd.service(5), systemd.exec(5)).
"""

from __future__ import annotations

from formats.systemd_unit import command_line

# The kubeconfig is handed over by systemd, which reads it as root; the service's own user, which
# exists only while it runs, can read nothing else.
_UNIT = """\
# Written by bramble: changes made here are undone by its next run.
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
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
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
    + accept_hosts: the option's value, from ``formats.accept_hosts``
    + kubeconfig: whose rights everybody who reaches the proxy has
    """

    words = ["/usr/bin/kubectl", "proxy", f"--address={address}", f"--port={port}"]
    # ``%d`` is the folder with the credentials: a specifier, so it is not escaped.
    command = f"{command_line(words)} --kubeconfig=%d/kubeconfig "
    command += command_line([f"--accept-hosts={accept_hosts}"])
    return _UNIT.format(command=command, kubeconfig=kubeconfig)
