"""
The stand-in API server: HTTPS on the control plane's port, one thread a connection, watches
streamed.

It takes its port, certificates and data directory from the static Pod manifests, as the real one
takes them from its flags, and also holds the ports of the rest of the control plane (etcd,
scheduler, controller manager), so that whoever looks for them finds them taken.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import controllers, manifests, rbac, resources, tables
from .api import Api
from .common import Obj, root
from .request import Problem, Request, Target, matches, target
from .store import Expired, Store

READY_CHECKS = (
    "ping",
    "log",
    "etcd",
    "informer-sync",
    "poststarthook/rbac/bootstrap-roles",
    "shutdown",
)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "stand-in"
    sys_version = ""
    # Headers and body leave in separate writes: without this, Nagle's algorithm costs 40 ms a
    # request.
    disable_nagle_algorithm = True
    api: Api

    def setup(self) -> None:
        """
        The TLS handshake, in this connection's own thread, so that nobody holds up the others.
        """
        self.request.settimeout(15)
        self.request.do_handshake()
        self.request.settimeout(None)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests may name tokens."""

    def _user(self) -> rbac.User:
        header = self.headers.get("Authorization", "")
        if header.startswith("Bearer "):
            user = rbac.from_token(self.api.store, header.removeprefix("Bearer ").strip())
            if user is None:
                raise Problem(401, "Unauthorized")
            return user
        assert isinstance(self.connection, ssl.SSLSocket)
        certificate = self.connection.getpeercert()
        return rbac.from_certificate(certificate) if certificate else rbac.ANONYMOUS

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(
            self.command,
            urllib.parse.unquote(path).rstrip("/") or "/",
            dict(urllib.parse.parse_qsl(query, keep_blank_values=True)),
            self.headers.get("Accept", ""),
            self.headers.get("Content-Type", ""),
            self.rfile.read(length),
        )
        try:
            request.user = self._user()
            if not self._plain(request):
                what = target(request.path)
                self.api.authorize(request, what)
                if request.method == "GET" and request.query.get("watch") in ("1", "true"):
                    self._watch(request, what)
                else:
                    self._json(*self.api.handle(request, what))
        except Problem as problem:
            self._json(problem.status, problem.body())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _json(self, status: int, content: Obj) -> None:
        self._send(status, json.dumps(content).encode() + b"\n", "application/json")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _plain(self, request: Request) -> bool:
        """Paths outside the resources; False when the path is not one of them."""
        path = request.path
        parts = path.strip("/").split("/")
        document: Obj | None = None
        if parts[0] in ("healthz", "livez", "readyz"):
            self.api.authorize(request, None)
            text = "ok"
            if "verbose" in request.query:
                text = (
                    "".join(f"[+]{one} ok\n" for one in READY_CHECKS) + f"{parts[0]} check passed\n"
                )
            self._send(200, text.encode(), "text/plain; charset=utf-8")
            return True
        if path == "/version":
            document = resources.version()
        elif path == "/api":
            document = resources.api_versions()
        elif path == "/apis":
            document = resources.group_list()
        elif path == "/api/v1":
            document = resources.resource_list("", "v1")
        elif (
            parts[0] == "apis" and len(parts) == 2 and parts[1] in dict(resources.group_versions())
        ):
            document = resources.group(parts[1])
        elif (
            parts[0] == "apis"
            and len(parts) == 3
            and (parts[1], parts[2]) in resources.group_versions()
        ):
            document = resources.resource_list(parts[1], parts[2])
        elif path == "/openapi/v3":
            document = resources.openapi_index()
        elif path.startswith("/openapi/v3/"):
            document = resources.openapi(path.removeprefix("/openapi/v3/"))
        if document is None:
            return False
        self.api.authorize(request, None)
        self._json(200, document)
        return True

    def _watch(self, request: Request, what: Target) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        items, revision = self.api.store.listed(what.resource, what.namespace)
        wanted = request.query.get("resourceVersion", "")
        if wanted in ("", "0") or request.query.get("sendInitialEvents") == "true":
            since = revision
            for one in items:
                self._event(request, what, "ADDED", one)
            if request.query.get("sendInitialEvents") == "true":
                meta = {
                    "resourceVersion": str(revision),
                    "annotations": {"k8s.io/initial-events-end": "true"},
                }
                self._chunk(
                    {
                        "type": "BOOKMARK",
                        "object": {
                            "kind": what.resource.kind,
                            "apiVersion": what.resource.api_version,
                            "metadata": meta,
                        },
                    }
                )
        else:
            since = int(wanted)
        end = time.monotonic() + float(request.query.get("timeoutSeconds") or 1800)
        self.close_connection = True
        while time.monotonic() < end:
            try:
                found, since = self.api.store.changes(what.resource, what.namespace, since, 1.0)
            except Expired:
                self._chunk(
                    {"type": "ERROR", "object": Problem(410, "too old resource version").body()}
                )
                break
            for kind, one in found:
                self._event(request, what, kind, one)
            if not found and self._gone():
                return
        self.wfile.write(b"0\r\n\r\n")

    def _gone(self) -> bool:
        """Whether the client has hung up: it never sends anything after its request."""
        self.connection.settimeout(0.001)
        try:
            return bool(self.connection.recv(1) == b"")
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            self.connection.settimeout(None)

    def _event(self, request: Request, what: Target, kind: str, one: Obj) -> None:
        if what.name and one["metadata"]["name"] != what.name:
            return
        if not matches(one, request.query):
            return
        if "as=Table" in request.accept:
            include = request.query.get("includeObject", "Metadata")
            one = tables.table(what.resource, [one], one["metadata"]["resourceVersion"], include)
        self._chunk({"type": kind, "object": one})

    def _chunk(self, content: Obj) -> None:
        data = json.dumps(content).encode() + b"\n"
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    """The listener; connections that break off are nobody's error."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are silent, anything else is shown."""
        if not isinstance(sys.exception() if sys.version_info >= (3, 11) else None, OSError):
            super().handle_error(request, client_address)


def context(certificate: str, key: str, authority: str) -> ssl.SSLContext:
    """TLS as the API server speaks it; a client certificate is welcome, not required."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    made.load_verify_locations(authority)
    made.verify_mode = ssl.CERT_OPTIONAL
    return made


def serve(store: Store, address: str, port: int, tls: ssl.SSLContext) -> Server:
    """A server that is listening; call serve_forever."""
    handler = type("BoundHandler", (Handler,), {"api": Api(store)})
    server = Server((address, port), handler, bind_and_activate=False)
    server.allow_reuse_address = True
    server.server_bind()
    server.server_activate()
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def hold(address: str, port: int) -> None:
    """Take a port of a component that is not there, and answer nothing on it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen()

    def accept() -> None:
        while True:
            listener.accept()[0].close()

    threading.Thread(target=accept, daemon=True).start()


def main() -> None:
    """Run from the static Pod manifests until stopped."""
    flags = manifests.flags("kube-apiserver")
    etcd = manifests.flags("etcd")
    manager = manifests.flags("kube-controller-manager")
    store = Store(root(etcd["data-dir"]))
    port = int(flags["secure-port"])
    tls = context(
        str(root(flags["tls-cert-file"])),
        str(root(flags["tls-private-key-file"])),
        str(root(flags["client-ca-file"])),
    )
    controllers.bootstrap(store, flags)
    server = serve(store, "", port, tls)
    for taken in (2379, 2380):
        hold("127.0.0.1", taken)
        hold(flags["advertise-address"], taken)
    for taken in (10257, 10259):
        hold("127.0.0.1", taken)
    threading.Thread(target=controllers.run, args=(store, flags, manager), daemon=True).start()
    print(f"stand-in API server {resources.version()['gitVersion']} on port {port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
