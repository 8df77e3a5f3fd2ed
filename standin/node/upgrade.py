"""kubeadm upgrade: plan; apply, on the first control-plane node; node, on each other one."""

from __future__ import annotations

import argparse
from datetime import datetime

import yaml

from . import addons, images, init, kubeconfig, manifests, pki, preflight
from . import config as settings
from .client import Client, admin, phase
from .common import NUMBER, Obj, print_json, root, tell, template, text, write

TMP = "/etc/kubernetes/tmp"
OWN = f"v{NUMBER}"
DATA = template("upgrade")[0]


def _numbers(version: str) -> tuple[int, ...]:
    """Return `v1.36.4` as numbers."""
    return tuple(map(int, settings.check_version(version)[1:].partition("-")[0].split(".")))


def _tag(pod: Obj | str) -> str:
    image = pod if isinstance(pod, str) else pod["spec"]["containers"][0]["image"]
    return str(image.rpartition(":")[2])


def _components(client: Client, current: str, target: str) -> list[Obj]:
    """Return what an upgrade changes, in the order of the plan."""
    node, new = manifests.flags("etcd")["name"], images.names(target)
    dns = client.request("GET", f"{addons.DEPLOYMENTS}/coredns")["spec"]["template"]
    rows = []
    for one in client.request("GET", "/api/v1/nodes")["items"]:
        version = one["status"]["nodeInfo"]["kubeletVersion"]
        rows.append(("kubelet", version, target, one["metadata"]["name"]))
    rows += [(one, _tag(manifests.read(one)), target, node) for one in list(manifests.EXTRA)[:-1]]
    rows.append(("kube-proxy", current.removeprefix("v"), target, ""))
    rows += [("CoreDNS", _tag(dns), _tag(new["coredns"]), ""), ("kubeadm", OWN, target, "")]
    rows.append(("etcd", _tag(manifests.read("etcd")), _tag(new["etcd"]), node))
    names = ("name", "currentVersion", "newVersion", "nodeName")
    return [{name: one for name, one in zip(names, row, strict=True) if one} for row in rows]


def plan(options: argparse.Namespace) -> None:
    """kubeadm upgrade plan -o json: what `upgrade apply` would change; nothing without anything."""
    client, target = admin(), options.words[0] if options.words else OWN
    current = client.stored("kubeadm-config", "ClusterConfiguration")["kubernetesVersion"]
    if _numbers(target) > _numbers(current):
        about = f"version in the {current.rpartition('.')[0]} series"
        upgrade = {"description": about, "components": _components(client, current, target)}
        configs = {"configVersions": DATA["configVersions"]}
        print_json("UpgradePlan", {"availableUpgrades": [upgrade]} | configs)


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d-%H-%M-%S")


def _static_pods(config: settings.Config, client: Client) -> None:
    """Replace the manifests that change, one after the other; the kubelet restarts each."""
    time, seconds = _now(), init.seconds(config, "upgradeManifests")
    tell("upgrade-manifests", folder=f"{TMP}/kubeadm-upgraded-manifests{time.replace('-', '')}")
    for name, certificates in DATA["renewed"].items():
        tell("upgrade-component", name=name)
        new, path = manifests.text(name, config), manifests.path(name)
        if new == root(path).read_text():
            tell("upgrade-equal", name=name)
        else:
            for one in certificates:
                tell("upgrade-renew", name=one.replace("/", "-"))
                pki.renew(one, config)
            backup = f"{TMP}/kubeadm-backup-manifests-{time}/{name}.yaml"
            tell("upgrade-move", path=path, backup=backup)
            write(backup, root(path).read_text(), 0o600)
            write(path, new, 0o600)
            tell("upgrade-wait")
            pod = f"{addons.PODS}/{name}-{config.init['nodeRegistration']['name']}"

            def is_new(pod: str = pod, wanted: str = manifests.digest(name)) -> bool:
                found = client.get(pod) or {"metadata": {"annotations": {}}}
                return bool(found["metadata"]["annotations"].get(manifests.HASH) == wanted)

            init.wait_for(is_new, seconds, text("upgrade-timeout", name=name))
            tell("upgrade-done", name=name)
        if name == "etcd":
            tell("upgrade-etcd")
    tell("upgrade-control-plane-done")


def _kubelet_config(document: Obj) -> None:
    """Write config.yaml anew, after a copy of the old one."""
    path = f"{init.KUBELET}/config.yaml"
    backup = f"{TMP}/kubeadm-kubelet-config-{_now()}/config.yaml"
    tell("upgrade-kubelet", backup=backup)
    old = root(path).read_text()
    write(backup, old, 0o600)
    own = {"containerRuntimeEndpoint": yaml.safe_load(old)["containerRuntimeEndpoint"]}
    write(path, yaml.safe_dump(document | own))
    tell("upgrade-kubelet-done")


def apply(options: argparse.Namespace) -> None:
    """kubeadm upgrade apply: the control plane of this node, and what the cluster stores."""
    target = options.words[0] if options.words else OWN
    tell("reading", phase="upgrade")
    with phase("preflight"):
        client = admin()
        current = client.stored("kubeadm-config", "ClusterConfiguration")["kubernetesVersion"]
        tell("upgrade-preflight")
        preflight.run(preflight.upgrade_checks(), _ignored(options))
        tell("upgrade-chosen", target=target, current=current, own=OWN)
        config = _configuration(client, options, kubernetesVersion=target)
    with phase("control-plane"):
        tell("upgrade-control-plane", target=target)
        _static_pods(config, client)
    with phase("upload-config"):
        addons.upload_kubeadm(client, config)
        addons.upload_kubelet(client, config)
        for name in ("admin.conf", "super-admin.conf"):
            pki.renew(name, config)
        tell("upgrade-kubeconfig")
    with phase("kubelet-config"):
        _kubelet_config(settings.kubelet_document(config))
    with phase("addon"):
        tell("upgrade-roles")
        addons.apply(client, "bootstrap-token")
        _addons(client, config)
    tell("upgraded", target=target)


def _ignored(options: argparse.Namespace) -> set[str]:
    return preflight.ignored(options.ignore_preflight_errors, [])


def _configuration(client: Client, options: argparse.Namespace, **cluster: str) -> settings.Config:
    """Return the cluster's configuration with an upgrade's own, once its images are there."""
    config = manifests.configuration(client)
    config.cluster |= cluster
    given = settings.read(options.config)["UpgradeConfiguration"] if options.config else {}
    config.init["timeouts"] |= given.get("timeouts", {})
    tell("upgrade-images")
    preflight.run([preflight.images_check(config)], _ignored(options))
    return config


def _addons(client: Client, config: settings.Config) -> None:
    """Upgrade CoreDNS and kube-proxy, after the last control plane."""
    new = images.of_cluster(config.cluster)["kube-apiserver"]
    pods = client.request("GET", f"{addons.PODS}?labelSelector=component%3Dkube-apiserver")
    old = (one for one in pods["items"] if one["spec"]["containers"][0]["image"] != new)
    if names := sorted(one["spec"]["nodeName"] for one in old):
        tell("upgrade-no-addons", names=" ".join(names))
    else:
        addons.apply_addons(client, config)


def node(options: argparse.Namespace) -> None:
    """kubeadm upgrade node: a further control plane's Pods; any node's kubelet configuration."""
    is_worker = not root(manifests.path("kube-apiserver")).exists()
    tell("reading", phase="upgrade")
    with phase("preflight"):
        client = Client.of(kubeconfig.load(kubeconfig.KUBELET)) if is_worker else admin()
        client.stored("kubeadm-config", "ClusterConfiguration")
        tell("upgrade-node-preflight")
        preflight.run(preflight.upgrade_checks(), _ignored(options))
        if is_worker:
            tell("upgrade-worker")
        else:
            config = _configuration(client, options)
    if not is_worker:
        with phase("control-plane"):
            tell("upgrade-instance", target=config.cluster["kubernetesVersion"])
            _static_pods(config, client)
        tell("upgrade-kubeconfig")
    with phase("kubelet-config"):
        _kubelet_config(client.stored("kubelet-config", "kubelet"))
    with phase("addon"):
        if is_worker:
            tell("upgrade-worker-done")
        else:
            _addons(client, config)
