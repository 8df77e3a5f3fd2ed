"""
A registry on the uplink's side of a lab: it asks for a token, and redirects to where blobs are.

It has one image under any name and tag, whose layer cannot be compressed.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import random
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LAYER_MB = 24
MANIFEST, CONFIG, LAYER = (
    f"application/vnd.oci.image.{part}"
    for part in ("manifest.v1+json", "config.v1+json", "layer.v1.tar")
)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer(name: str) -> bytes:
    """A layer of one file, another one for each name of an image."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("data")
        entry.size = LAYER_MB << 20
        archive.addfile(entry, io.BytesIO(random.Random(name).randbytes(entry.size)))
    return packed.getvalue()


class Registry(ThreadingHTTPServer):
    """
    + blobs: by digest
    + manifests: by image
    """

    daemon_threads = True

    def __init__(self, address: str, port: int, images: list[str]) -> None:
        super().__init__((address, port), _Handler)
        self.url = f"http://{address}:{port}"
        self.blobs: dict[str, bytes] = {}
        self.manifests = {image: self._add(image) for image in images}

    def _add(self, image: str) -> bytes:
        packed = layer(image)
        config = {
            "architecture": {"aarch64": "arm64"}.get(platform.machine(), "amd64"),
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest(packed)]},
        }
        text = json.dumps(config).encode()
        self.blobs |= {digest(each): each for each in (packed, text)}
        described = [
            {"mediaType": kind, "digest": digest(data), "size": len(data)}
            for kind, data in ((CONFIG, text), (LAYER, packed))
        ]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST}
        return json.dumps(manifest | {"config": described[0], "layers": described[1:]}).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name, _, reference = path.rpartition("/")
        if path == "/token":
            return self._answer(200, b'{"token": "t"}', "application/json")
        if path.startswith("/stored/"):
            return self._answer(200, self.server.blobs[reference], "application/octet-stream")
        if self.headers["Authorization"] != "Bearer t":
            realm = f'Bearer realm="{self.server.url}/token",service="lab"'
            return self._answer(401, b"", WWW_Authenticate=realm)
        if reference in self.server.blobs:
            return self._answer(307, b"", Location=f"{self.server.url}/stored/{reference}")
        image = name.removeprefix("/v2/").removesuffix("/manifests")
        found = self.server.manifests.get(image)
        if found is None:
            return self._answer(404, b"")
        return self._answer(200, found, MANIFEST, Docker_Content_Digest=digest(found))

    def _answer(self, status: int, body: bytes, kind: str = "text/plain", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


if __name__ == "__main__":
    Registry(sys.argv[1], int(sys.argv[2]), sys.argv[3:]).serve_forever()
