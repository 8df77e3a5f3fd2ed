"""
What operations will ask is asked beforehand: in one remote execution on each node.

What to ask follows from the operations: once a deploy is loaded, all of them are queued in
pyinfra's State. Each is run as in a dry run, on this computer alone, up to the first fact that it
reads; these facts are gathered. Then those operations are run again, since an answer may lead to
another question. ``operations.base.read`` answers from what was gathered until the first command of
any operation on any node; after that all facts are read live.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.lock import RLock
from pyinfra import logger
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

import remote
import runs
from facts import together
from facts.base import WholeFact
from facts.run_lock import RunLock, RunLockState
from remote import pyinfra_internals
from remote.failures import RemoteFailure

_ROUNDS = 2
_SECONDS = 300  # for all facts of a node; each has limits of its own for what it waits for


class Asked(BaseException):
    """Ends an operation that is run to learn what it asks, past every ``except Exception``."""


@dataclass(frozen=True, eq=False)
class Question:
    """A fact and the arguments of its command; two with the same ``key`` have the same answer."""

    fact: type[WholeFact[Any]]
    arguments: Mapping[str, Any]

    @property
    def key(self) -> tuple[type, str]:
        return self.fact, json.dumps(self.arguments, sort_keys=True, default=repr)


class Gathering:
    """What a run knows of its nodes; ``gathering.of(state)``."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._changed = False
        self._gathered_while: bool | None = None  # the value of ``is_executing`` then
        self._answers: dict[str, dict[tuple[type, str], Any]] = {}
        self._refusals: dict[str, together.SudoFailed] = {}
        self._asker: object = None
        self._inherited: Mapping[str, Any] = {}
        self._asked: dict[Host, dict[tuple[type, str], Question]] = {}
        self._locks: dict[str, RunLockState] = {}

    @property
    def is_asking(self) -> bool:
        """Whether the caller is run only to learn what it asks."""
        return self._asker is not None and self._asker is gevent.getcurrent()

    def ensure(self, state: State) -> None:
        """
        Gather from all nodes what the queued operations ask, unless something was changed already.

        Once while pyinfra prepares, and once more when it executes: a person may have thought about
        the plan for long.
        """
        with self._lock:
            if self._changed or self._gathered_while == state.is_executing:
                return
            self._gathered_while = state.is_executing
            self._answers.clear()
            pyinfra_internals.before_commands(_forget)
            hosts = [each for each in state.inventory if each in state.active_hosts]
            queued = {host: pyinfra_internals.queued(state, host) for host in hosts}
            for _ in range(_ROUNDS):
                queued = self._ask(state, queued)
                asked, self._asked = self._asked, {}
                if state.is_executing:  # first of all: a run that ends meanwhile has been seen
                    asked = {host: {_LOCK.key: _LOCK} | each for host, each in asked.items()}
                gevent.joinall(
                    [
                        gevent.spawn(self._try, host, list(asked[host].values()))
                        for host in hosts
                        if host in asked
                    ]
                )

    def lock_of(self, host: Host) -> RunLockState | None:
        """Return the lock of a host when this run has gathered facts there to act on, if it did."""
        return self._locks.get(host.name)

    def forget(self) -> None:
        """Drop all answers, of all nodes, until the end of the run."""
        self._changed = True
        self._answers.clear()

    def known(self, host: Host, fact: type[Any], arguments: Mapping[str, Any]) -> Any:
        """
        The value of a fact that was gathered, as the operation would read it now; None: read it.

        + arguments: the fact's, and pyinfra's global ones
        + raises ``Asked``: the operation is run to learn what it asks
        """
        if not self.is_asking and not self._answers:
            return None
        question = None
        if issubclass(fact, WholeFact):
            inherited = self._inherited if self.is_asking else None
            own = pyinfra_internals.arguments_by_root(host, fact, arguments, inherited)
            if own is not None:
                question = Question(fact, fact.at_once(own))
        value = None
        if question is not None:
            value = self._answers.get(host.name, {}).get(question.key)
            if value is None and self.is_asking:
                self._note(host, question)
        if value is None or isinstance(value, Exception) or not fact.is_settled(value):
            if self.is_asking:
                raise Asked
            return None
        return _copied(value)

    def all_of(self, host: Host, questions: Sequence[Question]) -> dict[type[WholeFact[Any]], Any]:
        """
        The values of several facts; those that are not known are read in one execution.

        One that could not be read is the ``FactProcessError`` that says why.

        + raises ``SudoFailed``, ``RemoteFailure``
        """
        if host.name in self._refusals:
            raise self._refusals[host.name]
        found = self._answers.get(host.name, {})
        missing = [each for each in questions if each.key not in found]
        if missing and self.is_asking:
            for each in missing:
                self._note(host, each)
            raise Asked
        if missing:
            found = found | _read(host, missing)
        return {each.fact: _copied(found[each.key]) for each in questions}

    def _note(self, host: Host, question: Question) -> None:
        self._asked.setdefault(host, {})[question.key] = question

    def _ask(
        self, state: State, queued: Mapping[Host, Iterable[pyinfra_internals.Queued]]
    ) -> dict[Host, list[pyinfra_internals.Queued]]:
        """Note what the operations ask; return those that have asked something."""
        waiting: dict[Host, list[pyinfra_internals.Queued]] = {}
        with self._as_in_a_dry_run(state):
            for host, operations in queued.items():
                # No exception may leave it: pyinfra would stay with that host.
                with ctx_host.use(host):
                    asking = [each for each in operations if self._asks(each)]
                if asking:
                    waiting[host] = asking
        return waiting

    def _asks(self, operation: pyinfra_internals.Queued) -> bool:
        """Note what an operation of the present host asks, up to its first command."""
        generator = getattr(operation.function, ASKS, None)
        if generator is None:
            return False  # pyinfra's own, which reads its facts live
        self._inherited = operation.global_arguments
        try:
            with suppress(Exception):
                commands = generator(*operation.args, **operation.kwargs)
                next(commands, None)
                commands.close()
        except Asked:
            return True
        return False

    @contextmanager
    def _as_in_a_dry_run(self, state: State) -> Iterator[None]:
        """What an operation does before its first command changes nothing, and is not shown."""
        self._asker = asker = gevent.getcurrent()
        executing, state.is_executing = state.is_executing, False

        def is_shown(record: object) -> bool:
            return gevent.getcurrent() is not asker

        logger.addFilter(is_shown)
        try:
            yield
        finally:
            logger.removeFilter(is_shown)
            self._asker, state.is_executing = None, executing

    def _try(self, host: Host, questions: list[Question]) -> None:
        """Read facts of a host; one that does not answer is read live, and says why then."""
        with suppress(RemoteFailure, FactProcessError):
            try:
                answers = _read(host, questions)
            except together.SudoFailed as error:
                self._refusals[host.name] = error
                raise
            if not self._changed:
                self._answers.setdefault(host.name, {}).update(answers)
                if host.state.is_executing and isinstance(answers.get(_LOCK.key), RunLockState):
                    self._locks.setdefault(host.name, answers[_LOCK.key])


_LOCK = Question(RunLock, {})
ASKS = "bramble_asks"  # the attribute of an operation: its generator


def of(state: State) -> Gathering:
    """What a run has gathered."""
    return runs.of(state).part(Gathering)


def current() -> Gathering:
    """What the run of this process has gathered."""
    return runs.current().part(Gathering)


def _forget(state: State) -> None:
    of(state).forget()


def _copied(value: Any) -> Any:
    """Copy what an operation may change; ``deepcopy`` takes several times as long."""
    return value if isinstance(value, Exception) else pickle.loads(pickle.dumps(value))


def _read(host: Host, questions: list[Question]) -> dict[tuple[type, str], Any]:
    """Read facts in one remote execution; ``SudoFailed``, ``RemoteFailure``, no such answer."""
    asked = _merged(questions)
    facts = [each.fact() for each in asked]
    commands: list[Any] = [
        fact.command(**each.arguments) for fact, each in zip(facts, asked, strict=True)
    ]
    said = remote.of(host).output(together.command(commands), _SECONDS, sudo=False)
    found: dict[tuple[type, str], Any] = {}
    outputs = together.outputs(said, len(facts))
    for fact, question, output in zip(facts, asked, outputs, strict=True):
        try:
            value: Any = fact.process(output)
        except FactProcessError as error:
            value = error
        for key in asked[question]:
            found[key] = value
    return found


def _merged(questions: list[Question]) -> dict[Question, list[tuple[type, str]]]:
    """What is to be asked, with the keys of the questions that each answer is good for."""
    by_fact: dict[type[WholeFact[Any]], list[Question]] = {}
    for each in questions:
        by_fact.setdefault(each.fact, []).append(each)
    asked: dict[Question, list[tuple[type, str]]] = {}
    for fact, same in by_fact.items():
        arguments = fact.at_once_with([dict(each.arguments) for each in same])
        if arguments is None:
            asked.update((each, [each.key]) for each in same)
        else:
            asked[Question(fact, arguments)] = [each.key for each in same]
    return asked
