"""This computer's access to the cluster, and `kubectl proxy`, which gives access to everybody."""

from __future__ import annotations

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any

import requests
import yaml

from messages import Said
from messages import verify as messages
from settings import Cluster
from settings import kubernetes as names
from tests.cluster.findings import control_plane_logs, deploy, listed, wrong
from tests.cluster.kubernetes import Kubernetes

TIMEOUT = 10  # seconds
# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, …_CERT_HAS_EXPIRED; …_HOSTNAME_MISMATCH, …_IP_ADDRESS_….
_NOT_VALID_NOW = (9, 10)
_ANOTHER_NAME = (62, 64)


def test_kubeconfig(cluster: Cluster, kubernetes: Kubernetes) -> None:
    """kubeconfig"""
    config, context = cluster.kubeconfig.expanduser(), cluster.kube_context
    if not config.exists():
        wrong(messages.KUBECONFIG_MISSING(path=config, deploy=deploy("access")))
    if config.stat().st_mode & 0o077:
        wrong(messages.KUBECONFIG_MODE(path=config))
    document = yaml.safe_load(config.read_text()) or {}
    found = entry(document, "contexts", context)
    server = entry(document, "clusters", found.get("cluster"))
    user = entry(document, "users", found.get("user"))
    if not (server and "client-certificate-data" in user):
        step = deploy("access")
        wrong(messages.CONTEXT_MISSING(path=config, context=context, deploy=step))
    if server.get("server") != names.api_server(cluster):
        wrong(
            messages.CONTEXT_SERVER(
                context=context,
                found=server.get("server"),
                expected=names.api_server(cluster),
                deploy=deploy("access"),
            )
        )
    try:
        answer = ask(server, user)
    except requests.exceptions.SSLError as error:
        wrong(refused(error, server["server"], config))
    except requests.RequestException as error:
        values = {"server": server["server"], "reason": type(error).__name__}
        silent = messages.API_SILENT(**values, remedy=control_plane_logs(kubernetes.asked))
        wrong(kubernetes.connections.no_majority() or silent)
    if answer.status_code != 200:
        status = f"{answer.status_code} {answer.reason}"
        steps = {"deploy": deploy("access"), "certificates": deploy("certificates")}
        wrong(messages.API_REFUSES(server=server["server"], status=status, **steps))
    there = {item["metadata"]["name"] for item in answer.json()["items"]}
    if absent := [node.name for node in cluster.nodes if node.name not in there]:
        step = deploy("cluster")
        wrong(messages.NODES_MISSING(context=context, nodes=listed(absent), deploy=step))


def entry(document: dict[str, Any], kind: str, name: object) -> dict[str, Any]:
    """The entry of that name in a kubeconfig, whose lists have {name, <kind in the singular>}."""
    for each in document.get(kind) or []:
        if each.get("name") == name:
            return dict(each.get(kind.removesuffix("s")) or {})
    return {}


def ask(server: dict[str, Any], user: dict[str, Any]) -> requests.Response:
    """Request the list of nodes as kubectl does, with the certificates of the kubeconfig."""
    with tempfile.TemporaryDirectory() as folder, requests.Session() as session:
        files = []
        for name, text in (
            ("ca", server["certificate-authority-data"]),
            ("certificate", user["client-certificate-data"]),
            ("key", user["client-key-data"]),
        ):
            files.append(Path(folder) / name)
            files[-1].touch(mode=0o600)
            files[-1].write_bytes(base64.b64decode(text))
        session.trust_env = False
        return session.get(
            f"{server['server']}/api/v1/nodes",
            verify=str(files[0]),
            cert=(str(files[1]), str(files[2])),
            timeout=TIMEOUT,
        )


def refused(error: requests.exceptions.SSLError, server: str, config: Path) -> Said:
    """Why the server's certificate is not accepted."""
    cause: BaseException | None = error
    while cause and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = getattr(cause, "reason", None) or cause.__context__
    if not isinstance(cause, ssl.SSLCertVerificationError):
        remedy = f"Run `{deploy('certificates')}`"
        return messages.API_SILENT(server=server, reason=error, remedy=remedy)
    reason = cause.verify_message
    if cause.verify_code in _NOT_VALID_NOW:
        step = deploy("certificates")
        return messages.API_CERTIFICATE_EXPIRED(server=server, reason=reason, deploy=step)
    if cause.verify_code in _ANOTHER_NAME:
        step = deploy("control_plane")
        return messages.API_CERTIFICATE_NAME(server=server, reason=reason, deploy=step)
    return messages.API_CERTIFICATE(server=server, path=config, deploy=deploy("access"))


def test_kubectl_proxy(cluster: Cluster, kubernetes: Kubernetes) -> None:
    """kubectl proxy"""
    if not cluster.kubectl_proxy:
        # The bracket keeps the search from finding itself.
        running = kubernetes.control_plane.run("pgrep -fa '[k]ubectl.* proxy'").stdout.splitlines()
        if running:
            node, step = kubernetes.asked, deploy("access")
            wrong(messages.PROXY_RUNS(node=node, command=running[0], deploy=step))
        return
    url = f"{names.proxy_url(cluster)}/version"
    try:
        with requests.Session() as session:
            session.trust_env = False
            status = session.get(url, timeout=TIMEOUT).status_code
            strange = session.get(url, headers={"Host": "example.org"}, timeout=TIMEOUT).status_code
    except requests.RequestException as error:
        reason = type(error).__name__
        wrong(messages.PROXY_SILENT(url=url, reason=reason, deploy=deploy("access")))
    if status != 200:
        wrong(messages.PROXY_REFUSES(url=url, status=status, deploy=deploy("access")))
    if strange == 200:
        wrong(messages.PROXY_OPEN(deploy=deploy("access")))
