"""Show the certificates of Kubernetes, and renew those that expire soon or have expired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyinfra import host
from pyinfra.api import FunctionCommand
from rich.text import Text

import runs
from facts.certificates import (
    KUBELET_CLIENT,
    KUBELET_SERVING,
    PKI,
    STATIC_PODS,
    Certificates,
    CertificatesState,
)
from formats import certificates as certificate_format
from messages import kubernetes as messages
from operations import kubeconfig
from operations.base import Commands, HostFailure, operation, plan, plan_change, read, understood
from operations.certificates.renewal import renew_control_plane, renew_worker
from operations.nodes.control_planes import ControlPlanes
from operations.table import render

_DAY = 86400
# The certificates of each static pod, as kubeadm names them.
USES = {
    "kube-scheduler": ("scheduler.conf",),
    "kube-controller-manager": ("controller-manager.conf",),
    "etcd": ("etcd-server", "etcd-peer"),
    "kube-apiserver": (
        "apiserver",
        "apiserver-etcd-client",
        "apiserver-kubelet-client",
        "front-proxy-client",
    ),
}
_AUTHORITIES = ("ca", "etcd-ca", "front-proxy-ca")
_CLIENT, _SERVING = "kubelet client", "kubelet serving"


@dataclass(frozen=True)
class _Certificate:
    """
    + name: as kubeadm names it; the path of a kubeconfig that is a copy
    + seconds: that it is still valid; negative: it has expired
    + renewable: by ``kubeadm certs renew``
    """

    name: str
    path: str
    end: str
    seconds: int
    renewable: bool

    @property
    def left(self) -> str:
        return "expired" if self.seconds < 0 else f"{self.seconds // _DAY} days"


@operation()
def control_plane(
    node: str,
    user: str,
    renew_days: int,
    addresses: Mapping[str, str],
    shared: str,
    kubeconfig_path: str = "",
    context: str = "",
) -> Commands:
    """
    Renew the certificates of this control plane, and restart the static pods that use them.

    + node: the node's name in the cluster
    + addresses, shared: of the control planes
    + user: whose ``~/.kube/config`` is shown too
    + renew_days: certificates that are valid for fewer days are renewed
    + kubeconfig_path, context: on this computer, whose certificate is shown too; "": none

    Works also when all of them have expired and the API server does not run. The copies of the
    administrator's kubeconfig are left to ``kubeconfig.admin`` and ``kubeconfig.operator``.
    ``HostFailure``: there is no control plane, or it does not come back; or etcd does not do
    without it, unless it has stopped for want of certificates.

    """
    observed = read(Certificates, user=user)
    if f"{PKI}/apiserver.crt" not in observed.files:
        raise HostFailure(messages.NO_CONTROL_PLANE())
    local = kubeconfig.certificate(kubeconfig_path, context) if context else ""
    copy = {f"{kubeconfig_path} on this computer": local} if local else {}
    found = _certificates(observed, copy)
    due = _show(found, renew_days)
    names = [each.name for each in due if each.renewable]
    for each in due:
        if each.name in _AUTHORITIES:
            plan(messages.AUTHORITY_EXPIRES(name=each.name, left=each.left))
    written = {each.name: observed.files[each.path].written for each in found if each.renewable}
    pods = [
        pod for pod in STATIC_PODS if {*names} & {*USES[pod]} or restarts(observed, written, pod)
    ]
    client, serving = _kubelet(observed, due)
    if names:
        plan(f"Will renew {len(names)} certificates: {', '.join(names)}")
        plan_change(f"renew {', '.join(names)}", *(f"certificate {name}" for name in names))
    if pods:
        plan(f"Will restart one by one, the API server is away meanwhile: {', '.join(pods)}")
        plan_change(f"restart {', '.join(pods)}")
    _plan_kubelet(client, serving)
    if "admin.conf" in names:
        runs.of(host.state).part(kubeconfig.Renewals).add(host.name)
    if names or pods or client or serving:
        arguments = (node, user, names, pods, client, serving)
        planes = ControlPlanes(addresses, shared)
        has_expired = any(each.seconds < 0 for each in due)
        yield FunctionCommand(renew_control_plane, (planes, has_expired, *arguments), {})
    else:
        host.noop(f"all certificates are valid for {renew_days} days")


@operation()
def worker(node: str, control_plane: str, renew_days: int) -> Commands:
    """
    Renew the certificates of this worker's kubelet, which normally does so itself.

    + node: the node's name in the cluster
    + control_plane: its name in the inventory; it makes a token for what has expired
    + renew_days: certificates that are valid for fewer days are renewed

    A node that has not joined a cluster is not changed. ``HostFailure``: the kubelet gets no new
    certificate; it keeps the one that it had.

    """
    observed = read(Certificates, user="")
    if f"{PKI}/ca.crt" not in observed.files:
        host.noop(f"{node} has not joined a cluster")
        return
    kubelet = [each for each in _certificates(observed, {}) if each.name not in _AUTHORITIES]
    client, serving = _kubelet(observed, _show(kubelet, renew_days))
    _plan_kubelet(client, serving)
    if client or serving:
        yield FunctionCommand(renew_worker, (node, control_plane, client, serving), {})
    else:
        host.noop(f"all certificates are valid for {renew_days} days")


def restarts(observed: CertificatesState, written: Mapping[str, int], pod: str) -> bool:
    """
    Return whether a static pod runs since before one of its certificates was renewed.

    + written: when each certificate was, in seconds since 1970
    """
    process = observed.processes.get(pod)
    # A time in the future was written by a clock that was wrong.
    times = [written[name] for name in USES[pod] if written.get(name, 0) <= observed.now]
    return process is not None and any(process.started < time for time in times)


def _kubelet(observed: CertificatesState, due: list[_Certificate]) -> tuple[bool, bool]:
    """Return whether the kubelet's client and its serving certificate are to be renewed."""
    names = [each.name for each in due]
    missing = observed.rotates and KUBELET_CLIENT not in observed.files
    return _CLIENT in names or missing, _SERVING in names


def _plan_kubelet(client: bool, serving: bool) -> None:
    for name, change in ((_CLIENT, client), (_SERVING, serving)):
        if change:
            plan(f"Will renew the certificate of the {name}, and restart the kubelet")
            plan_change(f"renew the certificate of the {name}", f"certificate {name}")


def _certificates(observed: CertificatesState, copies: Mapping[str, str]) -> list[_Certificate]:
    """
    Parse all certificates, in the order of their paths.

    + copies: further ones (PEM), by the name of what holds them
    """
    pems = {path: file.pem for path, file in observed.files.items()} | dict(copies)
    found = []
    for path, pem in pems.items():
        with understood(path):
            end = certificate_format.expires(pem)
        name = _name(path)
        renewable = path.startswith("/etc/kubernetes/") and name not in (
            *_AUTHORITIES,
            "kubelet.conf",
        )
        seconds = int(end.timestamp()) - observed.now
        found.append(_Certificate(name, path, f"{end:%Y-%m-%d}", seconds, renewable))
    return found


def _name(path: str) -> str:
    known = {KUBELET_CLIENT: _CLIENT, KUBELET_SERVING: _SERVING}
    if path.startswith(PKI):
        return path.removeprefix(f"{PKI}/").removesuffix(".crt").replace("/", "-")
    return known.get(path) or path.removeprefix("/etc/kubernetes/")


def _show(found: list[_Certificate], days: int) -> list[_Certificate]:
    """Show a table of all certificates; return those that are valid for fewer days."""
    due = [each for each in found if each.seconds < days * _DAY]
    rows = [
        (
            each.name,
            each.end,
            Text(each.left, "red" if each.seconds < 0 else "yellow" if each in due else "green"),
        )
        for each in found
    ]
    shown = f"{len(found)} certificates" + (f", {len(due)} to renew" if due else "")
    for line in render(shown, rows):
        plan(line)
    return due
