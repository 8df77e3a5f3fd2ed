"""`python -m report.backups`: list all backups of the cluster, here and on its nodes."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

import settings
from facts.backup import BackupsOfNode, NodeBackup
from formats import backup
from formats.backup import Manifest
from messages import backups as messages
from settings import Cluster
from workstation import backups
from workstation.progress import format_size

_WIDE = 200  # columns, for a file or a pipe
_FACT = f"{BackupsOfNode.__module__}.{BackupsOfNode.__qualname__}"


@dataclass(frozen=True)
class Row:
    """
    One archive.

    + taken: when (UTC)
    + size: in bytes
    + kubernetes, etcd: versions; "?" when its manifest is not known
    + objects: None: not known
    + where: path on this computer, or NODE:PATH
    + verified: "yes", or why it is not
    """

    taken: str
    size: int
    kubernetes: str
    etcd: str
    objects: int | None
    where: str
    verified: str


def here(cluster: Cluster) -> list[Row]:
    """The backups on this computer, each read and compared with its checksums."""
    rows = []
    for each in backups.listed(cluster.backups):
        unknown = "unknown: its manifest is missing, and it is encrypted"
        why = "yes" if each.is_verified else unknown
        if each.problem:
            why = f"damaged: {each.problem.values.get('reason', each.problem.words)}"
        path = os.path.relpath(each.path, cluster.project)
        rows.append(_row(path, each.size, each.manifest, why))
    return rows


def on_nodes(cluster: Cluster) -> tuple[list[Row], list[str]]:
    """
    The backups on the nodes that keep some.

    + returns: them, and the nodes that did not answer
    """
    planes = [node.name for node in cluster.control_plane]
    names = list(dict.fromkeys([*planes, *([cluster.backup_to] if cluster.backup_to else [])]))
    limits = [word for name in names for word in ("--limit", name)]
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "inventory.py", "fact", _FACT, "--json", *limits],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)[_FACT]
    except (ValueError, KeyError):
        found = {}
    rows = []
    for name in names:
        for each in found.get(name) or []:
            kept = NodeBackup(**each)
            why = "yes" if kept.is_good else "unknown" if kept.manifest is None else "damaged"
            rows.append(_row(f"{name}:{kept.path}", kept.size, kept.manifest, why))
    return rows, [name for name in names if found.get(name) is None]


def _row(where: str, size: int, manifest: Manifest | None, verified: str) -> Row:
    name = backup.parse_name(where.rpartition("/")[2])
    assert name is not None, "only such files are listed"
    if manifest is None:
        return Row(f"{name.taken:%Y-%m-%d %H:%M}", size, "?", "?", None, where, verified)
    etcd = manifest.etcd.rpartition(":")[2]
    version = str(manifest.kubernetes)
    taken = f"{manifest.taken:%Y-%m-%d %H:%M}"
    return Row(taken, size, version, etcd, manifest.objects, where, verified)


def show(rows: list[Row], out: Console) -> None:
    """Print the table, the newest first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("taken (UTC)", "size", "Kubernetes", "etcd", "objects", "verified", "where"):
        table.add_column(title, overflow="fold", no_wrap=title not in ("verified", "where"))
    for row in rows:
        objects = "?" if row.objects is None else str(row.objects)
        colour = "green" if row.verified == "yes" else "red"
        verified = f"[{colour}]{row.verified}[/]"
        size = format_size(row.size)
        table.add_row(row.taken, size, row.kubernetes, row.etcd, objects, verified, row.where)
    out.print(table)


def main() -> int:
    """Show them; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m report.backups", description=__doc__)
    parser.add_argument("--json", action="store_true", help="for programs")
    arguments = parser.parse_args()
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    said = Console(highlight=False, soft_wrap=True, stderr=True)
    try:
        cluster = settings.load()
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    with said.status("reading the nodes; nothing is changed"):
        rows, silent = on_nodes(cluster)
    rows = sorted([*here(cluster), *rows], key=lambda row: row.taken, reverse=True)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    elif rows:
        show(rows, out)
    else:
        out.print("no backups yet: pyinfra inventory.py deploys/backup.py makes one")
    for name in silent:
        said.print(messages.NODE_SILENT(node=name), style="yellow")
    return 0


if __name__ == "__main__":
    sys.exit(main())
