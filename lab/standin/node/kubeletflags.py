"""The kubelet's flags and configuration file, its refusals at the start, its health port."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import http.server
from typing import Any

import yaml

from .common import Fatal, Obj, quote, root

VALUES = (
    "config",
    "kubeconfig",
    "bootstrap-kubeconfig",
    "node-ip",
    "hostname-override",
    "container-runtime-endpoint",
    "register-with-taints",
    "node-labels",
)


def parse(arguments: list[str]) -> dict[str, str]:
    """
    Flags as `--name=value` or `--name value`; those that only matter to containers are accepted.
    """
    found = {}
    pending = list(arguments)
    while pending:
        flag, equals, value = pending.pop(0).lstrip("-").partition("=")
        if not equals and pending and not pending[0].startswith("--"):
            value = pending.pop(0)
        found[flag] = value
    return found


def refused(reason: str) -> Fatal:
    return Fatal(f'"command failed" err={quote(reason)}')


def load_config(path: str) -> Obj:
    """The KubeletConfiguration; Fatal in the kubelet's words when there is none."""
    try:
        content = yaml.safe_load(root(path).read_text())
    except OSError:
        reason = f'failed to load kubelet config file, path: {path}, error: failed to load Kubelet config file {path}, error failed to read kubelet config file "{path}", error: open {path}: no such file or directory'
        raise refused(reason) from None
    return content if isinstance(content, dict) else {}


def check_swap(config: Obj) -> None:
    """Swap is on and may not be."""
    lines = root("/proc/swaps").read_text().splitlines() if root("/proc/swaps").exists() else []
    if len(lines) > 1 and config.get("failSwapOn", True):
        raise refused(
            "failed to run Kubelet: running with swap on is not supported, please disable swap or set --fail-swap-on flag to false"
        )


class Health(http.server.BaseHTTPRequestHandler):
    """127.0.0.1:10248/healthz."""

    def do_GET(self) -> None:
        """ok, for /healthz only."""
        found = self.path.partition("?")[0] == "/healthz"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(b"ok" if found else b"404 page not found\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""
