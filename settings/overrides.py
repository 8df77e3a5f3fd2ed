"""The values that `--data` gives, before pyinfra has an inventory that would hold them."""

from __future__ import annotations

import json

import click


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
