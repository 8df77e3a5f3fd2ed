"""
What a run finds and does, as data: for the summary at its end, ``make diff`` and ``make drift``.

Operations fill it through ``operations.base`` (``declare``, ``diff``, ``plan_change``). It holds no
secret: of a file that has one it knows that it changes, not how.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from formats.node_record import Entry

SAME = "same"
CHANGED = "changed"


@dataclass(frozen=True)
class Change:
    """
    What will be, or was, done.

    + says: the verb first: "create /etc/hosts", "load the kernel module overlay"
    + resources: the declared resources that it changes; none: it accompanies other changes
    + path: of a file, or what stands for one; "" where the change is none
    + before, after: its texts, when there is a path; None: it does not exist, or is a secret
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
    What one operation does on one node.

    + resources: each ``KIND NAME``, such as "file /etc/hosts": ``SAME`` or ``CHANGED``
    + declared: those of them that the settings have; not those that are only removed
    + recorded: those of them that the node's record has, with what it says of them
    + removed: resources that it removes
    + together: those of the recorded ones that any change of the operation may be a part of
    + guarded: whether its changes are part of the guard's transaction
    + changes: in their order
    + hidden: whether it is bookkeeping, which is not shown
    """

    resources: dict[str, str] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    recorded: dict[str, Entry] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    together: set[str] = field(default_factory=set)
    guarded: bool = False
    changes: list[Change] = field(default_factory=list)
    hidden: bool = False

    def declare(self, *resources: str) -> None:
        """Add resources that stay the same unless a change names them."""
        self.declared.update(resources)
        for resource in resources:
            self.resources.setdefault(resource, SAME)

    def add(self, change: Change) -> None:
        """Add a change, and the resources that it names."""
        self.changes.append(change)
        self.resources.update(dict.fromkeys(change.resources, CHANGED))


class Record:
    """The work of all operations on all nodes."""

    def __init__(self) -> None:
        self._work: dict[tuple[str, str], Work] = {}

    def begin(self, node: str, operation: str) -> Work:
        """Start with nothing: pyinfra prepares an operation, and executes it later."""
        self._work[node, operation] = Work()
        return self._work[node, operation]

    def of(self, node: str, operation: str) -> Work:
        """What an operation has noted for a node; empty when nothing."""
        return self._work.setdefault((node, operation), Work())

    def on(self, node: str) -> Iterator[Work]:
        """What all operations have noted for a node so far."""
        return (work for (name, _), work in self._work.items() if name == node)

    def is_hidden(self, operation: str) -> bool:
        """Whether an operation is bookkeeping on all nodes that it has begun on."""
        begun = [work for (_, each), work in self._work.items() if each == operation]
        return bool(begun) and all(work.hidden for work in begun)
