"""
Kubernetes objects as YAML: desired ones compared with those of an API server.

A live object has fields that nobody wrote (defaults, status, owners of fields). Only the fields of
the desired one are compared; what others have added stays, as with server-side apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from formats import quantity, yaml_documents
from formats.unreadable import reading

# The fields by which server-side apply identifies the entries of a list (+listMapKey in
# Kubernetes' types), as far as manifests such as flannel's need them.
_KEYS = (("mountPath",), ("containerPort", "protocol"), ("name",), ("key", "effect"))


def documents(text: str) -> list[dict[str, Any]]:
    """
    Read the objects of a manifest, empty documents left out.

    + raises ``Unreadable``
    """
    found: list[dict[str, Any]] = []
    for document in yaml_documents.load_all(text):
        with reading("a document that is not a Kubernetes object"):
            found += _objects(document)
    return found


def _objects(document: Any) -> list[dict[str, Any]]:
    """Read the object, or those of a List; an empty document has none."""
    if document is None:
        return []
    if (document["apiVersion"], document["kind"]) == ("v1", "List"):
        return [resource for item in document.get("items") or [] for resource in _objects(item)]
    if not all(isinstance(text, str) for text in (document["apiVersion"], *identity(document))):
        raise TypeError
    return [document]


def identity(resource: Mapping[str, Any]) -> tuple[str, str, str]:
    """Read an object's namespace ("" for none), kind in lower case and name."""
    metadata = resource["metadata"]
    return metadata.get("namespace") or "", resource["kind"].lower(), metadata["name"]


def word(resource: Mapping[str, Any]) -> str:
    """Write ``NAMESPACE/KIND/NAME``, by which facts.kubectl.Objects reads an object."""
    return "/".join(identity(resource))


def differing(
    desired: Iterable[Mapping[str, Any]], live: Iterable[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], dict[str, Any] | None]]:
    """
    Find the desired objects that differ from the live ones.

    + returns: each with the live object, reduced to the desired fields; None: it does not exist
    """
    there = {identity(resource): resource for resource in live}
    found: list[tuple[Mapping[str, Any], dict[str, Any] | None]] = []
    for resource in desired:
        now = there.get(identity(resource))
        if now is None:
            found.append((resource, None))
        elif not _equal(resource, seen := project(resource, now)):
            found.append((resource, seen))
    return found


def project(desired: Any, live: Any) -> Any:
    """Reduce the live object to the fields of the desired one."""
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        return {key: project(value, live[key]) for key, value in desired.items() if key in live}
    if isinstance(desired, list) and isinstance(live, list):
        key = _list_key(desired)
        if key is None:
            same = len(desired) == len(live)
            return [project(a, b) for a, b in zip(desired, live, strict=True)] if same else live
        by_key = {_entry(entry, key): entry for entry in live if isinstance(entry, Mapping)}
        return [
            project(entry, by_key[_entry(entry, key)])
            for entry in desired
            if _entry(entry, key) in by_key
        ]
    return live


def text(resources: Iterable[Mapping[str, Any]]) -> str:
    """Write a manifest of these objects."""
    return yaml_documents.dump(*resources)


def _list_key(entries: list[Any]) -> tuple[str, ...] | None:
    for key in _KEYS:
        named = all(isinstance(entry, Mapping) and set(key) <= set(entry) for entry in entries)
        if entries and named and len({_entry(entry, key) for entry in entries}) == len(entries):
            return key
    return None


def _entry(entry: Mapping[str, Any], key: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(entry.get(part) for part in key)


def _equal(desired: Any, live: Any) -> bool:
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        return set(desired) == set(live) and all(_equal(desired[key], live[key]) for key in desired)
    if isinstance(desired, list) and isinstance(live, list):
        return len(desired) == len(live) and all(map(_equal, desired, live))
    return bool(desired == live) or _same_quantity(desired, live)


def _same_quantity(desired: Any, live: Any) -> bool:
    """Compare quantities: the API server writes ``1`` for ``1000m``."""
    value = quantity.parse(desired)
    return value is not None and value == quantity.parse(live)
