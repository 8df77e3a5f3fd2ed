"""Where the settings come from: the files of a desk, or pyinfra's inventory.

Both give the same `Sources`, with pyinfra's precedence: --data, host, group (the last one declared
wins), all.
"""

from __future__ import annotations

import ast
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from settings.errors import Problem, SettingsError
from settings.overrides import VARIABLE, given, of_environment

# True while an inventory file is read here, so that its own call of `prepare` does nothing.
reading: ContextVar[bool] = ContextVar("reading", default=False)


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

    @property
    def whole(self) -> str:
        """The group, named after the inventory file, that pyinfra puts every host into."""
        return Path(self.inventory).stem


class PyinfraData(Protocol):
    def dict(self) -> dict[str, Any]: ...


class PyinfraHost(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def groups(self) -> list[str]: ...
    @property
    def data(self) -> PyinfraData: ...


class PyinfraInventory(Protocol):
    """The part of `pyinfra.api.Inventory` that is used here."""

    group_data: Any  # group -> its data

    def __iter__(self) -> Iterator[Any]: ...
    def get_override_data(self) -> Mapping[str, Any]: ...
    def get_host_data(self, hostname: str) -> Mapping[str, Any]: ...
    def get_data(self) -> Mapping[str, Any]: ...


def of_inventory(inventory: PyinfraInventory, desk: Path) -> Sources:
    """What pyinfra has read, `--data` included."""

    outranking = of_environment()

    def file_of(host: PyinfraHost, name: str) -> str:
        if name in inventory.get_override_data():
            return "--data"
        if name in outranking:
            return VARIABLE
        if name in inventory.get_host_data(host.name):
            return "inventory.py"
        for group in reversed(host.groups):
            if name in inventory.group_data.get(group, {}):
                return f"group_data/{group}.py"
        return "group_data/all.py"

    def read(host: PyinfraHost) -> Host:
        values = {**host.data.dict(), **outranking, **inventory.get_override_data(), **given()}
        data = {name: Value(value, file_of(host, name)) for name, value in values.items()}
        return Host(host.name, tuple(host.groups), data)

    groups = {
        group: {name: Value(value, f"group_data/{group}.py") for name, value in data.items()}
        for group, data in {**inventory.group_data, "all": inventory.get_data()}.items()
    }
    listed = tuple((group, host.name) for host in inventory for group in host.groups)
    return Sources(desk, "inventory.py", tuple(read(host) for host in inventory), groups, listed)


def of_desk(desk: Path, inventory: str, given: Mapping[str, object]) -> Sources:
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

    host_data: dict[str, dict[str, Value]] = {}
    listed: list[tuple[str, str]] = []
    for group, value in written.items():
        if group.startswith("_") or not isinstance(value, (list, tuple)):
            continue
        entries, group_data = value if isinstance(value, tuple) else (value, {})
        inline = {name: Value(item, inventory) for name, item in group_data.items()}
        groups[group] = {**inline, **groups.get(group, {})}
        for entry in entries:
            name, data = entry if isinstance(entry, tuple) else (entry, {})
            if not isinstance(name, str) or not isinstance(data, dict):
                text = f'{name!r} is no node: write ("node2", {{"address": "192.168.2.12"}})'
                problems.append(Problem(inventory, text, setting=group))
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
        named = dict.fromkeys(group for group, host in listed if host == name and group != "all")
        host_groups = (*named, Path(inventory).stem)
        merged = dict(groups.get("all", {}))
        for group in host_groups:
            merged.update(groups.get(group, {}))
        hosts.append(Host(name, host_groups, {**merged, **data, **override}))
    return Sources(desk, inventory, tuple(hosts), groups, tuple(listed))


def _run(path: Path, file: str, problems: list[Problem]) -> dict[str, Any]:
    """The names that the Python file sets, its imports left out."""
    if not path.exists():
        problems.append(Problem(file, "not in this folder: run this where it is"))
        return {}
    names: dict[str, Any] = {"__file__": str(path)}
    token = reading.set(True)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        exec(compile(tree, str(path), "exec"), names)
    except SyntaxError as error:
        line = f" line {error.lineno}" if error.lineno else ""
        problems.append(Problem(file + line, f"not valid Python: {error.msg}"))
        return {}
    except Exception as error:
        frames = traceback.extract_tb(sys.exc_info()[2])
        lines = [f" line {frame.lineno}" for frame in frames if frame.filename == str(path)]
        kind = type(error).__name__
        problems.append(Problem(file + "".join(lines[-1:]), f"{kind}: {error}"))
        return {}
    finally:
        reading.reset(token)
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
