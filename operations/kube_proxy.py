"""Have the pods of kube-proxy follow the API server's name to another address."""

from __future__ import annotations

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand

from facts.kubectl import ADMIN_CONF, Objects
from formats.node import find
from operations.base import Commands, hide, operation, plan_change, read
from operations.kubeadm.acting import objects

# On the namespace, since kubeadm writes the DaemonSet anew when it upgrades.
_NOTE = "bramble/endpoint"
_NAMESPACE = "kube-system"
_FOLLOW = f"""set -e; k() {{ kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s "$@" \
</dev/null >/dev/null; }};
k -n {_NAMESPACE} rollout restart daemonset/kube-proxy;
k annotate --overwrite namespace {_NAMESPACE} {_NOTE}="$1\""""


@operation()
def endpoint(address: str, is_common: bool) -> Commands:
    """
    Restart kube-proxy once after the API server's name leads to another address in /etc/hosts.

    A pod has the node's /etc/hosts as it was when the pod started: kube-proxy would go on to ask
    the former address, and Services would stand still when that control plane is gone.

    To be run on a control plane, after /etc/hosts on all nodes.

    + address: to which the name leads
    + is_common: whether several control planes hold it in turn; if not, and it never was, nothing
      is changed

    ``HostFailure``: the API server does not answer.
    """
    names = [f"/namespace/{_NAMESPACE}"]
    observed = objects(host, names) if state.is_executing else read(Objects, names=names)
    namespace = find(observed.objects, f"/namespace/{_NAMESPACE}") or {"metadata": {}}
    noted = (namespace["metadata"].get("annotations") or {}).get(_NOTE)
    if noted == address or (noted is None and not is_common):
        hide()
        host.noop(f"kube-proxy asks the API server at {address}")
        return
    plan_change(f"restart kube-proxy, which is to ask the API server at {address}")
    yield StringCommand("sh", "-c", QuoteString(_FOLLOW), "follow", QuoteString(address))
