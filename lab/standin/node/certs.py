"""kubeadm certs, and kubeadm kubeconfig user."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import json
import secrets as random
from datetime import UTC, datetime

import yaml
from cryptography import x509

from . import config as settings
from . import kubeconfig, leaves, pki
from .client import ApiError, Client, Unreachable
from .common import SYSTEM, Fatal, Obj, human, root, say, stamp

EMBEDDED = ("admin.conf", "controller-manager.conf", "scheduler.conf", "super-admin.conf")
OUTPUT = "output.kubeadm.k8s.io/v1alpha3"


def _shown(name: str) -> str:
    return name.replace("/", "-")


def load(path: str, phase: str) -> settings.Config:
    """The configuration: a file's, else the cluster's own, else the defaults."""
    if path:
        return settings.load_init(path)
    cluster: Obj = {}
    try:
        client = Client.from_document(kubeconfig.load("/etc/kubernetes/admin.conf"))
        say(
            f'[{phase}] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...'
        )
        say(
            f"[{phase}] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it."
        )
        stored = client.request("GET", f"/api/v1/namespaces/{SYSTEM}/configmaps/kubeadm-config")
        cluster = yaml.safe_load(stored["data"]["ClusterConfiguration"])
    except (ApiError, Unreachable, Fatal):
        say(
            f"[{phase}] Error reading configuration from the Cluster. Falling back to default configuration"
        )
    say()
    return settings.with_defaults({"ClusterConfiguration": cluster} if cluster else {})


def certificates(config: settings.Config) -> tuple[list[Obj], list[Obj]]:
    """(certificates, authorities) as check-expiration lists them."""
    directory = config.cluster["certificatesDir"]
    if not root(f"{directory}/apiserver.key").exists():
        key = f"{directory}/apiserver.key"
        raise Fatal(
            f"Error checking external CA condition for ca certificate authority: failure loading key for apiserver: couldn't load the private key file {key}: open {key}: no such file or directory"
        )
    found = []
    for file in EMBEDDED:
        path = root(f"{kubeconfig.DIRECTORY}/{file}")
        if path.exists():
            _, user, _, _ = kubeconfig.current(kubeconfig.load(f"{kubeconfig.DIRECTORY}/{file}"))
            found.append(
                _entry(
                    file, pki.load_certificate(kubeconfig.data(user, "client-certificate")), "ca"
                )
            )
        else:
            found.append(
                {
                    "name": file,
                    "expirationDate": None,
                    "residualTime": 0,
                    "externallyManaged": False,
                    "caName": "ca",
                    "missing": True,
                }
            )
    for leaf in leaves.LEAVES:
        found.append(
            _entry(
                _shown(leaf.name), pki.load_pair(directory, leaf.file).certificate, _shown(leaf.ca)
            )
        )
    authorities = []
    for name, file in leaves.AUTHORITIES.items():
        authorities.append(_entry(_shown(name), pki.load_pair(directory, file).certificate, ""))
    by_name = sorted(found, key=lambda one: str(one["name"]))
    return by_name, sorted(authorities, key=lambda one: str(one["name"]))


def _entry(name: str, certificate: x509.Certificate, authority: str) -> Obj:
    until = certificate.not_valid_after_utc
    entry: Obj = {
        "name": name,
        "expirationDate": stamp(until),
        "residualTime": int((until - datetime.now(UTC)).total_seconds()),
        "externallyManaged": False,
    }
    return entry | ({"caName": authority} if authority else {}) | {"missing": False}


def check_expiration(flags: dict[str, str]) -> None:
    """Two tables, or one JSON object."""
    config = load(flags.get("config", ""), "check-expiration")
    listed, authorities = certificates(config)
    if flags.get("output", "text") == "json":
        say(
            json.dumps(
                {
                    "kind": "CertificateExpirationInfo",
                    "apiVersion": OUTPUT,
                    "certificates": listed,
                    "certificateAuthorities": authorities,
                },
                indent=4,
            )
        )
        return
    say(
        f"{'CERTIFICATE':<27}{'EXPIRES':<25}{'RESIDUAL TIME':<16}{'CERTIFICATE AUTHORITY':<24}EXTERNALLY MANAGED"
    )
    for one in listed:
        say(f"{one['name']:<27}{_when(one)}{one['caName']:<24}{'no':<8}")
    say()
    say(f"{'CERTIFICATE AUTHORITY':<24}{'EXPIRES':<25}{'RESIDUAL TIME':<16}EXTERNALLY MANAGED")
    for one in authorities:
        say(f"{one['name']:<24}{_when(one)}{'no':<8}")


def _when(entry: Obj) -> str:
    if entry["missing"]:
        return f"{'<not present>':<41}"
    until = datetime.fromisoformat(entry["expirationDate"].replace("Z", "+00:00"))
    return f"{until.strftime('%b %d, %Y %H:%M UTC'):<25}{human(entry['residualTime']):<16}"


def renew(arguments: list[str], flags: dict[str, str]) -> None:
    """One certificate, or all."""
    known: dict[str, leaves.Leaf | str] = {_shown(leaf.name): leaf for leaf in leaves.LEAVES}
    known |= {file: file for file in EMBEDDED}
    wanted = arguments[0] if arguments else ""
    if wanted != "all" and wanted not in known:
        raise Fatal(f'unknown command "{wanted}" for "kubeadm certs renew"')
    config = load(flags.get("config", ""), "renew")
    for name in sorted(known) if wanted == "all" else [wanted]:
        one = known[name]
        if isinstance(one, str):
            kubeconfig.make(config, one)
            title = kubeconfig.TITLES[one]
        else:
            leaves.make_leaf(one, config)
            title = one.title
        say(f"{title} renewed")
    if wanted == "all":
        say()
        say(
            "Done renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler and etcd, so that they can use the new certificates."
        )


def certificate_key() -> None:
    """kubeadm certs certificate-key."""
    say(random.token_hex(32))


def user(flags: dict[str, str]) -> None:
    """kubeadm kubeconfig user: a personal kubeconfig on stdout."""
    if "client-name" not in flags:
        raise Fatal('required flag(s) "client-name" not set')
    config = settings.load_init(flags["config"]) if "config" in flags else load("", "kubeconfig")
    authority = pki.load_pair(config.cluster["certificatesDir"], "ca")
    name = flags["client-name"]
    if "token" in flags:
        credentials: Obj = {"token": flags["token"]}
    else:
        organizations = [one for one in flags.get("org", "").split(",") if one]
        credentials = kubeconfig.client_credentials(
            config, name, organizations, flags.get("validity-period", "")
        )
    content = kubeconfig.document(
        f"https://{settings.endpoint(config)}",
        config.cluster["clusterName"],
        name,
        pki.certificate_pem(authority.certificate),
        credentials,
    )
    print(yaml.safe_dump(content), end="", flush=True)
