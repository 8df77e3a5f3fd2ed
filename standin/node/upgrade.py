"""kubeadm upgrade: plan; apply, on the first control-plane node; node, on a worker."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime

import yaml

from . import addons, images, init, kubeconfig, manifests, pki, preflight
from . import config as settings
from .client import Client, admin, phase
from .common import NUMBER, Fatal, Obj, print_json, print_table, root, tell, template, text, write

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
    """kubeadm upgrade plan: what `upgrade apply` would change; nothing when there is nothing."""
    is_json = options.output == "json"
    show: Callable[..., None] = (lambda *_, **__: None) if is_json else tell
    show("plan-preflight")
    show("reading", phase="upgrade/config")
    client, target = admin(), options.words[0] if options.words else OWN
    current = client.stored("kubeadm-config", "ClusterConfiguration")["kubernetesVersion"]
    show("plan", current=current[1:], own=OWN, target=target)
    series = current.rpartition(".")[0]
    if _numbers(target) >= _numbers(current):
        show("plan-latest", series=series, target=target)
    show("plan-end")
    if _numbers(target) <= _numbers(current):
        return
    found = _components(client, current, target)
    if is_json:
        upgrade = {"description": f"version in the {series} series", "components": found}
        configs = {"configVersions": DATA["configVersions"]}
        print_json("UpgradePlan", {"availableUpgrades": [upgrade]} | configs)
        return
    names = ("name", "nodeName", "currentVersion", "newVersion")
    rows = [[one.get(name, "") for name in names] for one in found]
    columns = ("COMPONENT", "NODE", "CURRENT", "TARGET")
    tell("plan-kubelets")
    print_table([columns, *(row for row in rows if row[0] == "kubelet")])
    tell("plan-series", series=series)
    print_table([columns, *(row for row in rows if row[0] not in ("kubelet", "kubeadm"))])
    tell("plan-apply", target=target)
    if _numbers(target) > _numbers(OWN):
        tell("plan-kubeadm", target=target)
    tell("plan-configs")


def _check_version(current: str, target: str) -> None:
    """Raise Fatal for a target that kubeadm does not upgrade to."""
    minor, own = _numbers(target)[1], _numbers(OWN)[1]
    fatal, values = [], {"target": target, "own": OWN, "minor": minor, "own_minor": own}
    if minor > _numbers(current)[1] + 1:
        fatal.append(text("upgrade-too-high", **values))
    if minor > own:
        fatal.append(text("upgrade-minor", **values))
    if fatal:
        raise Fatal(text("upgrade-fatal", problems="\n".join(fatal)))
    if minor < own:
        raise Fatal(text("upgrade-invalid", problem=text("upgrade-old", **values)))
    if _numbers(target) > _numbers(OWN):
        raise Fatal(text("upgrade-invalid", problem=text("upgrade-kubeadm", **values)))


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
    ignored = preflight.ignored(options.ignore_preflight_errors, [])
    target = options.words[0] if options.words else OWN
    tell("reading", phase="upgrade")
    with phase("preflight"):
        client = admin()
        current = client.stored("kubeadm-config", "ClusterConfiguration")["kubernetesVersion"]
        tell("upgrade-preflight")
        preflight.run(preflight.upgrade_checks(), ignored)
        tell("upgrade-chosen", target=target, current=current, own=OWN)
        _check_version(current, target)
        if not options.yes:
            tell("upgrade-question")
            raise Fatal(text("no-answer"))
        config = manifests.configuration(client)
        config.cluster["kubernetesVersion"] = target
        tell("upgrade-images")
        preflight.run([preflight.images_check(config)], ignored)
    with phase("control-plane"):
        tell("upgrade-control-plane", target=target)
        _static_pods(config, client)
        tell("upgrade-control-plane-done")
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
        addons.apply_addons(client, config)
    tell("upgraded", target=target)


def node(options: argparse.Namespace) -> None:
    """kubeadm upgrade node, on a worker: the kubelet's configuration."""
    tell("reading", phase="upgrade")
    with phase("preflight"):
        client = Client.of(kubeconfig.load("/etc/kubernetes/kubelet.conf"))
        client.stored("kubeadm-config", "ClusterConfiguration")
        tell("upgrade-node-preflight")
        ignored = preflight.ignored(options.ignore_preflight_errors, [])
        preflight.run(preflight.upgrade_checks(), ignored)
        tell("upgrade-node")
    with phase("kubelet-config"):
        _kubelet_config(client.stored("kubelet-config", "kubelet"))
        tell("upgrade-node-done")
