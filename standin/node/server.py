"""
The stand-in API server: HTTPS on the control plane's port, one thread a connection.

It takes port, certificates and etcd's address from the static Pods' manifests, as the real one from
its flags, and also holds the ports of scheduler and controller manager, so that who looks for them
finds them taken.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler
from typing import Any

from . import controllers, manifests, rbac, resources, tables
from .api import Api, Problem, Request, Target, matches, target
from .client import ApiError, Client, Unreachable
from .common import VERSION, Obj, root, text
from .store import NO_LEADER, Store

PATIENCE = 60.0  # seconds for etcd to have a leader
HEALTH = ("/healthz", "/livez", "/readyz")
# An older version of an API, which is counted as one that goes away with the next minor.
BETA = re.compile(r"/apis/([^/]+)/(v\d+beta\d+)/([^/]+).*")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "stand-in"
    sys_version = ""
    # Headers and body leave in separate writes: without this, each request waits 40 ms (Nagle).
    disable_nagle_algorithm = True
    api: Api

    def setup(self) -> None:
        """Do the TLS handshake, in this connection's own thread: a slow one holds up no other."""
        self.request.settimeout(15)
        self.request.do_handshake()
        self.request.settimeout(None)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: requests may name tokens."""

    def _user(self) -> rbac.User:
        header = self.headers.get("Authorization", "")
        if header.startswith("Bearer "):
            user = rbac.from_token(self.api.store, header.removeprefix("Bearer ").strip())
            if user is None:
                raise Problem(401, "Unauthorized")
            return user
        assert isinstance(self.connection, ssl.SSLSocket)
        certificate = self.connection.getpeercert()
        user = rbac.from_certificate(certificate) if certificate else rbac.ANONYMOUS
        return rbac.acting_as(user, self.headers.get("Impersonate-User", ""))

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        request = Request(
            self.command,
            urllib.parse.unquote(path).rstrip("/") or "/",
            dict(urllib.parse.parse_qsl(query, keep_blank_values=True)),
            self.headers.get("Accept", ""),
            self.headers.get("Content-Type", ""),
            self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        try:
            request.user = self._user()
            what = target(request.path)
            self.api.authorize(request, what)
            if what is None:
                self._plain(request)
                return
            self.api.store.has_leader(PATIENCE)
            self.api.store.check()
            if request.is_watch:
                self._watch(request, what)
            else:
                self._json(*self.api.handle(request, what))
        except Problem as problem:
            self._json(problem.status, problem.body())
        except (ApiError, Unreachable) as error:  # of etcd
            words = f'rpc error: code = Unavailable desc = "{error}"'
            if request.path in HEALTH:
                self._json(500, text("not-live"))
            elif NO_LEADER in words:
                self._json(504, "Timeout")  # kubectl has its own words for it
            else:
                self._json(500, Problem(500, words, "InternalError").body())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _json(self, status: int, content: Obj | str) -> None:
        is_text = isinstance(content, str)
        data = str(content).encode() if is_text else json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if is_text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _plain(self, request: Request) -> None:
        """Answer a path outside the resources."""
        if found := BETA.fullmatch(request.path):
            self.api.deprecated.add(found.groups())
        answer: Obj | str | None = resources.document(request.path, self.api.version)
        if request.path in HEALTH:
            answer = "ok"
            if request.path != "/readyz":
                self.api.store.check(asks=True)
        if request.path == "/metrics":
            removed = int(self.api.version.split(".")[1]) + 1
            used = sorted(self.api.deprecated)
            answer = "".join(text("deprecated", found=one, removed=removed) for one in used)
        if answer is None:
            raise Problem(404, text("no-resource"))
        self._json(200, answer)

    def _watch(self, request: Request, what: Target) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        items, since = self.api.store.listed(what.resource, what.namespace)
        if request.query.get("resourceVersion", "") in ("", "0"):
            for one in items:
                self._event(request, what, "ADDED", one)
        else:
            since = int(request.query["resourceVersion"])
        end_time = time.monotonic() + float(request.query.get("timeoutSeconds") or 1800)
        while time.monotonic() < end_time:
            found, since = self.api.store.changes(what.resource, what.namespace, since, 1.0)
            for kind_of_event, one in found:
                self._event(request, what, kind_of_event, one)
            # The client has hung up: it never sends anything after its request.
            if not found and select.select([self.connection], [], [], 0)[0]:
                return
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, request: Request, what: Target, kind: str, one: Obj) -> None:
        meta = one["metadata"]
        if what.name not in ("", meta["name"]) or not matches(one, request.query):
            return
        if "as=Table" in request.accept:
            include = request.query.get("includeObject", "Metadata")
            one = tables.table(what.resource, [one], meta["resourceVersion"], include)
        data = json.dumps({"type": kind, "object": one}).encode() + b"\n"
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    """The listener; connections that break off are no error."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show what is no broken connection."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def serve(store: Store, address: str, port: int, flags: dict[str, str]) -> Server:
    """Return a server that listens; a client certificate is welcome, not required."""
    names = ("tls-cert-file", "tls-private-key-file", "client-ca-file")
    certificate, key, authority = (str(root(flags[name])) for name in names)
    image = manifests.read("kube-apiserver")["spec"]["containers"][0]["image"]
    version = f"{image.rpartition(':')[2]}+stand-in"  # the program may be of another one
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_OPTIONAL

    def reload() -> None:
        """Serve a certificate that was made since, as the real one does; not half of it."""
        with contextlib.suppress(ssl.SSLError, OSError):
            context.load_cert_chain(certificate, key)

    server = Server((address, port), type("BoundHandler", (Handler,), {"api": Api(store, version)}))
    server.service_actions = reload  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, True, do_handshake_on_connect=False)
    return server


def hold(address: str, port: int) -> None:
    """Take a port of a component that is not there, and answer nothing on it."""
    listener = ThreadingHTTPServer((address, port), BaseRequestHandler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()


def main() -> None:
    """Run from the static Pods' manifests until stopped."""
    names = ("kube-apiserver", "kube-controller-manager", "etcd")
    flags, manager, member = map(manifests.flags, names)

    def etcd() -> Client:
        user = {f"client-{name}": flags[f"etcd-{name[:4]}file"] for name in ("certificate", "key")}
        return Client(flags["etcd-servers"], root(flags["etcd-cafile"]).read_bytes(), user)

    store = Store(etcd)
    controllers.bootstrap(store, flags)
    server = serve(store, "", int(flags["secure-port"]), flags)
    for port in (10257, 10259):
        hold("127.0.0.1", port)
    arguments = (store, manager, member["name"], flags["advertise-address"])
    threading.Thread(target=controllers.run, args=arguments, daemon=True).start()
    print(f"stand-in API server {VERSION} on port {flags['secure-port']}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
