"""kubeadm certs: check-expiration and renew."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import yaml
from cryptography import x509

from . import config as settings
from . import kubeconfig, manifests, pki
from .client import ApiError, Unreachable, admin
from .common import Fatal, Obj, print_json, root, say, stamp, tell, text


def _load(path: str, phase: str) -> settings.Config:
    """Return the configuration: the file's, else the cluster's own, else the defaults."""
    if path or not root(kubeconfig.ADMIN).exists():
        return settings.load_init(path)
    if phase:
        tell("reading", phase=phase)
    try:
        return manifests.configuration(admin())
    except (ApiError, Unreachable, Fatal):
        if phase:
            tell("not-read", phase=phase)
        return settings.with_defaults({})


def _entry(name: str, found: x509.Certificate | None, authority: str = "") -> Obj:
    """Return a certificate as check-expiration's JSON has it."""
    until = found.not_valid_after_utc if found else None
    left = int((until - datetime.now(UTC)).total_seconds()) if until else 0
    entry: Obj = {"name": name.replace("/", "-"), "expirationDate": stamp(until) if until else None}
    entry |= {"residualTime": left, "externallyManaged": False}
    signer = {"caName": authority.replace("/", "-")} if authority else {}
    return entry | signer | {"missing": not found}


def _certificates(config: settings.Config) -> dict[str, list[Obj]]:
    """Return the certificates and the authorities, by name, as the JSON has them."""
    if not root(f"{config.directory}/apiserver.key").exists():
        raise Fatal(text("no-authority", key=f"{config.directory}/apiserver.key"))

    def entry(name: str, authority: str = "") -> Obj:
        data = root(f"{config.directory}/{name}.crt").read_bytes()
        return _entry(name, x509.load_pem_x509_certificate(data), authority)

    table = pki.table(config)
    found = [entry(one["name"], one["ca"]) for one in table["leaves"]]
    for file in (one["name"] for one in table["kubeconfigs"] if one["title"]):
        found.append(_entry(file, kubeconfig.certificate(f"{pki.DIRECTORY}/{file}"), "ca"))
    authorities = [entry(one) for one in table["authorities"]]
    listed = {"certificates": found, "certificateAuthorities": authorities}
    return {name: sorted(each, key=lambda one: str(one["name"])) for name, each in listed.items()}


def check_expiration(options: argparse.Namespace) -> None:
    """kubeadm certs check-expiration -o json."""
    print_json("CertificateExpirationInfo", _certificates(_load(options.config, "")))


def renew(options: argparse.Namespace) -> None:
    """kubeadm certs renew: one certificate, or all."""
    wanted = options.words[0] if options.words else ""
    table = pki.table(settings.with_defaults({}))
    listed = table["leaves"] + [one for one in table["kubeconfigs"] if one["title"]]
    known = {one["name"].replace("/", "-"): one["name"] for one in listed}
    if wanted not in ("all", *known):
        raise Fatal(f'unknown command "{wanted}" for "kubeadm certs renew"')
    config = _load(options.config, "renew")
    for name in sorted(known) if wanted == "all" else [wanted]:
        say(pki.renew(known[name], config))
    if wanted == "all":
        tell("renewed")


def user_kubeconfig(options: argparse.Namespace) -> None:
    """kubeadm kubeconfig user: a kubeconfig with a new client certificate, printed."""
    if not options.config:
        raise Fatal('required flag(s) "config" not set')
    config = settings.load_init(options.config)
    authority = pki.load_pair(config.cluster["certificatesDir"], "ca").certificate
    name, server = config.cluster["clusterName"], f"https://{settings.endpoint(config)}"
    credentials = pki.client_credentials(config, options.client_name, options.org)
    pem = pki.certificate_pem(authority)
    made = kubeconfig.document(server, name, options.client_name, pem, credentials)
    print(yaml.safe_dump(made))
