"""
The cluster itself: its control plane initialised, its workers joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gevent.lock import RLock
from pyinfra import host, inventory, logger
from pyinfra.api import FunctionCommand

from facts.kubeadm import (
    ClusterAuthority,
    ControlPlane,
    ControlPlaneState,
    Member,
    MemberState,
)
from formats.certificates import key_hash, names
from formats.kubeadm import config
from formats.unreadable import Unreadable
from operations import files, packages
from operations.base import Commands, HostFailure, operation, plan_change, read, read_from
from operations.kubeadm.run import CONFIG, follow_join, initialise, join_cluster

_reading = RLock()
_authorities: dict[str, str] = {}


@operation()
def init(
    node: str,
    address: str,
    endpoint: str,
    pod_network: str,
    service_network: str,
    cert_names: Sequence[str] = (),
    wanted_version: str = "1.36",
    repository: str = "",
    version: str | None = None,
    image_repository: str = config.IMAGE_REPOSITORY,
    dns_domain: str = config.DNS_DOMAIN,
    timeouts: Mapping[str, str] | None = None,
    kubelet_config: Mapping[str, Any] | None = None,
    kube_proxy_config: Mapping[str, Any] | None = None,
    ignore_preflight_errors: Sequence[str] = (),
    patience: int = 90,
) -> Commands:
    """
    A control plane on this node, made once by kubeadm.

    + node: the node's name in the cluster
    + address: its address in the cluster's network; advertised by the API server
    + endpoint: a name by which all nodes find the API server (in their /etc/hosts)
    + pod_network, service_network: IPv4 networks that nothing else uses
    + cert_names: every further name and address at which the API server is reached
    + wanted_version, repository: as for ``packages.installed``: what a dry run shows where kubeadm
      is not installed yet
    + version: such as ``v1.36.3``; None: that of the kubeadm that is installed
    + image_repository: where the images come from
    + dns_domain: of the services
    + timeouts: kubeadm's waits, ``{name: "10m0s"}``, over those that suit an SD card
    + kubelet_config, kube_proxy_config: further fields of these configurations
    + ignore_preflight_errors: names of preflight checks that shall only warn
    + patience: seconds to wait for the API server of a control plane that is there already

    A control plane that is there is left as it is, a half-finished one too: it is reported with
    the remedy. Refuses settings that differ from those of the cluster that stands.

    **Example:**

    .. code:: python

        kubeadm.init(
            name="Initialise the control plane",
            node="node1",
            address="192.168.2.11",
            endpoint="node1",
            pod_network="10.244.0.0/16",
            service_network="10.96.0.0/12",
            cert_names=["192.168.2.11", "192.168.1.32"],
        )
    """

    now = read(ControlPlane, patience=patience)
    there = version or now.version.partition("+")[0]
    to_come = None if there or not repository else packages.to_come(wanted_version, repository)
    wanted = config.Init(
        config.Registration(node, address, tuple(ignore_preflight_errors)),
        there or f"v{to_come or _first(wanted_version)}",
        endpoint,
        pod_network,
        service_network,
        (endpoint, node, address, *cert_names),
        dns_domain,
        image_repository,
        {**config.INIT_TIMEOUTS, **(timeouts or {})},
        kubelet_config or {},
        kube_proxy_config or {},
    )
    if mistakes := wanted.mistakes():
        raise HostFailure("; ".join(mistakes))
    if now.version and _number(wanted.version) > _number(now.version):
        raise HostFailure(
            f"Kubernetes {wanted.version} can't be set up by kubeadm {now.version} here"
        )
    if now.state == "finished":
        _keep(now, wanted)
        host.noop(f"the control plane {endpoint} is initialised")
    elif now.state == "running":
        plan_change("stay with the kubeadm init that is at work there")
        yield FunctionCommand(initialise, (True,), {})
    elif now.state == "absent":
        unsure = "" if there or to_come else f", or the newest {wanted_version} by then,"
        which = f"Kubernetes {wanted.version}{unsure}"
        plan_change(f"initialise the control plane of {which} on {node} ({address})")
        yield from files.ensure(CONFIG, wanted.text(), mode="600")
        yield FunctionCommand(initialise, (False,), {})
    else:
        raise HostFailure(unfinished(now))


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
    This node is a worker of the cluster that ``control_plane`` leads.

    + node: the node's name in the cluster
    + address: its address in the cluster's network
    + control_plane: the name in the inventory of the host that leads
    + endpoint: the name of the API server, as given to ``init``
    + timeouts: kubeadm's waits, over those of ``formats.kubeadm.config.JOIN_TIMEOUTS``
    + ignore_preflight_errors: names of preflight checks that shall only warn

    A node that has joined is left as it is. Refused: one that is half-joined, or that belongs to
    another cluster. Reads the control plane, as nothing else here does.

    **Example:**

    .. code:: python

        kubeadm.join(
            name="Join the cluster",
            node="node2",
            address="192.168.2.12",
            control_plane="node1",
            endpoint="node1",
        )
    """

    registration = config.Registration(node, address, tuple(ignore_preflight_errors))
    waits = {**config.JOIN_TIMEOUTS, **(timeouts or {})}
    if mistakes := registration.mistakes() + config.timeout_mistakes(waits):
        raise HostFailure("; ".join(mistakes))
    now = read(Member)
    check_member(now)
    if now.state == "joined":
        check_cluster(now, control_plane, _authority(control_plane))
        host.noop(f"{node} has joined the cluster of {control_plane}")
    elif now.state == "running":
        plan_change("stay with the kubeadm join that is at work there")
        yield FunctionCommand(follow_join, (), {})
    else:
        plan_change(f"join {node} ({address}) to the cluster of {control_plane}")
        ignored = list(ignore_preflight_errors)
        yield FunctionCommand(
            join_cluster, (control_plane, node, address, ignored, endpoint, waits), {}
        )


def _keep(now: ControlPlaneState, wanted: config.Init) -> None:
    """A cluster that stands: refuse what can't be changed in it, say what is not done by itself."""
    try:
        stands = config.settled(now.config)
    except Unreadable as error:
        raise HostFailure(f"the cluster's kubeadm-config can't be understood: {error}") from error
    try:
        certified = names(now.certificate) if now.certificate else set()
    except Unreadable as error:
        raise HostFailure(
            f"/etc/kubernetes/pki/apiserver.crt can't be understood: {error}"
        ) from error
    for name, value in config.settled(wanted.text()).items():
        # A cluster that was made by hand, without an endpoint, can be led all the same.
        if stands[name] not in (value, ""):
            raise HostFailure(
                f"the cluster was initialised with the {name} {stands[name]}, not {value}: put "
                "the setting back, or make a new cluster (nothing is changed)"
            )
    if lacking := set(wanted.cert_names) - certified:
        host.log_styled(
            f"the API server's certificate is not valid for {', '.join(sorted(lacking))}: it was "
            "made before (`kubeadm init phase certs apiserver` makes another)",
            fg="yellow",
            log_func=logger.warning,
        )


def unfinished(now: ControlPlaneState) -> str:
    """What is wrong with a control plane that is there and not whole, and the remedy."""
    if now.state == "worker":
        return "this node has joined a cluster as a worker: it can't lead another one"
    if now.state == "not answering":
        why = now.kubelet or now.why or "no reason given"
        return (
            f"the control plane is all there, its API server does not answer: {why}; look at "
            "`journalctl -u kubelet`, then run this again"
        )
    first, *others = now.missing
    more = f" and {len(others)} more" if others else ""
    return (
        f"kubeadm init was cut off here ({first}{more} missing): `sudo kubeadm reset -f` on this "
        "node deletes what it left (/etc/kubernetes, /var/lib/etcd, /var/lib/kubelet: the whole "
        "state of this cluster), then run this again"
    )


def check_member(now: MemberState) -> None:
    """``HostFailure`` where a node can't join for what is on it already."""
    if now.state == "control plane":
        raise HostFailure("a control plane runs here: it can't join another as a worker")
    if now.state == "half-joined":
        left = ", ".join(now.files)
        raise HostFailure(
            f"kubeadm join was cut off here (left: {left}): `sudo kubeadm reset -f` on this node "
            "removes what it left (nothing of yours is in it), then run this again"
        )


def check_cluster(now: MemberState, control_plane: str, theirs: str) -> None:
    """
    ``HostFailure`` where a node that has joined a cluster is not in that of ``control_plane``.

    + theirs: the authority of the control plane's cluster; "" where it leads none
    """
    try:
        if theirs and key_hash(now.ca) == key_hash(theirs):
            return
    except Unreadable as error:
        raise HostFailure(f"the cluster's ca.crt can't be understood: {error}") from error
    whose = f"another cluster ({now.server})" if now.server else "another cluster"
    raise HostFailure(
        f"this node has joined {whose}, not that of {control_plane}: if it is to change over, "
        "`sudo kubeadm reset -f` on it takes it out of the old one, then run this again"
    )


def _authority(control_plane: str) -> str:
    """The CA of the cluster of ``control_plane``, read once for all workers; "" without one."""
    with _reading:
        if not _authorities.get(control_plane):
            _authorities[control_plane] = read_from(
                inventory.get_host(control_plane), ClusterAuthority, _sudo=True
            )
        return _authorities[control_plane]


def _first(wanted: str) -> str:
    return wanted if wanted.count(".") == 2 else f"{wanted}.0"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.lstrip("v").split("-")[0].split("+")[0].split("."))
