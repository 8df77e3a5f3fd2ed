"""kubeadm reset: what it removes and what it leaves, in kubeadm's words."""

from __future__ import annotations

import argparse
import shutil

import yaml

from . import config as settings
from . import manifests, preflight, services
from .client import ApiError, Unreachable, admin, phase
from .common import Fatal, klog, root, tell, text
from .members import Members

NAMES = ("admin", "super-admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler")
FILES = tuple(f"/etc/kubernetes/{name}.conf" for name in NAMES)
FOLDERS = ("/etc/kubernetes/manifests", "/var/lib/kubelet", "/etc/kubernetes/pki")


def _cluster() -> settings.Config | None:
    """Return what this control plane was made of, where the API answers and knows the node."""
    try:
        client = admin()
    except Fatal:
        return None
    tell("reading", phase="reset")
    problem = "reset-no-config"
    try:
        client.stored("kubeadm-config", "ClusterConfiguration")
        problem = "reset-no-node"
        client.request("GET", f"/api/v1/nodes/{settings.host_name()}")
        return manifests.configuration(client)
    except OSError:  # a control plane without manifests
        return None
    except (ApiError, Unreachable) as error:
        why = str(error).replace('kubeadm-config"', 'kubeadm-config?timeout=10s"')
        klog("W", "reset.go:141", text(problem, why=why))
        return None


def _empty(path: str) -> None:
    where = root(path)
    for entry in where.iterdir() if where.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _etcd(cluster: settings.Config | None) -> str:
    """Take this node out of etcd, where it is known; return etcd's data directory."""
    if cluster:
        try:
            Members(admin(), cluster).remove()
        except (ApiError, Unreachable, Fatal) as error:
            klog("W", "removeetcdmember.go:88", text("reset-member", why=error))
        return str(cluster.cluster["etcd"]["local"]["dataDir"])
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
    for unit in services.UNITS:
        services.stop(unit)
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
