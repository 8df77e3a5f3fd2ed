"""Ask a person to type a name before something is deleted; once in a run."""

from __future__ import annotations

import sys

import click
from gevent.lock import RLock
from pyinfra.api.state import State

import runs


class _Answer:
    """What was typed."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.given: str | None = None


def confirm(state: State, question: str, given: str | None) -> str:
    """
    Return what a person types; "" where nobody can be asked.

    + question: what is deleted, and what to type
    + given: an answer that was given with ``--data``: nobody is asked
    """
    if given is not None:
        return given
    answer = runs.of(state).part(_Answer)
    with answer.lock:
        if answer.given is None:
            answer.given = _typed(question) if sys.stdin.isatty() else ""
        return answer.given


def _typed(question: str) -> str:
    try:
        return str(
            click.prompt(f"    {question}", default="", show_default=False, err=True)
        ).strip()
    except click.Abort:  # Ctrl-D
        click.echo(err=True)
        return ""
