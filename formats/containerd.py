"""
containerd's /etc/containerd/config.toml.

containerd-config.toml(5), containerd's docs/cri/config.md. Four versions of the
file are in use: 1 (the default; containerd 2 no longer reads it), 2 (containerd 1.3 and later,
Debian 13's own), 3 (2.0 and later) and 4 (2.3 and later, which moved the servers' sections; those
of the CRI are as in 3). Everything else in a file is kept, comments too.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, MutableMapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from formats.registry_mirrors import CERTS_DIR
from formats.unreadable import Unreadable, reading
from messages import formats as messages

Table = MutableMapping[str, Any]

RUNC = "io.containerd.runc.v2"
_CRI_2 = "io.containerd.grpc.v1.cri"
# The names under which the CRI can be disabled; Docker's package containerd.io does so.
_CRI = {
    "cri",
    _CRI_2,
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
}
# Strings too, so that a "#" in one begins no comment.
_COMMENT = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|(\#[^\r\n]*)""",
    re.DOTALL,
)
# The CRI's line in disabled_plugins, with what else is on it.
_DISABLED = re.compile(
    r"^[ \t]*(?:disabled_plugins[ \t]*=[ \t]*\[[ \t]*)?"
    rf"[\"'](?:{'|'.join(map(re.escape, _CRI))})[\"'][ \t]*(?:[],#].*)?$",
    re.MULTILINE,
)
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True)
class Runtime:
    """
    What Kubernetes needs from containerd.

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
    Read containerd's major and minor version; (0, 0) for anything else.

    + version: such as "1.7.24~ds1" or "v2.0.5"
    """
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def newest_config_version(version: str) -> int:
    """
    Tell the newest version of config.toml that a containerd reads.

    + version: containerd's; for an unknown one it is 2, which all of them read
    """
    at = release(version)
    return 4 if at >= (2, 3) else 3 if at >= (2, 0) else 2


def configured(text: str | None, desired: Runtime, version: str) -> str:
    """
    Put what Kubernetes needs into config.toml, and keep everything else.

    + text: the file; None: there is none
    + desired: what Kubernetes needs
    + version: containerd's own version
    + returns: the same text when nothing is missing
    + raises ``Unreadable``: the file is not TOML, this containerd can't read it, or another setting
      conflicts
    """
    text = text or ""
    found = _parsed(text)
    if not ({"version", "plugins"} & {*found}) and not _has_short_names(found):
        # 3 has all that is needed, and more releases read it than 4
        text = f"version = {min(newest_config_version(version), 3)}\n\n{text}"
        found = _parsed(text)
    number = _config_version(found, version)
    with reading("a value of another type than containerd takes there"):
        meant = _edited(deepcopy(found), desired, number)
        if meant == found and text:
            return text
        document = _document(text)
        ways = (tomlkit.dumps(_edited(document, desired, number)), _rewritten(document, meant))
    comments = [note for note in _COMMENT.findall(_DISABLED.sub("", text)) if note]
    for made in ways:
        if _parsed(made) == meant and all(comment in made for comment in comments):
            return made
    raise Unreadable(messages.CONTAINERD_FORM())


def _has_short_names(document: Table) -> bool:
    """Tell whether plugins have names of version 1 in lists that stay as they are."""
    staying = [name for name in document.get("disabled_plugins", ()) if name not in _CRI]
    staying += document.get("required_plugins", ())
    return any(not str(name).startswith("io.containerd.") for name in staying)


def _rewritten(document: TOMLDocument, meant: Table) -> str:
    """Rewrite the CRI's tables at the end of the document."""
    names = _CRI & {*document["plugins"]}
    for name in names:
        document["plugins"].pop(name)
    tables = {"plugins": {name: meant["plugins"][name] for name in sorted(names)}}
    return f"{tomlkit.dumps(document).rstrip()}\n\n{tomlkit.dumps(tables)}"


def overridden(dump: str, desired: Runtime) -> list[str]:
    """
    Find the settings in effect that are not as Kubernetes needs them.

    + dump: the output of ``containerd config dump``, which includes imported files
    + returns: the settings' names, such as "plugins.….options.SystemdCgroup"
    """
    with reading("not the output of `containerd config dump`"):
        found = _parsed(dump)
        return sorted(_differences(found, _edited(deepcopy(found), desired, found["version"])))


def has_own_mirrors(text: str | None) -> bool:
    """
    Tell whether config.toml says where to look for images, and not in ``CERTS_DIR``.

    + text: the file; None: there is none
    + raises ``Unreadable``
    """
    with reading("a value of another type than containerd takes there"):
        plugins = _parsed(text or "").get("plugins", {})
        own = [plugin.get("registry", {}) for name, plugin in plugins.items() if name in _CRI]
        paths = [path for each in own for path in each.get("config_path", "").split(":") if path]
        named = any(each.get("mirrors") or each.get("configs") for each in own)
        return bool(named or paths) and CERTS_DIR not in paths


def _differences(one: Any, other: Any, name: str = "") -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key, value in other.items():
            yield from _differences(one.get(key), value, f"{name}.{key}".lstrip("."))
    # containerd 2 prints an old file's bin_dir beside an empty bin_dirs.
    elif one != other and not name.endswith(".bin_dirs"):
        yield name


@lru_cache(maxsize=8)  # the nodes' files are mostly the same, and each is parsed several times
def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(f"not valid TOML: {error}") from None


def _document(text: str) -> TOMLDocument:
    """Parse with comments and layout, to edit it; several times slower."""
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise Unreadable(f"not valid TOML: {error}") from None


def _config_version(document: Table, version: str) -> int:
    number = document.get("version", 1)
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= 4:
        raise Unreadable(f"version = {number!r}, and only 1 to 4 are known")
    newest = newest_config_version(version)
    if number > newest and release(version) > (0, 0):
        raise Unreadable(messages.CONTAINERD_TOO_NEW(number=number, version=version, newest=newest))
    if number == 1 and newest > 2:
        raise Unreadable(messages.CONTAINERD_TOO_OLD(version=version))
    return int(number)


def _edited(document: Table, desired: Runtime, number: int) -> Table:
    """Set what Kubernetes needs in the document, which is tomlkit's or plain data."""
    if number > 2:
        _version_3(document, desired)
    else:
        # Version 1 has the plugins' short names, and otherwise the same settings.
        _version_2(_table(document, "plugins", _CRI_2 if number == 2 else "cri"), desired)
    disabled = document.get("disabled_plugins") or []
    if any(name in _CRI for name in disabled):
        for name in [name for name in disabled if name in _CRI]:
            disabled.remove(name)  # in place, so that the comments on the others stay
    return document


def _version_2(cri: Table, desired: Runtime) -> None:
    _set(cri, "sandbox_image", desired.pause_image)
    if cri.get("systemd_cgroup"):  # the old option: with runc's own beside it no CRI is loaded
        cri["systemd_cgroup"] = False
    _set(_table(cri, "cni"), "bin_dir", desired.cni_bin_dir)
    _set(_table(cri, "cni"), "conf_dir", desired.cni_conf_dir)
    _runtimes(_table(cri, "containerd", "runtimes"))
    if desired.mirrors:
        _mirrors(_table(cri, "registry"))


def _version_3(document: Table, desired: Runtime) -> None:
    images = _table(document, "plugins", "io.containerd.cri.v1.images")
    runtime = _table(document, "plugins", "io.containerd.cri.v1.runtime")
    _set(_table(images, "pinned_images"), "sandbox", desired.pause_image)
    cni = _table(runtime, "cni")
    # 2.0 knows bin_dir only; 2.1 and later have bin_dirs and refuse both. The default of
    # both is the desired directory, so bin_dirs in a new file suits all of them.
    if "bin_dir" in cni and "bin_dirs" not in cni:
        _set(cni, "bin_dir", desired.cni_bin_dir)
    else:
        cni.pop("bin_dir", None)
        others = [path for path in cni.get("bin_dirs", []) if path != desired.cni_bin_dir]
        _set(cni, "bin_dirs", [desired.cni_bin_dir, *others])
    _set(cni, "conf_dir", desired.cni_conf_dir)
    _runtimes(_table(runtime, "containerd", "runtimes"))
    if desired.mirrors:
        _mirrors(_table(images, "registry"))


def _runtimes(runtimes: Table) -> None:
    """Set systemd's cgroups for runc and each other runtime on its shim: all must agree."""
    runc = _table(runtimes, "runc")
    if not runc.get("runtime_type"):  # an options table alone leaves it empty, and no pod starts
        runc["runtime_type"] = RUNC
    for name in [name for name, each in runtimes.items() if each.get("runtime_type") == RUNC]:
        _set(_table(runtimes, name, "options"), "SystemdCgroup", True)


def _mirrors(registry: Table) -> None:
    if registry.get("mirrors") or registry.get("configs"):
        raise Unreadable(messages.CONTAINERD_MIRRORS(folder=CERTS_DIR))
    paths = [path for path in str(registry.get("config_path", "")).split(":") if path]
    if CERTS_DIR not in paths:
        registry["config_path"] = ":".join([CERTS_DIR, *paths])


def _table(parent: Table, *names: str) -> Table:
    """Get the table of that name; make it, without headers for its parents, when it is missing."""
    for name in names:
        child = parent.get(name)
        if child is None:
            parent[name] = {} if type(parent) is dict else tomlkit.table(is_super_table=True)
        elif isinstance(child, InlineTable):  # it cannot hold tables: rewrite it with a header
            parent.pop(name)
            parent[name] = table = tomlkit.table()
            for key, value in child.items():
                table.append(key, value)
            if note := child.trivia.comment:
                table.comment(note.removeprefix("#").strip())
        parent = parent[name]
        if not isinstance(parent, MutableMapping):
            raise Unreadable(f"a value in place of the table {name!r}")
    return parent


def _set(table: Table, key: str, value: object) -> None:
    """Set a value only where it differs, so that a correct one keeps its way of being written."""
    if key not in table or table[key] != value:
        table[key] = value
