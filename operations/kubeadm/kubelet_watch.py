"""
Waiting for a kubelet, and noticing that it is in vain: it keeps exiting.
"""

from __future__ import annotations

from pyinfra.api import FactProcessError
from pyinfra.api.host import Host

import remote
from facts.kubelet import Kubelet, KubeletState
from remote.failures import RemoteFailure


class KubeletWatch:
    """
    Looks at a node's kubelet again and again.

    One that exits once may have been early (containerd was restarted just then). One that systemd
    has restarted since the first look, and that has exited again, is what no waiting mends.

    + host: the node
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._first: int | None = None
        self._last: KubeletState | None = None

    def trouble(self) -> str | None:
        """
        Why it is in vain to wait for this kubelet; None: it runs, or may do so soon.

        Raises ``RemoteFailure`` when the node can't be asked.
        """

        before, now = self._last, self._look()
        self._last = now
        if not now.configured:
            return None
        if self._first is None or now.restarts < self._first:
            self._first = now.restarts
        restarted = now.restarts > self._first
        given_up = now.state == "failed" and before is not None and before.state == "failed"
        if not now.exited or not (restarted or given_up):
            return None
        return f"the kubelet keeps exiting: {now.last_words or 'it says nothing'}"

    def last_words(self) -> str:
        """What it said before it exited, once it was configured; "" while it runs."""
        now = self._look()
        return now.last_words if now.configured else ""

    def _look(self) -> KubeletState:
        try:
            return remote.of(self._host).gather(Kubelet())
        except FactProcessError as error:
            raise RemoteFailure(f"the kubelet's state could not be read: {error}") from error
