"""Renew certificates on a node: kubeadm's, the kubelet's; restart what holds the old ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.certificates import KUBELET_CLIENT, KUBELET_SERVING, Certificates, CertificatesState
from facts.kubeadm import CONFIG
from facts.kubectl_proxy import UNIT
from facts.livez import Livez
from formats.kubeadm.config import KUBEADM_API
from messages import kubernetes as messages
from operations.kubeadm.join_token import join_credentials
from operations.kubelet_watch import KubeletWatch, wait_until
from operations.nodes.control_planes import ASK_S, ControlPlanes
from remote.failures import HostFailure, RemoteFailure

_KUBELET_S = 120  # for a kubelet to get its certificate

# kubectl proxy holds the administrator's certificate too. Without a configuration of bramble's,
# kubeadm asks the cluster, and takes its defaults when there is no answer.
_RENEW = f"""set -e; c={CONFIG}; [ -s "$c" ] || c=; for n in "$@"; do
kubeadm certs renew "$n" ${{c:+--config "$c"}} </dev/null; done; sync -f /etc/kubernetes;
systemctl try-restart {UNIT} 2>/dev/null || :"""

# The kubelet of a control plane can't ask an API server that it has to start itself: the cluster's
# authority is here, and signs at once. The link is replaced last, so there is always a certificate.
# Where no configuration is, as on a control plane that has joined, kubeadm's defaults do for that.
_SIGN = f"""set -e; umask 077; cd /var/lib/kubelet/pki;
t=$(mktemp -d -p .); trap 'rm -rf "$t"' EXIT; c={CONFIG};
[ -s "$c" ] || {{ c=$t/kubeadm; printf '%s\\n' 'apiVersion: {KUBEADM_API}' \
'kind: ClusterConfiguration' "kubernetesVersion: $(kubeadm version -o short)" > "$c"; }};
kubeadm kubeconfig user --config "$c" --org system:nodes --client-name "system:node:$1" \
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
_RESTART = "systemctl reset-failed kubelet 2>/dev/null || :; systemctl restart kubelet"


def renew_control_plane(
    state: State,
    host: Host,
    planes: ControlPlanes,
    has_expired: bool,
    node: str,
    user: str,
    names: Sequence[str],
    pods: Sequence[str],
    client: bool,
    serving: bool,
) -> bool:
    """
    Renew certificates of a control plane, restart its static pods, and wait for its API server.

    + planes: all of them: etcd has to do without this one meanwhile
    + has_expired: whether certificates here have: then etcd may have stopped on all of them
    + names: of kubeadm's certificates
    + pods: the static pods to restart, unless they have been restarted meanwhile
    + client, serving: whether to renew these certificates of the kubelet
    """
    here = remote.of(host)
    other = _spared(state, host, planes, has_expired) if planes.member(node) else None
    try:
        if names:
            here.run(_RENEW, *names, seconds=600)
            host.log(f"{len(names)} certificates are renewed")
        if client or serving:
            here.run(_kubelet(client, serving), node)
            host.log("the kubelet has a new certificate, and is restarted")
    except RemoteFailure as failure:
        raise HostFailure(messages.NOT_RENEWED(reason=failure.args[0].rstrip("."))) from failure

    def serves() -> bool:
        if other:
            return planes.serves(host, other)
        # etcd has stopped on all of several: it waits for the others' certificates.
        return bool(planes.member(node)) or not here.gather(Livez())

    begun = here.gather(Certificates(), user)
    for pod in pods:
        _restart_pod(host, pod, begun, user, serves)
    wait_until(host, "the API server", serves)
    return True


def _kubelet(client: bool, serving: bool) -> str:
    """
    Return one script, so that a kubelet whose certificate is new is restarted also if the run is
    killed then: the next one could not tell.
    """
    parts = [_SIGN] if client else []
    parts += [_SERVING] if serving else []
    return ";\n".join([*parts, _RESTART])


def _spared(state: State, host: Host, planes: ControlPlanes, has_expired: bool) -> Host | None:
    """
    Move the shared address away, and return another control plane, which is asked meanwhile.

    None: etcd has stopped, since certificates have expired: nothing is lost by a restart.
    """
    try:
        other = planes.asked(state, host.name, seconds=0 if has_expired else ASK_S)
    except HostFailure:
        if has_expired:
            return None
        raise
    planes.spare(state, host)
    return other


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
        if not client:
            here.run(_kubelet(client, serving))
            return True
        if serving:
            here.run(_SERVING)
        with join_credentials(state.inventory.get_host(control_plane)) as credentials:
            script = _WITH_TOKEN.format(token=credentials.token)
            here.run(_ASK, str(_KUBELET_S), stdin=script, seconds=_KUBELET_S + 60)
    except RemoteFailure as failure:
        reason = KubeletWatch(host).last_words() or failure.args[0]
        raise HostFailure(messages.NOT_ADMITTED(reason=reason)) from failure
    host.log(f"the kubelet of {node} has a new client certificate")
    return True


def _restart_pod(
    host: Host, pod: str, begun: CertificatesState, user: str, serves: Callable[[], bool]
) -> None:
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

    wait_until(host, pod, lambda: is_new() and serves())
