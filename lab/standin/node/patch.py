"""
The patches that kubectl sends: JSON patch (RFC 6902), JSON merge patch (RFC 7386), strategic merge
patch.

Source for the last: "Strategic Merge Patch" in the Kubernetes community's API documents. The merge
keys are those of the kinds that the stand-in has.
"""

from __future__ import annotations

import copy
from typing import Any

# The last two parts of a list's path: the key that its elements are merged by.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "conditions": "type",
    "addresses": "type",
    "ownerReferences": "uid",
    "secrets": "name",
}
PORT_KEYS = {"containers": "containerPort", "spec": "port"}
PRIMITIVE = frozenset(("finalizers", "podCIDRs"))


def merge_key(path: tuple[str, ...]) -> str | None:
    """The merge key of the list at `path`, None for an atomic one."""
    if path and path[-1] == "ports":
        return PORT_KEYS.get(next((part for part in reversed(path[:-1]) if part in PORT_KEYS), ""))
    return MERGE_KEYS.get(path[-1]) if path else None


def json_merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = json_merge(result.get(name), value)
    return result


def strategic(target: Any, patch: Any, path: tuple[str, ...] = ()) -> Any:
    """A strategic merge patch, directives included."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {name: copy.deepcopy(value) for name, value in patch.items() if name != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {name: one for name, one in result.items() if name in patch["$retainKeys"]}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            own = name.partition("/")[2]
            result[own] = [one for one in result.get(own, []) if one not in value]
        elif name.startswith("$"):
            continue
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, list):
            result[name] = _list(result.get(name) or [], value, (*path, name))
        else:
            merged = strategic(result.get(name), value, (*path, name))
            if isinstance(value, dict) and value.get("$patch") == "delete":
                result.pop(name, None)
            else:
                result[name] = merged
    return result


def _list(target: list[Any], patch: list[Any], path: tuple[str, ...]) -> list[Any]:
    if path[-1] in PRIMITIVE:
        return target + [one for one in patch if one not in target]
    key = merge_key(path)
    if key is None or not all(isinstance(one, dict) for one in patch):
        return copy.deepcopy(patch)
    if any(one.get("$patch") == "replace" for one in patch):
        return [copy.deepcopy(one) for one in patch if "$patch" not in one]
    result = list(target)
    for element in patch:
        index = next((i for i, one in enumerate(result) if one.get(key) == element.get(key)), None)
        if element.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(strategic({}, element, path))
        else:
            result[index] = strategic(result[index], element, path)
    return result


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def json_patch(target: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902; ValueError when an operation can't be done or a test fails."""
    result = copy.deepcopy(target)
    for operation in operations:
        kind, path = operation["op"], _pointer(operation["path"])
        if kind in ("move", "copy"):
            value = _lookup(result, _pointer(operation["from"]))
            if kind == "move":
                _change(result, _pointer(operation["from"]), "remove", None)
            _change(result, path, "add", copy.deepcopy(value))
        elif kind == "test":
            if _lookup(result, path) != operation.get("value"):
                raise ValueError(f"testing value {operation['path']} failed: test failed")
        else:
            _change(result, path, kind, operation.get("value"))
    return result


def _lookup(target: Any, path: list[str]) -> Any:
    for part in path:
        try:
            target = target[int(part)] if isinstance(target, list) else target[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise ValueError(f"missing path: /{'/'.join(path)}") from None
    return target


def _change(target: Any, path: list[str], kind: str, value: Any) -> None:
    holder, name = _lookup(target, path[:-1]), path[-1]
    if isinstance(holder, list):
        index = len(holder) if name == "-" else int(name)
        if kind == "add":
            holder.insert(index, value)
        elif index >= len(holder):
            raise ValueError(f"missing path: /{'/'.join(path)}")
        elif kind == "remove":
            del holder[index]
        else:
            holder[index] = value
    elif kind != "add" and name not in holder:
        raise ValueError(f"missing path: /{'/'.join(path)}")
    elif kind == "remove":
        del holder[name]
    else:
        holder[name] = value
