"""What the stand-in asks of etcd, answered from memory: for tests without a node."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from typing import Any, cast

from standin.node.client import Client, Unreachable
from standin.node.common import Obj
from standin.node.store import Store

REFUSED = "dial tcp 127.0.0.1:2379: connect: connection refused"


class Etcd:
    """An etcd with one member."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.revision, self.is_up = 1, True
        self.pairs: dict[str, Obj] = {}
        self.events: list[Obj] = []

    def store(self) -> Store:
        """Return the objects that it holds."""
        return Store(lambda: cast("Client", self))

    def names(self) -> list[str]:
        """Return its keys."""
        return sorted(base64.b64decode(key).decode() for key in self.pairs)

    def switch(self, is_up: bool) -> None:
        """Stop it, or start it again."""
        with self.changed:
            self.is_up = is_up
            self.changed.notify_all()

    def request(self, method: str, path: str, body: Obj) -> Obj:
        """Answer /v3/kv/range and /v3/kv/txn."""
        with self.changed:
            self._check()
            answer: Obj = {"header": {"revision": str(self.revision)}}
            if path == "/v3/kv/range":
                first, end = (base64.b64decode(body.get(name, "")) for name in ("key", "range_end"))
                inside = {key: base64.b64decode(key) for key in self.pairs}
                found = [key for key, raw in inside.items() if first <= raw < end or raw == first]
                return answer | {"kvs": [self.pairs[key] for key in found]}
            (test,), (action,) = body["compare"], body["success"]
            pair = self.pairs.get(test["key"], {"mod_revision": "0", "version": "0"})
            field = test["target"].lower() + ("_revision" if test["target"] == "MOD" else "")
            own, given = int(pair[field]), int(test[field])
            if not {"EQUAL": own == given, "GREATER": own > given}[test["result"]]:
                return answer
            self.revision += 1
            self._do(action)
            self.changed.notify_all()
            return {"header": {"revision": str(self.revision)}, "succeeded": True}

    def _do(self, action: Obj) -> None:
        number = {"mod_revision": str(self.revision)}
        if put := action.get("request_put"):
            old = self.pairs.get(put["key"], {"version": "0"})
            pair = self.pairs[put["key"]] = put | number | {"version": str(int(old["version"]) + 1)}
            self.events.append({"kv": pair})
        else:
            key = action["request_delete_range"]["key"]
            del self.pairs[key]
            self.events.append({"type": "DELETE", "kv": {"key": key} | number})

    def stream(self, path: str, body: Any) -> Iterator[Obj]:
        """Answer /v3/watch, with all that happens."""
        seen = int(body["create_request"]["start_revision"]) - 1
        created = {"created": True}
        while True:
            with self.changed:
                self._check()
                events = [one for one in self.events if int(one["kv"]["mod_revision"]) > seen]
                if not events and not created:
                    self.changed.wait()
                    continue
                found = {"header": {"revision": str(self.revision)}, "events": events} | created
                seen, created = max(seen, self.revision), {}
            yield {"result": found}

    def _check(self) -> None:
        if not self.is_up:
            raise Unreachable(REFUSED)
