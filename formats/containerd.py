"""
containerd's /etc/containerd/config.toml, and hosts.toml for a registry mirror.

containerd-config.toml(5), containerd's docs/cri/config.md and docs/hosts.md. Three versions of the
file are in use: 2 (containerd 1.3 and later, Debian 13's own), 3 (2.0 and later) and 4 (2.3 and
later, which moved the servers' sections; those of the CRI are as in 3). Whatever else stands in a
file, comments too, is kept.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError

from formats.unreadable import Unreadable

CERTS_DIR = "/etc/containerd/certs.d"
MIRROR_MARK = "# bramble: a registry mirror of its settings; it goes with the setting."
RUNC = "io.containerd.runc.v2"
# The names under which the CRI can be switched off; Docker's containerd.io does so.
_CRI = {
    "cri",
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
}
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True)
class Runtime:
    """
    What Kubernetes wants of containerd.

    + pause_image: the image of each pod's sandbox, the one that kubeadm of this version names
    + cni_bin_dir: where the kubernetes-cni package and flannel put the CNI plugins
    + cni_conf_dir: where flannel puts its network
    + mirrors: whether registries have mirrors, named in files below ``CERTS_DIR``
    """

    pause_image: str
    cni_bin_dir: str = "/opt/cni/bin"
    cni_conf_dir: str = "/etc/cni/net.d"
    mirrors: bool = False


class ConfigError(Unreadable):
    """This config.toml can't be brought to what is wanted; the message says why and what to do."""


def release(version: str) -> tuple[int, int]:
    """
    containerd's major and minor version; (0, 0) for what is no version.

    + version: such as "1.7.24~ds1" or "v2.0.5"
    """
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def newest_config_version(version: str) -> int:
    """
    The newest version of config.toml that a containerd reads.

    + version: containerd's; an unknown one gets 2, which all of them read
    """
    at = release(version)
    return 4 if at >= (2, 3) else 3 if at >= (2, 0) else 2


def configured(text: str | None, wanted: Runtime, version: str) -> str:
    """
    The config.toml with what Kubernetes wants, and otherwise as it was.

    + text: the file; None when there is none: the new one says only what is wanted
    + wanted: what Kubernetes wants
    + version: containerd's own version
    + returns: the same text when nothing is missing

    ``ConfigError`` for a file that isn't TOML, or that this containerd can't read, or where a
    setting of someone else stands in the way.
    """
    document = _parse(text or "")
    if "version" not in document:
        if "plugins" in document:
            raise ConfigError(
                "is of version 1, which containerd 2 no longer reads: turn it into the present one "
                "with `containerd config migrate`, or remove it"
            )
        # 4 says nothing that 3 does not, and fewer read it
        number = min(newest_config_version(version), 3)
        document = _parse(f"version = {number}\n\n{text or ''}")
    number = _config_version(document, version)
    before = _parse(text or "").unwrap()
    if number == 2:
        _version_2(document, wanted)
    else:
        _version_3(document, wanted)
    disabled = document.get("disabled_plugins", [])
    if any(name in _CRI for name in disabled):
        document["disabled_plugins"] = [name for name in disabled if name not in _CRI]
    if text is not None and document.unwrap() == before:
        return text
    return tomlkit.dumps(document)


def _parse(text: str) -> TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigError(f"is not valid TOML: {error}") from None


def _config_version(document: TOMLDocument, version: str) -> int:
    number = document["version"]
    if number not in (2, 3, 4):
        raise ConfigError(f"says version = {number}: 2, 3 and 4 are known here")
    newest = newest_config_version(version)
    if number > newest and release(version) > (0, 0):
        raise ConfigError(
            f"says version = {number}, and containerd {version} reads no more than {newest}: "
            "it was made for a newer containerd; install that one, or remove the file"
        )
    return int(number)


def _version_2(document: TOMLDocument, wanted: Runtime) -> None:
    cri = _table(document, "plugins", "io.containerd.grpc.v1.cri")
    _set(cri, "sandbox_image", wanted.pause_image)
    _set(_table(cri, "cni"), "bin_dir", wanted.cni_bin_dir)
    _set(_table(cri, "cni"), "conf_dir", wanted.cni_conf_dir)
    _runtimes(_table(cri, "containerd", "runtimes"))
    if wanted.mirrors:
        _mirrors(_table(cri, "registry"))


def _version_3(document: TOMLDocument, wanted: Runtime) -> None:
    images = _table(document, "plugins", "io.containerd.cri.v1.images")
    runtime = _table(document, "plugins", "io.containerd.cri.v1.runtime")
    _set(_table(images, "pinned_images"), "sandbox", wanted.pause_image)
    cni = _table(runtime, "cni")
    # 2.0 knows bin_dir alone, 2.1 and later have bin_dirs, and refuse a file with both; the default
    # of either is the directory that we want, so bin_dirs in a new file is right for all of them.
    if "bin_dir" in cni and "bin_dirs" not in cni:
        _set(cni, "bin_dir", wanted.cni_bin_dir)
    else:
        cni.pop("bin_dir", None)
        others = [path for path in cni.get("bin_dirs", []) if path != wanted.cni_bin_dir]
        _set(cni, "bin_dirs", [wanted.cni_bin_dir, *others])
    _set(cni, "conf_dir", wanted.cni_conf_dir)
    _runtimes(_table(runtime, "containerd", "runtimes"))
    if wanted.mirrors:
        _mirrors(_table(images, "registry"))


def _runtimes(runtimes: MutableMapping[str, Any]) -> None:
    """systemd's cgroups for runc and each other runtime on its shim: they must all agree."""
    runc = _table(runtimes, "runc")
    if not runc.get("runtime_type"):  # an options table alone leaves it empty, and no pod starts
        runc["runtime_type"] = RUNC
    for runtime in runtimes.values():
        if runtime.get("runtime_type") == RUNC:
            _set(_table(runtime, "options"), "SystemdCgroup", True)


def _mirrors(registry: MutableMapping[str, Any]) -> None:
    if registry.get("mirrors") or registry.get("configs"):
        raise ConfigError(
            "names registry mirrors itself, which containerd refuses beside config_path: move them "
            f"into {CERTS_DIR}/REGISTRY/hosts.toml and remove them there"
        )
    paths = [path for path in str(registry.get("config_path", "")).split(":") if path]
    if CERTS_DIR not in paths:
        registry["config_path"] = ":".join([CERTS_DIR, *paths])


def _table(parent: MutableMapping[str, Any], *names: str) -> MutableMapping[str, Any]:
    """The table of that name, made where it is missing (without headers of its own for parents)."""
    for name in names:
        if name not in parent:
            parent[name] = tomlkit.table(is_super_table=True)
        parent = parent[name]
        if not isinstance(parent, MutableMapping):
            raise ConfigError(f"has a value where the table {name!r} belongs")
    return parent


def _set(table: MutableMapping[str, Any], key: str, value: object) -> None:
    """Set a value only where it differs: what is right keeps its own way of being written."""
    if key not in table or table[key] != value:
        table[key] = value


def hosts_toml(registry: str, mirror: str) -> str:
    """
    ``CERTS_DIR/REGISTRY/hosts.toml``: where to look first for a registry's images.

    + registry: such as "registry.k8s.io"; "_default" stands for all
    + mirror: the mirror's address, such as "http://192.168.1.10:5000"
    """
    document = tomlkit.parse(f"{MIRROR_MARK}\n")
    if registry != "_default":
        document["server"] = f"https://{registry}"
    host = tomlkit.table()
    host["capabilities"] = ["pull", "resolve"]
    hosts = tomlkit.table(is_super_table=True)
    hosts[mirror] = host
    document["host"] = hosts
    return tomlkit.dumps(document)
