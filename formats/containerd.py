"""
containerd's /etc/containerd/config.toml, and hosts.toml for a registry mirror.

containerd-config.toml(5), containerd's docs/cri/config.md and docs/hosts.md. Four versions of the
file are in use: 1 (which is meant where none is said; containerd 2 no longer reads it), 2
(containerd 1.3 and later, Debian 13's own), 3 (2.0 and later) and 4 (2.3 and later, which moved the
servers' sections; those of the CRI are as in 3). Whatever else stands in a file, comments too, is
kept.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, MutableMapping
from copy import deepcopy
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from formats.unreadable import Unreadable, reading

Table = MutableMapping[str, Any]

CERTS_DIR = "/etc/containerd/certs.d"
MIRROR_MARK = "# bramble: a registry mirror of its settings; it goes with the setting."
HUB, HUBS_SERVER = "docker.io", "registry-1.docker.io"
RUNC = "io.containerd.runc.v2"
_CRI_2 = "io.containerd.grpc.v1.cri"
# The names under which the CRI can be switched off; Docker's containerd.io does so.
_CRI = {
    "cri",
    _CRI_2,
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
}
# Docker Hub, by whichever name: those of its images begin with docker.io.
_OTHER_NAMES = dict.fromkeys((HUBS_SERVER, "index.docker.io", "hub.docker.com"), HUB)
# Strings too, so that a "#" in one begins no comment.
_COMMENT = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|(\#[^\r\n]*)""",
    re.DOTALL,
)
# What stands on the CRI's line among those that are switched off goes with it.
_DISABLED = re.compile(rf"^[ \t]*[\"'](?:{'|'.join(map(re.escape, _CRI))})[\"'][ \t]*,?.*$", re.M)
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
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

    ``Unreadable`` for a file that isn't TOML, or that this containerd can't read, or where a
    setting of someone else stands in the way.
    """
    text = text or ""
    document = _parse(text)
    if "version" not in document and "plugins" not in document:
        # 4 says nothing that 3 does not, and fewer read it
        text = f"version = {min(newest_config_version(version), 3)}\n\n{text}"
        document = _parse(text)
    number = _config_version(document, version)
    with reading("has a value of another kind than containerd wants there"):
        meant = _edited(document.unwrap(), wanted, number)
        if meant == document.unwrap() and text:
            return text
        ways = (tomlkit.dumps(_edited(document, wanted, number)), _rewritten(document, meant))
    comments = [note for note in _COMMENT.findall(_DISABLED.sub("", text)) if note]
    for made in ways:
        if _data(made) == meant and all(comment in made for comment in comments):
            return made
    raise Unreadable(
        "is written in a form that can't be changed without losing comments: give its plugins "
        "tables of their own"
    )


def _data(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _rewritten(document: TOMLDocument, meant: Table) -> str:
    """The document with the CRI's tables taken out and written anew at its end."""
    names = _CRI & {*document["plugins"]}
    for name in names:
        document["plugins"].pop(name)
    tables = {"plugins": {name: meant["plugins"][name] for name in sorted(names)}}
    return f"{tomlkit.dumps(document).rstrip()}\n\n{tomlkit.dumps(tables)}"


def overridden(dump: str, wanted: Runtime) -> list[str]:
    """
    What containerd makes of its configuration that is not what Kubernetes wants.

    + dump: of ``containerd config dump``, which has the files in it that are imported
    + returns: the settings' names, such as "plugins.….options.SystemdCgroup"
    """
    with reading("what containerd prints of its configuration is not understood"):
        found = _parse(dump).unwrap()
        return sorted(_differences(found, _edited(deepcopy(found), wanted, found["version"])))


def _differences(one: Any, other: Any, name: str = "") -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key, value in other.items():
            yield from _differences(one.get(key), value, f"{name}.{key}".lstrip("."))
    # Containerd 2 prints an old file's bin_dir beside its new, and then empty, bin_dirs.
    elif one != other and not name.endswith(".bin_dirs"):
        yield name


def _parse(text: str) -> TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise Unreadable(f"is not valid TOML: {error}") from None


def _config_version(document: TOMLDocument, version: str) -> int:
    number = document.get("version", 1)
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= 4:
        raise Unreadable(f"says version = {number!r}: 1 to 4 are known here")
    newest = newest_config_version(version)
    if number > newest and release(version) > (0, 0):
        raise Unreadable(
            f"says version = {number}, and containerd {version} reads no more than {newest}: "
            "it was made for a newer containerd; install that one, or remove the file"
        )
    if number == 1 and newest > 2:
        raise Unreadable(
            f"is of version 1, which containerd {version} no longer reads: move it away, run this "
            "again, and put what you miss of it into the new file"
        )
    return int(number)


def _edited(document: Table, wanted: Runtime, number: int) -> Table:
    """The document, tomlkit's or plain data, with what is wanted in it."""
    if number > 2:
        _version_3(document, wanted)
    else:
        # In version 1 plugins go by their short names, and say the same.
        _version_2(_table(document, "plugins", _CRI_2 if number == 2 else "cri"), wanted)
    disabled = document.get("disabled_plugins") or []
    if any(name in _CRI for name in disabled):
        for name in [name for name in disabled if name in _CRI]:
            disabled.remove(name)  # in its place: the comments on the others stay
    return document


def _version_2(cri: Table, wanted: Runtime) -> None:
    _set(cri, "sandbox_image", wanted.pause_image)
    if cri.get("systemd_cgroup"):  # of a runtime that is gone: beside runc's own no CRI is loaded
        cri["systemd_cgroup"] = False
    _set(_table(cri, "cni"), "bin_dir", wanted.cni_bin_dir)
    _set(_table(cri, "cni"), "conf_dir", wanted.cni_conf_dir)
    _runtimes(_table(cri, "containerd", "runtimes"))
    if wanted.mirrors:
        _mirrors(_table(cri, "registry"))


def _version_3(document: Table, wanted: Runtime) -> None:
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


def _runtimes(runtimes: Table) -> None:
    """systemd's cgroups for runc and each other runtime on its shim: they must all agree."""
    runc = _table(runtimes, "runc")
    if not runc.get("runtime_type"):  # an options table alone leaves it empty, and no pod starts
        runc["runtime_type"] = RUNC
    for name in [name for name, each in runtimes.items() if each.get("runtime_type") == RUNC]:
        _set(_table(runtimes, name, "options"), "SystemdCgroup", True)


def _mirrors(registry: Table) -> None:
    if registry.get("mirrors") or registry.get("configs"):
        raise Unreadable(
            "names registry mirrors itself, which containerd refuses beside config_path: move them "
            f"into {CERTS_DIR}/REGISTRY/hosts.toml and remove them there"
        )
    paths = [path for path in str(registry.get("config_path", "")).split(":") if path]
    if CERTS_DIR not in paths:
        registry["config_path"] = ":".join([CERTS_DIR, *paths])


def _table(parent: Table, *names: str) -> Table:
    """The table of that name, made where it is missing (without headers of its own for parents)."""
    for name in names:
        child = parent.get(name)
        if child is None:
            parent[name] = {} if type(parent) is dict else tomlkit.table(is_super_table=True)
        elif isinstance(child, InlineTable):  # which takes no tables: written as one with a header
            parent.pop(name)
            parent[name] = table = tomlkit.table()
            for key, value in child.items():
                table.append(key, value)
            if note := child.trivia.comment:
                table.comment(note.removeprefix("#").strip())
        parent = parent[name]
        if not isinstance(parent, MutableMapping):
            raise Unreadable(f"has a value where the table {name!r} belongs")
    return parent


def _set(table: Table, key: str, value: object) -> None:
    """Set a value only where it differs: what is right keeps its own way of being written."""
    if key not in table or table[key] != value:
        table[key] = value


def check_mirror(registry: str, mirror: str) -> None:
    """
    ``ValueError`` for a registry or a mirror of a form that containerd would never ask.

    + registry, mirror: as for ``hosts_toml``
    """
    bare = re.sub(r"^[a-z+]*://", "", registry, flags=re.IGNORECASE).partition("/")[0].lower()
    near = _OTHER_NAMES.get(bare, bare)
    if "@" in registry + mirror:
        raise ValueError(f"{registry!r}: a mirror takes no user and no password: remove them")
    if "*" in registry:
        raise ValueError(f'{registry!r}: containerd knows no patterns, "_default" stands for all')
    if registry != "_default":
        if near != registry:
            raise ValueError(f"{registry!r} is no registry's name: did you mean {near}?")
        check_authority(registry)
        if not re.search(r"[.:]|^localhost$", registry):
            hint = ": did you mean docker.io?" if registry.startswith("docker") else ""
            hint = ": did you mean _default?" if registry == "default" else hint
            raise ValueError(
                f"{registry!r} is no registry's name: it has neither a dot nor a port{hint}"
            )
    scheme, separator, rest = mirror.partition("://")
    bare = re.sub(r"^(https?)?:?/*", "", mirror.strip(), flags=re.IGNORECASE).rstrip("/")
    if not bare:
        raise ValueError(f"{mirror!r} for {registry} is no mirror: write http://mirror:5000")
    if scheme not in ("http", "https"):
        kind = "has no scheme" if not separator else "begins with neither https:// nor http://"
        secure = re.match(r"\s*https\b", mirror, re.IGNORECASE)
        near = f"{'https' if secure else 'http'}://{bare}"
        hint = f"did you mean {near}?" if "://" not in bare else "write http://mirror:5000"
        raise ValueError(f"{mirror!r} {kind}: {hint}")
    authority = re.split("[/?#]", rest)[0]
    if authority != rest:
        raise ValueError(
            f"{mirror!r} has a path, and a mirror is its address alone: did you mean "
            f"{scheme}://{authority}?"
        )
    check_authority(authority)


def check_authority(text: str) -> None:
    """``ValueError`` for what is no host with or without a port (RFC 3986, 3.2)."""
    match = re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]+))?", text)
    if match is None:
        v6 = ": an IPv6 address has brackets, [fd00::1]:5000" if text.count(":") > 1 else ""
        raise ValueError(f"{text!r} is no host with a port, such as mirror:5000{v6}")
    host, port = match.groups()
    if port and not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r}: port {port} is out of range (1 to 65535)")
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1].replace("%", " "))
        elif re.fullmatch("[0-9.]+", host):
            IPv4Address(host)
        elif len(host) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", host):
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is no host with a port, such as mirror:5000") from None


def hosts_toml(registry: str, mirror: str) -> str:
    """
    ``CERTS_DIR/REGISTRY/hosts.toml``: where to look first for a registry's images.

    + registry: such as "registry.k8s.io"; "_default" stands for all
    + mirror: the mirror's address, such as "http://192.168.1.10:5000"
    """
    document = tomlkit.parse(f"{MIRROR_MARK}\n")
    if registry != "_default":
        server = HUBS_SERVER if registry == HUB else registry
        document["server"] = f"https://{server}"
    host = tomlkit.table()
    host["capabilities"] = ["pull", "resolve"]
    hosts = tomlkit.table(is_super_table=True)
    hosts[mirror] = host
    document["host"] = hosts
    return tomlkit.dumps(document)
