"""
Registry mirrors, as containerd reads them: hosts.toml in a folder for each registry.

Source: containerd's docs/hosts.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from messages.settings import INVALID, NOT_ALLOWED, OUT_OF_RANGE

CERTS_DIR = "/etc/containerd/certs.d"
MIRROR_MARK = "# bramble: a registry mirror of its settings; it goes with the setting."
HUB, HUBS_SERVER = "docker.io", "registry-1.docker.io"
# Other names of Docker Hub; its images' names begin with docker.io.
_OTHER_NAMES = dict.fromkeys((HUBS_SERVER, "index.docker.io", "hub.docker.com"), HUB)
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"


def check_mirror(registry: str, mirror: str) -> None:
    """
    Check the form of a registry and its mirror.

    + registry, mirror: such as "registry.k8s.io", or "_default" for all, and
      "http://192.168.1.10:5000"
    + raises ``ValueError``: containerd would never ask this mirror
    """
    bare = re.sub(r"^[a-z+]*://", "", registry, flags=re.IGNORECASE).partition("/")[0].lower()
    near = _OTHER_NAMES.get(bare, bare)
    kind, example = "a registry's name", "one such as docker.io"
    if "@" in registry + mirror:
        reason, example = "a mirror takes no user and no password", "it without them"
        raise ValueError(NOT_ALLOWED(value=repr(registry), reason=reason, instead=example))
    if registry == "*":
        raise ValueError(INVALID(value=repr(registry), kind=kind, instead="_default"))
    if "*" in registry:
        raise ValueError(INVALID(value=repr(registry), kind=kind, instead=example))
    if registry != "_default":
        if near != registry:
            good = re.fullmatch(rf"{_LABEL}(\.{_LABEL})*(:[0-9]+)?", near)
            instead = near if good else example
            raise ValueError(INVALID(value=repr(registry), kind=kind, instead=instead))
        check_authority(registry)
        if not re.search(r"[.:]|^localhost$", registry):
            near = HUB if registry.startswith("docker") else example
            near = "_default" if registry == "default" else near
            raise ValueError(INVALID(value=repr(registry), kind=kind, instead=near))
    scheme, _, rest = mirror.partition("://")
    bare = re.sub(r"^(https?)?:?/*", "", mirror.strip(), flags=re.IGNORECASE).rstrip("/")
    kind, example = "a mirror's URL without a path", "one such as http://mirror:5000"
    if scheme not in ("http", "https"):
        secure = re.match(r"\s*https\b", mirror, re.IGNORECASE)
        near = f"{'https' if secure else 'http'}://{bare}"
        near = near if bare and "://" not in bare else example
        raise ValueError(INVALID(value=repr(mirror), kind=kind, instead=near))
    authority = re.split("[/?#]", rest)[0]
    if authority != rest or not bare:
        near = f"{scheme}://{authority}" if bare else example
        raise ValueError(INVALID(value=repr(mirror), kind=kind, instead=near))
    check_authority(authority)


def check_authority(text: str) -> None:
    """Raise ``ValueError`` unless the text is a host, with or without a port (RFC 3986, 3.2)."""
    match = re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]+))?", text)
    host, port = match.groups() if match else ("", None)
    if port and not 1 <= int(port) <= 65535:
        raise ValueError(OUT_OF_RANGE(value=f"port {port} of {text!r}", range="1 to 65535"))
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1].replace("%", " "))
        elif re.fullmatch("[0-9.]+", host):
            IPv4Address(host)
        elif len(host) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", host):
            raise ValueError
    except ValueError:
        near = "one such as mirror:5000"
        if match is None and text.count(":") > 1:
            near = "an IPv6 address in brackets, [fd00::1]:5000"
        kind = "a host with a port"
        raise ValueError(INVALID(value=repr(text), kind=kind, instead=near)) from None


def hosts_toml(registry: str, mirrors: Sequence[str]) -> str:
    """
    Write ``CERTS_DIR/REGISTRY/hosts.toml``: where to look first for a registry's images.

    + registry: such as "registry.k8s.io"; "_default" stands for all
    + mirrors: in their order, such as "http://192.168.1.10:5000"; ``check_mirror`` accepts each
    """
    server = HUBS_SERVER if registry == HUB else registry
    first = "" if registry == "_default" else f'server = "https://{server}"\n'
    hosts = (f'[host."{each}"]\ncapabilities = ["pull", "resolve"]\n' for each in mirrors)
    return f"{MIRROR_MARK}\n{first}\n" + "\n".join(hosts)
