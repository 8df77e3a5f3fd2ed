"""The types of the settings of Kubernetes; see ``settings.fields``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, Strict, ValidationInfo

from formats import (
    kubectl_proxy,
    kubernetes_version,
    node,
    registry_mirrors,
    shared_downloads,
)
from formats.kubeadm import components
from formats.kubeadm import config as kubeadm
from messages import Said
from messages import settings as messages
from settings import fields
from settings.fields import checked, matching, without

# The OCI distribution specification's names, and a tag or a digest.
_REPOSITORY = r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*)*"
_TAG = r":[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = r"@sha256:[0-9a-f]{64}"
_CONTEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]*")
# The ports of a control plane; those of services follow in _port.
_PORTS = {6443, 2379, 2380, 2381, 10248, 10249, 10250, 10256, 10257, 10259}


def _url(text: str) -> str:
    if not fields.url(text.replace("{minor}", "1.36")) or "?" in text or "#" in text:
        raise fields.not_a_url(text, "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/")
    return text if text.endswith("/") else f"{text}/"


def _placeholders(text: str) -> None:
    for word in re.findall(r"\{[^}]*\}?|\}", text.replace("{minor}", "")):
        raise fields.invalid(word, "a placeholder", "{minor}")


def _hexadecimal(digits: int, what: str) -> AfterValidator:

    def parse(value: str) -> str:
        text = fields.bare_hexadecimal(value)
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", text):
            raise fields.invalid(value, f"a {what}", f"its {digits} hexadecimal digits")
        return text

    return AfterValidator(parse)


def _port(port: int) -> None:
    if port in _PORTS or 30000 <= port <= 32767:
        raise fields.not_allowed(port, "it is a port of Kubernetes", "another, such as 8080")
    if port == shared_downloads.PORT:
        raise fields.not_allowed(port, "it is the port of share_downloads", "another, such as 8080")


def _each(check: Callable[[str, Any], None]) -> AfterValidator:
    """Validate each entry of a mapping with a function that raises ``ValueError``."""

    def mistakes(value: Mapping[str, Any]) -> Iterator[Said]:
        for entry in value.items():
            try:
                check(*entry)
            except ValueError as error:
                yield from error.args

    return without(mistakes)


def _registry(text: str) -> None:
    """Check that a name has its registry: without one it would mean Docker Hub."""
    host, slash, _ = text.partition("/")
    tagged = not slash and re.search(r":.*\D|@", text)
    if tagged or not (host == "localhost" or re.search("[.:]", host)):
        raise fields.invalid(text, "a name with a registry", "one such as registry.k8s.io")
    registry_mirrors.check_authority(host)
    name = re.split("@|:[^/]*$", text)[0]
    if len(name) > 255:
        raise fields.invalid(name, "a name of at most 255 characters", "a shorter one")


def _image(text: str) -> None:
    if "/" not in text:
        example = "one such as registry.k8s.io/pause:3.10"
        raise fields.invalid(text, "a name with a registry", example)
    _registry(text)


def _same_minor(text: str, info: ValidationInfo) -> str:
    """Check that the minor in the repository's path is that of kubernetes_version."""
    written = re.search(r"/v(1\.[0-9]+)(?=/)", text)
    desired = info.data.get("kubernetes_version")
    if (
        written
        and desired
        and kubernetes_version.parse_desired(desired).minor != int(written[1][2:])
    ):
        raise ValueError(messages.OTHER_MINOR(url=repr(text), version=desired, minor=written[1]))
    return text


def manifest(text: str) -> None:
    """Check a path or a URL; ``settings.rules`` checks whether the file exists."""
    scheme = text.partition("://")[0] if "://" in text else ""
    if not text.strip():
        raise fields.invalid(text, "a path or a URL", "an https:// URL, or the path of a file")
    if scheme and not fields.url(text):
        raise fields.not_a_url(text, "an https:// URL, or the path of a file")


def component(mistakes: Any) -> AfterValidator:
    """Validate the fields of a component's configuration, for the desired version."""

    def check(value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        desired = info.data.get("kubernetes_version")
        minor = kubernetes_version.parse_desired(desired).minor if desired else 0
        if found := mistakes(value, minor):
            raise ValueError(*found)
        return value

    return AfterValidator(check)


def _released(text: str) -> None:
    """Check that the minor is released: three appear in a year, and 1.37 did in August 2026."""
    newest = 37 + max((date.today() - date(2026, 8, 26)).days, 0) // 90
    if kubernetes_version.parse_desired(text).minor > newest:
        raise ValueError(
            messages.NOT_RELEASED(version=repr(text), instead="1.36 or another release")
        )


KubernetesVersion = Annotated[
    fields.Text, checked(kubernetes_version.check_desired), checked(_released)
]
Repository = Annotated[
    fields.Text, checked(_placeholders), AfterValidator(_url), AfterValidator(_same_minor)
]
Manifest = Annotated[fields.Text, checked(manifest)]
Fingerprint = Annotated[fields.Text, _hexadecimal(40, "fingerprint of a key")]
Checksum = Annotated[fields.Text, _hexadecimal(64, "SHA-256 checksum")]
ImageRepository = Annotated[
    fields.Text,
    matching(
        re.compile(_REPOSITORY),
        "a registry without https:// and tag",
        "one such as registry.k8s.io",
    ),
    checked(_registry),
]
Image = Annotated[
    fields.Text,
    matching(
        re.compile(f"{_REPOSITORY}({_TAG}({_DIGEST})?|{_DIGEST})"),
        "an image with its tag",
        "one such as registry.k8s.io/pause:3.10",
    ),
    checked(_image),
]
Context = Annotated[
    fields.Text,
    matching(_CONTEXT, "a name of a context (letters, digits, . _ - @ : /)", "one such as bramble"),
]
WaitSeconds = Annotated[fields.Number, fields.between(30, 3600)]
RenewDays = Annotated[fields.Number, fields.between(1, 364)]
Port = Annotated[fields.Number, fields.between(1024, 65535), checked(_port)]
Labels = Annotated[dict[fields.Text, fields.Text | None], Strict(), _each(node.check_label)]
Mirrors = Annotated[dict[fields.Text, fields.Text], Strict(), _each(registry_mirrors.check_mirror)]
Timeouts = Annotated[dict[fields.Text, Any], Strict(), without(kubeadm.timeout_mistakes)]
IgnoredErrors = Annotated[fields.Texts, without(kubeadm.ignored_mistakes)]
AcceptedHosts = Annotated[fields.Texts, checked(kubectl_proxy.accept_hosts)]
Kubelet = Annotated[fields.Mapping, component(components.kubelet_mistakes)]
KubeProxy = Annotated[fields.Mapping, component(components.kube_proxy_mistakes)]
