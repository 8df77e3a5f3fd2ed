"""
Bodies in Kubernetes' protobuf form, which `kubectl create SUBCOMMAND` and `kubectl auth` send.

Source: "Protobuf encoding" in Kubernetes API Concepts (the prefix and the envelope), and the field
numbers of the API's generated.proto files: only the kinds and fields that those commands fill in.
"""

from __future__ import annotations

import base64
from typing import Any

from .common import Obj
from .cri import decode, text

MAGIC = b"k8s\0"
# A field: (name, how it is read). A dict is a message of its own, [x] a repeated one.
STRING, BYTES, NUMBER, STRINGS, DATA = "string", "bytes", "number", "string map", "bytes map"
Fields = dict[int, tuple[str, Any]]

META: Fields = {
    1: ("name", STRING),
    2: ("generateName", STRING),
    3: ("namespace", STRING),
    11: ("labels", STRINGS),
    12: ("annotations", STRINGS),
}
ROLE_REF: Fields = {1: ("apiGroup", STRING), 2: ("kind", STRING), 3: ("name", STRING)}
SUBJECT: Fields = {
    1: ("kind", STRING),
    2: ("apiGroup", STRING),
    3: ("name", STRING),
    4: ("namespace", STRING),
}
RULE: Fields = {
    number: (name, [STRING])
    for number, name in enumerate(
        ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"), 1
    )
}
BINDING: Fields = {2: ("subjects", [SUBJECT]), 3: ("roleRef", ROLE_REF)}
PORT: Fields = {
    1: ("name", STRING),
    2: ("protocol", STRING),
    3: ("port", NUMBER),
    4: ("targetPort", {2: ("number", NUMBER), 3: ("name", STRING)}),
}
SERVICE: Fields = {
    1: ("ports", [PORT]),
    2: ("selector", STRINGS),
    3: ("clusterIP", STRING),
    4: ("type", STRING),
}
ATTRIBUTES: Fields = {
    number: (name, STRING)
    for number, name in enumerate(
        ("namespace", "verb", "group", "version", "resource", "subresource", "name"), 1
    )
}
REVIEW: Fields = {
    1: ("resourceAttributes", ATTRIBUTES),
    2: ("nonResourceAttributes", {1: ("path", STRING), 2: ("verb", STRING)}),
}
KINDS: dict[str, Fields] = {
    "Namespace": {},
    "ServiceAccount": {},
    "SelfSubjectReview": {},
    "ConfigMap": {2: ("data", STRINGS)},
    "Secret": {2: ("data", DATA), 3: ("type", STRING)},
    "Service": {2: ("spec", SERVICE)},
    "ClusterRole": {2: ("rules", [RULE])},
    "Role": {2: ("rules", [RULE])},
    "ClusterRoleBinding": BINDING,
    "RoleBinding": BINDING,
    "SelfSubjectAccessReview": {2: ("spec", REVIEW)},
}


def _value(raw: Any, kind: Any) -> Any:
    if isinstance(kind, dict):
        return _message(raw, kind)
    if kind == NUMBER:
        return raw
    return base64.b64encode(raw).decode() if kind == BYTES else raw.decode()


def _message(data: bytes, fields: Fields) -> Obj:
    found: Obj = {}
    for number, values in decode(data).items():
        if number not in fields:
            continue
        name, kind = fields[number]
        if isinstance(kind, list):
            found[name] = [_value(raw, kind[0]) for raw in values]
        elif kind in (STRINGS, DATA):
            pairs = (decode(raw) for raw in values)
            inner = BYTES if kind == DATA else STRING
            found[name] = {text(pair, 1): _value(pair.get(2, [b""])[0], inner) for pair in pairs}
        else:
            found[name] = _value(values[-1], kind)
    for name, value in list(found.items()):
        if value == "" or value == {}:
            del found[name]
    return found


def parse(data: bytes) -> Obj:
    """The object in a body; ValueError for a kind that isn't known here."""
    if not data.startswith(MAGIC):
        raise ValueError("no protobuf envelope")
    envelope = decode(data[len(MAGIC) :])
    about = decode(envelope[1][0])
    version, kind = text(about, 1), text(about, 2)
    if kind not in KINDS:
        raise ValueError(f"no {kind} in protobuf form here")
    found = _message(envelope[2][0], {1: ("metadata", META)} | KINDS[kind])
    for port in found.get("spec", {}).get("ports", []) if kind == "Service" else []:
        target = port.pop("targetPort", {})
        port |= {"targetPort": target.get("name") or target.get("number") or port["port"]}
    return {"apiVersion": version, "kind": kind, "metadata": {}} | found
