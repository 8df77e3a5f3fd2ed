"""Initialize the control plane, and join workers to it, with kubeadm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gevent.lock import RLock
from pyinfra import host, inventory
from pyinfra.api import FunctionCommand

import runs
from facts.kubeadm import (
    CONFIG,
    RESTORED_FROM,
    ClusterAuthority,
    ControlPlane,
    ControlPlaneState,
    Member,
    MemberState,
)
from formats import etcd
from formats import flannel as flannel_manifest
from formats.certificates import key_hash
from formats.kubeadm import config
from formats.unreadable import Unreadable
from messages import Said
from messages import kubernetes as messages
from messages import restore as restore_messages
from messages import upgrade as upgrade_messages
from operations import files, flannel, packages
from operations.base import (
    Commands,
    HostFailure,
    operation,
    plan_change,
    read,
    read_from,
    understood,
)
from operations.kubeadm import existing
from operations.kubeadm.run import (
    follow_join,
    listed_images,
    run_init,
    run_join,
    start_pulling,
)
from workstation.download import DownloadError

# The phases of kubeadm that make files, by how their paths begin.
_PHASES = {
    "/etc/kubernetes/pki/": "certs all",
    "/etc/kubernetes/manifests/etcd.yaml": "etcd local",
    "/etc/kubernetes/manifests/": "control-plane all",
    "/etc/kubernetes/": "kubeconfig all",
}


class _Authorities(dict[str, str]):
    """The CA (PEM) of the cluster of each control plane that a run has read."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = RLock()


@operation()
def init(
    node: str,
    address: str,
    endpoint: str,
    pod_network: str,
    service_network: str,
    cert_names: Sequence[str] = (),
    kubernetes_version: str = "1.36",
    repository: str = "",
    image_repository: str = config.IMAGE_REPOSITORY,
    timeouts: Mapping[str, str] | None = None,
    kubelet_config: Mapping[str, Any] | None = None,
    kube_proxy_config: Mapping[str, Any] | None = None,
    ignore_preflight_errors: Sequence[str] = (),
    others: Mapping[str, str] | None = None,
) -> Commands:
    """
    Initialize the control plane on this node, once, with the kubeadm that is installed.

    + node: the node's name in the cluster
    + address: its address in the cluster's network; advertised by the API server
    + endpoint: a name by which all nodes reach the API server (in their /etc/hosts)
    + pod_network, service_network: IPv4 networks that nothing else uses
    + cert_names: all other names and addresses at which the API server is reached
    + kubernetes_version, repository: as for ``packages.installed``; they tell the version while
      kubeadm is not installed yet (a dry run)
    + image_repository: where the images come from
    + timeouts: kubeadm's timeouts, ``{name: "10m0s"}``, over those that suit an SD card
    + kubelet_config, kube_proxy_config: further fields of these configurations
    + ignore_preflight_errors: names of preflight checks that only warn
    + others: addresses of the other control planes, by name: this node joins their cluster, if
      they have one

    An existing control plane is never changed. ``HostFailure``: it is incomplete, or a setting
    differs that can't be changed in a running cluster; or another control plane does not answer,
    which may have a cluster.
    """
    observed = read(ControlPlane, patience=90)
    if others and observed.state in ("absent", "half-finished", "not answering"):
        known = existing.ask(others)
        # The files of a member that etcd has lost are undone too, when it joins.
        is_member = observed.state == "not answering" and etcd.has_started_voter(
            known.members, address
        )
        if known.name and not is_member:
            host.noop(f"this node joins the cluster of {known.name}")
            return
        if known.silent and observed.state == "absent":
            raise HostFailure(messages.CLUSTER_UNKNOWN(others=known.reasons()))
    installed = observed.version.partition("+")[0]
    offered = (
        None
        if installed or not repository
        else packages.available_release(kubernetes_version, repository)
    )
    desired = config.Init(
        config.Registration(node, address, tuple(ignore_preflight_errors)),
        installed or f"v{offered or _first_release(kubernetes_version)}",
        endpoint,
        pod_network,
        service_network,
        (endpoint, node, address, *cert_names),
        image_repository,
        {**config.INIT_TIMEOUTS, **(timeouts or {})},
        kubelet_config or {},
        kube_proxy_config or {},
    )
    if observed.state == "finished":
        _check_unchanged(observed, desired)
        host.noop(f"the control plane {endpoint} is initialized")
    elif observed.state == "running":
        plan_change("follow the kubeadm init that is running there")
        yield FunctionCommand(run_init, (True,), {})
    elif observed.state == "absent":
        newest = "" if installed or offered else f" (or the newest {kubernetes_version} by then)"
        version = f"Kubernetes {desired.version}{newest}"
        plan_change(f"initialize the control plane of {version} on {node} ({address})")
        yield from files.ensure(CONFIG, desired.text(), mode="600", recorded=False)
        yield FunctionCommand(run_init, (False,), {})
    else:
        raise HostFailure(incomplete(observed))


@operation()
def images(image_repository: str, url: str, checksum: str, folder: str) -> Commands:
    """
    Start to pull the images of a node's first pods, while the control plane is initialized.

    + image_repository: where kubeadm's images come from
    + url, checksum, folder: of flannel's manifest, as for ``flannel.flannel``

    A node that has joined is not changed. Nothing waits for the images: the kubelet pulls what is
    missing.
    """
    observed = read(Member)
    if observed.state != "absent":
        host.noop("the kubelet pulls its images")
        return
    plan_change("pull the images of kube-proxy, CoreDNS and flannel while others are at work")
    try:
        others = flannel_manifest.images(flannel.fetched(url, checksum, folder))
    except (DownloadError, Unreadable):
        others = []  # the control plane says why
    listed = listed_images(observed.version.partition("+")[0], image_repository)
    yield FunctionCommand(start_pulling, (listed, others), {})


@operation()
def join(
    node: str,
    address: str,
    control_plane: str,
    endpoint: str,
    timeouts: Mapping[str, str] | None = None,
    ignore_preflight_errors: Sequence[str] = (),
    replaces: bool = False,
) -> Commands:
    """
    Join this node to a cluster as a worker, with a token that the control plane makes.

    + node: the node's name in the cluster
    + address: its address in the cluster's network
    + control_plane: its name in the inventory
    + endpoint: the name of the API server, as given to ``init``
    + timeouts: kubeadm's timeouts, over ``formats.kubeadm.config.JOIN_TIMEOUTS``
    + ignore_preflight_errors: names of preflight checks that only warn
    + replaces: whether this machine takes the place of another one that has the node's name

    A node that has joined is not changed. ``HostFailure``: its join is incomplete, or it belongs to
    another cluster; or the cluster has a Ready node of this name.
    """
    observed = read(Member)
    check_member(observed)
    if observed.state == "joined":
        check_cluster(observed, control_plane, cluster_authority(control_plane))
        host.noop(f"{node} has joined the cluster of {control_plane}")
    elif observed.state == "running":
        plan_change("follow the kubeadm join that is running there")
        yield FunctionCommand(follow_join, (), {})
    else:
        if replaces:
            plan_change(f"delete the node {node} that another machine has registered")
        plan_change(f"join {node} ({address}) to the cluster of {control_plane}")
        ignored = list(ignore_preflight_errors)
        all_timeouts = {**config.JOIN_TIMEOUTS, **(timeouts or {})}
        arguments = (control_plane, node, address, ignored, endpoint, all_timeouts, replaces)
        yield FunctionCommand(run_join, arguments, {})


def _check_unchanged(observed: ControlPlaneState, desired: config.Init) -> None:
    """Refuse a setting that can't be changed in a cluster."""
    with understood("the cluster's kubeadm-config"):
        settled = config.settled(observed.config)
    for name, value in config.settled(desired.text()).items():
        # "": a cluster that was made by hand, without an endpoint, works all the same.
        if settled[name] not in (value, ""):
            raise HostFailure(
                messages.FIXED_SETTING(name=name, observed=settled[name], desired=value)
            )


def is_being_restored(observed: ControlPlaneState) -> bool:
    """Whether a restore was interrupted, and the control plane does not work yet."""
    copied = any(each.startswith(RESTORED_FROM) for each in observed.files)
    return copied and observed.state != "finished"


def incomplete(observed: ControlPlaneState) -> Said:
    """Return what is wrong with a control plane that is not complete."""
    if is_being_restored(observed):
        return restore_messages.INTERRUPTED()
    if observed.state == "worker":
        return messages.IS_WORKER()
    if observed.state == "not answering":
        reason = observed.kubelet or observed.why or "no reason given"
        return messages.API_NOT_ANSWERING(reason=reason)
    if observed.upgrading:
        return upgrade_messages.CUT_OFF(node="this node")
    lost = [each for each in observed.missing if each.startswith("/")]
    if lost and "/var/lib/etcd/member" in observed.files:
        # kubeadm starts etcd after it has written all of them.
        return messages.FILES_LOST(files=", ".join(lost), command=_making(lost))
    first, *others = observed.missing
    more = f" and {len(others)} more" if others else ""
    return messages.INIT_INTERRUPTED(missing=f"{first}{more}")


def _making(lost: Sequence[str]) -> str:
    """Return the command that makes files of a control plane anew; kubeadm refuses empty ones."""
    phases = dict.fromkeys(
        next(phase for start, phase in _PHASES.items() if file.startswith(start)) for file in lost
    )
    made = [f"sudo kubeadm init phase {phase} --config {CONFIG}" for phase in phases]
    return " && ".join([f"sudo rm -f {' '.join(lost)}", *made])


def check_member(observed: MemberState) -> None:
    """Raise ``HostFailure`` where what is on a node keeps it from joining."""
    if observed.state == "control plane":
        raise HostFailure(messages.IS_CONTROL_PLANE())
    if observed.state == "half-joined":
        raise HostFailure(messages.JOIN_INTERRUPTED(files=", ".join(observed.files)))


def check_cluster(observed: MemberState, control_plane: str, authority: str) -> None:
    """
    Raise ``HostFailure`` where a node has joined another cluster than that of ``control_plane``.

    + authority: the certificate authority of that cluster (PEM); "" without a cluster
    """
    with understood("the cluster's ca.crt"):
        if authority and key_hash(observed.ca) == key_hash(authority):
            return
    cluster = f"another cluster ({observed.server})" if observed.server else "another cluster"
    raise HostFailure(messages.OTHER_CLUSTER(cluster=cluster, control_plane=control_plane))


def cluster_authority(control_plane: str) -> str:
    """Return the CA of its cluster (PEM), read once for all that join; "" without a cluster."""
    known = runs.current().part(_Authorities)
    with known.lock:
        if not known.get(control_plane):
            host = inventory.get_host(control_plane)
            known[control_plane] = read_from(host, ClusterAuthority, _sudo=True)
        return known[control_plane]


def _first_release(version: str) -> str:
    return version if version.count(".") == 2 else f"{version}.0"
