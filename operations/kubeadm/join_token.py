"""
One short-lived token for all the workers that join just now.

It is made by the first of them that needs it, used by all that join beside it, and deleted by the
last, also when it failed. It goes to kubectl by standard input and to the workers in a file that
only root can read: never through an argument list or a log.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64decode
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gevent.lock import RLock
from pyinfra.api.host import Host

import remote
from facts.kubectl import ADMIN_CONF
from formats.certificates import key_hash
from formats.kubeadm.bootstrap_token import ALPHABET, EXPIRES, secret_name, secret_text
from formats.node import nodes as node_objects
from formats.unreadable import Unreadable, reading
from remote.failures import RemoteFailure

MINUTES = 15  # should the laptop die in the middle, the cluster forgets the token by itself

# The expiry is by the control plane's clock, which is the one that judges it.
_MAKE = f"""set -e; K="kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s";
base64 -w0 /etc/kubernetes/pki/ca.crt; echo;
nodes=$($K get nodes -o json); printf %s "$nodes" | base64 -w0; echo;
at=$(date -u -d "+{MINUTES} minutes" +%Y-%m-%dT%H:%M:%SZ | tr -d '\\n' | base64 -w0);
sed "s|{EXPIRES}|$at|" | $K create -f - >/dev/null"""
_DELETE = f"""kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s -n kube-system \
delete secret "$1" --ignore-not-found >/dev/null"""


@dataclass(frozen=True)
class Grant:
    """What a worker joins with, and the names that the cluster holds for Ready nodes already."""

    token: str = field(repr=False)
    ca_hash: str
    ready: frozenset[str]


class _Shared:
    """The token in use, and by how many."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.users = 0
        self.grant: Grant | None = None


_shared: dict[str, _Shared] = {}


@contextmanager
def granted(control_plane: Host) -> Generator[Grant, None, None]:
    """
    A token that is valid inside the ``with`` block.

    + control_plane: the host that leads the cluster

    Raises ``RemoteFailure`` when the control plane can't make one.
    """

    shared = _shared.setdefault(control_plane.name, _Shared())
    with shared.lock:
        if shared.grant is None:
            shared.grant = _make(control_plane)
        shared.users += 1
        grant = shared.grant
    try:
        yield grant
    finally:
        with shared.lock:
            shared.users -= 1
            if shared.users == 0:
                shared.grant = None
                _delete(control_plane, grant)


def _make(control_plane: Host) -> Grant:
    token = f"{_random(6)}.{_random(16)}"
    try:
        with reading("the answer of kubectl is not understood"):
            ca, nodes = remote.of(control_plane).run(_MAKE, stdin=secret_text(token))
            ready = [
                node.name
                for node in node_objects(json.loads(b64decode(nodes))["items"]).values()
                if node.trouble is None
            ]
            return Grant(token, key_hash(b64decode(ca).decode()), frozenset(ready))
    except (RemoteFailure, Unreadable) as error:
        raise RemoteFailure(f"{control_plane.name} could not make a join token: {error}") from error


def _delete(control_plane: Host, grant: Grant) -> None:
    try:
        remote.of(control_plane).run(_DELETE, secret_name(grant.token))
    except RemoteFailure as error:
        control_plane.log(
            f"the join token could not be deleted ({error}); it expires in {MINUTES} minutes"
        )


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
