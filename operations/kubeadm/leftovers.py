"""Delete what a run that was cut off has left in the cluster for joins."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host, state
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.join_tokens import JoinTokens
from facts.kubectl import Objects
from formats.node import find
from messages import kubernetes as messages
from operations.base import Commands, HostFailure, operation, plan_change, read
from operations.kubeadm import certificate_key, join_token
from remote.failures import RemoteFailure

_NAMESPACE = "/namespace/kube-system"


@operation()
def deleted(whole: bool) -> Commands:
    """
    Delete the join token and the uploaded certificates of an earlier run.

    A run deletes its own. To be run on a control plane, after all joins: one that an earlier run
    has started may need them until its end.

    + whole: whether all nodes are part of this run; if not, nothing is deleted, nor
      while a join goes on that this run follows no more

    ``HostFailure``: the API server refuses.
    """
    tokens, certificates = read(JoinTokens), _are_uploaded()
    if not whole or join_token.are_kept(state) or not (tokens or certificates):
        host.noop("no earlier run has left anything for joins")
        return
    for token in tokens:
        plan_change(f"delete the join token {token}, which an earlier run has left")
    if certificates:
        plan_change("delete the uploaded certificates, which an earlier run has left")
    yield FunctionCommand(_delete, (tokens, certificates), {})


def _are_uploaded() -> bool:
    observed = read(Objects, names=[_NAMESPACE])
    namespace = find(observed.objects, _NAMESPACE) or {"metadata": {}}
    return certificate_key.NOTE in (namespace["metadata"].get("annotations") or {})


def _delete(state: State, host: Host, tokens: Sequence[str], certificates: bool) -> bool:
    here = remote.of(host)
    try:
        for token in tokens:
            here.run(join_token.DELETE, token)
            host.log(f"the join token {token}, left by an earlier run, is deleted")
        if certificates:
            here.run(certificate_key.DELETE)
            host.log("the uploaded certificates, left by an earlier run, are deleted")
    except RemoteFailure as failure:
        raise HostFailure(messages.LEFT_NOT_DELETED(reason=failure.args[0])) from failure
    return True
