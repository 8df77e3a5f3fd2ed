"""
What kubectl patches with: JSON merge patch (RFC 7386), strategic merge patch, server-side apply.

Simplified: the latter two merge lists whose elements have names by these names, and replace others;
nobody owns fields, so no apply conflicts with another, and a field left out stays.
"""

from __future__ import annotations

import copy
from typing import Any


def merged(target: Any, patch: Any, by_name: bool = True) -> Any:
    """Return a target after a patch; by_name: whether lists are merged, not a merge patch's."""
    if isinstance(patch, list) and by_name and _have_names(patch):
        return _merged_list(target if isinstance(target, list) else [], patch)
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif not name.startswith("$"):  # a directive, such as the order of a list
            result[name] = merged(result.get(name), value, by_name)
    return result


def _have_names(elements: list[Any]) -> bool:
    return bool(elements) and all(isinstance(one, dict) and "name" in one for one in elements)


def _merged_list(target: list[Any], patch: list[Any]) -> list[Any]:
    result = {one["name"]: one for one in target if isinstance(one, dict) and "name" in one}
    for one in patch:
        if one.get("$patch") == "delete":
            result.pop(one["name"], None)
        else:
            result[one["name"]] = merged(result.get(one["name"]), one)
    return list(result.values())
