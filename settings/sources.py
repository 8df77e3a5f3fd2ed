"""
Read the settings from inventory.py and group_data/, as pyinfra reads them.

pyinfra's precedence: ``--data``, host, group (the last one declared wins), all.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from messages import Said
from messages import settings as messages
from settings.model import SETTINGS
from settings.overrides import VARIABLE, of_environment
from settings.problems import Problem, SettingsError, shown, without_secrets

# True while an inventory file is read here: its own call of ``prepare`` then does nothing.
reading: ContextVar[bool] = ContextVar("reading", default=False)

# Most texts; the others are taken apart by Python's tokenizer, which is slow to start.
_ONE_TEXT = re.compile(r"""("[^"\\]*"|'[^'\\]*')""")

# The groups of the inventory that bramble knows; others are the operator's own.
GROUPS = ("control_plane", "workers")


@dataclass(frozen=True)
class Value:
    """A setting's value as written, and its file."""

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
    """
    All that was written.

    + project: the folder of inventory.py, group_data/ and .cluster/
    + inventory: the inventory file's name
    + groups: the data of each group, "all" among them
    + named: the groups of the inventory, empty ones too
    + listed: (group, host) as listed in the inventory, doubles included
    """

    project: Path
    inventory: str
    hosts: tuple[Host, ...]
    groups: Mapping[str, Mapping[str, Value]]
    named: tuple[str, ...]
    listed: tuple[tuple[str, str], ...]

    @cached_property
    def members(self) -> tuple[Host, ...]:
        """The hosts in the groups control_plane and workers, the control plane first."""
        own = [host for host in self.hosts if {*GROUPS} & set(host.groups)]
        return tuple(sorted(own, key=lambda host: "control_plane" not in host.groups))

    @property
    def names(self) -> list[str]:
        """The names of all hosts, nodes first, and of all groups."""
        hosts = [host.name for host in (*self.members, *self.hosts)]
        return list(dict.fromkeys([*hosts, *GROUPS, *self.named, "all", self.whole]))

    @property
    def whole(self) -> str:
        """The group, named after the inventory file, into which pyinfra puts every host."""
        return Path(self.inventory).stem


def read(project: Path, inventory: str, given: Mapping[str, object]) -> Sources:
    """
    Read inventory.py and group_data/ as pyinfra does.

    + project: their folder
    + given: the settings of ``--data``
    + raises ``SettingsError``: a file is missing or is not Python that runs
    """
    problems: list[Problem] = []
    groups: dict[str, dict[str, Value]] = {}
    for path in sorted((project / "group_data").glob("*.*")):
        file = f"group_data/{path.name}"
        if path.suffix in (".yml", ".yaml", ".json", ".toml", ".ini"):
            said = messages.NOT_GROUP_DATA(instead=f"group_data/{path.stem}.py")
            problems.append(Problem(file, said))
        if path.suffix != ".py":
            continue
        names = _run(path, file, problems)
        groups[path.stem] = {name: Value(value, file) for name, value in names.items()}
    written = _run(project / inventory, inventory, problems)
    if problems:
        raise SettingsError(problems)
    if "head" in groups:
        problems.append(Problem("group_data/head.py", messages.GROUP_DATA_HEAD()))

    host_data: dict[str, dict[str, Value]] = {}
    named: list[str] = []
    listed: list[tuple[str, str]] = []
    for group, value in written.items():
        if text := _misplaced(group, value):
            problems.append(Problem(inventory, text, setting=group))
            continue
        if group.startswith("_") or not isinstance(value, (list, tuple)):
            continue
        if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], list):
            said = messages.TRAILING_COMMA(value=shown(value))
            problems.append(Problem(inventory, said, setting=group))
            continue
        whole = isinstance(value, tuple) and len(value) == 2
        entries, group_data = value if whole else (value, {})
        if not isinstance(entries, list) or not _is_data(group_data):
            problems.append(Problem(inventory, _not_a_node_list(value), setting=group))
            continue
        named.append(group)
        inline = {name: Value(item, inventory) for name, item in group_data.items()}
        groups[group] = {**inline, **groups.get(group, {})}
        for entry in entries:
            name, data = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, {})
            if not isinstance(name, str) or not _is_data(data):
                problems.append(_not_a_node(inventory, group, entry))
                continue
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
        own = dict.fromkeys(group for group, host in listed if host == name and group != "all")
        host_groups = (*own, Path(inventory).stem)
        merged = dict(groups.get("all", {}))
        for group in host_groups:
            merged.update(groups.get(group, {}))
        hosts.append(Host(name, host_groups, {**merged, **data, **override}))
    return Sources(project, inventory, tuple(hosts), groups, tuple(named), tuple(listed))


def _misplaced(name: str, value: object) -> Said | None:
    """Tell why a name can't be in the inventory with that value."""
    listed = isinstance(value, (list, tuple))
    if name == "head":
        return messages.GROUP_HEAD()
    if name in GROUPS:
        return None if listed else _not_a_node_list(value)
    if name in SETTINGS:
        return messages.SETTING_IN_INVENTORY(name=name)
    if isinstance(value, (str, int, list)) and not name.startswith("_") and not _has_nodes(value):
        near = get_close_matches(name.lower(), SETTINGS, 1, 0.85)
        if near and not near[0].endswith("address"):
            return messages.SETTING_IN_INVENTORY(name=near[0])
    if name == "all" and listed:
        return messages.GROUP_ALL()
    near = get_close_matches(name.lower(), GROUPS, 1)
    if near and not listed:
        return messages.MISNAMED_GROUP(instead=near[0])
    return None


def _has_nodes(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(entry, tuple) for entry in value)


def _is_data(value: object) -> bool:
    """Tell whether it is a mapping of settings to values."""
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _not_a_node_list(value: object) -> Said:
    """Write the list that was probably meant."""
    nodes = [*value.items()] if isinstance(value, dict) else [value]
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        nodes = [*value]
    good = all(len(parts := _parts(node)) == 2 and _is_data(parts[1]) for node in nodes)
    instead = nodes if good and nodes else 'one such as [("node2", {"address": "192.168.2.12"})]'
    return messages.NOT_A_NODE_LIST(value=shown(value), instead=without_secrets(instead))


def _not_a_node(inventory: str, group: str, entry: object) -> Problem:
    """Name the node, if its name can be read, otherwise the group."""
    written = entry
    if len(nested := _parts(entry)) == 1 and isinstance(nested[0], (tuple, list)):
        entry = nested[0]
    pairs = [*entry.items()] if isinstance(entry, dict) else []
    name, *rest = pairs[0] if len(pairs) == 1 else _parts(entry) or (None,)
    if name is None and isinstance(entry, dict):
        rest = [{key: value for key, value in entry.items() if key != "name"}]
        name = entry.get("name")
    addresses = [{"address": each} for each in rest if isinstance(each, str) and each]
    data = {
        key: value
        for each in (*addresses, *(each for each in rest if isinstance(each, dict)))
        for key, value in each.items()
        if isinstance(key, str)
    }
    known = isinstance(name, str)
    right = (name if known else "node2", data or {"address": "192.168.2.…"})
    said = messages.NOT_A_NODE(value=shown(written), instead=repr(without_secrets(right)))
    return Problem(inventory, said, name if known else None, None if known else group)


def _parts(entry: object) -> list[Any]:
    return [*entry] if isinstance(entry, (tuple, list)) else []


def _run(path: Path, file: str, problems: list[Problem]) -> dict[str, Any]:
    """Run the Python file and read the names that it sets, without its imports."""
    names: dict[str, Any] = {"__file__": str(path)}
    token = reading.set(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a missing comma, which is an error all the same
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source, str(path))
            exec(compile(tree, str(path), "exec"), names)
    except Exception as error:
        line, said = _said(error, path)
        problems.append(Problem(f"{file} line {line}" if line else file, said))
        return {}
    except SystemExit:
        problems.append(Problem(file, messages.ENDS_THE_PROGRAM()))
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
    """Find lines that Python accepts and that have another effect than they seem to."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and node.value is None:
            value = node.annotation
            is_type = isinstance(value, (ast.Name, ast.Subscript))
            line = f"{ast.unparse(node.target)} = {'VALUE' if is_type else ast.unparse(value)}"
            yield Problem(f"{file} line {node.lineno}", messages.SETS_NOTHING(instead=line))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
            said = messages.SETS_NOTHING(instead="= in place of ==")
            yield Problem(f"{file} line {node.lineno}", said)
    lines = source.encode().splitlines(keepends=True)
    for group in ast.walk(tree):
        for element in group.elts if isinstance(group, (ast.List, ast.Set, ast.Tuple)) else ():
            if parts := _adjacent_texts(element, lines):
                sign = "colon or a comma" if isinstance(group, ast.Set) else "comma"
                said = messages.COMMA_MISSING(sign=sign, first=parts[0], second=parts[1])
                yield Problem(f"{file} line {element.lineno}", said)
    for each in (node for node in ast.walk(tree) if isinstance(node, ast.Dict)):
        written = Counter(key.value for key in each.keys if isinstance(key, ast.Constant))
        for key, times in written.items():
            if times > 1:
                said = messages.KEY_TWICE(key=repr(key), times=times)
                yield Problem(f"{file} line {each.lineno}", said)


def _adjacent_texts(node: ast.expr, lines: Sequence[bytes]) -> list[str]:
    """Find texts that Python joins because no comma is between them."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return []
    *before, last = lines[node.lineno - 1 : node.end_lineno]
    written = b"".join([*before, last[: node.end_col_offset]])[node.col_offset :].decode()
    if _ONE_TEXT.fullmatch(written):
        return []
    tokens = tokenize.generate_tokens(io.StringIO(f"({written})").readline)
    texts = [token.string for token in tokens if token.type == tokenize.STRING]
    return texts if len(texts) > 1 else []


def _said(error: Exception, path: Path) -> tuple[int | None, Said]:
    """Where and why a file is not Python that runs."""
    frames = traceback.extract_tb(error.__traceback__)
    line = next((at.lineno for at in reversed(frames) if at.filename == str(path)), None)
    if isinstance(error, FileNotFoundError) and line is None:
        return None, messages.FILE_MISSING()
    if isinstance(error, OSError) and line is None:
        return None, messages.FILE_UNREADABLE(reason=error.strerror)
    if isinstance(error, UnicodeDecodeError) and line is None:
        return path.read_bytes()[: error.start].count(b"\n") + 1, messages.NOT_UTF8()
    if isinstance(error, SyntaxError):
        if "U+FEFF" in str(error.msg):
            return error.lineno, messages.NOT_UTF8()
        return error.lineno, messages.NOT_PYTHON(reason=error.msg.partition(" (detected")[0])
    if isinstance(error, NameError):
        words = {"True": "true yes on", "False": "false no off", "None": "none null nil"}
        wrong = (error.name or "").lower()
        word = next((word for word, others in words.items() if wrong in others.split()), None)
        near = get_close_matches((error.name or "").capitalize(), words, 1, 0.75)
        word = word or next(iter(near), None)
        if error.name in GROUPS:
            word = f"{error.name} = [...]"
        remedy = f"Write {word}." if word else "Put it in quotes if it is a text."
        return line, messages.UNDEFINED_NAME(name=repr(error.name), remedy=remedy)
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    if isinstance(error, TypeError) and "not callable" in str(error):
        return line, messages.COMMA_MISSING(sign="comma", first="one node", second="the next")
    return line, messages.PYTHON_ERROR(error=text)
