"""What would change, for a person: by node and file, in colour."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

from rich.console import Console
from rich.text import Text

from report.result import Result, Step
from runs.record import Change

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def show(found: Result, out: Console) -> None:
    """Print all of it, and a summary."""
    total = 0
    for node in found.nodes:
        steps = [step for step in found.of(node) if step.changes_something]
        if node in found.failed:
            out.print(f"\n{node}: unknown, because it failed", style="bold red")
        elif steps:
            out.print(f"\n{node}", style="bold")
        for step in steps:
            total += 1
            show_step(step, out)
    for line in found.errors:
        out.print(Text(line, "red"))
    unchanged = [
        node
        for node in found.nodes
        if node not in found.failed and not any(s.changes_something for s in found.of(node))
    ]
    if unchanged:
        out.print(f"\nNo changes on {', '.join(unchanged)}", style="green")
    if total:
        nodes = {step.node for step in found.steps if step.changes_something}
        steps_ = "step" if total == 1 else "steps"
        out.print(
            f"\n{total} {steps_} to do on {', '.join(sorted(nodes))}. Nothing was changed. "
            "To apply: pyinfra inventory.py deploys/cluster.py"
        )


def data(found: Result) -> dict[str, Any]:
    """
    What ``diff --json`` prints: each node's state (``same``, ``different``, ``unknown``), and the
    steps that would change something, with a unified diff for each file without a secret.
    """

    def one(change: Change) -> dict[str, Any]:
        shown = {"says": change.says, "path": change.path or None, "secret": change.secret}
        return shown | {"diff": list(_unified(change)) if change.path else []}

    nodes = {}
    for node in found.nodes:
        steps = [step for step in found.of(node) if step.changes_something]
        state = "unknown" if node in found.failed else "different" if steps else "same"
        named = [{"name": s.name, "changes": [one(c) for c in s.changes]} for s in steps]
        nodes[node] = {"state": state, "steps": named}
    return {"nodes": nodes, "errors": found.errors}


def show_step(step: Step, out: Console) -> None:
    """Print one step on one node: its files, then its commands."""
    out.print(f"\n  {step.name}", style="blue")
    if not step.changes:
        out.print("    (something would change)", style="yellow")
    for change in step.changes:
        show_change(change, out)


def show_change(change: Change, out: Console) -> None:
    """Print a unified diff of a file, or one line for anything else."""
    if not change.path:
        out.print(Text(f"    {change.says}"))
        return
    verb = change.says.partition(" ")[0]
    if change.secret:
        out.print(Text(f"    {change.path}: changed (contains a secret, which is not shown)"))
        return
    out.print(Text.assemble("    ", (change.path, "bold"), f" ({verb})"))
    for line in _unified(change):
        out.print(Text(f"      {line}", _COLOURS.get(line[:1], "")))


def _unified(change: Change) -> Iterator[str]:
    before = (change.before or "").splitlines()
    after = (change.after or "").splitlines()
    for number, line in enumerate(unified_diff(before, after, lineterm="")):
        if number > 1:  # the first two lines name the file, which is printed already
            yield line
