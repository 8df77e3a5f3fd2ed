"""
A run as data, in a file: what ``python -m report`` reads of the pyinfra that it has started.

Written where ``BRAMBLE_RESULT`` says, when the run ends, by whichever way it ends.
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
    + resources: what it keeps, and whether that was ``same`` already or is ``changed``
    + changes: what it will do, or did; empty although something changes: it did not say
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
    + nodes: all that the run was for
    + failed: those of them that are not as they should be, or were not reached
    + errors: the red lines, as they stood on the screen
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
        """All that is managed on a node; what two steps manage has changed if it has for one."""
        found: dict[str, str] = {}
        for step in self.of(node):
            for resource, state in step.resources.items():
                if found.get(resource) != CHANGED:
                    found[resource] = state
        return found


def write(path: Path, result: Result) -> None:
    """Put a result into a file that its owner alone can read, all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".result.")  # with mode 600
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        json.dump(asdict(result), file)
    os.replace(name, path)


def read(path: Path) -> Result | None:
    """The result of a run; None when it has left none."""
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
