"""The types of the settings of Kubernetes; see `settings.fields`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, Strict, ValidationInfo

from formats import containerd, docker_archive, kubectl_proxy, kubernetes_version, node
from formats.kubeadm import components
from formats.kubeadm import config as kubeadm
from settings import fields
from settings.fields import checked, matching, without

# The OCI distribution specification's names, and a tag or a digest.
_REPOSITORY = r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
_TAG = r":[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = r"@sha256:[0-9a-f]{64}"
_CONTEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]*")
# What Kubernetes listens on, on a control plane; and what services are given.
_PORTS = {6443, 2379, 2380, 2381, 10248, 10249, 10250, 10256, 10257, 10259}


def _url(text: str) -> str:
    if not fields.url(text.replace("{minor}", "1.36")):
        shown = fields.without_password(text)
        if not re.match("https?://", text):
            shown = f"{shown} is not an address that begins with https:// or http://"
        else:
            shown = f"{shown} has a host or a port that can't be, a password, a quote or a blank"
        raise ValueError(
            f"{shown}: write https://pkgs.k8s.io/core:/stable:/v{{minor}}/deb/, or that of a mirror"
        )
    return text if text.endswith("/") else f"{text}/"


def _placeholders(text: str) -> None:
    for word in re.findall(r"\{[^}]*\}?|\}", text.replace("{minor}", "")):
        raise ValueError(f"{text!r}: {word!r} is not a placeholder: write {{minor}}")


def hexadecimal(digits: int, what: str) -> Any:
    """A validator of hexadecimal digits: blanks, and the word "sha256:", are left out."""

    def parse(value: str) -> str:
        text = re.sub(r"\s", "", value)
        text = text[7:] if text.lower().startswith("sha256:") else text
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", text):
            raise ValueError(f"{value!r} is not a {what}: it has {digits} hexadecimal digits")
        return text

    return AfterValidator(parse)


def _port(port: int) -> None:
    if port in _PORTS or 30000 <= port <= 32767:
        raise ValueError(f"{port} is a port of Kubernetes': write another, such as 8080")


def _each(check: Callable[[str, Any], None]) -> AfterValidator:
    """A validator that asks of each entry of a mapping, and tells of all that can't be."""

    def mistakes(value: Mapping[str, Any]) -> Iterator[str]:
        for entry in value.items():
            try:
                check(*entry)
            except ValueError as error:
                yield str(error)

    return without(mistakes)


def _registry(text: str) -> None:
    """A registry is named with its host: what has none would be asked of Docker Hub."""
    host, slash, _ = text.partition("/")
    tagged = not slash and re.search(r":.*\D|@", text)
    if tagged or not (host == "localhost" or re.search("[.:]", host)):
        raise ValueError(
            f"{text!r} does not name a registry: begin it with one, such as registry.k8s.io"
        )
    containerd.check_authority(host)


def _image(text: str) -> None:
    if "/" not in text:
        raise ValueError(f"{text!r} does not name a registry: write registry.k8s.io/pause:3.10")
    _registry(text)


def _same_minor(text: str, info: ValidationInfo) -> str:
    """A repository has the packages of one minor: in its path stands that of kubernetes_version."""
    written = re.search(r"/v(1\.[0-9]+)(?=/)", text)
    wanted = info.data.get("kubernetes_version")
    if written and wanted and kubernetes_version.parse_wanted(wanted).minor != int(written[1][2:]):
        raise ValueError(
            f"{text!r} has no packages of kubernetes_version {wanted}: write v{{minor}} in place "
            f"of v{written[1]}"
        )
    return text


def manifest(text: str) -> None:
    """A file on another computer, or here: whether it is here is asked of `settings.rules`."""
    scheme = text.partition("://")[0] if "://" in text else ""
    if not text.strip():
        raise ValueError(f"{text!r} names no file: write an https:// address, or a file's path")
    if scheme and not fields.url(text):
        raise ValueError(
            f"{fields.without_password(text)} can't be fetched: write an https:// address, or the "
            "path of a file here"
        )


def component(mistakes: Any) -> AfterValidator:
    """A validator of the fields of a component's configuration, for the wanted version."""

    def check(value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        wanted = info.data.get("kubernetes_version")
        minor = kubernetes_version.parse_wanted(wanted).minor if wanted else 0
        if found := mistakes(value, minor):
            raise ValueError("; ".join(found))
        return value

    return AfterValidator(check)


def archives(folder: Path, written: Path) -> None:
    """A folder that the nodes' images are read from."""
    if not folder.is_dir():
        why = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"'{written}' {why}: write a folder with image archives, or None")
    if not any(folder.glob(docker_archive.PATTERN)):
        raise ValueError(
            f"'{written}' has no image archives ({docker_archive.PATTERN}): make them with "
            "`docker save`, or write None"
        )


def _released(text: str) -> None:
    """Kubernetes has three minors a year; 1.37 is of August 2026."""
    newest = 37 + max((date.today() - date(2026, 8, 26)).days, 0) // 90
    if kubernetes_version.parse_wanted(text).minor > newest:
        raise ValueError(f"{text!r} is not released yet: write 1.36, or another that is")


KubernetesVersion = Annotated[
    fields.Text, checked(kubernetes_version.check_wanted), checked(_released)
]
Repository = Annotated[
    fields.Text, checked(_placeholders), AfterValidator(_url), AfterValidator(_same_minor)
]
Manifest = Annotated[fields.Text, checked(manifest)]
Fingerprint = Annotated[fields.Text, hexadecimal(40, "fingerprint of a key")]
Checksum = Annotated[fields.Text, hexadecimal(64, "SHA-256 checksum")]
ImageRepository = Annotated[
    fields.Text,
    matching(
        re.compile(_REPOSITORY), 'a registry such as "registry.k8s.io", without https:// and tag'
    ),
    checked(_registry),
]
Image = Annotated[
    fields.Text,
    matching(
        re.compile(f"{_REPOSITORY}({_TAG}({_DIGEST})?|{_DIGEST})"),
        'an image with its tag, such as "registry.k8s.io/pause:3.10"',
    ),
    checked(_image),
]
Context = Annotated[
    fields.Text, matching(_CONTEXT, 'a name of a context (letters, digits, . _ - @ : /), "bramble"')
]
WaitSeconds = Annotated[fields.Number, Field(ge=30, le=3600)]
Port = Annotated[fields.Number, Field(ge=1024, le=65535), checked(_port)]
Labels = Annotated[dict[fields.Text, fields.Text | None], Strict(), _each(node.check_label)]
Mirrors = Annotated[dict[fields.Text, fields.Text], Strict(), _each(containerd.check_mirror)]
Timeouts = Annotated[dict[fields.Text, Any], Strict(), without(kubeadm.timeout_mistakes)]
IgnoredErrors = Annotated[fields.Texts, without(kubeadm.ignored_mistakes)]
AcceptedHosts = Annotated[fields.Texts, checked(kubectl_proxy.accept_hosts)]
Kubelet = Annotated[fields.Mapping, component(components.kubelet_mistakes)]
KubeProxy = Annotated[fields.Mapping, component(components.kube_proxy_mistakes)]
