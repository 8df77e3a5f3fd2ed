"""What a check finds: nothing, or a message with its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from messages import Said
from messages import verify as messages

State = Literal["ok", "wrong", "skipped"]


class Wrong(AssertionError):
    """
    Something is not as desired.

    + message: what, and its remedy
    """

    def __init__(self, message: Said) -> None:
        super().__init__(message)
        self.message = message


def wrong(message: Said) -> NoReturn:
    """Fail the check that calls it."""
    __tracebackhide__ = True
    raise Wrong(message)


def deploy(step: str) -> str:
    """The command that runs one step of the deploy again, which is most remedies."""
    return f"pyinfra inventory.py deploys/{step}.py"


def check_service(host: Any, unit: str, command: str, step: str, name: str = "") -> None:
    """
    Fail unless a service runs, and starts at boot.

    + command: shows why it does not run
    + step: of the deploy, which enables it
    + name: as a person knows it; "": the unit's
    """
    __tracebackhide__ = True
    service = host.service(unit)
    if not service.is_running:
        wrong(messages.SERVICE_STOPPED(service=name or unit, command=command))
    if not service.is_enabled:
        wrong(messages.SERVICE_DISABLED(service=name or unit, deploy=deploy(step)))


def control_plane_logs(head: str) -> str:
    """The remedy for an API server that does not answer."""
    return f"See, on {head}: `sudo journalctl -u kubelet -n 50; sudo ctr -n k8s.io containers ls`"


def listed(words: Iterable[object]) -> str:
    """Join words with commas; "nothing" if there are none."""
    return ", ".join(map(str, words)) or "nothing"


def last_line(result: Any) -> str:
    """
    The last line that a failed command printed.

    + result: testinfra's
    """
    lines = [line for line in (result.stderr or result.stdout).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit status {result.rc}"


@dataclass(frozen=True)
class Finding:
    """
    The result of one check of one node, or of this computer.

    + check: its title, the first line of the test's docstring
    + where: the node's name
    + shown: what the table shows in place of "ok"
    + text: the message if something is wrong; the reason if the check was skipped
    + rebooted: whether it was made after the reboot of ``--reboot``
    """

    check: str
    where: str
    state: State
    shown: str = ""
    text: str = ""
    rebooted: bool = False


def message_of(error: BaseException) -> Said:
    """The message for whatever ended a check."""
    if isinstance(error, Wrong):
        return error.message
    # testinfra's own: a connection that was lost, a command that failed or does not exist.
    result = error.args[0] if error.args else None
    text = last_line(result) if hasattr(result, "stderr") else f"{type(error).__name__}: {error}"
    return messages.CHECK_FAILED(reason=text.splitlines()[0][:300])
