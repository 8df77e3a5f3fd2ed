"""
The record on this computer: contexts that bramble has put into kubeconfigs, and which settings the
last whole run had.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from formats import node_record
from formats.node_record import Entry, NodeRecord
from workstation import files


def resource(context: str, path: str) -> str:
    """
    Return the name of a context in the record.

    + path: of its kubeconfig, which may be written in several ways
    """
    return f"context {context} in {Path(path).expanduser().resolve()}"


def read(record: str) -> NodeRecord:
    """
    Read the record; an empty one if there is none, or a damaged one.

    + record: its path
    """
    try:
        return node_record.parse(files.text(record) or "")
    except ValueError:
        return NodeRecord()


def add(record: str, path: str, context: str, content: str) -> None:
    """
    Record a context before it is written.

    + record: path of the record
    + path: of the kubeconfig
    + content: fingerprint of what the kubeconfig will say of it
    + raises ``OSError``
    """
    entry = Entry((content,), {"path": path, "context": context})
    known = read(record)
    _write(record, known, known.put(resource(context, path), entry))


def remove(record: str, resources: Collection[str], settings: str) -> None:
    """
    Remove contexts from the record, at the end of a whole run.

    + resources: as ``resource`` names them
    + settings: fingerprint of the run's settings
    + raises ``OSError``
    """
    known = read(record)
    _write(record, known, replace(known.without(resources), settings=settings))


def _write(record: str, old: NodeRecord, new: NodeRecord) -> None:
    if new != old and not old.newer:
        files.replace(record, new.render(), backup=False)
