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
from facts.kubeadm import CONFIG, UPGRADING
from facts.kubectl import Objects
from facts.kubectl_proxy import UNIT as PROXY_UNIT
from facts.livez import Livez
from facts.upgrade import UPGRADE_UNIT
from formats import node as node_format
from formats.kubeadm.output import upgrade_plan
from messages import rollout as rollout_messages
from messages import upgrade as messages
from operations.base import understood
from operations.kubeadm.run import follow, show_phases
from operations.kubelet_watch import KubeletWatch, wait_until
from operations.nodes.control_planes import ControlPlanes
from operations.rollout.waiting import wait
from operations.table import render
from remote.failures import HostFailure, RemoteFailure
from runs.output import detail

_MINUTES = 60
_PAUSE_S = 2
# What kubeadm leaves to do, and does not sync, is done here, also if nobody follows it any more.
# Later commands of kubeadm read the version in CONFIG. kubectl proxy has the old certificate.
_UPGRADE = f"""set -e; f=$(mktemp); trap 'rm -f "$f"' EXIT; printf '%s' "$1" >"$f"; v=$2 c=$3;
shift 3; : >{UPGRADING}; sync -f {UPGRADING}; kubeadm upgrade "$c" --config "$f" "$@";
[ ! -s {CONFIG} ] || sed -i 's/^kubernetesVersion: .*/kubernetesVersion: '"$v"'/' {CONFIG};
sync -f {CONFIG.rpartition("/")[0]}; rm -f {UPGRADING};
systemctl try-restart {PROXY_UNIT} 2>/dev/null || :"""
# kubeadm keeps what it replaces. The kubelet ignores files that begin with a dot.
_PUT_BACK = """set -e; cd /etc/kubernetes; for p in "$@"; do m=manifests/$p.yaml; [ ! -s "$m" ] ||
continue; for b in tmp/kubeadm-backup-manifests-*/"$p.yaml"; do [ ! -s "$b" ] || kept=$b; done;
[ -n "$kept" ] || { echo "/etc/kubernetes/tmp has no $p.yaml" >&2; exit 1; };
cp -p "$kept" "manifests/.$p.yaml"; sync "manifests/.$p.yaml"; mv "manifests/.$p.yaml" "$m"; kept=;
done"""
_PLAN = 'v=$1; shift; kubeadm upgrade plan "$v" -o json "$@" </dev/null'


def show_plan(state: State, host: Host, version: str, ignored: Sequence[str]) -> bool:
    """Show ``kubeadm upgrade plan`` as a table."""
    said = remote.of(host).run(_PLAN, version, *_ignoring(ignored), seconds=300)
    with understood("kubeadm upgrade plan"):
        rows = upgrade_plan("\n".join(said))
    table = [(name, node, f"{now} → {new}") for name, node, now, new in rows if now != new]
    for line in render("kubeadm upgrade plan", table) if table else []:
        host.log(line)
    return True


def run_apply(state: State, host: Host, version: str, ignored: Sequence[str], config: str) -> bool:
    """
    Run ``kubeadm upgrade apply``, after one that a run was interrupted in.

    + config: the text of its UpgradeConfiguration
    """
    return _run_with(config, host, version, "apply", version, "-y", *_ignoring(ignored))


def run_further(
    state: State, host: Host, version: str, ignored: Sequence[str], config: str
) -> bool:
    """
    Run ``kubeadm upgrade node`` on a further control plane, as ``run_apply``.

    + config: the text of its UpgradeConfiguration
    """
    return _run_with(config, host, version, "node", *_ignoring(ignored))


def spare(state: State, host: Host, planes: ControlPlanes, seconds: int) -> bool:
    """
    Move the address in common away, if etcd does without this control plane.

    kubeadm refuses while a control plane is not Ready: one that has just booted is waited for.

    + seconds: how long
    """

    def away() -> str:
        observed = remote.of(host).gather(Objects(), ["nodes"])
        known = node_format.nodes(observed.objects).values()
        found = [each for each in known if each.trouble and each.name in planes.addresses]
        return "; ".join(f"{each.name} ({each.trouble})" for each in found) or observed.why

    if nodes := wait(host, away, seconds, "waiting for control planes:"):
        raise HostFailure(rollout_messages.NODE_AWAY(nodes=nodes))
    planes.spare(state, host)
    return True


def wait_until_serving(state: State, host: Host, planes: ControlPlanes) -> bool:
    """Wait until this control plane and its member of etcd are well, if there are others."""
    if planes.member(host.name):
        other = planes.asked(state, host.name)
        wait_until(host, "the control plane", lambda: planes.serves(host, other))
    return True


def run_node(state: State, host: Host, ignored: Sequence[str]) -> bool:
    """Run ``kubeadm upgrade node`` on a worker: its kubelet's configuration."""
    command = ["kubeadm", "upgrade", "node", *_ignoring(ignored)]
    return _run(host, "kubeadm upgrade node", command)


def follow_upgrade(state: State, host: Host) -> bool:
    """Follow a ``kubeadm upgrade`` that an interrupted run has started."""
    remote.of(host).job(UPGRADE_UNIT).await_earlier(show_phases(host, "kubeadm upgrade"), _MINUTES)
    return True


def put_back(state: State, host: Host, pods: Sequence[str]) -> bool:
    """
    Put back the manifests of static pods that kubeadm has replaced, and wait for the API server.

    + pods: whose manifests are missing or empty
    """
    here = remote.of(host)
    try:
        here.run(_PUT_BACK, *pods)
    except RemoteFailure as failure:
        raise HostFailure(messages.MANIFEST_LOST(reason=failure.args[0])) from failure
    host.log(f"put back as before, since a power cut has cost the files: {', '.join(pods)}")
    wait_until(host, "the API server", lambda: not here.gather(Livez()))
    return True


def wait_for_kubelet(
    state: State, host: Host, planes: ControlPlanes, version: str, seconds: int
) -> bool:
    """
    Wait until this node's kubelet reports a version to the cluster.

    + planes: one of them is asked, another one than this node if there is one
    + seconds: after which it fails, with the kubelet's last words
    """
    watch, end = KubeletWatch(host), time.monotonic() + seconds
    asked = remote.of(planes.asked(state, host.name))
    reason = "the API server does not answer"
    while True:
        try:
            observed = asked.gather(Objects(), ["nodes"])
            for each in observed.objects:
                if each["metadata"]["name"] == host.name:
                    reason = f"it reports {each['status']['nodeInfo']['kubeletVersion']}"
            if reason.partition("+")[0].endswith(f" {version}"):
                return True
            failure = watch.failure()
        except (RemoteFailure, FactProcessError):
            failure, asked = None, remote.of(planes.asked(state, host.name))
        if failure or time.monotonic() > end:
            reason = failure or watch.last_words() or reason
            values = {"version": version, "seconds": seconds, "reason": reason}
            raise HostFailure(messages.KUBELET_NOT_BACK(**values))
        gevent.sleep(_PAUSE_S)


def _run_with(config: str, host: Host, version: str, phase: str, *words: str) -> bool:
    command = ["sh", "-c", _UPGRADE, "sh", config, version, phase, *words]
    return _run(host, f"kubeadm upgrade {phase}", command)


def _run(host: Host, name: str, command: Sequence[str]) -> bool:
    job = remote.of(host).job(UPGRADE_UNIT)
    job.await_earlier(partial(detail, host), _MINUTES)
    job.start(f"bramble: {name}", command)
    return follow(host, name, UPGRADE_UNIT, _MINUTES)


def _ignoring(names: Sequence[str]) -> list[str]:
    return [f"--ignore-preflight-errors={','.join(names)}"] if names else []
