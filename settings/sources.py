"""
Read the settings from inventory.py and group_data/, as pyinfra reads them.

pyinfra's precedence: ``--data``, host, group (the last one declared wins), all.
"""

from __future__ import annotations

import ast
import io
import tokenize
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from messages import settings as messages
from settings.model import SETTINGS
from settings.overrides import VARIABLE, of_environment
from settings.problems import Problem, SettingsError, shown

# True while an inventory file is read here, so that its own call of `prepare` does nothing.
reading: ContextVar[bool] = ContextVar("reading", default=False)

# The groups of the inventory that bramble knows; others are the operator's own.
GROUPS = ("control_plane", "workers")


@dataclass(frozen=True)
class Value:
    """A setting's value as written, and the file that has it."""

    value: object
    file: str


@dataclass(frozen=True)
class Host:
    """One host of the inventory with its groups and its merged data."""

    name: str
    groups: tuple[str, ...]
    data: Mapping[str, Value]


@dataclass(frozen=True)
class Sources:
    """All that was written.

    + desk: the folder of inventory.py, group_data/ and .cluster/
    + inventory: the inventory file's name
    + groups: the data of each group that has some, "all" among them
    + listed: (group, host) as listed in the inventory, doubles included
    """

    desk: Path
    inventory: str
    hosts: tuple[Host, ...]
    groups: Mapping[str, Mapping[str, Value]]
    listed: tuple[tuple[str, str], ...]

    @cached_property
    def members(self) -> tuple[Host, ...]:
        """The hosts in the groups control_plane and workers, the control plane first."""
        ours = [host for host in self.hosts if {*GROUPS} & set(host.groups)]
        return tuple(sorted(ours, key=lambda host: "control_plane" not in host.groups))

    @property
    def whole(self) -> str:
        """The group, named after the inventory file, that pyinfra puts every host into."""
        return Path(self.inventory).stem


def read(desk: Path, inventory: str, given: Mapping[str, object]) -> Sources:
    """What the desk's files say, read as pyinfra reads them.

    + given: what `--data` gives

    Raises `SettingsError` when a file is missing or is not Python that runs.
    """
    problems: list[Problem] = []
    groups: dict[str, dict[str, Value]] = {}
    for path in sorted((desk / "group_data").glob("*.py")):
        file = f"group_data/{path.name}"
        names = _run(path, file, problems)
        groups[path.stem] = {name: Value(value, file) for name, value in names.items()}
    written = _run(desk / inventory, inventory, problems)
    if problems:
        raise SettingsError(problems)
    if "head" in groups:
        problems.append(Problem("group_data/head.py", messages.GROUP_DATA_HEAD()))

    host_data: dict[str, dict[str, Value]] = {}
    listed: list[tuple[str, str]] = []
    for group, value in written.items():
        if text := _misplaced(group, value):
            problems.append(Problem(inventory, text, setting=group))
            continue
        if group.startswith("_") or not isinstance(value, (list, tuple)):
            continue
        try:
            entries, group_data = _members(value)
        except ValueError as error:
            problems.append(Problem(inventory, str(error), setting=group))
            continue
        inline = {name: Value(item, inventory) for name, item in group_data.items()}
        groups[group] = {**inline, **groups.get(group, {})}
        for name, data in entries:
            listed.append((group, name))
            host_data.setdefault(name, {}).update(
                {key: Value(item, inventory) for key, item in data.items()}
            )

    if problems:
        raise SettingsError(problems)

    override = {
        **{name: Value(item, VARIABLE) for name, item in of_environment().items()},
        **{name: Value(item, "--data") for name, item in given.items()},
    }
    hosts = []
    for name, data in host_data.items():
        named = dict.fromkeys(group for group, host in listed if host == name and group != "all")
        host_groups = (*named, Path(inventory).stem)
        merged = dict(groups.get("all", {}))
        for group in host_groups:
            merged.update(groups.get(group, {}))
        hosts.append(Host(name, host_groups, {**merged, **data, **override}))
    return Sources(desk, inventory, tuple(hosts), groups, tuple(listed))


_NODE = '("node2", {"address": "192.168.2.12"})'


def _misplaced(name: str, value: object) -> str | None:
    """Why a name can't stand in the inventory with that value."""
    listed = isinstance(value, (list, tuple))
    if name == "head":
        return messages.GROUP_HEAD()
    if name in GROUPS:
        return None if listed else f"{shown(value)} is not a list of nodes: write [{_NODE}]"
    if name in SETTINGS:
        return "it is a setting: move it to group_data/all.py"
    if isinstance(value, (str, int, list)) and not name.startswith("_") and not _has_nodes(value):
        near = get_close_matches(name.lower(), SETTINGS, 1, 0.85)
        if near and not near[0].endswith("address"):
            return f"did you mean {near[0]}? It is a setting: write it in group_data/all.py"
    if name == "all" and listed:
        return "every node is in this group already: remove it"
    near = get_close_matches(name.lower(), GROUPS, 1)
    if near and not listed:
        return f"it is not a list of nodes: did you mean {near[0]}?"
    return None


def _has_nodes(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(entry, tuple) for entry in value)


def _members(value: Any) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, Any]]:
    """The nodes of a group, and the group's own data. Raises `ValueError`."""
    whole = isinstance(value, tuple) and len(value) == 2
    entries: Any = value[0] if whole else value
    data: Any = value[1] if whole else {}
    texts = isinstance(data, dict) and all(isinstance(key, str) for key in data)
    if not isinstance(entries, list) or not texts:
        raise ValueError(f"{shown(value)} is not a list of nodes: write [{_NODE}]")
    return [_entry(entry) for entry in entries], data


def _entry(entry: object) -> tuple[str, dict[str, Any]]:
    """A node's name and its data. Raises `ValueError`."""
    parts: tuple[Any, ...] = entry if isinstance(entry, tuple) else (entry, {})
    if len(parts) > 2:
        raise ValueError(f"{shown(entry)} has a third part: write all data in one {{...}}: {_NODE}")
    name, data = parts if len(parts) == 2 else (None, None)
    if not isinstance(name, str) or not isinstance(data, dict):
        raise ValueError(f"{shown(entry)} is not a node: write {_NODE}")
    if any(not isinstance(key, str) for key in data):
        raise ValueError(f"{name!r}: the names of its data are to be in quotes: write {_NODE}")
    return name, data


def _run(path: Path, file: str, problems: list[Problem]) -> dict[str, Any]:
    """The names that the Python file sets, its imports left out. pyinfra reads it as UTF-8."""
    names: dict[str, Any] = {"__file__": str(path)}
    token = reading.set(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a missing comma, which is an error all the same
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source, str(path))
            exec(compile(tree, str(path), "exec"), names)
    except Exception as error:
        line, text = _words(error, path)
        problems.append(Problem(f"{file} line {line}" if line else file, text))
        return {}
    except SystemExit:
        problems.append(Problem(file, "it ends the program: remove exit() from it"))
        return {}
    finally:
        reading.reset(token)
    problems.extend(_without_effect(tree, source, file))
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in tree.body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    return {
        name: value
        for name, value in names.items()
        if not name.startswith("__") and name not in imported
    }


def _without_effect(tree: ast.Module, source: str, file: str) -> Iterator[Problem]:
    """What Python takes, and does not do what it seems to say."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and node.value is None:
            line = f"{ast.unparse(node.target)} = {ast.unparse(node.annotation)}"
            yield Problem(f"{file} line {node.lineno}", f"it sets nothing: write {line}")
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
            yield Problem(f"{file} line {node.lineno}", "it sets nothing: write = in place of ==")
    for group in ast.walk(tree):
        for element in group.elts if isinstance(group, (ast.List, ast.Set, ast.Tuple)) else ():
            if parts := _adjacent_texts(element, source):
                sign = "colon or a comma" if isinstance(group, ast.Set) else "comma"
                said = f"a {sign} is missing between {parts[0]} and {parts[1]}"
                yield Problem(f"{file} line {element.lineno}", said)
    for each in (node for node in ast.walk(tree) if isinstance(node, ast.Dict)):
        written = Counter(key.value for key in each.keys if isinstance(key, ast.Constant))
        for key, times in written.items():
            if times > 1:
                text = f"{key!r} is there {times} times in one {{...}}: remove one"
                yield Problem(f"{file} line {each.lineno}", text)


def _adjacent_texts(node: ast.expr, source: str) -> list[str]:
    """The texts that Python makes one of, as they stand one behind the other."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return []
    segment = ast.get_source_segment(source, node) or ""
    tokens = tokenize.generate_tokens(io.StringIO(f"({segment})").readline)
    texts = [token.string for token in tokens if token.type == tokenize.STRING]
    return texts if len(texts) > 1 else []


def _words(error: Exception, path: Path) -> tuple[int | None, str]:
    """Where and why a file is not Python that runs, with the remedy."""
    frames = traceback.extract_tb(error.__traceback__)
    line = next((at.lineno for at in reversed(frames) if at.filename == str(path)), None)
    if isinstance(error, FileNotFoundError) and line is None:
        return None, "not in this folder: run this where it is"
    if isinstance(error, IsADirectoryError) and line is None:
        return None, "it is a folder: remove it, and put the file there"
    if isinstance(error, OSError) and line is None:
        return None, f"it can't be read ({error.strerror}): chmod or chown it"
    if isinstance(error, UnicodeDecodeError) and line is None:
        found = path.read_bytes()[: error.start].count(b"\n") + 1
        return found, "it is not UTF-8: save it as UTF-8"
    if isinstance(error, SyntaxError):
        if "U+FEFF" in str(error.msg):
            return error.lineno, "it begins with a byte order mark: save it as UTF-8 without BOM"
        if isinstance(error, IndentationError):
            return error.lineno, f"not valid Python: {error.msg}: begin the line as those around it"
        remedy = "texts and addresses are written in quotes, one setting a line"
        return error.lineno, f"not valid Python: {error.msg}: {remedy}"
    if isinstance(error, NameError):
        words = {"True": "true yes on", "False": "false no off", "None": "none null nil"}
        wrong = (error.name or "").lower()
        word = next((word for word, others in words.items() if wrong in others.split()), None)
        near = get_close_matches((error.name or "").capitalize(), words, 1, 0.75)
        word = word or next(iter(near), None)
        hint = f"did you mean {word}?" if word else "put it in quotes, if it is a text"
        return line, f"NameError: {error}: {hint}"
    if isinstance(error, TypeError) and "not callable" in str(error):
        return line, f"TypeError: {error}: is a comma missing between two nodes?"
    return line, f"{type(error).__name__}: {error}: correct the line".replace("\n", " ")
