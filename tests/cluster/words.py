"""What a check has found, in words: what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

State = Literal["ok", "wrong", "skipped"]


class Wrong(AssertionError):
    """
    Something is not as it should be.

    + what: what it is, and what it should be
    + do: the remedy
    """

    def __init__(self, what: str, do: str) -> None:
        super().__init__(f"{what}. Do: {do}" if do else what)
        self.what, self.do = what, do


def wrong(what: str, do: str) -> NoReturn:
    """Fail the check that calls it."""
    __tracebackhide__ = True
    raise Wrong(what, do)


def deploy(step: str) -> str:
    """The remedy that most things have: a step of the deploy, once more."""
    return f"pyinfra inventory.py deploys/{step}.py"


def control_plane_logs(control_plane: str) -> str:
    """The remedy where the API server does not answer: who starts it, and what was started."""
    return f"on {control_plane}: sudo journalctl -u kubelet -n 50; sudo ctr -n k8s.io containers ls"


def listed(words: Iterable[object]) -> str:
    """Words with commas between them, "nothing" where there are none."""
    return ", ".join(map(str, words)) or "nothing"


def said(result: Any) -> str:
    """
    The last line of what a command said of its failure.

    + result: testinfra's
    """
    lines = [line for line in (result.stderr or result.stdout).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit status {result.rc}"


@dataclass(frozen=True)
class Finding:
    """
    One check of one node, or of this computer.

    + check: its title, the first line of the test's docstring
    + where: the node's name
    + shown: for a check that is ok: what to show in place of "ok"
    + what, do: for one that is wrong; `what` is also why one was skipped
    + rebooted: whether it was done after the reboot that was asked for
    """

    check: str
    where: str
    state: State
    shown: str = ""
    what: str = ""
    do: str = ""
    rebooted: bool = False


def words_of(error: BaseException) -> tuple[str, str]:
    """What is wrong and what to do, for whatever ended a check."""
    if isinstance(error, Wrong):
        return error.what, error.do
    # testinfra's own: a connection that was lost, a command that failed or is not there.
    result = error.args[0] if error.args else None
    text = said(result) if hasattr(result, "stderr") else f"{type(error).__name__}: {error}"
    return (
        f"it could not be looked at: {text.splitlines()[0][:300]}",
        "try again, or look at the node",
    )
