"""
The container runtime, asked over its own socket: gRPC on HTTP/2, only the calls that are needed.

Sources: the Container Runtime Interface's api.proto (runtime.v1) for the field numbers, the gRPC
over HTTP/2 protocol for framing, and python3-h2 for HTTP/2 itself. So the stand-ins see the node's
real containerd: its version, its effective configuration, its images, its own error messages.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import importlib
import json
import re
import socket
import struct
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .common import Obj, root

RUNTIME, IMAGE = "runtime.v1.RuntimeService", "runtime.v1.ImageService"
UNIMPLEMENTED = 12
CODES = {2: "Unknown", 4: "DeadlineExceeded", 5: "NotFound", 12: "Unimplemented", 14: "Unavailable"}


class CriError(Exception):
    """A call that failed; the text is Go's `rpc error: code = … desc = …`."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(f"rpc error: code = {CODES.get(code, code)} desc = {text}")


def encode(*fields: tuple[int, str | bytes | bool]) -> bytes:
    """A protobuf message of strings, messages and booleans."""
    out = b""
    for number, value in fields:
        if isinstance(value, bool):
            out += bytes([number << 3, value])
            continue
        data = value.encode() if isinstance(value, str) else value
        out += bytes([number << 3 | 2]) + _varint(len(data)) + data
    return out


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def decode(data: bytes) -> dict[int, list[Any]]:
    """A protobuf message: field number → its values, bytes or int."""
    found: dict[int, list[Any]] = {}
    position = 0

    def number() -> int:
        nonlocal position
        result = shift = 0
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    while position < len(data):
        key = number()
        kind = key & 7
        value: Any
        if kind == 0:
            value = number()
        else:
            size = {1: 8, 5: 4}.get(kind) or number()
            value = data[position : position + size]
            position += size
        found.setdefault(key >> 3, []).append(value)
    return found


def text(message: dict[int, list[Any]], number: int) -> str:
    """A string field, "" when absent."""
    return str(message[number][0].decode()) if number in message else ""


def _refused(path: str, error: OSError) -> CriError:
    reason = {2: "no such file or directory", 111: "connection refused", 13: "permission denied"}
    shown = reason.get(error.errno or 0, str(error))
    return CriError(
        14,
        f'connection error: desc = "transport: Error while dialing: dial unix {path}: connect: {shown}"',
    )


@dataclass
class Runtime:
    """
    A container runtime behind a socket.

    + endpoint: `unix:///run/containerd/containerd.sock`
    """

    endpoint: str

    def call(
        self, service: str, method: str, message: bytes = b"", timeout: float = 10
    ) -> dict[int, list[Any]]:
        """One unary call; CriError when it fails, also when nobody listens."""
        path = self.endpoint.removeprefix("unix://")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            try:
                connection.connect(str(root(path)))
                return decode(_unary(connection, f"/{service}/{method}", message, timeout))
            except TimeoutError:
                raise CriError(4, "context deadline exceeded") from None
            except OSError as error:
                raise _refused(path, error) from None

    def version(self) -> tuple[str, str]:
        """(name, version), such as ("containerd", "1.7.24~ds1")."""
        answer = self.call(RUNTIME, "Version")
        return text(answer, 2), text(answer, 3)

    def has_runtime_config(self) -> bool:
        """Whether it has the RuntimeConfig method, which containerd has from 2.0 on."""
        try:
            self.call(RUNTIME, "RuntimeConfig")
        except CriError as error:
            if error.code == UNIMPLEMENTED:
                return False
            raise
        return True

    def status(self) -> tuple[dict[str, tuple[bool, str, str]], Obj]:
        """Its conditions by name (true, reason, message), and its configuration in effect."""
        answer = self.call(RUNTIME, "Status", encode((1, True)))
        conditions = {}
        for raw in decode(answer[1][0]).get(1, []):
            one = decode(raw)
            conditions[text(one, 1)] = (bool(one.get(2, [0])[0]), text(one, 3), text(one, 4))
        info: Obj = {}
        for raw in answer.get(2, []):
            entry = decode(raw)
            value = text(entry, 2)
            info[text(entry, 1)] = json.loads(value) if value[:1] in "{[" and value else value
        return conditions, info

    def images(self) -> list[Obj]:
        """Its images: names, id, size in bytes."""
        found = []
        for raw in self.call(IMAGE, "ListImages").get(1, []):
            one = decode(raw)
            names = [name.decode() for name in one.get(2, [])]
            digests = [name.decode() for name in one.get(3, [])]
            found.append(
                {
                    "id": text(one, 1),
                    "repoTags": names,
                    "repoDigests": digests,
                    "size": one.get(4, [0])[0],
                }
            )
        return found

    def has_image(self, name: str) -> bool:
        """Whether it has an image of this name."""
        return 1 in self.call(IMAGE, "ImageStatus", encode((1, encode((1, name)))))

    def pull(self, name: str) -> None:
        """Pull an image."""
        self.call(IMAGE, "PullImage", encode((1, encode((1, name)))), timeout=600)


def systemd_cgroup(info: Obj) -> bool:
    """SystemdCgroup of the default runtime, from `status`'s configuration in effect."""
    containerd = (info.get("config") or {}).get("containerd") or {}
    name = containerd.get("defaultRuntimeName", "runc")
    options = ((containerd.get("runtimes") or {}).get(name) or {}).get("options") or {}
    return bool(options.get("SystemdCgroup"))


def plugin_directories(info: Obj) -> list[str]:
    """Where it looks for CNI plugins."""
    return list((info.get("cniconfig") or {}).get("PluginDirs") or [])


def _unary(connection: socket.socket, path: str, message: bytes, timeout: float) -> bytes:
    h2: Any = importlib.import_module("h2.connection")
    events: Any = importlib.import_module("h2.events")
    client = h2.H2Connection()
    client.initiate_connection()
    client.send_headers(
        1,
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ],
    )
    client.send_data(1, b"\0" + struct.pack(">I", len(message)) + message, end_stream=True)
    body, status, said = b"", 2, "the stream ended early"
    for event in _events(connection, client, time.monotonic() + timeout):
        if isinstance(event, events.DataReceived):
            body += event.data
            client.acknowledge_received_data(event.flow_controlled_length, 1)
        elif isinstance(event, events.ResponseReceived | events.TrailersReceived):
            headers = {_str(name): _str(value) for name, value in event.headers}
            if "grpc-status" in headers:
                status = int(headers["grpc-status"])
                said = urllib.parse.unquote(headers.get("grpc-message", ""))
        elif isinstance(
            event, events.StreamEnded | events.StreamReset | events.ConnectionTerminated
        ):
            break
    if status:
        raise CriError(status, said)
    return body[5:]


def _events(connection: socket.socket, client: Any, until: float) -> Iterator[Any]:
    while True:
        connection.sendall(client.data_to_send())
        connection.settimeout(max(until - time.monotonic(), 0.001))
        data = connection.recv(65536)
        if not data:
            return
        yield from client.receive_data(data)


def _str(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def normal(version: str) -> str:
    """`1.7.24~ds1` as the kubelet shows it: `1.7.24`… the distribution's tail stays out."""
    return re.split(r"[~+]", version)[0]
