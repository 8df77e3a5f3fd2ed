"""The manifests of the control plane's static Pods."""

from __future__ import annotations

import hashlib

import yaml

from . import config as settings
from . import images
from .client import Client
from .common import Obj, root, template, write

DIRECTORY = "/etc/kubernetes/manifests"
HASH = "kubernetes.io/config.hash"
# Where the configuration has the flags that are given for a component.
EXTRA = {"kube-apiserver": "apiServer", "kube-controller-manager": "controllerManager"}
EXTRA |= {"kube-scheduler": "scheduler", "etcd": "etcd"}


def path(component: str) -> str:
    """Return where a component's manifest is."""
    return f"{DIRECTORY}/{component}.yaml"


def read(component: str) -> Obj:
    """Return the Pod in a component's manifest."""
    return dict(yaml.safe_load(root(path(component)).read_text()))


def flags(component: str) -> dict[str, str]:
    """Return the flags in a component's manifest."""
    return flags_of(read(component)["spec"]["containers"][0]["command"][1:])


def flags_of(arguments: list[str]) -> dict[str, str]:
    """Return flags, `--name=value`, by name."""
    words = (one.lstrip("-").partition("=") for one in arguments)
    return {name: value for name, _, value in words}


def text(component: str, config: settings.Config) -> str:
    """Return the manifest of a component."""
    networking, point = config.cluster["networking"], config.init["localAPIEndpoint"]
    values = {"address": point["advertiseAddress"], "port": str(point["bindPort"])}
    values |= {"pki": config.directory, "data": config.cluster["etcd"]["local"]["dataDir"]}
    values |= {"pods": networking["podSubnet"], "services": networking["serviceSubnet"]}
    values |= {"domain": networking["dnsDomain"], "cluster": config.cluster["clusterName"]}
    own = config.init["nodeRegistration"]["name"]
    found = template("static-pods", name=own, **values)[0][component]
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
    return yaml.safe_dump(pod)


def make(component: str, config: settings.Config) -> None:
    """Write a component's manifest, mode 0600."""
    write(path(component), text(component, config), 0o600)


def digest(component: str) -> str:
    """Return what changes with a component's manifest."""
    return hashlib.sha256(root(path(component)).read_bytes()).hexdigest()[:32]


def configuration(client: Client) -> settings.Config:
    """Return what the control plane on this node was made of, as the cluster stores it."""
    own = flags("kube-apiserver")
    point = {"advertiseAddress": own["advertise-address"], "bindPort": int(own["secure-port"])}
    init = {"localAPIEndpoint": point, "nodeRegistration": {"name": flags("etcd")["name"]}}
    names = {"ClusterConfiguration": "kubeadm-config", "kubelet": "kubelet-config"}
    names["config.conf"] = "kube-proxy"
    cluster, kubelet, proxy = (client.stored(name, key) for key, name in names.items())
    documents = {"InitConfiguration": init, "ClusterConfiguration": cluster}
    documents |= {"KubeletConfiguration": kubelet, "KubeProxyConfiguration": proxy}
    return settings.with_defaults(documents)


def pods() -> list[Obj]:
    """Return the static Pods of this node, each with its manifest's digest."""
    found = []
    for file in sorted(root(DIRECTORY).glob("*.yaml")):
        pod = read(file.stem)
        pod["metadata"].setdefault("annotations", {})[HASH] = digest(file.stem)
        found.append(pod)
    return found


def is_wanted() -> bool:
    """Whether the manifests ask for an API server: without etcd there is none."""
    return all(root(path(one)).is_file() for one in ("kube-apiserver", "etcd"))


def fingerprint() -> list[str]:
    """Return what changes when a manifest changes."""
    return [one["metadata"]["annotations"][HASH] for one in pods()]
