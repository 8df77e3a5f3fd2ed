"""Values that outrank the desk's files: of `--data`, and of a file that the environment names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from settings.errors import Problem, SettingsError

# Names a JSON file of settings: what a place, such as the lab, has otherwise than the desk.
VARIABLE = "BRAMBLE_OVERRIDES"


def of_environment() -> dict[str, object]:
    """The settings in the file that `BRAMBLE_OVERRIDES` names; none without it.

    Raises `SettingsError` when it can't be read.
    """
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
    no pyinfra does. Parsed as pyinfra parses it."""
    context = click.get_current_context(silent=True)
    texts: tuple[str, ...] = context.params.get("data", ()) if context else ()
    pairs = (text.split("=", 1) for text in texts)
    return {name: _value(text) for name, text in pairs}


def _value(text: str) -> object:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return json.loads(text)
    except ValueError:
        return text
