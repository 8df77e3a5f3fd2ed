"""kubeadm reset: what it removes, what it leaves, in the real one's words."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import shutil
import sys

import yaml

from . import checks, controlplane, kubeconfig, manifests, preflight, service
from .client import ApiError, Client, Unreachable
from .common import SYSTEM, Fatal, Obj, klog, root, say

FILES = tuple(
    f"/etc/kubernetes/{name}.conf"
    for name in (
        "admin",
        "super-admin",
        "kubelet",
        "bootstrap-kubelet",
        "controller-manager",
        "scheduler",
    )
)
DONE = """
The reset process does not perform cleanup of CNI plugin configuration,
network filtering rules and kubeconfig files.

For information on how to perform this cleanup manually, please see:
    https://k8s.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/
"""


def _cluster() -> Obj | None:
    """The ClusterConfiguration, when this is a control-plane node whose API answers."""
    try:
        client = Client.from_document(kubeconfig.load("/etc/kubernetes/admin.conf"))
    except Fatal:
        return None
    say(
        '[reset] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...'
    )
    say(
        "[reset] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it."
    )
    path = f"/api/v1/namespaces/{SYSTEM}/configmaps/kubeadm-config"
    try:
        found: Obj = yaml.safe_load(client.request("GET", path)["data"]["ClusterConfiguration"])
    except (ApiError, Unreachable) as error:
        text = str(error).replace('kubeadm-config"', 'kubeadm-config?timeout=10s"')
        klog(
            "W",
            "reset.go:141",
            f"[reset] Unable to fetch the kubeadm-config ConfigMap from cluster: failed to get config map: {text}",
        )
        return None
    return found


def _confirm() -> None:
    klog(
        "W",
        "preflight.go:55",
        "[reset] WARNING: Changes made to this host by 'kubeadm init' or 'kubeadm join' will be reverted.",
    )
    print("[reset] Are you sure you want to proceed? [y/N]: ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        print(flush=True)
        raise Fatal(
            "error execution phase preflight: won't proceed; the user didn't answer (Y|y) in order to continue"
        )


def _clean(path: str) -> None:
    where = root(path)
    for entry in where.iterdir() if where.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _etcd(cluster: Obj | None) -> str:
    if cluster is not None:
        return str(cluster["etcd"]["local"]["dataDir"])
    klog(
        "W",
        "removeetcdmember.go:105",
        "[reset] No kubeadm config, using etcd pod spec to get data directory",
    )
    try:
        return manifests.flags("etcd")["data-dir"]
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        return "/var/lib/etcd"


def run(force: bool, certificates: str = "") -> None:
    """Undo init or join on this node."""
    cluster = _cluster()
    if not force:
        _confirm()
    say("[preflight] Running pre-flight checks")
    try:
        preflight.run([checks.privileged()], set())
    except Fatal as error:
        raise Fatal(f"error execution phase preflight: {error}") from None
    data = _etcd(cluster)
    # The real kubelet stops later; here it would start the API server again on empty data.
    service.kubelet("stop")
    if service.has_systemd():
        controlplane.stop()
    where = root(data)
    if not (where.is_dir() and not any(where.iterdir())):
        _clean(data)
        say(f"[reset] Deleted contents of the etcd data directory: {data}")
    say("[reset] Stopping the kubelet service")
    say('[reset] Unmounting mounted directories in "/var/lib/kubelet"')
    pki = certificates or (cluster or {}).get("certificatesDir") or "/etc/kubernetes/pki"
    folders = ["/etc/kubernetes/manifests", "/var/lib/kubelet", pki]
    say(f"[reset] Deleting contents of directories: [{' '.join(folders)}]")
    for folder in folders:
        if folder == pki:
            root(folder).mkdir(parents=True, exist_ok=True)
        _clean(folder)
    say(f"[reset] Deleting files: [{' '.join(FILES)}]")
    for file in FILES:
        root(file).unlink(missing_ok=True)
    say(DONE)
