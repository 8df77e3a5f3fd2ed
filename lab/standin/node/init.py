"""
kubeadm init, phase by phase; each phase writes its files at once and in the real one's order, so
that a power cut between two leaves what it would leave of the real one.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

from collections.abc import Callable

from . import config as settings
from . import kubeconfig, leaves, pki
from .client import ApiError, Unreachable
from .clusterphases import (
    bootstrap_token,
    coredns,
    kube_proxy,
    kubelet_finalize,
    mark_control_plane,
    upload_certs,
    upload_kubeadm,
    upload_kubelet,
    wait_control_plane,
)
from .common import Fatal, quote, say
from .nodephases import (
    Run,
    authority,
    certs,
    check,
    control_plane,
    etcd,
    kubeconfigs,
    kubelet_start,
    leaf,
    service_account_key,
)

# Phase, as --skip-phases and `init phase` name it: what it does. In order.
PHASES: dict[str, Callable[[Run], None]] = {
    "preflight": check,
    "certs": certs,
    "kubeconfig": kubeconfigs,
    "etcd": etcd,
    "control-plane": control_plane,
    "kubelet-start": kubelet_start,
    "wait-control-plane": wait_control_plane,
    "upload-config/kubeadm": upload_kubeadm,
    "upload-config/kubelet": upload_kubelet,
    "upload-certs": upload_certs,
    "mark-control-plane": mark_control_plane,
    "bootstrap-token": bootstrap_token,
    "kubelet-finalize": kubelet_finalize,
    "addon/coredns": coredns,
    "addon/kube-proxy": kube_proxy,
}


def all_phases(run: Run) -> None:
    """kubeadm init."""
    skipped = set(run.skipped)
    for part, addon in (("dns", "addon/coredns"), ("proxy", "addon/kube-proxy")):
        if run.config.cluster[part].get("disabled"):
            skipped.add(addon)
    say(f"[init] Using Kubernetes version: {run.config.cluster['kubernetesVersion']}")
    for name, function in PHASES.items():
        if not {name, name.partition("/")[0]} & skipped:
            one_phase(run, name, function)
    say(farewell(run))


def one_phase(run: Run, name: str, phase: Callable[[Run], None]) -> None:
    """A phase, its errors named after it."""
    try:
        phase(run)
    except (ApiError, Unreachable) as error:
        raise Fatal(f"error execution phase {name}: {error}") from None
    except Fatal as error:
        known = str(error).startswith("error execution phase")
        raise error if known else Fatal(f"error execution phase {name}: {error}") from None


def farewell(run: Run) -> str:
    """The text at the end."""
    token = run.config.init["bootstrapTokens"][0]["token"]
    digest = pki.public_key_hash(pki.load_pair(run.directory, "ca").certificate)
    join = f"kubeadm join {settings.endpoint(run.config)} --token {token} \\\n\t--discovery-token-ca-cert-hash {digest} "
    more = ""
    if run.config.cluster["controlPlaneEndpoint"]:
        more = f"""
You can now join any number of control-plane nodes by copying certificate authorities
and service account keys on each node and then running the following as root:

  {join}\\
\t--control-plane 
"""
    return f"""
Your Kubernetes control-plane has initialized successfully!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG=/etc/kubernetes/admin.conf

You should now deploy a pod network to the cluster.
Run "kubectl apply -f [podnetwork].yaml" with one of the options listed at:
  https://kubernetes.io/docs/concepts/cluster-administration/addons/
{more}
Then you can join any number of worker nodes by running the following on each as root:

{join}"""


def phase(run: Run, name: str, sub: str) -> None:
    """kubeadm init phase NAME [SUB]."""
    by_name = {one.name.replace("/", "-"): one for one in leaves.LEAVES}
    if name == "certs" and sub in by_name:
        leaf(run, by_name[sub])
    elif name == "certs" and sub in ("ca", "front-proxy-ca", "etcd-ca"):
        authority(run, sub.replace("etcd-", "etcd/"))
    elif name == "certs" and sub == "sa":
        service_account_key(run)
    elif name == "kubeconfig" and sub not in ("", "all"):
        file = {
            "admin": "admin.conf",
            "super-admin": "super-admin.conf",
            "kubelet": "kubelet.conf",
        }.get(sub, f"{sub}.conf")
        say(f'[kubeconfig] Writing "{file}" kubeconfig file')
        kubeconfig.make(run.config, file)
    else:
        chosen = [
            one
            for one in PHASES
            if one == f"{name}/{sub}" or (one.partition("/")[0] == name and sub in ("", "all"))
        ]
        if not chosen:
            raise Fatal(
                f'unknown command {quote(sub or name)} for "kubeadm init phase{f" {name}" if sub else ""}"'
            )
        for one in chosen:
            one_phase(run, one, PHASES[one])
