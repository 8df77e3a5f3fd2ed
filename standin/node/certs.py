"""kubeadm certs: check-expiration and renew."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import yaml
from cryptography import x509

from . import config as settings
from . import kubeconfig, manifests, pki
from .client import ApiError, Unreachable, admin
from .common import Fatal, Obj, moment, print_json, print_table, root, short_age, stamp, tell, text


def _load(path: str, phase: str, is_quiet: bool = False) -> settings.Config:
    """Return the configuration: the file's, else the cluster's own, else the defaults."""
    if path or not root(kubeconfig.ADMIN).exists():
        return settings.load_init(path)
    show = (lambda *_, **__: None) if is_quiet else tell
    show("reading", phase=phase)
    try:
        return manifests.configuration(admin())
    except (ApiError, Unreachable, Fatal):
        show("not-read", phase=phase)
        return settings.with_defaults({})


def _name(name: str) -> str:
    return name.replace("/", "-")


def _entry(name: str, data: bytes, authority: str = "") -> Obj:
    """Return a certificate as check-expiration's JSON has it."""
    until = x509.load_pem_x509_certificate(data).not_valid_after_utc if data else None
    left = int((until - datetime.now(UTC)).total_seconds()) if until else 0
    entry: Obj = {"name": _name(name), "expirationDate": stamp(until) if until else None}
    entry |= {"residualTime": left, "externallyManaged": False}
    return entry | ({"caName": _name(authority)} if authority else {}) | {"missing": not data}


def _certificates(config: settings.Config) -> dict[str, list[Obj]]:
    """Return the certificates and the authorities, by name, as the JSON has them."""
    if not root(f"{config.directory}/apiserver.key").exists():
        raise Fatal(text("no-authority", key=f"{config.directory}/apiserver.key"))

    def entry(name: str, authority: str = "") -> Obj:
        return _entry(name, root(f"{config.directory}/{name}.crt").read_bytes(), authority)

    table = pki.table(config)
    found = [entry(one["name"], one["ca"]) for one in table["leaves"]]
    for file in table["kubeconfigs"]:
        path, data = f"{pki.DIRECTORY}/{file['name']}", b""
        if file["title"] and root(path).exists():
            _, user = kubeconfig.cluster_and_user(kubeconfig.load(path))
            data = kubeconfig.data(user, "client-certificate")
        found += [_entry(file["name"], data, "ca")] if file["title"] else []
    authorities = [entry(one) for one in table["authorities"]]
    listed = {"certificates": found, "certificateAuthorities": authorities}
    return {name: sorted(each, key=lambda one: str(one["name"])) for name, each in listed.items()}


def check_expiration(options: argparse.Namespace) -> None:
    """kubeadm certs check-expiration: two tables, or one JSON object."""
    is_json = options.output == "json"
    found = _certificates(_load(options.config, "check-expiration", is_json))
    if is_json:
        print_json("CertificateExpirationInfo", found)
        return
    times = ("EXPIRES", "RESIDUAL TIME")
    listed, authorities = found.values()
    rows = [(one["name"], *_times(one), one["caName"], "no") for one in listed]
    print_table([("CERTIFICATE", *times, "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"), *rows])
    print()
    last = [(one["name"], *_times(one), "no") for one in authorities]
    print_table([("CERTIFICATE AUTHORITY", *times, "EXTERNALLY MANAGED"), *last])


def _times(entry: Obj) -> tuple[str, str]:
    if entry["missing"]:
        return "<not present>", ""
    until = moment(entry["expirationDate"]).strftime("%b %d, %Y %H:%M UTC")
    return until, short_age(entry["residualTime"])


def renew(options: argparse.Namespace) -> None:
    """kubeadm certs renew: one certificate, or all."""
    wanted = options.words[0] if options.words else ""
    table = pki.table(settings.with_defaults({}))
    listed = table["leaves"] + [one for one in table["kubeconfigs"] if one["title"]]
    known = {_name(one["name"]): one["name"] for one in listed}
    if wanted not in ("all", *known):
        raise Fatal(f'unknown command "{wanted}" for "kubeadm certs renew"')
    config = _load(options.config, "renew")
    for name in sorted(known) if wanted == "all" else [wanted]:
        print(pki.renew(known[name], config), "renewed", flush=True)
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
