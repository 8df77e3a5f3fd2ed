"""
The objects, in memory and on disk: one JSON file each, replaced atomically.

It stands in etcd's data directory. A watcher reads the log of recent changes from a revision on.
"""

from __future__ import annotations

import copy
import json
import threading
import urllib.parse
import uuid
from collections import deque
from pathlib import Path

from .common import Obj, replace, stamp
from .resources import Resource

Name = tuple[str, str, str]  # resource key, namespace, name
EVENTS_KEPT = 4000


class Conflict(Exception):
    """Another request changed the object in between; or it exists already."""


def _name(key: str, content: Obj) -> Name:
    meta = content["metadata"]
    return key, meta.get("namespace", ""), meta["name"]


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
            self.objects[_name(file.parent.parent.name, content)] = content
        known = (int(one["metadata"]["resourceVersion"]) for one in self.objects.values())
        # A gap, because what was deleted last has left no trace of its revision.
        self.revision = max(known, default=0) + 100

    def _file(self, name: Name) -> Path:
        key, namespace, own = name
        file = f"{urllib.parse.quote(own, safe=':')}.json"
        return self.directory / key / (namespace or "_") / file

    def get(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        """Return a copy of an object."""
        with self.lock:
            return copy.deepcopy(self.objects.get((resource.key, namespace, name)))

    def peek(self, resource: Resource, namespace: str = "") -> list[Obj]:
        """Return the objects themselves, uncopied: for those who only read, and often."""
        with self.lock:
            return [
                content
                for (key, space, _), content in sorted(self.objects.items())
                if key == resource.key and namespace in ("", space)
            ]

    def listed(self, resource: Resource, namespace: str = "") -> tuple[list[Obj], int]:
        """Return copies of the objects, of one namespace or all, and their revision."""
        with self.lock:
            return copy.deepcopy(self.peek(resource, namespace)), self.revision

    def create(self, resource: Resource, content: Obj) -> Obj:
        """Add an object; Conflict when there is one of this name."""
        name = _name(resource.key, content)
        with self.lock:
            if name in self.objects:
                raise Conflict
            content["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": stamp()}
            return self._save("ADDED", name, content)

    def update(self, resource: Resource, content: Obj) -> Obj:
        """Replace an object; Conflict when it was changed since its resourceVersion."""
        name, meta = _name(resource.key, content), content["metadata"]
        with self.lock:
            old = self.objects.get(name)
            if old is None:
                raise Conflict
            current = old["metadata"]["resourceVersion"]
            if meta.get("resourceVersion") not in (None, "", current):
                raise Conflict
            meta["resourceVersion"] = current
            if old == content:
                return copy.deepcopy(old)
            return self._save("MODIFIED", name, content)

    def _save(self, kind: str, name: Name, content: Obj) -> Obj:
        content = copy.deepcopy(content)
        self._happened(kind, name, content)
        replace(self._file(name), json.dumps(content).encode())
        self.objects[name] = content
        return copy.deepcopy(content)

    def _happened(self, kind: str, name: Name, content: Obj) -> None:
        self.revision += 1
        content["metadata"]["resourceVersion"] = str(self.revision)
        self.events.append((self.revision, kind, name, content))
        self.changed.notify_all()

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Remove an object, if it is there."""
        key = (resource.key, namespace, name)
        with self.lock:
            if content := copy.deepcopy(self.objects.pop(key, None)):
                self._file(key).unlink(missing_ok=True)
                self._happened("DELETED", key, content)

    def changes(
        self, resource: Resource, namespace: str, since: int, wait: float
    ) -> tuple[list[tuple[str, Obj]], int]:
        """Return what happened after a revision, waiting up to `wait` seconds."""
        with self.lock:
            if self.revision <= since:
                self.changed.wait(wait)
            found = [
                (kind, copy.deepcopy(content))
                for revision, kind, name, content in self.events
                if revision > since and name[0] == resource.key and namespace in ("", name[1])
            ]
            return found, max(self.revision, since)
