"""A client that writes objects all the time: what the API server acknowledged has to stay."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from itertools import pairwise

from lab.api import Lab
from tests.lab.clusters import kubectl

_PAUSE_S = 2  # leaves the processors to what is tested
_LAST_TRIES = 20  # of which one has to succeed, unless the cluster is gone


class Writes:
    """
    ConfigMaps that the operator creates one after the other, in a namespace of their own.

    + acknowledged: names of those whose creation succeeded
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.acknowledged: list[str] = []
        self._refused = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writes:
        kubectl(self._lab, "create", "namespace", "writes")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Wait for one more write that succeeds, the last."""
        self._over.set()
        self._thread.join()
        assert not self._refused, f"no write succeeds any more: {self._refused}"

    def _write(self) -> None:
        create = ["kubectl", "--context=bramble", "--request-timeout=5s", "-n", "writes", "create"]
        left = _LAST_TRIES
        for number in range(100_000):
            done = self._lab.run([*create, "configmap", f"write-{number}"])
            if done.returncode == 0:
                self.acknowledged.append(f"write-{number}")
            if self._over.wait(_PAUSE_S):
                left -= 1
                if done.returncode == 0:
                    return
                if not left:
                    self._refused = done.stderr
                    return

    def longest_gap(self) -> float:
        """
        Return the longest time between two writes, in seconds, by the API server's clock.

        Checks that no acknowledged write is lost, and removes them.
        """
        found = self.all_are_there()
        of_all = [found[name]["creationTimestamp"] for name in self.acknowledged]
        times = [datetime.fromisoformat(each) for each in of_all]
        return max((after - before).total_seconds() for before, after in pairwise(times))

    def all_are_there(self) -> dict[str, dict[str, str]]:
        """Check that no acknowledged write is lost, remove them, and return their metadata."""
        answer = json.loads(kubectl(self._lab, "-n", "writes", "get", "configmaps", "-o", "json"))
        found = {each["metadata"]["name"]: each["metadata"] for each in answer["items"]}
        assert self.acknowledged
        assert not {*self.acknowledged} - found.keys()
        kubectl(self._lab, "delete", "namespace", "writes", "--wait=false")
        return found
