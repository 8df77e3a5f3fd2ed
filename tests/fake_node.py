"""A node that a test scripts: what is run on it is noted, the answers are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from typing_extensions import override

import remote
from remote import Node


@dataclass
class Host:
    """What is used of pyinfra's host; ``node`` is the fake that ``remote.of`` gives for it."""

    name: str = "node1"
    state: Any = field(default_factory=SimpleNamespace)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.node = FakeNode(self)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def log(self, line: str, **_: Any) -> None:
        self.said.append(line)

    log_styled = log


class FakeNode(Node):
    """
    A node without a connection.

    + answer: gives the lines for a script, its arguments and its standard input; or raises
    + fact: gives the value of a fact; or raises
    + reconnects: what the next attempts to connect come to
    """

    def __init__(self, host: Host) -> None:
        super().__init__(host)  # type: ignore[arg-type]
        self.answer: Callable[..., list[str]] = lambda script, *words, stdin=None: []
        self.fact: Callable[..., Any] = lambda fact, *words: None
        self.reconnects: str | None = None
        remote.put(host, self)  # type: ignore[arg-type]

    @override
    def run(
        self, script: str, *arguments: str, stdin: str | None = None, seconds: int = 60
    ) -> list[str]:
        return self.answer(script, *arguments, stdin=stdin)

    @override
    def gather(self, fact: Any, *arguments: Any) -> Any:
        return self.fact(fact, *arguments)

    @override
    def reconnect(self, address: str | None = None, seconds: float = 45) -> str | None:
        return self.reconnects
