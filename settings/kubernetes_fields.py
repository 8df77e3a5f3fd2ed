"""The types of the settings of Kubernetes; see `settings.fields`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import PlainValidator

from formats import accept_hosts, containerd, kubernetes_version
from settings.fields import _list_of, _matching, _text, host_name

# An image's name without its tag, or with it: a registry, then lower-case words.
_IMAGE = re.compile(r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9._-]+)*(:[A-Za-z0-9._-]{1,128})?")
# Kubernetes' label syntax: an optional DNS prefix, then a name; the value is like a name, or empty.
_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}")
_LABEL_VALUE = re.compile(rf"({_NAME})?")


def _version(value: object) -> str:
    text = _text(value)
    try:
        kubernetes_version.parse_wanted(text)
    except ValueError:
        raise ValueError(f'{text!r} is no version such as "1.36" or "1.36.4"') from None
    return text


def _url(value: object) -> str:
    text = _text(value)
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise ValueError(f"{text!r} is no address that begins with https:// or http://")
    return text if text.endswith("/") else f"{text}/"


def _hexadecimal(digits: int, what: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        text = re.sub(r"\s", "", _text(value)).removeprefix("sha256:")
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", text):
            raise ValueError(f"{value!r} is no {what}: it has {digits} hexadecimal digits")
        return text

    return parse


_image = _matching(_IMAGE, 'no image or registry such as "registry.k8s.io/pause:3.10"')


def _port(value: object) -> int:
    try:
        port = int(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no port: a number from 1024 to 65535") from None
    if not 1024 <= port <= 65535:
        raise ValueError(f"{port} is no port for it: from 1024 to 65535")
    return port


def _wait_seconds(value: object) -> int:
    try:
        seconds = int(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no number of seconds, such as 300") from None
    if not 30 <= seconds <= 3600:
        raise ValueError(f"{seconds} s: from 30 to 3600")
    return seconds


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f'{value!r} is no mapping: write {{"name": value}}')
    return value


def _texts(value: object) -> dict[str, str]:
    return {key: _text(item) for key, item in _mapping(value).items()}


def _mirrors(value: object) -> dict[str, str]:
    mirrors = _texts(value)
    for registry, mirror in mirrors.items():
        containerd.check_mirror(registry, mirror)
    return mirrors


def _labels(value: object) -> dict[str, str | None]:
    labels = {}
    for key, item in _mapping(value).items():
        if not _LABEL_KEY.fullmatch(key):
            raise ValueError(f'{key!r} is no label such as "example.org/disk" or "disk"')
        if item is not None and not _LABEL_VALUE.fullmatch(_text(item)):
            raise ValueError(f"{item!r} is no value of a label: letters, digits, -, _ and . inside")
        labels[key] = item
    return labels


def _accepted(value: object) -> str:
    text = _text(value)
    accept_hosts.pattern(text)
    return text


KubernetesVersion = Annotated[str, PlainValidator(_version)]
Url = Annotated[str, PlainValidator(_url)]
Text = Annotated[str, PlainValidator(_text)]
Fingerprint = Annotated[str, PlainValidator(_hexadecimal(40, "fingerprint of a key"))]
Checksum = Annotated[str, PlainValidator(_hexadecimal(64, "SHA-256 checksum"))]
Image = Annotated[str, PlainValidator(_image)]
HostName = Annotated[str, PlainValidator(lambda value: host_name(_text(value)))]
WaitSeconds = Annotated[int, PlainValidator(_wait_seconds)]
Port = Annotated[int, PlainValidator(_port)]
Mapping = Annotated[dict[str, Any], PlainValidator(_mapping)]
Texts = Annotated[dict[str, str], PlainValidator(_texts)]
Mirrors = Annotated[dict[str, str], PlainValidator(_mirrors)]
Labels = Annotated[dict[str, str | None], PlainValidator(_labels)]
Words = Annotated[tuple[str, ...], PlainValidator(_list_of(_text))]
AcceptedHosts = Annotated[tuple[str, ...], PlainValidator(_list_of(_accepted))]
