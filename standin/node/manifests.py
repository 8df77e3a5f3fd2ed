"""The manifests of the control plane's static Pods."""

from __future__ import annotations

import copy
import functools
import hashlib

import yaml

from . import config as settings
from . import images
from .client import Client
from .common import LOADER, Obj, flags_of, root, template, write

DIRECTORY = "/etc/kubernetes/manifests"
HASH = "kubernetes.io/config.hash"
# Where the configuration has the flags that are given for a component.
EXTRA = {"kube-apiserver": "apiServer", "kube-controller-manager": "controllerManager"}
EXTRA |= {"kube-scheduler": "scheduler", "etcd": "etcd"}


def path(component: str) -> str:
    """Return where a component's manifest is."""
    return f"{DIRECTORY}/{component}.yaml"


@functools.lru_cache
def _parsed(manifest: bytes) -> Obj:
    return dict(yaml.load(manifest, LOADER))


def read(component: str) -> Obj:
    """Return the Pod in a component's manifest."""
    return copy.deepcopy(_parsed(root(path(component)).read_bytes()))


def flags(component: str) -> dict[str, str]:
    """Return the flags in a component's manifest."""
    return flags_of(read(component)["spec"]["containers"][0]["command"][1:])


def text(component: str, config: settings.Config, cluster: str = "") -> str:
    """Return the manifest of a component; cluster: --initial-cluster of an etcd that joins."""
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
    if cluster:
        extra |= {"initial-cluster": cluster, "initial-cluster-state": "existing"}
    chosen = {name: str(one) for name, one in (found["flags"] | extra).items() if one != ""}
    image = images.of_cluster(config.cluster)[component]
    (pod,) = template("static-pod", component=component, image=image, cpu=found["cpu"])
    pod["metadata"]["annotations"] = found["annotations"]
    container, mounts = pod["spec"]["containers"][0], found["mounts"].items()
    container["command"] = [component, *(f"--{name}={chosen[name]}" for name in sorted(chosen))]
    container["volumeMounts"] = [{"name": name, "mountPath": where} for name, where in mounts]
    pod["spec"]["volumes"] = [{"name": name, "hostPath": {"path": one}} for name, one in mounts]
    return yaml.safe_dump(pod)


def make(component: str, config: settings.Config, cluster: str = "") -> None:
    """Write a component's manifest, mode 0600, as `text` returns it."""
    write(path(component), text(component, config, cluster), 0o600)


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


def pods() -> dict[str, Obj]:
    """Return the static Pods of this node, each with its manifest's digest."""
    found = {}
    for file in sorted(root(DIRECTORY).glob("*.yaml")):
        pod = found[file.stem] = read(file.stem)
        pod["metadata"].setdefault("annotations", {})[HASH] = digest(file.stem)
    return found
