"""flannel's manifest (kube-flannel.yml of its releases), adapted to this cluster."""

from __future__ import annotations

import json
import re
from typing import Any

from formats import manifests
from formats.unreadable import Unreadable, reading

CONFIG = ("kube-flannel-cfg", "net-conf.json")
DAEMON_SET = "kube-flannel-ds"
_CONTAINER = "kube-flannel"


def adapted(manifest: str, pod_network: str, interface: str) -> list[dict[str, Any]]:
    """
    Read the manifest's objects and put the cluster's pod network and interface into them.

    flannel's default is the interface of the default route: on a gateway its uplink, the wrong one.

    + pod_network: such as ``10.244.0.0/16``, kubeadm's own
    + interface: such as ``eth0``; the same name on every node
    + raises ``Unreadable``: it is not flannel's manifest
    """
    objects = manifests.documents(manifest)
    _set_network(_find(objects, "configmap", CONFIG[0]), pod_network)
    _set_interface(_find(objects, "daemonset", DAEMON_SET), interface)
    return objects


def images(manifest: str) -> list[str]:
    """
    Read the names of the images that each node runs.

    + raises ``Unreadable``: it is not flannel's manifest
    """
    daemon_set = _find(manifests.documents(manifest), "daemonset", DAEMON_SET)
    with reading(f"no images in {DAEMON_SET}"):
        pod = daemon_set["spec"]["template"]["spec"]
        found = [str(each["image"]) for each in pod.get("initContainers", []) + pod["containers"]]
        return list(dict.fromkeys(found))


def namespace(objects: list[dict[str, Any]]) -> str:
    """Read the namespace of flannel's DaemonSet."""
    return manifests.identity(_find(objects, "daemonset", DAEMON_SET))[0]


def _find(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    for resource in objects:
        if manifests.identity(resource)[1:] == (kind, name):
            return resource
    raise Unreadable(f"no {kind} {name}: this is not flannel's manifest")


def _set_network(config_map: dict[str, Any], pod_network: str) -> None:
    key = CONFIG[1]
    with reading(f"no readable {key} in {CONFIG[0]}"):
        network = json.loads(config_map["data"][key])
        network["Network"] = pod_network
        config_map["data"][key] = json.dumps(network, indent=2) + "\n"


def _set_interface(daemon_set: dict[str, Any], interface: str) -> None:
    problem = f"no container {_CONTAINER} in {DAEMON_SET}"
    with reading(problem):
        for container in daemon_set["spec"]["template"]["spec"]["containers"]:
            if container.get("name") == _CONTAINER:
                args = container.get("args") or []
                if not isinstance(args, list):
                    raise TypeError
                # Go's flag package also takes option and value as two words.
                joined = re.sub(r"(?m)^--?iface\n", "--iface=", "\n".join(args))
                others = [arg for arg in joined.split("\n") if not re.match("--?iface=", arg)]
                container["args"] = [*others, f"--iface={interface}"]
                return
    raise Unreadable(problem)
