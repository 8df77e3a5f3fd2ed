"""kubeadm reset: what it removes and what it leaves, in kubeadm's words."""

from __future__ import annotations

import argparse
import shutil

import yaml

from . import kubeconfig, manifests, preflight, services
from .client import ApiError, Client, Unreachable, phase
from .common import Fatal, Obj, klog, root, tell, text

NAMES = ("admin", "super-admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler")
FILES = tuple(f"/etc/kubernetes/{name}.conf" for name in NAMES)
FOLDERS = ("/etc/kubernetes/manifests", "/var/lib/kubelet", "/etc/kubernetes/pki")


def _cluster() -> Obj | None:
    """Return the ClusterConfiguration, on a control-plane node whose API answers."""
    try:
        client = Client.of(kubeconfig.load(kubeconfig.ADMIN))
    except Fatal:
        return None
    tell("reading", phase="reset")
    try:
        return client.stored("kubeadm-config", "ClusterConfiguration")
    except (ApiError, Unreachable) as error:
        why = str(error).replace('kubeadm-config"', 'kubeadm-config?timeout=10s"')
        klog("W", "reset.go:141", text("reset-no-config", why=why))
        return None


def _empty(path: str) -> None:
    where = root(path)
    for entry in where.iterdir() if where.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _etcd(cluster: Obj | None) -> str:
    """Return etcd's data directory."""
    if cluster:
        return str(cluster["etcd"]["local"]["dataDir"])
    klog("W", "removeetcdmember.go:105", text("reset-no-etcd"))
    try:
        return manifests.flags("etcd")["data-dir"]
    except (OSError, KeyError, TypeError, yaml.YAMLError):  # a power cut may have left it empty
        return "/var/lib/etcd"


def main(options: argparse.Namespace) -> None:
    """kubeadm reset."""
    cluster = _cluster()
    if not options.force:
        raise Fatal(f"error execution phase preflight: {text('no-answer')}")
    tell("preflight")
    with phase("preflight"):
        preflight.run([preflight.PRIVILEGED], set())
    data = _etcd(cluster)
    # The real kubelet stops later; here it would start the API server again on empty data.
    services.kubelet("stop")
    services.stop_control_plane()
    if not root(data).is_dir() or any(root(data).iterdir()):
        _empty(data)
        tell("reset-etcd", path=data)
    tell("reset-kubelet", folders=" ".join(FOLDERS))
    root(FOLDERS[-1]).mkdir(parents=True, exist_ok=True)
    for folder in FOLDERS:
        _empty(folder)
    tell("reset-files", files=" ".join(FILES))
    for file in FILES:
        root(file).unlink(missing_ok=True)
    tell("reset-done")
