"""Watch a kubelet that is waited for, or what it starts, and tell why that does not come."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host

import remote
from facts.kubelet import Kubelet, KubeletState
from messages import kubernetes as messages
from remote.failures import HostFailure, RemoteFailure

# For a static pod whose container was stopped: the kubelet's back-off grows to 40 s and more.
_POD_S = 300
_PAUSE_S = 2


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


def wait_until(host: Host, what: str, is_there: Callable[[], bool]) -> None:
    """
    Wait until something that the kubelet starts runs.

    + what: it, as it is shown
    + is_there: raises ``RemoteFailure`` or ``FactProcessError`` while that is not known

    ``HostFailure``: it does not run in time; with the kubelet's last words.
    """
    end = time.monotonic() + _POD_S
    while True:
        try:
            if is_there():
                return
            reason = ""
        except (RemoteFailure, FactProcessError) as failure:
            reason = str(failure)
        if time.monotonic() > end:
            reason = KubeletWatch(host).last_words() or reason or "no reason given"
            raise HostFailure(messages.NOT_BACK(what=what, seconds=_POD_S, reason=reason))
        gevent.sleep(_PAUSE_S)
