"""Initialize the control plane, and join workers to it, with kubeadm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gevent.lock import RLock
from pyinfra import host, inventory, logger
from pyinfra.api import FunctionCommand

import runs
from facts.kubeadm import (
    CONFIG,
    ClusterAuthority,
    ControlPlane,
    ControlPlaneState,
    Member,
    MemberState,
)
from formats.certificates import key_hash, names
from formats.kubeadm import config
from formats.unreadable import Unreadable
from messages import Said
from messages import kubernetes as messages
from operations import files, packages
from operations.base import Commands, HostFailure, operation, plan_change, read, read_from
from operations.kubeadm.run import follow_join, run_init, run_join


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

    An existing control plane is never changed. ``HostFailure``: it is incomplete, or a setting
    differs that can't be changed in a running cluster.
    """
    observed = read(ControlPlane, patience=90)
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
def join(
    node: str,
    address: str,
    control_plane: str,
    endpoint: str,
    timeouts: Mapping[str, str] | None = None,
    ignore_preflight_errors: Sequence[str] = (),
) -> Commands:
    """
    Join this node to a cluster as a worker, with a token that the control plane makes.

    + node: the node's name in the cluster
    + address: its address in the cluster's network
    + control_plane: its name in the inventory
    + endpoint: the name of the API server, as given to ``init``
    + timeouts: kubeadm's timeouts, over ``formats.kubeadm.config.JOIN_TIMEOUTS``
    + ignore_preflight_errors: names of preflight checks that only warn

    A node that has joined is not changed. ``HostFailure``: its join is incomplete, or it belongs to
    another cluster.
    """
    observed = read(Member)
    check_member(observed)
    if observed.state == "joined":
        check_cluster(observed, control_plane, _authority(control_plane))
        host.noop(f"{node} has joined the cluster of {control_plane}")
    elif observed.state == "running":
        plan_change("follow the kubeadm join that is running there")
        yield FunctionCommand(follow_join, (), {})
    else:
        plan_change(f"join {node} ({address}) to the cluster of {control_plane}")
        ignored = list(ignore_preflight_errors)
        all_timeouts = {**config.JOIN_TIMEOUTS, **(timeouts or {})}
        arguments = (control_plane, node, address, ignored, endpoint, all_timeouts)
        yield FunctionCommand(run_join, arguments, {})


def _check_unchanged(observed: ControlPlaneState, desired: config.Init) -> None:
    """Refuse a setting that can't be changed in a cluster, warn of missing certificate names."""
    try:
        what = "the cluster's kubeadm-config"
        settled = config.settled(observed.config)
        what = "/etc/kubernetes/pki/apiserver.crt"
        certified = names(observed.certificate) if observed.certificate else set()
    except Unreadable as error:
        raise HostFailure(messages.NOT_UNDERSTOOD(what=what, reason=error.args[0])) from error
    for name, value in config.settled(desired.text()).items():
        # "": a cluster that was made by hand, without an endpoint, works all the same.
        if settled[name] not in (value, ""):
            raise HostFailure(
                messages.FIXED_SETTING(name=name, observed=settled[name], desired=value)
            )
    if missing := set(desired.cert_names) - certified:
        warning = messages.CERTIFICATE_NAMES(names=", ".join(sorted(missing)))
        host.log_styled(warning, fg="yellow", log_func=logger.warning)


def incomplete(observed: ControlPlaneState) -> Said:
    """Return what is wrong with a control plane that is not complete."""
    if observed.state == "worker":
        return messages.IS_WORKER()
    if observed.state == "not answering":
        reason = observed.kubelet or observed.why or "no reason given"
        return messages.API_NOT_ANSWERING(reason=reason)
    first, *others = observed.missing
    more = f" and {len(others)} more" if others else ""
    return messages.INIT_INTERRUPTED(missing=f"{first}{more}")


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
    try:
        if authority and key_hash(observed.ca) == key_hash(authority):
            return
    except Unreadable as error:
        what = "the cluster's ca.crt"
        raise HostFailure(messages.NOT_UNDERSTOOD(what=what, reason=error.args[0])) from error
    cluster = f"another cluster ({observed.server})" if observed.server else "another cluster"
    raise HostFailure(messages.OTHER_CLUSTER(cluster=cluster, control_plane=control_plane))


def _authority(control_plane: str) -> str:
    """Return the CA of its cluster (PEM), read once for all workers; "" without a cluster."""
    known = runs.current().part(_Authorities)
    with known.lock:
        if not known.get(control_plane):
            host = inventory.get_host(control_plane)
            known[control_plane] = read_from(host, ClusterAuthority, _sudo=True)
        return known[control_plane]


def _first_release(version: str) -> str:
    return version if version.count(".") == 2 else f"{version}.0"
