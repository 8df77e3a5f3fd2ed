"""
Scheduled backups: the last one succeeded, and is not older than two periods.

With several control planes all have the timer, and one of them makes each backup.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from messages import verify as messages
from settings import Cluster, Node
from tests.cluster.connections import Connections
from tests.cluster.findings import deploy, last_line, wrong

PERIODS = 2 * 86400  # seconds
OWN, COPIES = "/var/lib/bramble/backups", "/var/lib/bramble-backups"


@pytest.mark.first_control_plane
def test_scheduled_backups(node: Node, cluster: Cluster, connections: Connections) -> None:
    """scheduled backups"""
    if cluster.backup_schedule == "off":
        pytest.skip('backup_schedule = "off"')
    step = deploy("backup_schedule")
    makers = {
        each.name: connections.hosts[each.name]
        for each in cluster.control_plane
        if each.name in connections.hosts and each.name != cluster.backup_to
    }
    if not makers:
        pytest.skip("no connection to a control plane")
    for host in makers.values():
        timer = host.service("bramble-backup.timer")
        if not (timer.is_running and timer.is_enabled):
            wrong(messages.NO_BACKUP_TIMER(deploy=step))
        if host.run("systemctl is-failed --quiet bramble-backup.service").rc == 0:
            unit = "_SYSTEMD_UNIT=bramble-backup.service"
            said = host.run(f"journalctl {unit} -o cat -n 1 --no-pager")
            wrong(messages.BACKUP_FAILED(reason=last_line(said), deploy=step))
    places = {", ".join(makers): (list(makers.values()), OWN)}
    if cluster.backup_to in connections.hosts:
        places[cluster.backup_to] = ([connections.hosts[cluster.backup_to]], COPIES)
    for name, (hosts, folder) in places.items():
        said = "".join(host.run(f"ls {folder}").stdout for host in hosts)
        times = re.findall(r"-(\d{8}T\d{6}Z)\.tar(?:\.age)?$", said, re.MULTILINE)
        if not times:
            wrong(messages.NO_BACKUPS(node=name, folder=folder, deploy=step))
        newest = datetime.strptime(max(times), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        now = int(hosts[0].check_output("date +%s"))
        if now - newest.timestamp() > PERIODS:
            wrong(messages.BACKUPS_OLD(node=name, taken=f"{newest:%Y-%m-%d %H:%M}", deploy=step))
