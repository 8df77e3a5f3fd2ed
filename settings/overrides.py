"""Values that outrank the desk's files: of `--data`, and of a file that the environment names."""

from __future__ import annotations

import json
import os
from fnmatch import fnmatch
from pathlib import Path

import click

from settings.fields import did_you_mean
from settings.model import Cluster
from settings.problems import Problem, SettingsError

# Names a JSON file of settings: what a place, such as the lab, has otherwise than the desk.
VARIABLE = "BRAMBLE_OVERRIDES"
_TARGET = "target"

_LOCAL = "sdcard.py"

# Read while pyinfra loads the inventory: the greenlets that load the deploys don't see the command.
_seen: dict[str, object] = {}


def of_environment() -> dict[str, object]:
    """
    The settings in the file that ``BRAMBLE_OVERRIDES`` names; none without it.

    + raises ``SettingsError``: it can't be read
    """
    return {name: value for name, value in _file_of_environment().items() if name != _TARGET}


def target() -> str | None:
    """What that file calls the nodes, ``{nodes}`` in place of their names; None: nothing."""
    found = _file_of_environment().get(_TARGET)
    return None if found is None else str(found)


def _file_of_environment() -> dict[str, object]:
    path = os.environ.get(VARIABLE)
    if not path:
        return {}
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError([Problem(path, f"{error}: {VARIABLE} names it")]) from None
    if not isinstance(values, dict):
        raise SettingsError([Problem(path, 'it holds no settings: write {"name": value}')])
    return values


def given() -> dict[str, object]:
    """What stands after `--data` on the command line of the pyinfra that runs this; nothing when
    no pyinfra does. Parsed as pyinfra parses it, but for numbers: they stay text, so that 1.30 is
    not 1.3 and a version needs no second pair of quotes.

    Raises `SettingsError` for what is no "name=value".
    """
    context = click.get_current_context(silent=True)
    for text in context.params.get("data", ()) if context else ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise SettingsError([Problem("--data", f"{text!r}: write --data name=value")])
        _seen[name] = _value(value)
    return dict(_seen)


def check_deploys() -> None:
    """See that what is for the operator's own computer is not asked of the nodes.

    Raises `SettingsError`.
    """
    context = click.get_current_context(silent=True)
    for path in context.params.get("operations", ()) if context else ():
        if Path(path).name == _LOCAL:
            text = f"it writes a card in your own computer: pyinfra @local deploys/{_LOCAL} …"
            raise SettingsError([Problem(str(path), text)])


def check_limits(cluster: Cluster) -> None:
    """See that `--limit` and `--exclude` name nodes or groups that there are: pyinfra goes on with
    none, and calls that a success.

    Raises `SettingsError`.
    """
    context = click.get_current_context(silent=True)
    known = [*(node.name for node in cluster.nodes), "control_plane", "workers", "all", "inventory"]
    problems = [
        Problem(f"--{option}", f"{pattern} is no node and no group{did_you_mean(pattern, known)}")
        for option in ("limit", "exclude")
        for pattern in (context.params.get(option, ()) if context else ())
        if not any(fnmatch(name, pattern) for name in known)
    ]
    if problems:
        raise SettingsError(problems)


def _value(text: str) -> object:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text == "None":
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, (int, float)) else value
