"""
A run as data, in a file: how the pyinfra that ``python -m report`` starts gives it the result.

The file that ``BRAMBLE_RESULT`` names is written when the run ends, however it ends.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from runs.record import CHANGED, Change

VARIABLE = "BRAMBLE_RESULT"


@dataclass(frozen=True)
class Step:
    """
    One operation on one node.

    + outcome: ``changed``, ``same``, ``failed``, ``planned``, ``waiting``: see ``report.steps``
    + resources: those that it declares, each ``same`` or ``changed``
    + changes: what it will do, or did; an operation of others may change something and record none
    """

    node: str
    name: str
    outcome: str
    seconds: float = 0.0
    resources: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    @property
    def changes_something(self) -> bool:
        return self.outcome in ("changed", "planned")


@dataclass(frozen=True)
class Result:
    """
    + nodes: all nodes of the run
    + failed: those that failed, or were not reached
    + errors: the error messages, as they stood on the screen
    + steps: in their order
    """

    nodes: list[str]
    failed: list[str]
    errors: list[str]
    steps: list[Step]

    def of(self, node: str) -> list[Step]:
        """The steps of one node."""
        return [step for step in self.steps if step.node == node]

    def resources(self, node: str) -> dict[str, str]:
        """All resources of a node; one that two steps declare is changed if one of them says so."""
        found: dict[str, str] = {}
        for step in self.of(node):
            for resource, state in step.resources.items():
                if found.get(resource) != CHANGED:
                    found[resource] = state
        return found


def write(path: Path, result: Result) -> None:
    """Write a result atomically, to a file that only its owner can read."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".result.")  # with mode 600
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        json.dump(asdict(result), file)
    os.replace(name, path)


def read(path: Path) -> Result | None:
    """Read the result of a run; None when there is none."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    steps = [
        Step(**{**step, "changes": [_change(change) for change in step["changes"]]})
        for step in data["steps"]
    ]
    return Result(data["nodes"], data["failed"], data["errors"], steps)


def _change(data: dict[str, Any]) -> Change:
    return Change(**{**data, "resources": tuple(data["resources"])})
