"""
Make and delete the short-lived join token that all joining workers share.

The first worker that needs it has it made on the control plane; the last one has it deleted, also
if a join failed, but not if one continues that the run follows no more. It travels on standard
input and in a file that only root can read, never in an argument list or a log.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64decode
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from gevent.lock import RLock
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
import runs
from facts.kubectl import ADMIN_CONF
from formats.certificates import key_hash
from formats.kubeadm.bootstrap_token import ALPHABET, EXPIRES, secret_name, secret_text
from formats.node import Node
from formats.node import nodes as node_objects
from formats.unreadable import Unreadable, reading
from messages import kubernetes as messages
from remote.failures import HostFailure, RemoteFailure
from runs.output import warned

MINUTES = 15  # the token's lifetime, should this computer fail before it is deleted

# The control plane's clock sets the expiry, because its API server enforces it.
_MAKE = f"""set -e; K="kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s";
base64 -w0 /etc/kubernetes/pki/ca.crt; echo;
nodes=$($K get nodes -o json); printf %s "$nodes" | base64 -w0; echo;
at=$(date -u -d "+{MINUTES} minutes" +%Y-%m-%dT%H:%M:%SZ | tr -d '\\n' | base64 -w0);
sed "s|{EXPIRES}|$at|" | $K create -f - >/dev/null"""
DELETE = f"""kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s -n kube-system \
delete secret "$1" --ignore-not-found >/dev/null"""


@dataclass(frozen=True)
class JoinCredentials:
    """
    + token: of kubeadm
    + ca_hash: of the cluster's certificate authority
    + nodes: those that the cluster has already, by name
    """

    token: str = field(repr=False)
    ca_hash: str
    nodes: Mapping[str, Node]


class _Shared:
    """The credentials in use by a run, and how many workers use them."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.users = 0
        self.goes_on = False  # whether a join continues that this run follows no more
        self.credentials: JoinCredentials | None = None


@contextmanager
def join_credentials(control_plane: Host) -> Generator[JoinCredentials, None, None]:
    """
    Give credentials that are valid inside the ``with`` block.

    Raises ``HostFailure`` when the control plane can't make a token.
    """
    shared = runs.of(control_plane.state).part(_Shared)
    with shared.lock:
        if shared.credentials is None:
            shared.credentials = _make(control_plane)
        shared.users += 1
        credentials = shared.credentials
    try:
        yield credentials
    finally:
        with shared.lock:
            shared.users -= 1
            if shared.users == 0:
                shared.credentials = None
                if not shared.goes_on:
                    _delete(control_plane, credentials)


def keep(state: State) -> None:
    """Keep what joins need: one continues that this run follows no more."""
    runs.of(state).part(_Shared).goes_on = True


def are_kept(state: State) -> bool:
    """Whether what joins need is kept."""
    return runs.of(state).part(_Shared).goes_on


def _make(control_plane: Host) -> JoinCredentials:
    token = f"{_random(6)}.{_random(16)}"
    try:
        with reading("the answer of kubectl is not understood"):
            ca, nodes = remote.of(control_plane).run(_MAKE, stdin=secret_text(token))
            known = node_objects(json.loads(b64decode(nodes))["items"])
            return JoinCredentials(token, key_hash(b64decode(ca).decode()), known)
    except (RemoteFailure, Unreadable) as error:
        said = messages.NO_TOKEN(control_plane=control_plane.name, reason=error.args[0])
        raise HostFailure(said) from error


def _delete(control_plane: Host, credentials: JoinCredentials) -> None:
    try:
        remote.of(control_plane).run(DELETE, secret_name(credentials.token))
    except RemoteFailure as error:
        said = messages.TOKEN_NOT_DELETED(reason=error.args[0], minutes=MINUTES)
        warned(control_plane, said)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
