"""
kubeadm init, phase by phase.

Each phase writes its files at once and in kubeadm's order: a power cut between two phases leaves
what it would leave of kubeadm.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization

from . import addons, kubeconfig, manifests, pki, preflight, services, sharing
from . import config as settings
from .client import ApiError, Client, Unreachable, admin, phase
from .common import Fatal, Obj, duration, quote, root, say, tell, text, write
from .config import Config

KUBELET = "/var/lib/kubelet"
CURRENT = f"{KUBELET}/pki/kubelet-client-current.pem"
LABELS = (
    settings.CONTROL_PLANE_TAINT["key"],
    "node.kubernetes.io/exclude-from-external-load-balancers",
)


def seconds(config: Config, timeout: str) -> float:
    """Return one of the configuration's timeouts."""
    return duration(config.init["timeouts"][timeout]).total_seconds()


def _preflight(config: Config) -> None:
    tell("preflight")
    preflight.run([preflight.PRIVILEGED], config.ignored)
    preflight.run_with_images(preflight.init_checks(config), config)


def _certs(config: Config) -> None:
    tell("certs", folder=config.directory)
    table, cluster = pki.table(config), config.cluster
    for name, common_name in table["authorities"].items():
        if root(f"{config.directory}/{name}.crt").exists():
            pki.load_pair(config.directory, name)
            tell("ca-there", name=name)
        else:
            tell("cert", name=name)
            lifetime = duration(cluster["caCertificateValidityPeriod"])
            made = pki.new_authority(common_name, cluster["encryptionAlgorithm"], lifetime)
            pki.write_pair(config.directory, name, made)
        for leaf in table["leaves"]:
            if leaf["ca"] == name:
                make_leaf(config, leaf)
    if root(f"{config.directory}/sa.key").exists():
        tell("sa-there")
        return
    tell("sa")
    key = pki.new_key(cluster["encryptionAlgorithm"])
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write(f"{config.directory}/sa.key", pki.key_pem(key), 0o600)
    write(f"{config.directory}/sa.pub", key.public_key().public_bytes(*form), 0o600)


def make_leaf(config: Config, leaf: Obj) -> None:
    """Make a certificate and its key, unless they are there."""
    name = leaf["name"]
    if all(root(f"{config.directory}/{name}.{end}").exists() for end in ("crt", "key")):
        tell("cert-there", name=name)
        return
    tell("cert", name=name)
    names, addresses = pki.make_leaf(leaf, config)
    if names:
        tell("cert-names", name=name, names=" ".join(names), addresses=" ".join(addresses))


def kubeconfigs(config: Config, joins: bool = False) -> None:
    """Make the kubeconfig files; joins: those of a further control plane."""
    tell("kubeconfigs")
    for file in pki.table(config)["kubeconfigs"]:
        if joins and file["name"] in ("super-admin.conf", "kubelet.conf"):
            continue
        path = f"{pki.DIRECTORY}/{file['name']}"
        if root(path).exists():
            tell("kubeconfig-there", path=path)
        else:
            tell("kubeconfig", name=file["name"])
            pki.make_kubeconfig(file, config)


def etcd(config: Config, cluster: str = "") -> None:
    """Make etcd's directory and manifest; cluster: --initial-cluster of one that joins."""
    tell("etcd-joins" if cluster else "etcd")
    data = root(config.cluster["etcd"]["local"]["dataDir"])
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    manifests.make("etcd", config, cluster)


def control_plane(config: Config) -> None:
    """Make the manifests of all but etcd."""
    tell("control-plane")
    for component in list(manifests.EXTRA)[:-1]:
        tell("static-pod", name=component)
        manifests.make(component, config)


def write_environment(registration: Obj) -> None:
    """Write kubeadm-flags.env."""
    path = f"{KUBELET}/kubeadm-flags.env"
    tell("environment", path=path)
    flags = {one["name"]: one["value"] for one in registration["kubeletExtraArgs"]}
    line = " ".join(f"--{name}={value}" for name, value in sorted(flags.items()))
    write(path, f"KUBELET_KUBEADM_ARGS={quote(line)}\n")


def write_kubelet_files(document: Obj, socket: str) -> None:
    """Write instance-config.yaml and config.yaml."""
    own = {"containerRuntimeEndpoint": socket}
    about = {name: document[name] for name in ("apiVersion", "kind")}
    tell("kubelet-config")
    write(f"{KUBELET}/instance-config.yaml", yaml.safe_dump(about | own))
    write(f"{KUBELET}/config.yaml", yaml.safe_dump(document | own))


def _kubelet_start(config: Config) -> None:
    registration = config.init["nodeRegistration"]
    services.kubelet("stop")
    write_environment(registration)
    write_kubelet_files(settings.kubelet_document(config), registration["criSocket"])
    tell("kubelet-start")
    services.kubelet("start")


def wait_for(what: Callable[[], Any], limit: float, failure: str, interval: float = 0.2) -> Any:
    """Return what is true in the end; Fatal with the reason after so many seconds."""
    until = time.monotonic() + limit
    while True:
        reason = ""
        try:
            if found := what():
                return found
        except (Unreachable, ApiError) as error:
            reason = str(error)
        if time.monotonic() > until:
            raise Fatal(f"{failure}{reason}")
        time.sleep(interval)


def _wait_control_plane(config: Config) -> None:
    """Make the admin's binding, then wait for the components."""
    start = time.monotonic()

    def bind_admin() -> bool:
        addons.apply(Client.of(kubeconfig.load("/etc/kubernetes/super-admin.conf")), "admin")
        return True

    wait_for(bind_admin, seconds(config, "kubernetesAPICall"), text("no-admin"))
    tell("wait-control-plane")
    services.wait_healthy(config.init["timeouts"]["kubeletHealthCheck"])
    wait_for_components(config, start)


def wait_for_components(config: Config, start: float) -> None:
    """Wait for this node's own; start: when they were started."""
    name = "controlPlaneComponentHealthCheck"
    server = settings.own_server(config.init["localAPIEndpoint"])
    limit, own = seconds(config, name), Client(server)
    wait_for(lambda: own.request("GET", "/livez"), limit, text("not-healthy"))
    shown, after = config.init["timeouts"][name], f"{time.monotonic() - start:.3f}s"
    tell("components", limit=shown, server=server, after=after)


def mark_control_plane(config: Config) -> None:
    """Label and taint the node, once the kubelet has registered it."""
    registration = config.init["nodeRegistration"]
    name, taints = registration["name"], registration["taints"]
    tell("mark-labels", name=name, labels=" ".join(LABELS))
    if shown := " ".join(f"{one['key']}:{one['effect']}" for one in taints):
        tell("mark-taints", name=name, taints=shown)
    client, path = admin(), f"/api/v1/nodes/{name}"
    failure = text("not-marked", name=name)
    node = wait_for(lambda: client.get(path), seconds(config, "kubernetesAPICall"), failure)
    own = {one["key"] for one in taints}
    kept = [one for one in node["spec"].get("taints") or [] if one["key"] not in own]
    labels = dict.fromkeys(LABELS, "")
    client.merge(path, {"metadata": {"labels": labels}, "spec": {"taints": kept + taints}})


def _upload_certs(config: Config) -> None:
    if not config.uploads:
        tell("upload-certs-skipped")
        return
    config.init["certificateKey"] = config.init["certificateKey"] or sharing.new_key()
    sharing.upload(admin(), config, config.init["certificateKey"])
    tell("certificate-key", key=config.init["certificateKey"])


def _bootstrap_token(config: Config) -> None:
    client, tokens = admin(), config.init["bootstrapTokens"]
    tell("bootstrap-token", token=tokens[0]["token"])
    for one in tokens:
        client.put(addons.SECRETS, addons.token_secret(one))
    addons.apply(client, "bootstrap-token")
    tell("bootstrap-roles")
    addons.cluster_info(client, config)


def _kubelet_finalize(_: Config) -> None:
    path = "/etc/kubernetes/kubelet.conf"
    tell("kubelet-finalize", path=path)
    content = kubeconfig.load(path)
    if root(CURRENT).exists():
        content["users"][0]["user"] = {"client-certificate": CURRENT, "client-key": CURRENT}
        kubeconfig.save(path, content)


PHASES: dict[str, Callable[[Config], None]] = {
    "preflight": _preflight,
    "certs": _certs,
    "kubeconfig": kubeconfigs,
    "etcd": etcd,
    "control-plane": control_plane,
    "kubelet-start": _kubelet_start,
    "wait-control-plane": _wait_control_plane,
    "upload-config/kubeadm": lambda config: addons.upload_kubeadm(admin(), config),
    "upload-config/kubelet": lambda config: addons.upload_kubelet(admin(), config),
    "upload-certs": _upload_certs,
    "mark-control-plane": mark_control_plane,
    "bootstrap-token": _bootstrap_token,
    "kubelet-finalize": _kubelet_finalize,
    "addon": lambda config: addons.apply_addons(admin(), config),
}


def _load(options: argparse.Namespace) -> Config:
    config = settings.load_init(options.config)
    config.uploads = options.upload_certs
    sharing.check_key(config.init["certificateKey"], "InitConfiguration.certificateKey")
    return config


def one_phase(options: argparse.Namespace) -> None:
    """kubeadm init phase: those that change a cluster which is there."""
    name = "/".join(options.words).removesuffix("/all")
    config = _load(options)
    with phase(name):
        if name.startswith("certs/"):
            leaves = pki.table(config)["leaves"]
            make_leaf(config, next(one for one in leaves if one["name"] == options.words[1]))
        else:
            PHASES[name](config)


def main(options: argparse.Namespace) -> None:
    """kubeadm init."""
    config = _load(options)
    listed = config.init["nodeRegistration"]["ignorePreflightErrors"]
    config.ignored = preflight.ignored(options.ignore_preflight_errors, listed)
    tell("init", version=config.cluster["kubernetesVersion"])
    for name, run in PHASES.items():
        with phase(name):
            run(config)
    digest = pki.public_key_hash(pki.load_pair(config.directory, "ca").certificate)
    token, endpoint = config.init["bootstrapTokens"][0]["token"], settings.endpoint(config)
    join, more = text("join-command", endpoint=endpoint, token=token, digest=digest), ""
    if config.cluster["controlPlaneEndpoint"]:
        key = config.init["certificateKey"]
        more = text("more-by-key" if config.uploads else "more-by-copy", join=join, key=key)
    say(text("initialized", more=more, join=join))
