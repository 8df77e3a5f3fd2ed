"""Settings that outrank the files: ``--data``, and the file that BRAMBLE_OVERRIDES names."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click

from messages import Said
from messages import settings as messages
from settings.connector_fields import NO_PORT
from settings.fields import nearest
from settings.model import SETTINGS
from settings.problems import Problem, SettingsError

# Names a JSON file of settings that differ in one place; its ``target`` is a title, no setting.
VARIABLE = "BRAMBLE_OVERRIDES"
_TARGET = "target"

_LOCAL = "sdcard.py"
# For all nodes at once, and the answers and choices of single deploys, which are no settings.
_ALL, _REMOVAL, _WHOLE, _RESTORE = "reset.py", "remove.py", "cluster.py", "restore.py"
_OPTIONS = {
    _ALL: ("yes", "backup"),
    _LOCAL: ("node", "device", "file", "yes", "any_disk"),
    _WHOLE: ("take_over", "replace"),
    "workers.py": ("replace",),
    _REMOVAL: ("node", "packages", "yes"),
    "reboot.py": ("reboot",),
    _RESTORE: ("backup", "yes", "healthy", "node"),
}


# What those of them may be that are no names.
_CHOICES = {
    ("reboot.py", "reboot"): ("all",),
    (_ALL, "backup"): ("yes", "no"),
    (_RESTORE, "healthy"): ("replace",),
}


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


def _options() -> dict[str, Any]:
    """
    The command line of the running pyinfra; empty outside of pyinfra.

    Greenlets, which load the deploys, do not see it: it is read before.
    """
    context = click.get_current_context(silent=True)
    return context.params if context else {}


def inventory(default: str = "inventory.py") -> str:
    """The inventory file that pyinfra was given; the default if it was given a host."""
    named = str(_options().get("inventory"))
    return named if named.endswith(".py") or Path(named).is_file() else default


def given() -> dict[str, object]:
    """
    Read ``--data`` of the running pyinfra without ``options``; empty outside of pyinfra.

    Numbers stay text, unlike pyinfra's: 1.30 is not 1.3, and a version needs no second quotes.

    + raises ``SettingsError``: it is not "name=value", or an option is misspelled
    """
    own = _own_options()
    values = {name: _value(text) for name, text in _data().items() if name not in own}
    mistyped = [
        Problem("--data", messages.UNKNOWN_SETTING(remedy=f"Write {near}."), setting=name)
        for name in values
        if name not in SETTINGS and (near := nearest(name, own))
    ]
    if mistyped:
        raise SettingsError(mistyped)
    return values


def options() -> dict[str, str]:
    """
    Read the options among ``--data`` that the running deploy has, as they are written.

    + raises ``SettingsError``: an option has another value than it may have
    """
    own = _own_options()
    found = {name: text for name, text in _data().items() if name in own}
    deploys = _running()
    choices_of = {name: each for (deploy, name), each in _CHOICES.items() if deploy in deploys}
    for name, text in found.items():
        if text not in (choices := choices_of.get(name, (text,))):
            instead = " or ".join(f"{name}={choice}" for choice in choices)
            said = messages.WRONG_OPTION(value=repr(text), instead=instead)
            raise SettingsError([Problem("--data", said, setting=name)])
    return found


def is_removal() -> bool:
    """Whether ``deploys/remove.py`` runs."""
    return _REMOVAL in _running()


def is_restore() -> bool:
    """Whether ``deploys/restore.py`` runs."""
    return _RESTORE in _running()


def _running() -> list[str]:
    """The names of the running deploys."""
    return [Path(path).name for path in _options().get("operations", ())]


def _own_options() -> set[str]:
    return {name for deploy in _running() for name in _OPTIONS.get(deploy, ())}


def _data() -> dict[str, str]:
    values = {}
    for text in _options().get("data", ()):
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise SettingsError([Problem("--data", messages.DATA_FORM(value=repr(text)))])
        values[name] = value
    return values


def is_whole_run() -> bool:
    """
    Whether the running pyinfra is for all nodes, with ``cluster.py`` and no other settings.

    It is not while it logs in with another key than the settings have, such as the former one.
    """
    partial = any(_options().get(name) for name in ("limit", "exclude", "ssh_key"))
    return _WHOLE in _running() and not (partial or given())


def is_local() -> bool:
    """Whether the running pyinfra writes SD cards in this computer."""
    return _LOCAL in _running()


def needs_inventory() -> bool:
    """Whether the running pyinfra was given an inventory file, or deploys that need one."""
    return is_local() or Path(inventory(default="")).suffix == ".py" or bool(_own_deploys())


def _own_deploys() -> list[Path]:
    """The deploys for the nodes, as they are written."""
    deploys = [Path(path) for path in _options().get("operations", ())]
    return [path for path in deploys if path.parent.name == "deploys" and path.name != _LOCAL]


def check_deploys() -> None:
    """Raise ``SettingsError`` if the deploys do not run on what pyinfra was given as inventory."""
    named = Path(str(_options().get("inventory", "inventory.py")))
    swapped = named.parent.name == "deploys"
    mistaken = not named.exists() and Path("inventory.py").is_file()
    if swapped or (mistaken and (_own_deploys() or named.suffix == ".py")):
        deploy = named if swapped else next(iter(_own_deploys()), "deploys/cluster.py")
        said = messages.NOT_AN_INVENTORY(value=repr(str(named)), deploy=deploy)
        raise SettingsError([Problem("pyinfra", said)])
    if named.is_file() and is_local():
        said = messages.NOT_FOR_NODES(deploy=f"deploys/{_LOCAL}")
        raise SettingsError([Problem(f"deploys/{_LOCAL}", said)])
    if port := _options().get("ssh_port"):
        said = messages.NOT_SUPPORTED(value=port, remedy=NO_PORT)
        raise SettingsError([Problem("--ssh-port", said)])
    limited = _options().get("limit") or _options().get("exclude")
    if limited and any(path.name == _ALL for path in _own_deploys()):
        said = messages.NOT_IN_PART(deploy=f"deploys/{_ALL}")
        raise SettingsError([Problem(f"deploys/{_ALL}", said)])


def check_limits(known: Collection[str]) -> None:
    """
    Check that ``--limit`` and ``--exclude`` name something: otherwise pyinfra does nothing, and
    reports success.

    + known: the names of all hosts and groups
    + raises ``SettingsError``
    """
    problems = [
        Problem(f"--{option}", _no_such_limit(pattern, known))
        for option in ("limit", "exclude")
        for pattern in _options().get(option, ())
        if not any(fnmatch(name, pattern) for name in known)
    ]
    if problems:
        raise SettingsError(problems)


def _no_such_limit(pattern: str, known: Collection[str]) -> Said:
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
