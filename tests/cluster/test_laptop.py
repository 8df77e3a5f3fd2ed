"""This computer: its way into the cluster, and `kubectl proxy`, which is a way in for everybody."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import Any

import requests
import yaml

from settings import Cluster
from settings import kubernetes as names
from tests.cluster.kubernetes import Kubernetes
from tests.cluster.words import control_plane_logs, deploy, listed, wrong

TIMEOUT = 10  # seconds


def test_kubeconfig(cluster: Cluster) -> None:
    """kubeconfig, over TLS"""
    config, context = cluster.kubeconfig.expanduser(), cluster.kube_context
    if not config.exists():
        wrong(f"there is no {config}", deploy("access"))
    if config.stat().st_mode & 0o077:
        wrong(f"others can read {config}", f"chmod 600 {config}")
    document = yaml.safe_load(config.read_text()) or {}
    found = entry(document, "contexts", context)
    server = entry(document, "clusters", found.get("cluster"))
    user = entry(document, "users", found.get("user"))
    if not (server and "client-certificate-data" in user):
        wrong(f"{config} has no context {context} with a certificate", deploy("access"))
    if server.get("server") != names.api_server(cluster):
        wrong(
            f"the context {context} leads to {server.get('server')}; it should lead to "
            f"{names.api_server(cluster)}",
            deploy("access"),
        )
    try:
        answer = ask(server, user)
    except requests.exceptions.SSLError:
        wrong(f"{server['server']} is not the one that {config} knows (TLS)", deploy("access"))
    except requests.RequestException as error:
        wrong(
            f"{server['server']} does not answer ({type(error).__name__})",
            control_plane_logs(cluster.first_control_plane.name),
        )
    if answer.status_code != 200:
        wrong(
            f"{server['server']} says {answer.status_code} {answer.reason} to you",
            deploy("access"),
        )
    there = {item["metadata"]["name"] for item in answer.json()["items"]}
    if absent := [node.name for node in cluster.nodes if node.name not in there]:
        wrong(f"the cluster behind {context} has no {listed(absent)}", deploy("workers"))


def entry(document: dict[str, Any], kind: str, name: object) -> dict[str, Any]:
    """What stands under a name in a kubeconfig: a list of {name, <kind in the singular>}."""
    for each in document.get(kind) or []:
        if each.get("name") == name:
            return dict(each.get(kind.removesuffix("s")) or {})
    return {}


def ask(server: dict[str, Any], user: dict[str, Any]) -> requests.Response:
    """The list of nodes, as kubectl asks for it: with the certificates of the kubeconfig."""
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


def test_kubectl_proxy(cluster: Cluster, kubernetes: Kubernetes) -> None:
    """kubectl proxy, as set"""
    if not cluster.kubectl_proxy:
        # The bracket keeps the search from finding itself.
        running = kubernetes.control_plane.run("pgrep -fa '[k]ubectl.* proxy'").stdout.splitlines()
        if running:
            wrong(
                f"it runs on {cluster.first_control_plane.name}, and asks nobody who they are: "
                f"{running[0]}",
                f"{deploy('access')} (or set kubectl_proxy = True)",
            )
        return
    url = f"{names.proxy_url(cluster)}/version"
    try:
        with requests.Session() as session:
            session.trust_env = False
            status = session.get(url, timeout=TIMEOUT).status_code
            strange = session.get(url, headers={"Host": "example.org"}, timeout=TIMEOUT).status_code
    except requests.RequestException as error:
        wrong(f"{url} does not answer ({type(error).__name__})", deploy("access"))
    if status != 200:
        wrong(f"{url} says {status}: see kubectl_proxy_accept", deploy("access"))
    if strange == 200:
        wrong("it serves any name, so web pages can reach it (DNS rebinding)", deploy("access"))
