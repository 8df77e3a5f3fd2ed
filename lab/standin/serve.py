"""
A mirror folder over plain HTTP, for the lab's lan: `python -m lab.standin.serve FOLDER --bind
ADDRESS --port N`.

apt checks signatures, the operator checks the key's fingerprint and the manifest's checksum: the
wire need not be trusted.
"""

from __future__ import annotations

import argparse
import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 8036


class Handler(SimpleHTTPRequestHandler):
    """Files of one folder; quiet."""

    protocol_version = "HTTP/1.1"
    server_version = "bramble-lab"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what apt asks for is apt's to print."""


def server(folder: Path, address: str, port: int = PORT) -> ThreadingHTTPServer:
    """A server that listens; call serve_forever."""
    made = ThreadingHTTPServer((address, port), functools.partial(Handler, directory=str(folder)))
    made.daemon_threads = True
    return made


def main(arguments: list[str]) -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.standin.serve", description="Serve a mirror folder."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=PORT)
    chosen = parser.parse_args(arguments)
    server(chosen.folder, chosen.bind, chosen.port).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
