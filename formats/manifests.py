"""
Kubernetes objects as YAML: what is wanted compared with what an API server answers.

A live object has fields that nobody wrote (defaults, status, owners of fields). It is compared by
those fields alone that the wanted one has; what others have added stays, as server-side apply
leaves it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from formats import yaml_documents
from formats.unreadable import reading

# The fields by which server-side apply tells the entries of a list apart (+listMapKey in
# Kubernetes' types), as far as manifests such as flannel's need them.
_KEYS = (("mountPath",), ("containerPort", "protocol"), ("name",), ("key", "effect"))
_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?")


def documents(text: str) -> list[dict[str, Any]]:
    """
    The objects of a manifest, empty documents left out.

    ``Unreadable`` when it is not a manifest.
    """

    found: list[dict[str, Any]] = []
    for document in yaml_documents.load_all(text):
        with reading("it holds something that is no Kubernetes object"):
            found += _objects(document)
    return found


def _objects(document: Any) -> list[dict[str, Any]]:
    """The object, or those of a List; nothing for an empty document."""
    if document is None:
        return []
    if (document["apiVersion"], document["kind"]) == ("v1", "List"):
        return [thing for item in document.get("items") or [] for thing in _objects(item)]
    if not all(isinstance(text, str) for text in (document["apiVersion"], *identity(document))):
        raise TypeError
    return [document]


def identity(thing: Mapping[str, Any]) -> tuple[str, str, str]:
    """An object's namespace ("" for none), its kind in lower case and its name."""
    metadata = thing["metadata"]
    return metadata.get("namespace") or "", thing["kind"].lower(), metadata["name"]


def word(thing: Mapping[str, Any]) -> str:
    """``NAMESPACE/KIND/NAME``: how facts.kubectl.Objects is asked for an object."""
    return "/".join(identity(thing))


def differing(
    wanted: Iterable[Mapping[str, Any]], live: Iterable[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], dict[str, Any] | None]]:
    """
    The wanted objects that are not as they shall be.

    + returns: each with its live fields as far as it has them itself; None: it is not there
    """

    there = {identity(thing): thing for thing in live}
    found: list[tuple[Mapping[str, Any], dict[str, Any] | None]] = []
    for thing in wanted:
        now = there.get(identity(thing))
        if now is None:
            found.append((thing, None))
        elif not _equal(thing, seen := project(thing, now)):
            found.append((thing, seen))
    return found


def project(wanted: Any, live: Any) -> Any:
    """``live`` with the fields of ``wanted`` only."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return {key: project(value, live[key]) for key, value in wanted.items() if key in live}
    if isinstance(wanted, list) and isinstance(live, list):
        key = _list_key(wanted)
        if key is None:
            same = len(wanted) == len(live)
            return [project(a, b) for a, b in zip(wanted, live, strict=True)] if same else live
        by_key = {_entry(entry, key): entry for entry in live if isinstance(entry, Mapping)}
        return [
            project(entry, by_key[_entry(entry, key)])
            for entry in wanted
            if _entry(entry, key) in by_key
        ]
    return live


def text(things: Iterable[Mapping[str, Any]]) -> str:
    """A manifest of these objects."""
    return yaml_documents.dump(*things)


def _list_key(entries: list[Any]) -> tuple[str, ...] | None:
    for key in _KEYS:
        named = all(isinstance(entry, Mapping) and set(key) <= set(entry) for entry in entries)
        if entries and named and len({_entry(entry, key) for entry in entries}) == len(entries):
            return key
    return None


def _entry(entry: Mapping[str, Any], key: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(entry.get(part) for part in key)


def _equal(wanted: Any, live: Any) -> bool:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return set(wanted) == set(live) and all(_equal(wanted[key], live[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(live, list):
        return len(wanted) == len(live) and all(map(_equal, wanted, live))
    return bool(wanted == live) or _same_quantity(wanted, live)


def _same_quantity(wanted: Any, live: Any) -> bool:
    """``1000m`` is ``1``: the API server writes quantities in a form of its own."""
    first, second = _QUANTITY.fullmatch(str(wanted)), _QUANTITY.fullmatch(str(live))
    if not first or not second or isinstance(wanted, bool) or isinstance(live, bool):
        return False
    return Decimal(first[1]) * _SUFFIXES[first[2] or ""] == (
        Decimal(second[1]) * _SUFFIXES[second[2] or ""]
    )
