"""
The pod network: flannel, applied to the cluster from its own manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand

from facts.kubectl import ADMIN_CONF, Objects
from formats import flannel as manifest
from formats import manifests
from operations.base import Commands, HostFailure, declare, diff, operation, plan_change, read
from operations.rollouts import SYSTEM, await_all, troubles
from workstation.download import DownloadError, fetch_text

MANAGER = "bramble"


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
    flannel is in the cluster as its manifest says, on this cluster's networks.

    To be run on the control plane. The manifest is fetched by the computer that pyinfra runs on.

    + url: of a release's ``kube-flannel.yml``, or a path on this computer
    + checksum: its sha256; another file is refused
    + folder: on this computer, where the file is kept for the next run
    + pod_network: as given to ``kubeadm.init``
    + interface: the nodes' interface on the cluster's network
    + seconds: to wait for flannel's, kube-proxy's and CoreDNS's pods afterwards

    Applied server-side, and only what differs from the live objects: what somebody changed by
    hand is set right again, what others added stays.

    **Example:**

    .. code:: python

        flannel.flannel(
            name="Pod network",
            url="https://github.com/flannel-io/flannel/releases/download/v0.28.9/kube-flannel.yml",
            checksum="1c06a15a771009c263bdb1f51c928af46f7606fe969f3963652167938d536aaa",
            folder=".cluster/downloads",
            pod_network="10.244.0.0/16",
            interface="eth0",
        )
    """

    try:
        wanted = manifest.adapted(fetch_text(url, checksum, folder), pod_network, interface)
        own = f"{manifest.namespace(wanted)}/daemonset/{manifest.DAEMON_SET}"
    except DownloadError as error:
        raise HostFailure(f"flannel's manifest: {error}") from error
    except ValueError as error:
        raise HostFailure(f"{url} can't be used: {error}") from error
    rollouts = [own, *SYSTEM]
    now = read(Objects, names=["nodes", *dict.fromkeys([*map(manifests.word, wanted), *SYSTEM])])
    changed = manifests.differing(wanted, now.objects)
    declare(*(f"object {_name(resource)}" for resource in wanted))
    for resource, before in changed:
        old = None if before is None else manifests.text([before])
        diff(_name(resource), old, manifests.text([resource]), resource=f"object {_name(resource)}")
    waits = bool(changed or troubles(now.objects, [], rollouts))
    if waits and not changed:
        plan_change("wait until the pods of flannel, kube-proxy and CoreDNS are up")
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
            _stdin=manifests.text(wanted),
        )
    if waits:
        yield FunctionCommand(await_all, ([], rollouts, seconds), {})
    else:
        host.noop("flannel is as it shall be, its pods are up")


def _name(resource: Mapping[str, Any]) -> str:
    return manifests.word(resource).lstrip("/")
