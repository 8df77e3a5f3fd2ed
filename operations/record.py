"""
What a run finds and does, as data: for the summary at its end, ``make diff`` and ``make drift``.

Operations tell it through ``operations.base`` (``declare``, ``diff``, ``plan_change``). It holds no
secret: of a file that has one it knows that it changes, not how.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SAME = "same"
CHANGED = "changed"


@dataclass(frozen=True)
class Change:
    """
    What will be, or was, done.

    + says: for a person, the verb first: "create /etc/hosts", "load the kernel module overlay"
    + resources: the declared resources that it changes; none: it accompanies other changes
    + path: of a file, or what stands for one; "" where the change is none
    + before, after: its texts, when there is a path; None: it is not there, or is a secret
    + secret: whether the texts are left out
    """

    says: str
    resources: tuple[str, ...] = ()
    path: str = ""
    before: str | None = None
    after: str | None = None
    secret: bool = False


@dataclass
class Work:
    """
    What one operation means to one node.

    + resources: each ``KIND NAME``, such as "file /etc/hosts": ``SAME`` or ``CHANGED``
    + changes: in their order
    """

    resources: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


_work: dict[tuple[str, str], Work] = {}
_next: list[str] = []
_log: list[str] = []


def begin(node: str, operation: str) -> None:
    """An operation looks at a node (anew: pyinfra prepares it, and runs it later)."""
    _work[node, operation] = Work()


def of(node: str, operation: str) -> Work:
    """What an operation has said of a node; empty when it has said nothing."""
    return _work.setdefault((node, operation), Work())


def keep(node: str, operation: str, *resources: str) -> None:
    """These are managed; they stay as they are unless a change names them."""
    for resource in resources:
        of(node, operation).resources.setdefault(resource, SAME)


def add(node: str, operation: str, change: Change) -> None:
    """A change, and the managed resources that it names."""
    work = of(node, operation)
    work.changes.append(change)
    work.resources.update(dict.fromkeys(change.resources, CHANGED))


def logs_to(path: str) -> None:
    """Where every line of this run is kept, tracebacks included."""
    _log[:] = [path]


def log() -> str | None:
    """The path given to ``logs_to``; None: nothing is kept."""
    return _log[0] if _log else None


def suggest(command: str) -> None:
    """What a person may want to type once the run has ended well."""
    if command not in _next:
        _next.append(command)


def suggestions() -> list[str]:
    """What was suggested, in its order."""
    return list(_next)
