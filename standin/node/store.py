"""
The objects: in etcd, below /registry, and in memory, where a watch of etcd keeps them up to date.

A writer waits until the watch has shown its change; an object's version is etcd's revision. Where
etcd is away, Unreachable or ApiError say so. A watcher of the API reads the log of recent changes.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable

from .client import ApiError, Client, Unreachable
from .common import Obj, stamp
from .resources import BY_KIND, Resource

Name = tuple[str, str, str]  # resource key, namespace, name
AGAIN = 0.2  # seconds between two attempts to watch etcd
NO_LEADER = "etcdserver: no leader"
PATIENCE = 10.0  # seconds for the watch to show a change
# Where Kubernetes keeps what is not below its plural.
PLACES = {"nodes": "minions", "services": "services/specs", "endpoints": "services/endpoints"}
PLACES |= {"ingresses": "ingress"}


class Conflict(Exception):
    """Another request changed the object in between; or it exists already."""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


EVERYTHING = {"key": _base64("/registry/"), "range_end": _base64("/registry0")}


def _key(name: Name) -> str:
    """Return the key of an object, in base64 as etcd's JSON has it."""
    plural = name[0].partition(".")[0]
    return _base64("/".join(filter(None, ("/registry", PLACES.get(plural, plural), *name[1:]))))


def _name(resource: Resource, content: Obj) -> Name:
    meta = content["metadata"]
    return resource.key, meta.get("namespace", ""), meta["name"]


class Store:
    """All objects of a cluster; connect: makes a client of etcd, with the certificates of now."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        self.connect, self.problem, self.revision = connect, "not asked yet", 0
        # One writes at a time; the condition guards what the watch changes.
        self.writing, self.changed = threading.RLock(), threading.Condition()
        self.objects: dict[Name, Obj] = {}
        self.names: dict[str, Name] = {}  # by key
        self.events: deque[tuple[int, str, Name, Obj]] = deque(maxlen=4000)
        threading.Thread(target=self._follow, daemon=True).start()
        with self.changed:
            self.changed.wait_for(lambda: not self.problem)

    def _follow(self) -> None:
        """Take over what happens in etcd, whoever does it; at first all that it has."""
        while True:
            problem = "EOF"
            try:
                self.etcd = self.connect()
                if not self.revision:
                    found = self._ask("range", EVERYTHING)
                    for pair in found.get("kvs", []):
                        self._keep(pair)
                    self.revision = int(found["header"]["revision"])
                wanted = EVERYTHING | {"start_revision": str(self.revision + 1)}
                for answer in self.etcd.stream("/v3/watch", {"create_request": wanted}):
                    self._take_over(answer["result"])
            except (ApiError, Unreachable, OSError, ValueError) as error:
                problem = str(error)
            with self.changed:
                if self.problem != problem:
                    print(f"etcd: {problem}", flush=True)
                self.problem = problem
                self.changed.notify_all()
            time.sleep(AGAIN)

    def _take_over(self, found: Obj) -> None:
        if found.get("canceled") or int(found["header"]["revision"]) < self.revision:
            print("etcd was restored from a snapshot: what is known here is wrong", flush=True)
            os._exit(1)
        with self.changed:
            for event in found.get("events", []):
                self._happened(event.get("type") == "DELETE", event["kv"])
            self.problem = ""
            self.changed.notify_all()

    def _happened(self, is_gone: bool, pair: Obj) -> None:
        self.revision = int(pair["mod_revision"])
        if not is_gone:
            name, kind = self._keep(pair), "ADDED" if pair["version"] == "1" else "MODIFIED"
            content = self.objects[name] if name else {}
        elif name := self.names.pop(pair["key"], None):
            kind, content = "DELETED", copy.deepcopy(self.objects.pop(name))
            content["metadata"]["resourceVersion"] = pair["mod_revision"]
        if name:
            self.events.append((self.revision, kind, name, content))

    def _keep(self, pair: Obj) -> Name | None:
        """Keep the object that a key holds; None when it holds none that is known here."""
        try:
            content = json.loads(base64.b64decode(pair["value"]))
            name = _name(BY_KIND[(content["apiVersion"], content["kind"])], content)
        except (KeyError, TypeError, ValueError):
            return None
        content["metadata"]["resourceVersion"] = pair["mod_revision"]
        self.names[pair["key"]], self.objects[name] = name, content
        return name

    def _ask(self, what: str, body: Obj) -> Obj:
        with self.writing:
            return dict(self.etcd.request("POST", f"/v3/kv/{what}", body))

    def has_leader(self, patience: float) -> bool:
        """Whether etcd has a leader, at the latest after so many seconds."""
        with self.changed:
            return self.changed.wait_for(lambda: NO_LEADER not in self.problem, patience)

    def check(self, asks: bool = False) -> None:
        """Raise Unreachable while etcd is away; asks: or does not answer, for want of a quorum."""
        if self.problem:
            raise Unreachable(self.problem)
        if asks:
            self._ask("range", {"key": _base64("/registry/health")})

    def get(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        """Return a copy of an object."""
        with self.changed:
            return copy.deepcopy(self.objects.get((resource.key, namespace, name)))

    def peek(self, resource: Resource, namespace: str = "") -> list[Obj]:
        """Return the objects themselves, uncopied: for those who only read, and often."""
        with self.changed:
            return [
                content
                for (key, space, _), content in sorted(self.objects.items())
                if key == resource.key and namespace in ("", space)
            ]

    def listed(self, resource: Resource, namespace: str = "") -> tuple[list[Obj], int]:
        """Return copies of the objects, of one namespace or all, and their revision."""
        with self.changed:
            return copy.deepcopy(self.peek(resource, namespace)), self.revision

    def create(self, resource: Resource, content: Obj) -> Obj:
        """Add an object; Conflict when there is one of this name."""
        content["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": stamp()}
        return self._save(_name(resource, content), content, "0")

    def update(self, resource: Resource, content: Obj) -> Obj:
        """Replace an object; Conflict when it was changed since its resourceVersion."""
        name, meta = _name(resource, content), content["metadata"]
        with self.writing:
            old = self.get(resource, *name[1:])
            current = old["metadata"]["resourceVersion"] if old else ""
            if not old or meta.get("resourceVersion") not in (None, "", current):
                raise Conflict
            meta["resourceVersion"] = current
            return old if old == content else self._save(name, content, current)

    def put(self, resource: Resource, content: Obj) -> None:
        """Make an object, or change it: what `content` does not have stays; raise Conflict."""
        old = self.get(resource, *_name(resource, content)[1:])
        if old is None:
            self.create(resource, content)
        else:
            meta = old["metadata"] | content["metadata"]
            self.update(resource, old | content | {"metadata": meta})

    def _save(self, name: Name, content: Obj, version: str) -> Obj:
        """Write an object that has this version; 0: that is not there."""
        content = copy.deepcopy(content)
        content["metadata"].pop("resourceVersion", None)
        test = {"target": "MOD", "result": "EQUAL", "mod_revision": version}
        put = {"key": _key(name), "value": _base64(json.dumps(content))}
        revision = self._change(name, test, {"request_put": put})
        content["metadata"]["resourceVersion"] = str(revision)
        return content

    def _change(self, name: Name, test: Obj, action: Obj) -> int:
        """Change a key if it passes a test, else Conflict; return the revision, once known here."""
        wanted = {"compare": [test | {"key": _key(name)}], "success": [action]}
        with self.writing:
            done = self._ask("txn", wanted)
            revision = int(done["header"]["revision"])
            with self.changed:
                self.changed.wait_for(lambda: self.revision >= revision or self.problem, PATIENCE)
            if not done.get("succeeded"):
                raise Conflict  # with what is known here by now
            return revision

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Remove an object, if it is there."""
        own = (resource.key, namespace, name)
        is_there = {"target": "VERSION", "result": "GREATER", "version": "0"}
        with contextlib.suppress(Conflict):
            self._change(own, is_there, {"request_delete_range": {"key": _key(own)}})

    def changes(
        self, resource: Resource, namespace: str, since: int, wait: float
    ) -> tuple[list[tuple[str, Obj]], int]:
        """Return what happened after a revision, waiting up to `wait` seconds."""
        with self.changed:
            if self.revision <= since:
                self.changed.wait(wait)
            found = [
                (kind, copy.deepcopy(content))
                for revision, kind, name, content in self.events
                if revision > since and name[0] == resource.key and namespace in ("", name[1])
            ]
            return found, max(self.revision, since)
