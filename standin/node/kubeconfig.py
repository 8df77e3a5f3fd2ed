"""Make and read kubeconfig files."""

from __future__ import annotations

import base64

import yaml
from cryptography import x509

from .common import Fatal, Obj, root, template, write

ADMIN, KUBELET = (f"/etc/kubernetes/{name}.conf" for name in ("admin", "kubelet"))


def document(server: str, cluster: str, user: str, authority: bytes, credentials: Obj) -> Obj:
    """Return a kubeconfig with one cluster, one user and the context `user@cluster`."""
    encoded = base64.b64encode(authority).decode()
    (made,) = template("kubeconfig", server=server, cluster=cluster, user=user, authority=encoded)
    made["users"][0]["user"] = credentials
    return made


def save(path: str, content: Obj) -> None:
    """Write a kubeconfig, mode 0600."""
    write(path, yaml.safe_dump(content), 0o600)


def load(path: str) -> Obj:
    """Read a kubeconfig; Fatal with Go's words when there is none."""
    try:
        content = yaml.safe_load(root(path).read_text())
    except OSError:
        raise Fatal(f"open {path}: no such file or directory") from None
    if not isinstance(content, dict):
        raise Fatal(f"invalid configuration: no configuration has been provided in {path}")
    return content


def cluster_and_user(content: Obj) -> tuple[Obj, Obj]:
    """Return the cluster and the user of the current context."""

    def named(kind: str, name: str) -> Obj:
        found = (one[kind] for one in content[f"{kind}s"] or [] if one["name"] == name)
        return next(found, {})

    context = named("context", content["current-context"])
    return named("cluster", context["cluster"]), named("user", context["user"])


def certificate(path: str) -> x509.Certificate | None:
    """Return the client certificate of a kubeconfig file, None without one."""
    try:
        _, user = cluster_and_user(load(path))
        return x509.load_pem_x509_certificate(data(user, "client-certificate"))
    except (Fatal, OSError, ValueError):
        return None


def data(holder: Obj, name: str) -> bytes:
    """Return `name`-data decoded, or the file that `name` points to; b"" without either."""
    if holder.get(f"{name}-data"):
        return base64.b64decode(holder[f"{name}-data"])
    return root(holder[name]).read_bytes() if holder.get(name) else b""
