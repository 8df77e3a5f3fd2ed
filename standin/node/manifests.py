"""The manifests of the control plane's static Pods."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

from . import config as settings
from . import images
from .common import Obj, root, template, write

DIRECTORY = "/etc/kubernetes/manifests"
# Where the configuration has the flags that are given for a component.
EXTRA = {
    "kube-apiserver": "apiServer",
    "kube-controller-manager": "controllerManager",
    "kube-scheduler": "scheduler",
    "etcd": "etcd",
}


def path(component: str) -> str:
    """Return where a component's manifest is."""
    return f"{DIRECTORY}/{component}.yaml"


def flags(component: str) -> dict[str, str]:
    """Return the flags in a component's manifest."""
    content = yaml.safe_load(root(path(component)).read_text())
    command = content["spec"]["containers"][0]["command"]
    return {name: value for name, _, value in (one[2:].partition("=") for one in command[1:])}


def make(component: str, config: settings.Config) -> None:
    """Write a component's manifest, mode 0600."""
    networking, point = config.cluster["networking"], config.init["localAPIEndpoint"]
    found = template(
        "static-pods",
        address=point["advertiseAddress"],
        port=str(point["bindPort"]),
        pki=config.cluster["certificatesDir"],
        data=config.cluster["etcd"]["local"]["dataDir"],
        name=config.init["nodeRegistration"]["name"],
        cluster=config.cluster["clusterName"],
        pods=networking["podSubnet"],
        services=networking["serviceSubnet"],
        domain=networking["dnsDomain"],
    )[0][component]
    where = EXTRA[component]
    part = config.cluster["etcd"]["local"] if where == "etcd" else config.cluster[where]
    extra = {one["name"]: one["value"] for one in part.get("extraArgs") or []}
    chosen = {name: str(one) for name, one in (found["flags"] | extra).items() if one != ""}
    image = images.of_cluster(config.cluster)[component]
    (pod,) = template("static-pod", component=component, image=image, cpu=found["cpu"])
    pod["metadata"]["annotations"] = found["annotations"]
    container, mounts = pod["spec"]["containers"][0], found["mounts"].items()
    container["command"] = [component, *(f"--{name}={chosen[name]}" for name in sorted(chosen))]
    container["volumeMounts"] = [{"name": name, "mountPath": where} for name, where in mounts]
    pod["spec"]["volumes"] = [{"name": name, "hostPath": {"path": one}} for name, one in mounts]
    write(path(component), yaml.safe_dump(pod), 0o600)


def all_files() -> list[Path]:
    """Return the manifests that are there."""
    return sorted(root(DIRECTORY).glob("*.yaml"))


def pods() -> list[Obj]:
    """Return the static Pods of this node."""
    return [yaml.safe_load(file.read_text()) for file in all_files()]


def is_wanted() -> bool:
    """Whether the manifests ask for an API server: without etcd there is none."""
    return all(root(path(one)).is_file() for one in ("kube-apiserver", "etcd"))


def fingerprint() -> str:
    """Return what changes when a manifest changes."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in all_files())).hexdigest()
