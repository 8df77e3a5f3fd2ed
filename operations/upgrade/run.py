"""Run kubeadm upgrade on a node, pull the images for it, and wait for the new kubelet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import gevent
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.kubeadm import CONFIG
from facts.kubectl import Objects
from facts.kubectl_proxy import UNIT as PROXY_UNIT
from facts.upgrade import UPGRADE_UNIT
from formats.kubeadm.output import upgrade_plan
from formats.registry_mirrors import CERTS_DIR
from formats.unreadable import Unreadable
from messages import kubernetes as kubernetes_messages
from messages import upgrade as messages
from operations.kubeadm.kubelet_watch import KubeletWatch
from operations.kubeadm.run import IMAGES_UNIT, follow, show_phases
from operations.table import render
from remote.failures import HostFailure, RemoteFailure, Unreachable
from runs.output import detail

_MINUTES = 60
_PAUSE_S = 2
# What pods on a worker need of kubeadm's images.
_ON_WORKERS = "/kube-proxy: /coredns: /pause:"

# Prints the images of a version that the node lacks.
_MISSING = """set -e; have=$(ctr -n k8s.io images ls -q);
all=$(kubeadm config images list --kubernetes-version "$1" --image-repository "$2" </dev/null);
[ -n "$all" ] || { echo "kubeadm lists no images" >&2; exit 1; }; shift 2;
for i in $all; do
printf '%s\\n' "$have" | grep -qxF -e "$i" && continue;
[ $# -gt 0 ] || echo "$i"; for w in "$@"; do case $i in *"$w"*) echo "$i";; esac; done; done"""
# As containerd would pull them for the kubelet, from the same mirrors.
_PULL = f"""h=; [ ! -d {CERTS_DIR} ] || h="--hosts-dir={CERTS_DIR}"; for i in "$@"; do
ctr -n k8s.io images pull $h "$i" >/dev/null || exit 1; echo "pulled $i"; done"""
_PLAN = 'v=$1; shift; kubeadm upgrade plan "$v" -o json "$@" </dev/null'
# Later commands of kubeadm read the version there. kubectl proxy has the old certificate.
_AFTER = f"""set -e; [ ! -s {CONFIG} ] || {{
sed -i 's/^kubernetesVersion: .*/kubernetesVersion: '"$1"'/' {CONFIG}; sync {CONFIG}; }};
systemctl try-restart {PROXY_UNIT} 2>/dev/null || :"""


def pull_images(state: State, host: Host, version: str, repository: str, is_worker: bool) -> bool:
    """
    Pull the images of a version that are missing.

    + version: such as "v1.36.4", of the kubeadm that is installed
    + repository: where they come from
    + is_worker: whether to pull only what workers need
    """
    here = remote.of(host)
    wanted = _ON_WORKERS.split() if is_worker else []
    try:
        missing = [line for line in here.run(_MISSING, version, repository, *wanted) if line]
    except Unreachable:
        raise
    except RemoteFailure as failure:
        reason = failure.args[0]
        raise HostFailure(kubernetes_messages.IMAGES_NOT_LISTED(reason=reason)) from failure
    if not missing:
        host.log(f"all images of {version} are on the node")
        return True
    host.log(f"pulling {len(missing)} images")
    job = here.job(IMAGES_UNIT)
    job.await_earlier(partial(detail, host), _MINUTES)
    job.start("bramble: images for kubeadm upgrade", ["sh", "-c", _PULL, "sh", *missing])
    outcome = job.follow(host.log, _MINUTES)
    if outcome.status == 0:
        return True
    said = [line for line in outcome.lines if line.strip()] or ["it was stopped"]
    raise HostFailure(messages.NOT_PULLED(version=version, reason=said[-1]))


def show_plan(state: State, host: Host, version: str, ignored: Sequence[str]) -> bool:
    """Show ``kubeadm upgrade plan`` as a table."""
    try:
        said = remote.of(host).run(_PLAN, version, *_ignoring(ignored), seconds=300)
        rows = upgrade_plan("\n".join(said))
    except Unreadable as error:
        what = "kubeadm upgrade plan"
        said_error = kubernetes_messages.NOT_UNDERSTOOD(what=what, reason=error.args[0])
        raise HostFailure(said_error) from error
    table = [(name, node, f"{now} → {new}") for name, node, now, new in rows if now != new]
    for line in render("kubeadm upgrade plan", table) if table else []:
        host.log(line)
    return True


def run_apply(state: State, host: Host, version: str, ignored: Sequence[str]) -> bool:
    """Run ``kubeadm upgrade apply``, after one that a run was interrupted in."""
    command = ["kubeadm", "upgrade", "apply", version, "-y", *_ignoring(ignored)]
    if not _run(host, "kubeadm upgrade apply", command):
        return False
    remote.of(host).run(_AFTER, version)
    return True


def run_node(state: State, host: Host, ignored: Sequence[str]) -> bool:
    """Run ``kubeadm upgrade node`` on a worker: its kubelet's configuration."""
    command = ["kubeadm", "upgrade", "node", *_ignoring(ignored)]
    return _run(host, "kubeadm upgrade node", command)


def follow_upgrade(state: State, host: Host) -> bool:
    """Follow a ``kubeadm upgrade`` that an interrupted run has started."""
    remote.of(host).job(UPGRADE_UNIT).await_earlier(show_phases(host, "kubeadm upgrade"), _MINUTES)
    return True


def wait_for_kubelet(
    state: State, host: Host, control_plane: str, version: str, seconds: int
) -> bool:
    """
    Wait until this node's kubelet reports a version to the cluster.

    + control_plane: the name of its host, which is asked
    + seconds: after which it fails, with the kubelet's last words
    """
    watch, end = KubeletWatch(host), time.monotonic() + seconds
    first = remote.of(state.inventory.get_host(control_plane))
    reason = "the API server does not answer"
    while True:
        try:
            observed = first.gather(Objects(), ["nodes"])
            for each in observed.objects:
                if each["metadata"]["name"] == host.name:
                    reason = f"it reports {each['status']['nodeInfo']['kubeletVersion']}"
            if reason.partition("+")[0].endswith(f" {version}"):
                return True
            failure = watch.failure()
        except (RemoteFailure, FactProcessError):
            failure = None
        if failure or time.monotonic() > end:
            reason = failure or watch.last_words() or reason
            values = {"version": version, "seconds": seconds, "reason": reason}
            raise HostFailure(messages.KUBELET_NOT_BACK(**values))
        gevent.sleep(_PAUSE_S)


def _run(host: Host, name: str, command: Sequence[str]) -> bool:
    job = remote.of(host).job(UPGRADE_UNIT)
    job.await_earlier(partial(detail, host), _MINUTES)
    job.start(f"bramble: {name}", command)
    return follow(host, name, UPGRADE_UNIT, _MINUTES)


def _ignoring(names: Sequence[str]) -> list[str]:
    return [f"--ignore-preflight-errors={','.join(names)}"] if names else []
