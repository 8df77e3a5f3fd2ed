"""
Ask the node's containerd: `ctr` for what it runs, `containerd config dump` for its configuration.

What is asked once is kept until another process listens on the socket.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import tomllib
from dataclasses import dataclass, field
from typing import Any

from .common import root, text

PEER = struct.Struct("3i")  # ucred: the process that listens, its user, its group
CRI_PLUGINS = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime")
IMAGE_PLUGINS = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images")
UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
DATABASE = "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db"


class CriError(Exception):
    """A call that failed; the text is Go's `rpc error: code = … desc = …`."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {words}")


@dataclass
class Runtime:
    """A container runtime; endpoint: `unix:///run/containerd/containerd.sock`."""

    endpoint: str
    _pid: int = 0
    version: str = ""
    _serves_cri: bool = False
    _config: dict[str, Any] = field(default_factory=dict)
    _images: dict[str, int] = field(default_factory=dict)
    _listed: int = 0

    def _ctr(self, *arguments: str) -> str:
        path = str(root(self.endpoint.removeprefix("unix://")))
        done = subprocess.run(
            ["ctr", "--address", path, "--namespace", "k8s.io", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CriError("Unknown", (done.stderr.strip().splitlines() or ["ctr failed"])[-1])
        return done.stdout

    def check(self) -> None:
        """Raise CriError unless it answers and serves the kubelet."""
        path = self.endpoint.removeprefix("unix://")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.settimeout(10)
                connection.connect(str(root(path)))
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                raise CriError("Unavailable", text("no-socket", path=path, why=why)) from None
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        pid = PEER.unpack(peer)[0]
        if pid != self._pid:
            self._ask()
            self._pid = pid if self._serves_cri else 0
        if not self._serves_cri:
            raise CriError("Unimplemented", "unknown service runtime.v1.RuntimeService")

    def _ask(self) -> None:
        server = self._ctr("version").partition("Server:")[2].splitlines()
        found = next(one.split()[1] for one in server if "Version:" in one)
        # Such as `1.7.24`, without the distribution's tail.
        self.version = found.lstrip("v").partition("~")[0].partition("+")[0]
        plugins = [line.split() for line in self._ctr("plugins", "ls").splitlines()]
        self._serves_cri = any(words[1:2] == ["cri"] and words[-1] == "ok" for words in plugins)
        dump = subprocess.run(["containerd", "config", "dump"], capture_output=True, check=False)
        self._config = tomllib.loads(dump.stdout.decode()).get("plugins", {})

    def setting(self, *path: str, plugins: tuple[str, ...] = CRI_PLUGINS) -> Any:
        """Return a setting of its CRI plugin, None when it has none."""
        for plugin in plugins:
            found: Any = self._config.get(plugin)
            for name in path:
                found = found.get(name) if isinstance(found, dict) else None
            if found is not None:
                return found
        return None

    def uses_systemd_cgroups(self) -> bool:
        """Whether the default runtime has SystemdCgroup."""
        name = self.setting("containerd", "default_runtime_name") or "runc"
        runtime = ("containerd", "runtimes", name, "options", "SystemdCgroup")
        return bool(self.setting(*runtime))

    def plugin_directories(self) -> list[str]:
        """Return where it looks for CNI plugins."""
        several = self.setting("cni", "bin_dirs")
        return [str(one) for one in several or [self.setting("cni", "bin_dir")] if one]

    def has_network(self) -> bool:
        """Whether it has a CNI configuration."""
        folder = root(str(self.setting("cni", "conf_dir") or "/etc/cni/net.d"))
        return any(one.suffix in (".conflist", ".conf") for one in folder.glob("*"))

    def images(self) -> dict[str, int]:
        """Return its images: name → size in bytes; asked when containerd has written something."""
        written = root(DATABASE).stat().st_mtime_ns if root(DATABASE).exists() else 0
        if not written or written != self._listed:
            lines = (line.split() for line in self._ctr("images", "ls").splitlines()[1:])
            sizes = {one[0]: float(one[3]) * UNITS[one[4]] for one in lines if "/" in one[0]}
            self._images = {name: int(size) for name, size in sizes.items()}
            self._listed = written
        return self._images

    def pull(self, name: str) -> None:
        """Pull an image, from the registries' mirrors where there are some."""
        hosts = self.setting("registry", "config_path", plugins=IMAGE_PLUGINS)
        options = ["--hosts-dir", str(hosts).partition(":")[0]] if hosts else []
        try:
            self._ctr("images", "pull", *options, name)
        except CriError as error:
            reason = str(error).partition("desc = ")[2].removeprefix("ctr: ")
            words = f'failed to pull and unpack image "{name}": {reason}'
            raise CriError("Unknown", words) from None
