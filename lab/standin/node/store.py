"""
The objects, in memory and on disk: one JSON file each, replaced atomically, so that they survive a
power cut.

It stands in etcd's data directory. A watcher reads the log of recent changes from a revision on.
"""

from __future__ import annotations

import copy
import json
import threading
import urllib.parse
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from .common import Obj, replace, stamp
from .resources import Resource

Name = tuple[str, str, str]  # resource key, namespace, name
EVENTS_KEPT = 4000


class Conflict(Exception):
    """Somebody else changed the object in between; or it exists already."""


class Expired(Exception):
    """The log of changes no longer reaches back to the wanted revision."""


class Store:
    """All objects of a cluster, below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "member" / "stand-in"
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.objects: dict[Name, Obj] = {}
        self.events: deque[tuple[int, str, Name, Obj]] = deque(maxlen=EVENTS_KEPT)
        self.directory.mkdir(parents=True, exist_ok=True)
        (directory / "member").chmod(0o700)
        for file in self.directory.glob("*/*/*.json"):
            content = json.loads(file.read_text())
            meta = content["metadata"]
            self.objects[(file.parent.parent.name, meta.get("namespace", ""), meta["name"])] = (
                content
            )
        known = (int(one["metadata"]["resourceVersion"]) for one in self.objects.values())
        # A gap, because what was deleted last has left no trace of its revision.
        self.revision = max(known, default=0) + 100
        self.oldest = self.revision

    def _file(self, name: Name) -> Path:
        key, namespace, own = name
        return (
            self.directory / key / (namespace or "_") / f"{urllib.parse.quote(own, safe=':')}.json"
        )

    def _record(self, kind: str, name: Name, content: Obj) -> None:
        self.events.append((self.revision, kind, name, content))
        if len(self.events) == EVENTS_KEPT:
            self.oldest = self.events[0][0]
        self.changed.notify_all()

    def get(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        """A copy of an object."""
        with self.lock:
            return copy.deepcopy(self.objects.get((resource.key, namespace, name)))

    def listed(self, resource: Resource, namespace: str = "") -> tuple[list[Obj], int]:
        """Copies of all objects, of one namespace or all, and the revision they stand for."""
        with self.lock:
            found = [
                content
                for (key, space, _), content in sorted(self.objects.items())
                if key == resource.key and namespace in ("", space)
            ]
            return copy.deepcopy(found), self.revision

    def peek(self, resource: Resource, namespace: str = "") -> list[Obj]:
        """The objects themselves, uncopied: for those who only look, and look often."""
        with self.lock:
            return [
                content
                for (key, space, _), content in self.objects.items()
                if key == resource.key and namespace in ("", space)
            ]

    def create(self, resource: Resource, content: Obj) -> Obj:
        """Add an object; Conflict when there is one of this name."""
        meta = content["metadata"]
        name = (resource.key, meta.get("namespace", ""), meta["name"])
        with self.lock:
            if name in self.objects:
                raise Conflict
            meta["uid"] = str(uuid.uuid4())
            meta["creationTimestamp"] = stamp()
            return self._save("ADDED", name, content)

    def update(self, resource: Resource, content: Obj) -> Obj:
        """Replace an object; Conflict when its resourceVersion is no longer the wanted one."""
        meta = content["metadata"]
        name = (resource.key, meta.get("namespace", ""), meta["name"])
        with self.lock:
            old = self.objects.get(name)
            if old is None or meta.get("resourceVersion") not in (
                None,
                "",
                old["metadata"]["resourceVersion"],
            ):
                raise Conflict
            meta["resourceVersion"] = old["metadata"]["resourceVersion"]
            if old == content:
                return copy.deepcopy(old)
            return self._save("MODIFIED", name, content)

    def _save(self, kind: str, name: Name, content: Obj) -> Obj:
        self.revision += 1
        content["metadata"]["resourceVersion"] = str(self.revision)
        content = copy.deepcopy(content)
        replace(self._file(name), json.dumps(content).encode())
        self.objects[name] = content
        self._record(kind, name, content)
        return copy.deepcopy(content)

    def delete(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        """Remove an object and give it back; None when there was none."""
        with self.lock:
            content = self.objects.pop((resource.key, namespace, name), None)
            if content is None:
                return None
            self._file((resource.key, namespace, name)).unlink(missing_ok=True)
            self.revision += 1
            content = copy.deepcopy(content)
            content["metadata"]["resourceVersion"] = str(self.revision)
            self._record("DELETED", (resource.key, namespace, name), content)
            return copy.deepcopy(content)

    def changes(
        self, resource: Resource, namespace: str, since: int, wait: float
    ) -> tuple[list[tuple[str, Obj]], int]:
        """What happened after a revision, waiting up to `wait` seconds for something; Expired."""
        with self.lock:
            if since < self.oldest - 100:
                raise Expired
            if self.revision <= since:
                self.changed.wait(wait)
            return list(self._since(resource, namespace, since)), max(self.revision, since)

    def _since(self, resource: Resource, namespace: str, since: int) -> Iterator[tuple[str, Obj]]:
        for revision, kind, name, content in self.events:
            if revision > since and name[0] == resource.key and namespace in ("", name[1]):
                yield kind, copy.deepcopy(content)
