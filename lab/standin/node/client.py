"""
A client of the API: HTTPS with the credentials of a kubeconfig, errors in the words of Go's client.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import ssl
import tempfile
import urllib.parse
from pathlib import Path
from typing import Any

from . import kubeconfig
from .common import Fatal, Obj

ERRNO = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ETIMEDOUT: "connection timed out",
    errno.ECONNRESET: "connection reset by peer",
}


class ApiError(Exception):
    """An answer with a status of 400 or more; the text is the server's message."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class Unreachable(Exception):
    """No answer: nobody listens, no route, a certificate that isn't trusted."""


class Client:
    """
    A connection to one API server, kept open between requests.

    + server: https://host:port
    + authority: PEM; empty means that the server isn't verified
    + certificate, key: PEM of the client, or empty
    + token: bearer token, or empty
    """

    def __init__(
        self,
        server: str,
        authority: bytes = b"",
        certificate: bytes = b"",
        key: bytes = b"",
        token: str = "",
        timeout: float = 10,
    ) -> None:
        self.server, self.token, self.timeout = server.rstrip("/"), token, timeout
        parts = urllib.parse.urlsplit(self.server)
        self.host, self.port = str(parts.hostname), parts.port or 443
        self.connection: http.client.HTTPSConnection | None = None
        self.context = ssl.create_default_context(cadata=authority.decode() or None)
        if not authority:
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE
        if certificate:
            self._load(certificate, key)

    def _load(self, certificate: bytes, key: bytes) -> None:
        # ssl takes files only; they live for these few lines, in memory where there is /dev/shm.
        folder = "/dev/shm" if Path("/dev/shm").is_dir() else None
        with tempfile.NamedTemporaryFile(dir=folder, prefix="stand-in-") as file:
            os.chmod(file.name, 0o600)
            file.write(certificate + b"\n" + key)
            file.flush()
            self.context.load_cert_chain(file.name)

    @classmethod
    def from_document(cls, content: Obj, timeout: float = 10) -> Client:
        """The client that a kubeconfig describes."""
        cluster, user, _, _ = kubeconfig.current(content)
        return cls(
            cluster["server"],
            kubeconfig.data(cluster, "certificate-authority"),
            kubeconfig.data(user, "client-certificate"),
            kubeconfig.data(user, "client-key"),
            user.get("token", ""),
            timeout,
        )

    def request(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> Any:
        """The decoded answer; ApiError or Unreachable otherwise."""
        headers = {"Accept": "application/json", "User-Agent": "stand-in"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None
        if body is not None:
            headers["Content-Type"] = kind
            data = json.dumps(body).encode()
        # A kept connection may have been closed by the other side: that is tried once more, anew.
        reused = self.connection is not None
        try:
            status, reason, raw = self._exchange(method, path, data, headers)
        except (OSError, http.client.HTTPException) as error:
            self._close()
            if reused:
                return self.request(method, path, body, kind)
            raise Unreachable(
                f'{method.capitalize()} "{self.server}{path}": {self._why(error)}'
            ) from None
        try:
            content = json.loads(raw)
        except ValueError:
            content = raw.decode(errors="replace")
        if status >= 400:
            message = content.get("message", "") if isinstance(content, dict) else content
            raise ApiError(status, message or reason)
        return content

    def _exchange(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(
                self.host, self.port, timeout=self.timeout, context=self.context
            )
        self.connection.request(method, path, data, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.reason, answer.read()

    def _close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _why(self, error: Exception) -> str:
        where = f"dial tcp {self.host}:{self.port}"
        if isinstance(error, ssl.SSLCertVerificationError):
            if "match" in error.verify_message.lower():
                return f"tls: failed to verify certificate: x509: certificate is not valid for {self.host}"
            return (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            )
        if isinstance(error, socket.gaierror):
            return f"dial tcp: lookup {self.host}: no such host"
        if isinstance(error, TimeoutError):
            return f"{where}: i/o timeout"
        if isinstance(error, OSError) and error.errno in ERRNO:
            return f"{where}: connect: {ERRNO[error.errno]}"
        return "EOF" if isinstance(error, http.client.HTTPException) else str(error)

    def get(self, path: str) -> Any:
        """GET; None when there is no such object."""
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def put(self, collection: str, content: Obj) -> None:
        """Make an object, or replace the one of the same name."""
        name = urllib.parse.quote(content["metadata"]["name"], safe=":")
        try:
            self.request("POST", collection, content)
        except ApiError as error:
            if error.status != 409:
                raise
            self.request("PUT", f"{collection}/{name}", content)

    def merge(self, path: str, patch: Obj) -> Any:
        """A JSON merge patch (RFC 7386)."""
        return self.request("PATCH", path, patch, "application/merge-patch+json")


def admin() -> Client:
    """The client of /etc/kubernetes/admin.conf; Fatal in kubeadm's words where there is none."""
    try:
        return Client.from_document(kubeconfig.load(f"{kubeconfig.DIRECTORY}/admin.conf"))
    except Fatal as error:
        raise Fatal(f"failed to load admin kubeconfig: {error}") from None
