"""
Bodies in Kubernetes' protobuf form, which `kubectl create SUBCOMMAND` sends, and nothing else.

Source: "Protobuf encoding" in Kubernetes API Concepts: a prefix, and an envelope (runtime.Unknown).
"""

from __future__ import annotations

import base64
from typing import Any

from .common import Obj, template

MAGIC = b"k8s\0"
MESSAGES = template("protobuf")[0]


def _decode(data: bytes) -> dict[int, list[Any]]:
    """Return a message's fields: number → values, bytes or int."""
    found: dict[int, list[Any]] = {}
    position = 0

    def number() -> int:
        nonlocal position
        result = shift = 0
        while True:
            byte = data[position]
            result, shift, position = result | (byte & 127) << shift, shift + 7, position + 1
            if byte < 128:
                return result

    while position < len(data):
        key = number()
        value: Any = number()
        if key & 7 == 2:
            size, value = value, data[position : position + value]
            position += size
        found.setdefault(key >> 3, []).append(value)
    return found


def _value(raw: Any, kind: str) -> Any:
    if kind in MESSAGES:
        return _message(raw, kind)
    if kind == "IntOrString":  # its type, the number, the string
        fields = _decode(raw)
        return fields[3][0].decode() if fields.get(1) == [1] else fields.get(2, [0])[0]
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    return raw if kind == "number" else raw.decode()


def _message(data: bytes, kind: str) -> Obj:
    found: Obj = {}
    for number, values in _decode(data).items():
        name, _, kind_of = MESSAGES[kind].get(number, "").partition(" ")
        if kind_of.endswith("map"):
            pairs = map(_decode, values)
            inner = kind_of.removesuffix("map").rstrip("-") or "string"
            found[name] = {pair[1][0].decode(): _value(pair[2][0], inner) for pair in pairs}
        elif kind_of.endswith("[]"):
            found[name] = [_value(raw, kind_of[:-2]) for raw in values]
        elif name:
            found[name] = _value(values[-1], kind_of or "string")
    return {name: one for name, one in found.items() if one not in ("", {})}


def parse(data: bytes) -> Obj:
    """Return the object in a body; ValueError for a kind that isn't known here."""
    envelope = _decode(data.removeprefix(MAGIC))
    version, kind = (one[0].decode() for one in list(_decode(envelope[1][0]).values())[:2])
    if kind not in MESSAGES:
        raise ValueError(f"no {kind} in protobuf form here")
    return {"apiVersion": version, "kind": kind} | _message(envelope[2][0], kind)
