"""
What every operation of this project shares: how it fails, how it reads, how it is ordered.

pyinfra 3.10 has traps that are dealt with here, once:

+ an exception in an operation's generator ends the run for every host: ``operation`` turns any
  into the failure of one host, with one clear line, and does so for the functions that it yields;
+ each fact is one remote execution: what all operations read is gathered in one, see
  ``runs.gathering``;
+ a fact that could not be read leaves its default behind and the operation carries on: ``read``
  fails the host on ``None``;
+ operations of different groups are not run in the order in which the file names them:
  ``depends_on`` is reached by every host, keeps the order, and skips a host when the one that it
  depends on has failed;
+ two runs at once would change the same nodes: ``runs.lock`` stops the second one;
+ a dead peer hangs the run for ever: ``keep_alive`` is applied before anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from pyinfra import host, state
from pyinfra.api import FactBase, FactProcessError, FunctionCommand, StringCommand
from pyinfra.api import operation as pyinfra_operation
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

import remote
import runs
from facts.base import WholeFact
from formats.node_record import Entry
from formats.unreadable import Unreadable
from messages import kubernetes as kubernetes_messages
from messages import run as messages
from operations import node_record
from remote import pyinfra_internals
from remote.failures import HostFailure
from runs import failures, gathering, lock
from runs.gathering import Question
from runs.record import Change, Work

__all__ = [
    "Commands",
    "HostFailure",
    "declare",
    "declare_entry",
    "declare_recorded",
    "dependency_failed",
    "depends_on",
    "diff",
    "hide",
    "mark_guarded",
    "note_removed",
    "open_again",
    "operation",
    "plan",
    "plan_change",
    "read",
    "read_all",
    "read_from",
    "read_together",
    "understood",
]

P = ParamSpec("P")
T = TypeVar("T")
Commands = Generator[PyinfraCommand | str, None, None]


def operation() -> Callable[[Callable[P, Commands]], Any]:
    """pyinfra's ``@operation()``, after which no exception of one host ends the run of others."""

    def decorator(function: Callable[P, Commands]) -> Any:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Commands:
            if host in state.failed_hosts:
                return
            work = runs.of(state).record.begin(host.name, pyinfra_internals.current_operation(host))
            if stopped := runs.of(state).stopped:
                hide()
                host.noop(stopped)
                return
            node = remote.of(ctx_host.get())
            node.keep_alive()
            command: PyinfraCommand | str | None = None
            try:
                gathering.of(state).ensure(state)
                if state.is_executing and (blocked := lock.of(state).blocked):
                    raise HostFailure(blocked)
                for command in function(*args, **kwargs):
                    if isinstance(command, FunctionCommand):
                        command.function = _alone(command.function)
                    if state.is_executing:
                        lock.of(state).hold(node.host)
                        node_record.write_ahead(node.host, work)
                    yield command
            except GeneratorExit:
                # pyinfra stopped after a failed command. If its connection was lost, say so.
                if isinstance(command, (str, StringCommand)) and node.is_lost:
                    failures.report(node.host, HostFailure(_lost()))
                raise
            except Exception as error:
                yield from _fail(error)

        setattr(guarded, gathering.ASKS, function)
        return pyinfra_operation()(guarded)

    return decorator


def _lost() -> str:
    return messages.CONNECTION_LOST(reason="during a command")


def _alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """A ``FunctionCommand``'s function, any exception of which fails its host with one line."""

    @wraps(function)
    def guarded(state: State, host: Host, *args: Any, **kwargs: Any) -> Any:
        try:
            return function(state, host, *args, **kwargs)
        except Exception as error:
            failures.report(host, error)
            return False

    return guarded


def _fail(error: Exception) -> Commands:
    """Fail this host alone: at once in prepare, by a failing command in execute."""

    def refuse(state: State, host: Host) -> bool:
        failures.report(host, error)
        return False

    refuse.changes_nothing = True  # type: ignore[attr-defined]
    if state.is_executing:
        yield FunctionCommand(refuse, (), {})
    else:
        failing = ctx_host.get()  # the host itself: `host` is another one in other greenlets
        refuse(state, failing)
        state.fail_hosts({failing})


def read(fact: type[FactBase[T | None]], **arguments: Any) -> T:
    """
    Read a fact of this host, or raise ``HostFailure``.

    + fact: a fact class whose ``default`` is ``None``
    + arguments: the fact's arguments, and pyinfra's global ones
    """
    return read_from(ctx_host.get(), fact, **arguments)


def read_from(other: Host, fact: type[FactBase[T | None]], **arguments: Any) -> T:
    """
    Read a fact of another host, which does not fail when it can't be read.

    + other: such as ``inventory.get_host("node1")``; pyinfra's global arguments do not apply there
    """
    if (known := gathering.of(state).known(other, fact, arguments)) is not None:
        return cast(T, known)
    odd: list[FactProcessError] = []

    def process(self: FactBase[T | None], output: list[str]) -> T | None:
        try:
            return fact.process(self, output)
        except FactProcessError as error:
            odd.append(error)  # pyinfra would print two lines, with the fact's arguments
            return None

    own = {"process": process, "__module__": fact.__module__, "__qualname__": fact.__qualname__}
    try:
        value: T | None = other.get_fact(type(fact.__name__, (fact,), own), **arguments)
    except PyinfraError:
        if other not in state.failed_hosts:
            raise
        value = None  # it was the last host, and pyinfra ends the run with the fact's failure
    if value is not None:
        return value
    if remote.of(other).is_lost:
        raise HostFailure(_lost())
    reason = odd[0] if odd else "the command that reads it failed"
    raise HostFailure(messages.NOT_READ(fact=fact.__name__, node=other.name, reason=reason))


def read_together(
    *questions: tuple[Host, type[WholeFact[Any]], Mapping[str, Any]],
) -> list[Any]:
    """
    Read facts of several hosts by root; what can be asked beforehand is asked at once.

    + questions: each a host, a fact and its arguments
    + returns: their values, in this order
    + raises ``HostFailure``: as ``read_from``
    """
    asked: gathering.Asked | None = None
    for other, fact, arguments in questions:
        try:
            gathering.of(state).known(other, fact, {**arguments, "_sudo": True})
        except gathering.Asked as error:
            asked = error
    if asked is not None:
        raise asked
    return [read_from(other, fact, **arguments, _sudo=True) for other, fact, arguments in questions]


def read_all(
    facts: Mapping[type[WholeFact[Any]], Mapping[str, Any]],
) -> dict[type[WholeFact[Any]], Any]:
    """
    Read several facts of this host by root, in one remote execution.

    + facts: each with its arguments
    + returns: their values; of one that could not be read, the ``FactProcessError`` that says why
    + raises ``facts.together.SudoFailed``; ``HostFailure``: the host does not answer
    """
    questions = [Question(*each) for each in facts.items()]
    return gathering.of(state).all_of(ctx_host.get(), questions)


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Raise ``HostFailure`` for what a node, or the cluster, has given and is ``Unreadable``."""
    try:
        yield
    except Unreadable as error:
        said = kubernetes_messages.NOT_UNDERSTOOD(what=what, reason=error.args[0])
        raise HostFailure(said) from error


def declare(*resources: str) -> None:
    """
    Declare resources that this operation manages, whether it changes them now or not.

    + resources: each ``KIND NAME``, such as "package containerd". ``operations.files`` declares its
      files itself
    """
    _work().declare(*resources)


def declare_recorded(
    resource: str,
    content: str | None,
    before: str | None = None,
    keeps: Sequence[str] = (),
    together: bool = False,
    **arguments: Any,
) -> None:
    """
    Declare a resource that goes away again when the settings no longer have it.

    The node's record gets it before it is first changed. ``removals.KINDS`` has, for its kind, what
    removes it.

    + resource: ``KIND NAME``, such as "sysctl net.ipv4.ip_forward"
    + content: what it will contain, or a ``fingerprint`` of it; None: it is not compared before it
      is removed. No secret
    + before: its present value, to restore it, where that is not a file
    + keeps: paths that it replaces: what is there is kept, to restore it
    + together: whether it consists of all that the operation changes
    + arguments: what the removal needs besides the name; values of JSON
    """
    contents = () if content is None else (content,)
    declare_entry(resource, Entry(contents, arguments, before, tuple(keeps), _work().guarded))
    if together:
        _work().together.add(resource)


def declare_entry(resource: str, entry: Entry) -> None:
    """Declare a resource with all that the record is to say of it."""
    _work().declare(resource)
    _work().recorded[resource] = entry


def mark_guarded() -> None:
    """Note that this operation's changes are part of the guard's transaction."""
    _work().guarded = True


def hide() -> None:
    """Hide this operation from all lists of steps: it is bookkeeping."""
    _work().hidden = True


def note_removed(*resources: str) -> None:
    """Note which resources this operation removes, for the summary."""
    _work().removed.extend(resources)


def diff(
    path: str,
    before: str | None,
    after: str | None,
    secret: bool = False,
    resource: str | None = None,
    verb: str | None = None,
) -> None:
    """
    Record how a file or a rule set will change, and show it when pyinfra was asked for diffs
    (``--diff``).

    Call it before an operation's first ``yield``: a dry run goes no further than that.

    + path: the file, or the name of the rule set, as it is shown
    + before, after: the texts; ``None`` is a file that does not exist
    + secret: show that it changes, not how
    + resource: the declared resource that it is; None: the file at that path
    + verb: None: "create", "modify" or "remove", by the texts
    """
    verb = verb or ("create" if before is None else "remove" if after is None else "modify")
    texts = (None, None) if secret else (before, after)
    _work().add(
        Change(f"{verb} {path}", (resource or f"file {path}",), path, *texts, secret=secret)
    )
    if not _shows_diffs():
        return
    host.log_styled(f"Will {verb} {path}", fg="yellow")
    if secret:
        host.log("  (contains a secret, which is not shown)")
        return
    for line in pyinfra_internals.color_diff(before, after):
        host.log(f"  {line}")


def plan_change(message: str, *resources: str) -> None:
    """
    Record a change that is no file, and show it in one line where a diff would be shown.

    + message: the verb first: "load the kernel module overlay"
    + resources: the declared resources that it changes; none: it accompanies other changes
    """
    _work().add(Change(message, resources))
    if _shows_diffs():
        host.log_styled(f"Will {message}", fg="yellow")


def plan(message: str) -> None:
    """Show a line about what will be done, whether or not pyinfra was asked for diffs."""
    if _plans():
        host.log_styled(message, fg="yellow")


def _work() -> Work:
    if gathering.of(state).is_asking:
        return Work()
    return runs.of(state).record.of(host.name, pyinfra_internals.current_operation(host))


def _shows_diffs() -> bool:
    return bool(state.config.DIFF) and _plans()


def _plans() -> bool:
    """True exactly once per run: in prepare, or in execute when -y skips prepare."""
    return not (state.is_executing and state.should_check_for_changes())


def open_again(other: str) -> None:
    """
    Open the connection of this host again, if it was lost.

    + other: the host that was worked on

    ``HostFailure``: it does not come back; whether it was lost with that of the other one.
    """
    here = remote.of(ctx_host.get())
    if reason := here.ensure_open():
        if here.through == other:
            raise HostFailure(messages.LOST_WITH(other=other, reason=reason))
        raise HostFailure(messages.CONNECTION_LOST(reason=reason))


class _Skipped(dict[str, str]):
    """The hosts that were skipped in this run, each with the one whose failure is the cause."""


def dependency_failed(other: str) -> HostFailure:
    """Return why this host is skipped: another one failed, or that by which it was skipped too."""
    skipped = runs.of(state).part(_Skipped)
    cause = skipped[host.name] = skipped.get(other, other)
    return HostFailure(messages.DEPENDENCY_FAILED(other=cause))


@operation()
def depends_on(other: str | None) -> Commands:
    """
    Wait for another host, and skip this one when that one has failed.

    To be reached by every host (the other one too): what stands before it in the file is then
    done on all hosts before anything that stands after it begins. If this host is reached through
    the other one, and the connection was lost because that one was rebooted or its network was
    changed, it is opened again. Lists of steps do not show it.

    + other: the host's name; None: this host depends on no other, and only keeps the order
    """
    hide()
    if other is not None and host.name != other:
        if any(failed.name == other for failed in state.failed_hosts):
            raise dependency_failed(other)
        if state.is_executing:
            open_again(other)
    host.noop(f"{other} is ready" if other else "depends on no other host")
    yield from ()
