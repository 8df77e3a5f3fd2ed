"""
Upload the cluster's certificates for a control plane that joins, under a key made for that join.

The key travels on standard input and in a file that only root can read, never in an argument list
or a log. The upload is deleted after the join, also if that failed. It is noted in the cluster
before it is made, so that a run that was cut off is known to have left it.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager

from pyinfra.api.host import Host

import remote
from facts.kubectl import ADMIN_CONF
from formats.kubeadm.config import Registration, upload
from messages import kubernetes as messages
from operations.kubeadm import join_token
from remote.failures import HostFailure, RemoteFailure
from runs.output import warned

# On the namespace: there are certificates for a control plane that joins, which bramble uploaded.
NOTE = "bramble/certificates"
# Shell function: kubeadm prints the key, and its last line of an error is no reason.
PHASE = """phase() { said=$(kubeadm init phase "$@" 2>&1 >/dev/null </dev/null) ||
{ printf '%s\\n' "$said" | grep -v '^To see the stack trace' | tail -n1 >&2; return 1; }; };"""
# The description of the token with whose end, after two hours, Kubernetes deletes an upload.
# kubeadm makes it first, so an upload that was cut off may have left it alone.
_PROXY = b64encode(b"Proxy for managing TTL for the kubeadm-certs secret").decode()
_KUBECTL = f"""k() {{
kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s -n kube-system "$@"; }};
clear() {{ t=$(k get secrets --field-selector=type=bootstrap.kubernetes.io/token -o \
jsonpath='{{.items[?(@.data.description=="{_PROXY}")].metadata.name}}' </dev/null) || return;
for s in kubeadm-certs $t; do
k delete secret "$s" --ignore-not-found >/dev/null </dev/null || return; done; }};"""
# An upload takes the place of an earlier one, but not of its token. /run is in memory.
_UPLOAD = f"""{PHASE} {_KUBECTL}
k annotate --overwrite namespace kube-system {NOTE}=uploaded >/dev/null </dev/null && clear || exit;
umask 077; t=$(mktemp -p /run bramble-upload.XXXXXX) || exit;
trap 'rm -f -- "$t"' EXIT; cat > "$t"; phase upload-certs --upload-certs --config "$t\""""
DELETE = f"""{_KUBECTL} clear &&
k annotate namespace kube-system {NOTE}- >/dev/null </dev/null"""


@contextmanager
def certificate_key(
    control_plane: Host, registration: Registration, version: str
) -> Generator[str, None, None]:
    """
    Give the key of certificates that are in the cluster inside the ``with`` block.

    + control_plane: has them
    + registration: of that one
    + version: of Kubernetes, such as "v1.36.3"
    + raises ``HostFailure``: it can't upload them
    """
    key = secrets.token_hex(32)
    try:
        text = upload(registration, version, key)
        remote.of(control_plane).run(_UPLOAD, stdin=text)
    except RemoteFailure as error:
        values = {"control_plane": control_plane.name, "reason": error.args[0]}
        raise HostFailure(messages.CERTIFICATES_NOT_UPLOADED(**values)) from error
    try:
        yield key
    finally:
        if not join_token.are_kept(control_plane.state):
            _delete(control_plane)


def _delete(control_plane: Host) -> None:
    try:
        remote.of(control_plane).run(DELETE)
    except RemoteFailure as error:
        warned(control_plane, messages.CERTIFICATES_NOT_DELETED(reason=error.args[0]))
