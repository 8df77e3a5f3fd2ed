"""A client of the API: HTTPS with a kubeconfig's credentials, errors in Go's words."""

from __future__ import annotations

import contextlib
import copy
import errno
import http.client
import json
import os
import socket
import ssl
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from . import kubeconfig
from .common import LOADER, SYSTEM, Fatal, Obj


class ApiError(Exception):
    """An answer with a status of 400 or more; the text is the server's message."""

    def __init__(self, status: int, message: str, body: Any = None) -> None:
        self.status, self.body = status, body
        super().__init__(message)


class Unreachable(Exception):
    """No answer: nobody listens, no route, a certificate that isn't trusted."""


@contextlib.contextmanager
def phase(name: str) -> Iterator[None]:
    """Run a phase of kubeadm: what fails in it is said with its name."""
    try:
        yield
    except (ApiError, Unreachable, Fatal) as error:
        raise Fatal(f"error execution phase {name}: {error}") from None


def why(error: Exception, host: str, port: int) -> str:
    """Return in Go's words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        is_name = "match" in error.verify_message.lower()
        reason = f"is not valid for {host}" if is_name else "signed by unknown authority"
        return f"tls: failed to verify certificate: x509: certificate {reason}"
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    code = errno.ETIMEDOUT if isinstance(error, TimeoutError) else getattr(error, "errno", 0)
    if code and not isinstance(error, ssl.SSLError):
        what = os.strerror(code).lower()
        what = "i/o timeout" if code == errno.ETIMEDOUT else f"connect: {what}"
        return f"dial tcp {host}:{port}: {what}"
    return "EOF" if isinstance(error, http.client.HTTPException) else str(error)


class Client:
    """
    A connection to one API server, kept open.

    + authority: PEM, empty: it isn't verified
    + user: a kubeconfig's
    """

    def __init__(self, server: str, authority: bytes = b"", user: Obj | None = None) -> None:
        self.server, user = server.rstrip("/"), user or {}
        self.headers = {"Accept": "application/json", "User-Agent": "stand-in"}
        if "token" in user:
            self.headers["Authorization"] = f"Bearer {user['token']}"
        parts = urllib.parse.urlsplit(self.server)
        self.host, self.port = str(parts.hostname), parts.port or 443
        self.connection: http.client.HTTPSConnection | None = None
        self.accounts: dict[str, Client] = {}
        self.context = ssl.create_default_context(cadata=authority.decode() or None)
        if not authority:
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE
        if certificate := kubeconfig.data(user, "client-certificate"):
            # ssl takes files only; this one lives in memory, for these lines.
            folder = "/dev/shm" if Path("/dev/shm").is_dir() else None
            with tempfile.NamedTemporaryFile(dir=folder, prefix="stand-in-") as file:
                file.write(certificate + b"\n" + kubeconfig.data(user, "client-key"))
                file.flush()
                self.context.load_cert_chain(file.name)

    @classmethod
    def of(cls, content: Obj) -> Client:
        """Return the client that a kubeconfig describes."""
        cluster, user = kubeconfig.cluster_and_user(content)
        return cls(cluster["server"], kubeconfig.data(cluster, "certificate-authority"), user)

    def acting_as(self, account: str) -> Client:
        """Return a client that asks for a service account, in place of its pod's token."""
        if account not in self.accounts:
            other = self.accounts[account] = copy.copy(self)
            other.headers, other.connection = self.headers | {"Impersonate-User": account}, None
        return self.accounts[account]

    def request(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> Any:
        """Return the decoded answer; raise ApiError or Unreachable otherwise."""
        headers = self.headers | {"Content-Type": kind}
        data = None if body is None else json.dumps(body).encode()
        # A kept connection may have been closed by the other side: then it is tried once more.
        is_reused = self.connection is not None
        try:
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(
                    self.host, self.port, timeout=10, context=self.context
                )
            self.connection.request(method, path, data, headers)
            answer = self.connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            if self.connection is not None:
                self.connection.close()
                self.connection = None
            if is_reused:
                return self.request(method, path, body, kind)
            where = f'{method.capitalize()} "{self.server}{path}"'
            raise Unreachable(f"{where}: {why(error, self.host, self.port)}") from None
        try:
            content = json.loads(raw)
        except ValueError:
            content = raw.decode(errors="replace")
        if answer.status >= 400:
            message = content.get("message", "") if isinstance(content, dict) else content
            raise ApiError(answer.status, message or answer.reason, content)
        return content

    def stream(self, path: str, body: Any) -> Iterator[Any]:
        """Give one document after the other of etcd's answer, which ends when it has no leader."""
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.context)
        try:
            headers = self.headers | {"Grpc-Metadata-Hasleader": "true"}
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            while line := answer.readline():
                found = json.loads(line)
                if "error" in found:
                    raise ApiError(answer.status, str(found["error"]))
                yield found
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(why(error, self.host, self.port)) from None
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return an object, None when there is none."""
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def stored(self, name: str, key: str) -> Obj:
        """Return the document that a ConfigMap of kube-system has under a key."""
        found = self.request("GET", f"/api/v1/namespaces/{SYSTEM}/configmaps/{name}")
        return dict(yaml.load(found["data"][key], LOADER))

    def put(self, collection: str, content: Obj) -> None:
        """Make an object, or replace the one of the same name."""
        try:
            self.request("POST", collection, content)
        except ApiError as error:
            if error.status != 409:
                raise
            name = urllib.parse.quote(content["metadata"]["name"], safe=":")
            self.request("PUT", f"{collection}/{name}", content)

    def merge(self, path: str, patch: Obj) -> Any:
        """Send a JSON merge patch (RFC 7386)."""
        return self.request("PATCH", path, patch, "application/merge-patch+json")


def admin() -> Client:
    """Return the client of admin.conf; Fatal in kubeadm's words where there is none."""
    try:
        return Client.of(kubeconfig.load(kubeconfig.ADMIN))
    except Fatal as error:
        raise Fatal(f"failed to load admin kubeconfig: {error}") from None
