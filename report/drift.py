"""What differs on the nodes from the settings: for a person, and as data."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from report import differences
from report.result import Result
from runs.record import CHANGED


def data(found: Result) -> dict[str, Any]:
    """
    What ``drift --json`` prints: each node's state (``same``, ``drift``, ``unknown``), all of its
    declared resources (``same`` or ``changed``), and the steps that would do something.
    """
    return {
        "nodes": {
            node: {
                "state": _state(found, node),
                "resources": found.resources(node),
                "steps": [
                    {"name": step.name, "changes": [change.says for change in step.changes]}
                    for step in found.of(node)
                    if step.changes_something
                ],
            }
            for node in found.nodes
        },
        "errors": found.errors,
    }


def show(found: Result, out: Console) -> None:
    """Print what has drifted, with the differences, and a line for each node."""
    for node in found.nodes:
        resources = found.resources(node)
        drifted = [resource for resource, state in resources.items() if state == CHANGED]
        state = _state(found, node)
        if state == "unknown":
            out.print(f"\n{node}: unknown, because it failed", style="bold red")
        elif state == "same":
            out.print(f"\n{node}: no drift ({len(resources)} resources)", style="green")
        else:
            count = f"{len(drifted)} of {len(resources)} resources" if drifted else "something"
            out.print(f"\n{node}: {count} drifted", style="bold yellow")
        for resource in drifted:
            out.print(Text(f"  {resource}"))
        for step in found.of(node):
            if step.changes_something:
                differences.show_step(step, out)
    for line in found.errors:
        out.print(Text(line, "red"))
    if any(_state(found, node) == "drift" for node in found.nodes):
        out.print(
            "\nNothing was changed. The next run restores that. To keep a change, write it into the"
            " settings"
        )


def _state(found: Result, node: str) -> str:
    if node in found.failed or not found.of(node):
        return "unknown"
    return "drift" if any(step.changes_something for step in found.of(node)) else "same"
