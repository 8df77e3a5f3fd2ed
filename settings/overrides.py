"""Settings that outrank the files: ``--data``, and the file that BRAMBLE_OVERRIDES names."""

from __future__ import annotations

import json
import os
from fnmatch import fnmatch
from pathlib import Path

import click

from messages import Said
from messages import settings as messages
from settings.fields import nearest
from settings.model import Cluster
from settings.problems import Problem, SettingsError

# Names a JSON file of settings that differ in one place; its ``target`` is a title, no setting.
VARIABLE = "BRAMBLE_OVERRIDES"
_TARGET = "target"

_LOCAL = "sdcard.py"

# Filled while pyinfra loads the inventory: greenlets that load deploys don't see the command line.
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
        said = messages.OVERRIDES_UNREADABLE(reason=error)
        raise SettingsError([Problem(path, said)]) from None
    if not isinstance(values, dict):
        said = messages.OVERRIDES_UNREADABLE(reason="not a JSON object")
        raise SettingsError([Problem(path, said)])
    return values


def given() -> dict[str, object]:
    """
    Read ``--data`` of the running pyinfra; empty outside of pyinfra.

    Numbers stay text, unlike pyinfra's: 1.30 is not 1.3, and a version needs no second quotes.

    + raises ``SettingsError``: it is not "name=value"
    """
    context = click.get_current_context(silent=True)
    for text in context.params.get("data", ()) if context else ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise SettingsError([Problem("--data", messages.DATA_FORM(value=repr(text)))])
        _seen[name] = _value(value)
    return dict(_seen)


def check_deploys() -> None:
    """Raise ``SettingsError`` if a deploy for this computer is to run on the nodes."""
    context = click.get_current_context(silent=True)
    for path in context.params.get("operations", ()) if context else ():
        if Path(path).name == _LOCAL:
            said = messages.NOT_FOR_NODES(deploy=f"deploys/{_LOCAL}")
            raise SettingsError([Problem(str(path), said)])


def check_limits(cluster: Cluster) -> None:
    """Raise ``SettingsError`` if ``--limit`` or ``--exclude`` names nothing: pyinfra would succeed
    without doing anything."""
    context = click.get_current_context(silent=True)
    known = [*(node.name for node in cluster.nodes), "control_plane", "workers", "all", "inventory"]
    problems = [
        Problem(f"--{option}", _no_such_limit(pattern, known))
        for option in ("limit", "exclude")
        for pattern in (context.params.get(option, ()) if context else ())
        if not any(fnmatch(name, pattern) for name in known)
    ]
    if problems:
        raise SettingsError(problems)


def _no_such_limit(pattern: str, known: list[str]) -> Said:
    near = nearest(pattern, known) or f"one of {', '.join(known)}"
    return messages.NO_SUCH_LIMIT(pattern=pattern, instead=near)


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
