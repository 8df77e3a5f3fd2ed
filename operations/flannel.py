"""Apply flannel, the pod network, to the cluster from its own manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gevent.lock import RLock
from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand

import runs
from facts.kubectl import ADMIN_CONF, Objects
from formats import flannel as manifest
from formats import manifests
from messages import kubernetes as messages
from operations.base import Commands, HostFailure, declare, diff, operation, plan_change, read
from operations.nodes.rollouts import SYSTEM, pending, wait_until_ready
from workstation.download import DownloadError, fetch_text

MANAGER = "bramble"


class _Manifests(dict[str, str]):
    """The text of each manifest that a run has fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = RLock()


def fetched(url: str, checksum: str, folder: str) -> str:
    """
    Return the text of flannel's manifest, fetched once for all nodes.

    + url, checksum, folder: as for ``flannel``

    ``DownloadError``: it can't be fetched, or is another file.
    """
    known = runs.current().part(_Manifests)
    with known.lock:
        if url not in known:
            known[url] = fetch_text(url, checksum, folder)
        return known[url]


@operation()
def flannel(
    url: str,
    checksum: str,
    folder: str,
    pod_network: str,
    interface: str,
    seconds: int = 300,
) -> Commands:
    """
    Apply flannel's manifest, adapted to this cluster's networks, and wait for its pods.

    To be run on the control plane. This computer downloads the manifest.

    + url: of a release's ``kube-flannel.yml``, or a path on this computer
    + checksum: its sha256; another file is refused
    + folder: on this computer, where the file is kept for the next run
    + pod_network: as given to ``kubeadm.init``
    + interface: the nodes' interface on the cluster's network
    + seconds: how long to wait for the pods of flannel, kube-proxy and CoreDNS

    Applied server-side when a live object differs: manual changes of its fields are reverted,
    fields that others added are kept.
    """
    try:
        desired = manifest.adapted(fetched(url, checksum, folder), pod_network, interface)
        own = f"{manifest.namespace(desired)}/daemonset/{manifest.DAEMON_SET}"
    except DownloadError as error:
        raise HostFailure(error.said) from error
    except ValueError as error:
        raise HostFailure(messages.BAD_MANIFEST(url=url, reason=error.args[0])) from error
    rollouts = [own, *SYSTEM]
    names = ["nodes", *dict.fromkeys([*map(manifests.word, desired), *SYSTEM])]
    observed = read(Objects, names=names)
    changed = manifests.differing(desired, observed.objects)
    declare(*(f"object {_name(resource)}" for resource in desired))
    for resource, before in changed:
        old = None if before is None else manifests.text([before])
        diff(_name(resource), old, manifests.text([resource]), resource=f"object {_name(resource)}")
    waits = bool(changed or pending(observed.objects, [], rollouts))
    if waits and not changed:
        plan_change("wait until the pods of flannel, kube-proxy and CoreDNS are ready")
    if changed:
        yield StringCommand(
            "kubectl",
            QuoteString(f"--kubeconfig={ADMIN_CONF}"),
            "apply",
            "--server-side",
            "--force-conflicts",
            f"--field-manager={MANAGER}",
            "-f",
            "-",
            _stdin=manifests.text(desired),
        )
    if waits:
        yield FunctionCommand(wait_until_ready, ([], rollouts, seconds), {})
    else:
        host.noop("flannel is up to date, its pods are ready")


def _name(resource: Mapping[str, Any]) -> str:
    return manifests.word(resource).lstrip("/")
