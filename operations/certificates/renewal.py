"""Renew certificates on a node: kubeadm's, the kubelet's; restart what holds the old ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import gevent
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.certificates import KUBELET_CLIENT, KUBELET_SERVING, Certificates, CertificatesState
from facts.kubeadm import CONFIG
from facts.kubectl_proxy import UNIT
from facts.livez import Livez
from messages import kubernetes as messages
from operations.kubeadm.join_token import join_credentials
from operations.kubeadm.kubelet_watch import KubeletWatch
from remote.failures import HostFailure, RemoteFailure

# For a static pod whose container was stopped: the kubelet's back-off grows to 40 s and more.
_POD_S = 300
_KUBELET_S = 120  # for a kubelet to get its certificate
_PAUSE_S = 2

# kubectl proxy holds the administrator's certificate too. Without a configuration of bramble's,
# kubeadm asks the cluster, and takes its defaults when there is no answer.
_RENEW = f"""set -e; c={CONFIG}; [ -s "$c" ] || c=; for n in "$@"; do
kubeadm certs renew "$n" ${{c:+--config "$c"}} </dev/null; done;
systemctl try-restart {UNIT} 2>/dev/null || :"""

# The kubelet of a control plane can't ask an API server that it has to start itself: the cluster's
# authority is here, and signs at once. The link is replaced last, so there is always a certificate.
_SIGN = f"""set -e; umask 077; cd /var/lib/kubelet/pki;
t=$(mktemp -d -p .); trap 'rm -rf "$t"' EXIT;
kubeadm kubeconfig user --config {CONFIG} --org system:nodes --client-name "system:node:$1" \
> "$t/conf" </dev/null;
f=kubelet-client-$(date +%Y-%m-%d-%H-%M-%S).pem;
for d in certificate key; do sed -n "s/^ *client-$d-data: *//p" "$t/conf" | base64 -d; done \
> "$t/pem"; [ -s "$t/pem" ];
mv "$t/pem" "$f"; sync "$f"; ln -sfn "$PWD/$f" "$t/link"; mv -T "$t/link" {KUBELET_CLIENT}"""

# A kubelet without a certificate asks for one with bootstrap-kubelet.conf, which is its own
# kubelet.conf with the token (standard input) in place of the certificate.
_ASK = f"""umask 077; c={KUBELET_CLIENT}; k=/etc/kubernetes; b=$k/bootstrap-kubelet.conf;
old=$(readlink -- "$c");
sed -f - $k/kubelet.conf > $b.new && mv -f $b.new $b && rm -f -- "$c" || exit;
systemctl reset-failed kubelet 2>/dev/null; systemctl restart kubelet;
n=0; while [ ! -s "$c" ] && [ $n -lt "$1" ]; do sleep 1; n=$((n+1)); done;
rm -f $b; if [ -s "$c" ]; then exit 0; fi;
[ -z "$old" ] || ln -sfn -- "$old" "$c"; systemctl restart kubelet;
echo "it was not given one in $1 s" >&2; exit 1"""
_WITH_TOKEN = """s/^\\( *\\)client-certificate\\(-data\\)\\{{0,1\\}}: .*/\\1token: {token}/
/^ *client-key\\(-data\\)\\{{0,1\\}}: /d
"""

# The kubelet makes a new one when there is none.
_SERVING = f"rm -f -- {KUBELET_SERVING} {KUBELET_SERVING.removesuffix('crt')}key"
_RESTART = "systemctl reset-failed kubelet 2>/dev/null; systemctl restart kubelet"


def renew_control_plane(
    state: State,
    host: Host,
    node: str,
    user: str,
    names: Sequence[str],
    pods: Sequence[str],
    client: bool,
    serving: bool,
) -> bool:
    """
    Renew certificates of a control plane, restart its static pods, and wait for its API server.

    + names: of kubeadm's certificates
    + pods: the static pods to restart, unless they have been restarted meanwhile
    + client, serving: whether to renew these certificates of the kubelet
    """
    here = remote.of(host)
    try:
        if names:
            here.run(_RENEW, *names, seconds=600)
            host.log(f"{len(names)} certificates are renewed")
        if client:
            here.run(_SIGN, node)
        if serving:
            here.run(_SERVING)
        if client or serving:
            here.run(_RESTART)
            host.log("the kubelet has a new certificate, and is restarted")
    except RemoteFailure as failure:
        raise HostFailure(messages.NOT_RENEWED(reason=failure.args[0].rstrip("."))) from failure
    begun = here.gather(Certificates(), user)
    for pod in pods:
        _restart_pod(host, pod, begun, user)
    _wait(host, "the API server", lambda: not here.gather(Livez()))
    return True


def renew_worker(
    state: State, host: Host, node: str, control_plane: str, client: bool, serving: bool
) -> bool:
    """
    Renew certificates of a worker's kubelet.

    + client: with a short-lived token of the control plane, as in a join
    + serving: by a restart
    """
    here = remote.of(host)
    try:
        if serving:
            here.run(_SERVING)
        if not client:
            here.run(_RESTART)
            return True
        with join_credentials(state.inventory.get_host(control_plane)) as credentials:
            script = _WITH_TOKEN.format(token=credentials.token)
            here.run(_ASK, str(_KUBELET_S), stdin=script, seconds=_KUBELET_S + 60)
    except RemoteFailure as failure:
        reason = KubeletWatch(host).last_words() or failure.args[0]
        raise HostFailure(messages.NOT_ADMITTED(reason=reason)) from failure
    host.log(f"the kubelet of {node} has a new client certificate")
    return True


def _restart_pod(host: Host, pod: str, begun: CertificatesState, user: str) -> None:
    """Stop a static pod's process, which the kubelet starts again, and wait for the next one."""
    here = remote.of(host)
    old = begun.processes.get(pod)
    now = here.gather(Certificates(), user).processes.get(pod)
    if old is not None and now is not None and now.pid == old.pid:
        host.log(f"restarting {pod}")
        here.run('kill "$1"', str(old.pid))

    def is_new() -> bool:
        process = here.gather(Certificates(), user).processes.get(pod)
        return process is not None and (old is None or process.pid != old.pid)

    _wait(host, pod, lambda: is_new() and not here.gather(Livez()))


def _wait(host: Host, what: str, is_there: Callable[[], bool]) -> None:
    """Wait until something runs; ``HostFailure`` with the kubelet's last words if it does not."""
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
