"""
Server-side apply: merge what a manager wants, remember which fields are its own, refuse what is
another's.

Source: kubernetes.io, "Server-Side Apply". Ownership is kept in metadata.managedFields as FieldsV1
(`f:name`, `k:{"name":"x"}`). Simplified: who updates without applying owns nothing, and lists
without a merge key are one value.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from .common import Obj, stamp
from .patch import merge_key

Path = tuple[str, ...]
IDENTITY = frozenset(
    (("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace"))
)


class ApplyConflict(Exception):
    """
    Fields that another manager owns with another value: (path as kubectl prints it, manager,
    version).
    """

    def __init__(self, fields: list[tuple[str, str, str]]) -> None:
        self.fields = fields
        super().__init__(message(fields))


def message(fields: list[tuple[str, str, str]]) -> str:
    """The API server's text for conflicts."""
    if len(fields) == 1:
        path, manager, version = fields[0]
        return f'Apply failed with 1 conflict: conflict with "{manager}" using {version}: {path}'
    lines = []
    for manager, version in sorted({(one[1], one[2]) for one in fields}):
        lines.append(f'conflicts with "{manager}" using {version}:')
        lines += [f"- {path}" for path, *owner in fields if owner == [manager, version]]
    return f"Apply failed with {len(fields)} conflicts: " + "\n".join(lines)


def _elements(value: list[Any], path: Path) -> dict[str, Any] | None:
    """A list by its merge key, or None when it is atomic."""
    key = merge_key(tuple(part[2:] for part in path if part.startswith("f:")))
    if key is None or not all(isinstance(one, dict) and key in one for one in value):
        return None
    return {f"k:{json.dumps({key: one[key]}, separators=(',', ':'))}": one for one in value}


def leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Every leaf of a configuration by its FieldsV1 path."""
    children: dict[str, Any] | None = None
    if isinstance(value, dict) and value:
        children = {f"f:{name}": one for name, one in value.items()}
    elif isinstance(value, list) and value:
        children = _elements(value, path)
    if children is None:
        return {path: value}
    found: dict[Path, Any] = {}
    for name, one in children.items():
        found |= leaves(one, (*path, name))
    return found


def tree(paths: set[Path]) -> Obj:
    """FieldsV1 of a set of paths."""
    result: Obj = {}
    for path in sorted(paths):
        node = result
        for part in path:
            if part.startswith("k:"):
                node = node.setdefault(part, {".": {}})
            else:
                node = node.setdefault(part, {})
    return result


def paths_of(fields: Obj, path: Path = ()) -> set[Path]:
    """The reverse of `tree`."""
    children = {name: one for name, one in fields.items() if name != "."}
    if not children:
        return {path} if path else set()
    return set().union(*(paths_of(one, (*path, name)) for name, one in children.items()))


def _merge(old: Any, new: Any, path: Path) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {
            name: _merge(old.get(name), one, (*path, f"f:{name}")) for name, one in new.items()
        }
    if isinstance(old, list) and isinstance(new, list):
        wanted, known = _elements(new, path), _elements(old, path)
        if wanted is not None and known is not None:
            merged = {
                name: _merge(known.get(name), one, (*path, name)) for name, one in wanted.items()
            }
            kept = [merged.get(name, one) for name, one in known.items()]
            return kept + [one for name, one in merged.items() if name not in known]
    return copy.deepcopy(new)


def _remove(target: Any, path: Path, at: Path = ()) -> None:
    """Take a leaf out, and what becomes empty on the way."""
    part = path[0]
    if part.startswith("k:") and isinstance(target, list):
        key = json.loads(part[2:])
        name, value = next(iter(key.items()))
        index = next((i for i, one in enumerate(target) if one.get(name) == value), None)
        if index is None:
            return
        if len(path) > 1:
            _remove(target[index], path[1:], (*at, part))
        if len(path) == 1 or set(target[index]) <= {name}:
            del target[index]
    elif isinstance(target, dict) and part[2:] in target:
        if len(path) == 1:
            del target[part[2:]]
        else:
            _remove(target[part[2:]], path[1:], (*at, part))
            if target[part[2:]] in ({}, []):
                del target[part[2:]]


def _shown(path: Path) -> str:
    text = ""
    for part in path:
        if part.startswith("k:"):
            key = json.loads(part[2:])
            text += (
                "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in key.items()) + "]"
            )
        else:
            text += f".{part[2:]}"
    return text


def apply(old: Obj | None, wanted: Obj, manager: str, force: bool, subresource: str = "") -> Obj:
    """
    The object after `manager` has applied `wanted`; ApplyConflict unless forced.

    + old: the object as it is, None when it is to be made
    """
    wanted = copy.deepcopy(wanted)
    wanted.get("metadata", {}).pop("managedFields", None)
    mine = {path: value for path, value in leaves(wanted).items() if path not in IDENTITY}
    entries: list[Obj] = copy.deepcopy((old or {}).get("metadata", {}).get("managedFields", []))
    present = leaves(old or {})
    before: set[Path] = set()
    others: dict[Path, Obj] = {}
    own: Obj | None = None
    for entry in entries:
        if entry["operation"] != "Apply":
            continue
        if entry["manager"] == manager and entry.get("subresource", "") == subresource:
            own, before = entry, paths_of(entry["fieldsV1"])
        else:
            others |= dict.fromkeys(paths_of(entry["fieldsV1"]), entry)
    clash = {
        path: others[path]
        for path, value in mine.items()
        if path in others and present.get(path) != value
    }
    if clash and not force:
        raise ApplyConflict(
            [(_shown(path), entry["manager"], entry["apiVersion"]) for path, entry in clash.items()]
        )
    for path, entry in clash.items():
        entry["fieldsV1"] = tree(paths_of(entry["fieldsV1"]) - {path})

    result: Obj = _merge(old or {}, wanted, ())
    result = copy.deepcopy(result)
    for path in before - mine.keys() - others.keys():
        if not any(one[: len(path)] == path for one in mine):
            _remove(result, path)
    if own is None:
        own = {"manager": manager, "operation": "Apply"}
        entries.append(own)
        if subresource:
            own["subresource"] = subresource
    fields = tree(set(mine))
    if own.get("fieldsV1") != fields or own.get("apiVersion") != wanted["apiVersion"]:
        own |= {
            "apiVersion": wanted["apiVersion"],
            "time": stamp(),
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
    result.setdefault("metadata", {})["managedFields"] = [one for one in entries if one["fieldsV1"]]
    return result
