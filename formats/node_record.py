"""
The record of what bramble manages on a node: /var/lib/bramble/record.json.

    {"format": 1, "complete": true, "settings": "…", "by": "…", "nodes": {"node1": "192.168.2.11"},
     "resources": {"file /etc/sysctl.d/60-bramble-forward.conf": {"content": ["…"]}, …}}
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """
    One resource.

    + content: fingerprints of what bramble gave it: more than one after an interruption; none for a
      resource that is not compared
    + arguments: what its removal needs besides its name
    + before: its value before bramble, where that is not a file; None: there was none
    + keeps: paths of which the earlier state is kept, if there was one
    + guarded: whether it is changed, and removed, by the guard's transaction
    """

    content: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    before: str | None = None
    keeps: tuple[str, ...] = ()
    guarded: bool = False

    def holds(self, content: str) -> bool:
        """Whether bramble gave the resource this content; also if it is not compared."""
        return not self.content or content in self.content


@dataclass(frozen=True)
class NodeRecord:
    """
    The record of one node.

    + entries: by resource, ``KIND NAME``, in the order in which they were first declared
    + complete: whether a whole run has recorded everything
    + settings: fingerprint of the settings of the last whole run; "" before it
    + nodes: names and addresses of its inventory's nodes
    + newer: whether a newer bramble wrote it in a format that this one does not know
    + by: who made the last whole run, and when
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    complete: bool = False
    settings: str = ""
    nodes: Mapping[str, str] = field(default_factory=dict)
    newer: bool = False
    by: str = ""

    def put(self, resource: str, entry: Entry) -> NodeRecord:
        """
        Add a resource before it is changed, or what it will contain from now on.

        What it replaced stays as it was recorded first.
        """
        known = self.entries.get(resource)
        if known is not None:
            entry = replace(
                entry,
                content=tuple(dict.fromkeys((*known.content, *entry.content))),
                before=known.before,
                keeps=known.keeps,
            )
        return replace(self, entries={**self.entries, resource: entry})

    def without(self, resources: Collection[str]) -> NodeRecord:
        """Leave out resources."""
        left = {name: entry for name, entry in self.entries.items() if name not in resources}
        return replace(self, entries=left)

    def is_of(self, nodes: Mapping[str, str]) -> bool:
        """
        Whether it is the record of the inventory with these nodes: it has most of those recorded.

        A clone of an inventory has the same nodes, and nodes come and go one by one.

        + nodes: the address by name
        """
        shared = self.nodes.items() & nodes.items()
        return not self.nodes or 2 * len(shared) > len(self.nodes)

    def render(self) -> str:
        """Write it as JSON."""
        resources = {name: _rendered(entry) for name, entry in self.entries.items()}
        data = {
            "format": FORMAT,
            "complete": self.complete,
            "settings": self.settings,
            "by": self.by,
            "nodes": dict(self.nodes),
            "resources": resources,
        }
        return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def parse(text: str) -> NodeRecord:
    """
    Read a record; ``ValueError`` for a damaged one.

    + text: of the file
    """
    data = json.loads(text)
    try:
        if data["format"] > FORMAT:
            return NodeRecord(newer=True)
        return NodeRecord(
            {str(name): _entry(**each) for name, each in data["resources"].items()},
            complete=data["complete"] is True,
            settings=str(data["settings"]),
            nodes={str(name): str(address) for name, address in data["nodes"].items()},
            by=str(data.get("by", "")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no record: {error!r}") from None


def fingerprint(*words: str) -> str:
    """Return a fingerprint of a resource's content."""
    return sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _entry(
    content: Iterable[str] = (),
    arguments: Mapping[str, Any] | None = None,
    before: str | None = None,
    keeps: Iterable[str] = (),
    guarded: bool = False,
) -> Entry:
    return Entry(tuple(content), dict(arguments or {}), before, tuple(keeps), guarded)


def _rendered(entry: Entry) -> dict[str, Any]:
    found = {name: value for name, value in vars(entry).items() if value not in ((), {}, None)}
    return found if entry.guarded else {k: v for k, v in found.items() if k != "guarded"}
