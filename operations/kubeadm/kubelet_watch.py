"""Watch a kubelet that is waited for, and notice that it keeps exiting."""

from __future__ import annotations

from pyinfra.api import FactProcessError
from pyinfra.api.host import Host

import remote
from facts.kubelet import Kubelet, KubeletState
from remote.failures import RemoteFailure


class KubeletWatch:
    """
    Check a node's kubelet repeatedly.

    A kubelet that exits once may have started too early (containerd was just restarted). One that
    systemd has restarted since the first check, and that has exited again, will not recover.

    + host: the node
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._first: int | None = None
        self._last: KubeletState | None = None

    def failure(self) -> str | None:
        """
        Return the last line of a kubelet that keeps exiting; None while it runs, or may soon.

        Raises ``RemoteFailure`` when the node does not answer.
        """
        before, now = self._last, self._read()
        self._last = now
        if not now.configured:
            return None
        if self._first is None or now.restarts < self._first:
            self._first = now.restarts
        restarted = now.restarts > self._first
        given_up = now.state == "failed" and before is not None and before.state == "failed"
        if not now.exited or not (restarted or given_up):
            return None
        return now.last_words or "it printed nothing"

    def last_words(self) -> str:
        """Return its last line before it exited, once it was configured; "" while it runs."""
        now = self._read()
        return now.last_words if now.configured else ""

    def _read(self) -> KubeletState:
        try:
            return remote.of(self._host).gather(Kubelet())
        except FactProcessError as error:
            raise RemoteFailure(f"the kubelet's state could not be read: {error}") from error
