"""What makes backups without the operator's computer: a timer and a service of systemd."""

from __future__ import annotations

from collections.abc import Sequence

from formats.systemd import HEAD, command_line

NAME = "bramble-backup"

_TIMER = f"""{HEAD}
[Unit]
Description=Backup of the cluster, every day

[Timer]
OnCalendar=*-*-* {{time}}:00
# Once at the next boot, if the node was off.
Persistent=yes

[Install]
WantedBy=timers.target
"""
# ctr reaches containerd by its socket, and makes pipes beside it.
_SERVICE = f"""{HEAD}
[Unit]
Description=Backup of the cluster
ConditionPathExists=/etc/kubernetes/manifests/etcd.yaml
Wants=network-online.target
After=network-online.target time-sync.target containerd.service

[Service]
Type=oneshot
{{condition}}{{commands}}
TimeoutStartSec=1h
Nice=10
IOSchedulingClass=idle
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=strict
ReadWritePaths=/var/lib/bramble /var/lib/etcd /run
ProtectKernelModules=yes
ProtectKernelTunables=yes
UMask=0077
"""


def timer(time: str) -> str:
    """The text of the timer; ``time``: "03:00", by the node's clock."""
    return _TIMER.format(time=time)


def service(*commands: Sequence[str], condition: Sequence[str] = ()) -> str:
    """
    The text of the service.

    + commands: run one after another, each its words
    + condition: a command without whose success they are skipped, which is no failure
    """
    lines = [f"ExecStart={command_line(words)}" for words in commands]
    first = f"ExecCondition={command_line(condition)}\n" if condition else ""
    return _SERVICE.format(condition=first, commands="\n".join(lines))
