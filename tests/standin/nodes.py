"""Nodes for tests without a lab: directories in which kubeadm runs; the kubelets are the tests."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from standin.node import agent, config, images, kubeadm, preflight, services
from tests.standin.recordings import normal


class Containerd:
    """A containerd 1.7 with all images."""

    def __init__(self, endpoint: str) -> None:
        pass

    def check(self) -> None:
        """Answer."""

    def pull(self, name: str) -> None:
        """Pull."""

    def images(self) -> dict[str, int]:
        """Have all images."""
        return dict.fromkeys(images.names("v1.36.3").values(), 1)


class Nodes:
    """Blank nodes; the first is to be a control plane."""

    def __init__(self, base: Path, patch: pytest.MonkeyPatch, *names: str) -> None:
        self.base, self.patch = base, patch
        for name in names:
            for folder in ("etc/kubernetes/manifests", "var/lib/kubelet", "proc/sys/net/ipv4"):
                (base / name / folder).mkdir(parents=True)
            (base / name / "proc/sys/net/ipv4/ip_forward").write_text("1\n")
            # Where the controllers' signing key is, whichever node's directory is in use.
            (base / name / "signing").symlink_to(base / names[0] / "etc/kubernetes/pki")
        health = ThreadingHTTPServer(("127.0.0.1", 0), agent.Health)
        threading.Thread(target=health.serve_forever, daemon=True).start()
        patch.setattr(services, "HEALTH", f"http://127.0.0.1:{health.server_address[1]}/healthz")
        patch.setattr(services, "systemctl", lambda *_: False)
        patch.setattr(preflight, "Runtime", Containerd)
        patch.setattr("os.geteuid", lambda: 0)

    def on(
        self,
        name: str,
        start: Callable[[], None] = lambda: None,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Be on a node; start, stop: what its kubelet does then."""
        self.patch.setenv("STANDIN_ROOT", str(self.base / name))

        def kubelet_service(action: str) -> None:
            {"start": start, "stop": stop}[action]()

        self.patch.setattr(services, "kubelet", kubelet_service)
        self.patch.setattr(config, "host_name", lambda: name)

    def kubeadm(self, *arguments: str) -> tuple[str, int]:
        """Return what kubeadm prints, without what may differ, and its status."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = kubeadm.run(list(arguments))
        return normal(f"{out.getvalue()}\n{err.getvalue()}"), status
