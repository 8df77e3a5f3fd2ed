"""From what was written to a cluster: pydantic reads it, and everything wrong is reported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from settings import placement, rules, specifications
from settings.fields import Typed, did_you_mean
from settings.model import Cluster, Node
from settings.problems import Problem, SettingsError, shown
from settings.sources import Host, Sources, Value

_SECRET = ("wifi_psk_file", "ssh_password", "ssh_key_password")
_NEEDED_BY = {"router": "router"} | dict.fromkeys(
    ("uplink_interface", "uplink_network", "uplink_gateway", "uplink_method"), "nat"
)
# What is said of pydantic's own errors, with the names of their context.
_WORDS = {
    "string_type": "is not a text: put it in quotes",
    "bool_type": "is neither True nor False: write one of them, without quotes",
    "bool_parsing": "is neither true nor false: write one of them",
    "int_type": "is not a whole number: write it in digits, without quotes",
    "int_parsing": "is not a whole number: write it in digits",
    "float_type": "is not a number: write it in digits, without quotes",
    "greater_than_equal": "is too small: write {ge} or more",
    "less_than_equal": "is too large: write {le} or less",
    "tuple_type": 'is not a list: write ["...", "..."]',
    "dict_type": 'is not a mapping: write {{"name": "value"}}',
    "literal_error": "can't be: write {expected}",
}


def build(sources: Sources) -> Cluster:
    """Build the cluster. Raises `SettingsError` with every mistake in it."""
    hosts = sources.members
    first = _first(sources)
    written: dict[str, Any] = {
        **_written(first.data, Cluster),
        "desk": sources.desk,
        "nodes": tuple(
            {
                **_written(host.data, Node),
                "name": host.name,
                "role": "control_plane" if "control_plane" in host.groups else "worker",
            }
            for host in hosts
        ),
    }
    problems = list(placement.problems(sources))
    if any(
        problem.file == "--data" and problem.setting in placement.HOST_DATA for problem in problems
    ):
        # What the nodes have themselves is hidden by it.
        raise SettingsError(problems)
    try:
        seen = rules.Seen(tuple(host.name for host in hosts))
        cluster = Cluster.model_validate(written, context=seen)
    except ValidationError as error:
        problems += _problems(error, sources, first)
    else:
        problems += [] if problems else specifications.problems(cluster)
    if problems:
        raise SettingsError(problems)
    return cluster


def _first(sources: Sources) -> Host:
    """The host whose data hold for the whole cluster. Without one the groups' data stand in, so
    that no more is reported than that."""
    groups = {**sources.groups.get("all", {}), **sources.groups.get("control_plane", {})}
    first = next(iter(sources.members), Host("", (), {}))
    return Host(first.name, first.groups, {**groups, **first.data})


def _written(data: Mapping[str, Value], model: type[Cluster | Node]) -> dict[str, Any]:
    return {
        name: Typed(value.value)
        if value.file == "--data" and isinstance(value.value, str)
        else value.value
        for name, value in data.items()
        if name in model.model_fields and not placement.is_misplaced(name, value)
    }


def _problems(error: ValidationError, sources: Sources, first: Host) -> Iterator[Problem]:
    details = error.errors(include_url=False)
    meant = placement.meant(sources)
    nameless = {detail["loc"][1] for detail in details if detail["loc"][2:] == ("name",)}
    for detail in details:
        host, (name, *_) = first, detail["loc"]
        if name == "nodes":
            _, number, name, *_ = detail["loc"]
            host = sources.members[int(number)]
        name = str(name)
        if name == "name":
            yield Problem(sources.inventory, _text(detail, name), host.name)
        elif detail["type"] == "missing":
            at_wrong_name = detail["loc"][0] == "nodes" and detail["loc"][1] in nameless
            if name not in meant and not at_wrong_name:
                yield _missing(name, host, sources)
        else:
            file = host.data[name].file if name in host.data else sources.inventory
            at_host = host.name if file == sources.inventory else None
            yield Problem(file, _text(detail, name), at_host, name)


def _text(detail: Mapping[str, Any], name: str) -> str:
    """What is wrong: in the words of the function that found it, or of `_WORDS`."""
    context = detail.get("ctx", {})
    value, kind = detail["input"], detail["type"]
    if "error" in context:
        text = str(context["error"])
        if name in _SECRET and isinstance(value, str) and text.startswith(shown(value)):
            # Someone may have written the key itself here.
            return "this is not the path of a file: write one, such as .cluster/wifi_psk"
        return text
    given = "this" if name in _SECRET else shown(value)
    words = _WORDS.get(kind, detail["msg"]).format(**context)
    if isinstance(value, tuple) and len(value) == 1 and kind != "tuple_type":
        words = "is a tuple: remove the comma at the end of the line"
    elif kind == "string_type" and isinstance(value, (list, tuple, set, dict)):
        words = "is not a text: write one text in quotes, without brackets"
    elif kind == "string_type" and (value is None or isinstance(value, bool)):
        words = "is not a text: write one in quotes"
    elif kind == "tuple_type" and isinstance(value, str):
        words = f"is not a list: write {json.dumps(re.split(r'[,; ]+', value.strip()))}"
    elif kind == "literal_error" and isinstance(value, str):
        near = did_you_mean(value, re.findall(r"'([^']*)'", context["expected"]))
        words = f"{words}{near}"
    return f"{given} {words}"


def _missing(name: str, host: Host, sources: Sources) -> Problem:
    if name in placement.HOST_DATA:
        text = f'missing: write ("{host.name}", {{"{name}": "192.168.2.…"}})'
        return Problem(sources.inventory, text, host.name, name)
    if not sources.groups.get("all"):
        text = "it is missing, or sets nothing: put it back (git checkout has it)"
        return Problem("group_data/all.py", text)
    needed = f', which topology "{_NEEDED_BY[name]}" needs' if name in _NEEDED_BY else ""
    return Problem("group_data/all.py", f"missing: write its line{needed}", setting=name)
