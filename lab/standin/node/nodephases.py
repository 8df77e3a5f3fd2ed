"""
The phases of kubeadm init that write to the node, up to the kubelet's start.

Each writes its files at once and in the real one's order, so that a power cut between two leaves
what it would leave of the real one.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

from dataclasses import dataclass

import yaml

from . import checks, kubeconfig, leaves, manifests, pki, preflight, service
from . import config as settings
from .client import Client
from .common import Obj, duration, quote, root, say, write

KUBELET_DIRECTORY = "/var/lib/kubelet"


@dataclass
class Run:
    """
    One run of init.

    + config: what is wanted
    + ignored: preflight checks that only warn, lower case
    + skipped: phases left out
    """

    config: settings.Config
    ignored: set[str]
    skipped: set[str]

    @property
    def directory(self) -> str:
        """Where the certificates are."""
        return str(self.config.cluster["certificatesDir"])

    def client(self) -> Client:
        """The API as admin.conf has it."""
        return Client.from_document(kubeconfig.load("/etc/kubernetes/admin.conf"))


def check(run: Run) -> None:
    """[preflight]"""
    say("[preflight] Running pre-flight checks")
    preflight.run([checks.privileged()], run.ignored)
    preflight.run(preflight.init(run.config), run.ignored)
    say("[preflight] Pulling images required for setting up a Kubernetes cluster")
    say(
        "[preflight] This might take a minute or two, depending on the speed of your internet connection"
    )
    say(
        "[preflight] You can also perform this action beforehand using 'kubeadm config images pull'"
    )
    preflight.run(preflight.pull_images(run.config), run.ignored)


def authority(run: Run, name: str) -> None:
    """One authority, kept when it is there."""
    file = leaves.AUTHORITIES[name]
    if root(f"{run.directory}/{file}.crt").exists():
        pki.load_pair(run.directory, file)
        say(f"[certs] Using existing {name} certificate authority")
        return
    say(f'[certs] Generating "{name}" certificate and key')
    cluster = run.config.cluster
    made = pki.new_authority(
        leaves.COMMON_NAMES[name],
        cluster["encryptionAlgorithm"],
        duration(cluster["caCertificateValidityPeriod"]),
    )
    pki.write_pair(run.directory, file, made)


def leaf(run: Run, one: leaves.Leaf) -> None:
    """One certificate, kept when it is there."""
    if (
        root(f"{run.directory}/{one.file}.crt").exists()
        and root(f"{run.directory}/{one.file}.key").exists()
    ):
        say(f"[certs] Using existing {one.name} certificate and key on disk")
        return
    say(f'[certs] Generating "{one.name}" certificate and key')
    names, addresses = leaves.make_leaf(one, run.config)
    if names or addresses:
        say(
            f"[certs] {one.name} serving cert is signed for DNS names [{' '.join(names)}] and IPs [{' '.join(addresses)}]"
        )


def service_account_key(run: Run) -> None:
    """sa.key and sa.pub."""
    if root(f"{run.directory}/sa.key").exists():
        say('[certs] Using the existing "sa" key')
        return
    say('[certs] Generating "sa" key and public key')
    key = pki.new_key(run.config.cluster["encryptionAlgorithm"])
    write(f"{run.directory}/sa.key", pki.key_pem(key), 0o600)
    write(f"{run.directory}/sa.pub", pki.public_pem(key), 0o600)


def certs(run: Run) -> None:
    """[certs]"""
    say(f'[certs] Using certificateDir folder "{run.directory}"')
    for name in leaves.AUTHORITIES:
        authority(run, name)
        for one in leaves.LEAVES:
            if one.ca == leaves.AUTHORITIES[name]:
                leaf(run, one)
    service_account_key(run)


def kubeconfigs(run: Run) -> None:
    """[kubeconfig]"""
    say(f'[kubeconfig] Using kubeconfig folder "{kubeconfig.DIRECTORY}"')
    for file, *_ in kubeconfig.FILES:
        path = f"{kubeconfig.DIRECTORY}/{file}"
        if root(path).exists():
            say(f'[kubeconfig] Using existing kubeconfig file: "{path}"')
        else:
            say(f'[kubeconfig] Writing "{file}" kubeconfig file')
            kubeconfig.make(run.config, file)


def etcd(run: Run) -> None:
    """[etcd]"""
    say(f'[etcd] Creating static Pod manifest for local etcd in "{manifests.DIRECTORY}"')
    data = root(run.config.cluster["etcd"]["local"]["dataDir"])
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    manifests.make("etcd", run.config)


def control_plane(run: Run) -> None:
    """[control-plane]"""
    say(f'[control-plane] Using manifest folder "{manifests.DIRECTORY}"')
    for component in manifests.COMPONENTS:
        say(f'[control-plane] Creating static Pod manifest for "{component}"')
        manifests.make(component, run.config)


def environment(registration: Obj, with_taints: bool) -> None:
    """kubeadm-flags.env."""
    path = f"{KUBELET_DIRECTORY}/kubeadm-flags.env"
    say(f'[kubelet-start] Writing kubelet environment file with flags to file "{path}"')
    flags = {}
    if with_taints and registration["taints"]:
        shown = ",".join(
            f"{one['key']}={one['value']}:{one['effect']}"
            if one.get("value")
            else f"{one['key']}:{one['effect']}"
            for one in registration["taints"]
        )
        flags["register-with-taints"] = shown
    if settings.node_name(registration) != settings.host_name():
        flags["hostname-override"] = settings.node_name(registration)
    flags |= {one["name"]: one["value"] for one in registration.get("kubeletExtraArgs") or []}
    text = " ".join(f"--{name}={value}" for name, value in sorted(flags.items()))
    write(path, f"KUBELET_KUBEADM_ARGS={quote(text)}\n")


def kubelet_files(document: Obj, socket: str) -> None:
    """instance-config.yaml and config.yaml."""
    instance = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": socket,
    }
    say(
        f'[kubelet-start] Writing kubelet configuration to file "{KUBELET_DIRECTORY}/instance-config.yaml"'
    )
    write(f"{KUBELET_DIRECTORY}/instance-config.yaml", yaml.safe_dump(instance))
    say(
        '[patches] Applied patch of type "application/strategic-merge-patch+json" to target "kubeletconfiguration"'
    )
    say(f'[kubelet-start] Writing kubelet configuration to file "{KUBELET_DIRECTORY}/config.yaml"')
    write(
        f"{KUBELET_DIRECTORY}/config.yaml",
        yaml.safe_dump(document | {"containerRuntimeEndpoint": socket}),
    )


def kubelet_start(run: Run) -> None:
    """[kubelet-start]"""
    registration = run.config.init["nodeRegistration"]
    service.kubelet("stop")
    environment(registration, False)
    kubelet_files(settings.kubelet_document(run.config), registration["criSocket"])
    say("[kubelet-start] Starting the kubelet")
    service.kubelet("start")
