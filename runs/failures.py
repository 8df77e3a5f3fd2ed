"""Why a host fails: one line for the person, everything else for the run's log."""

from __future__ import annotations

from pathlib import Path
from traceback import walk_tb

from paramiko import SSHException
from pyinfra import logger
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host

import runs
from messages import run as messages
from remote.failures import HostFailure

LONGEST = 300  # characters of an exception's own message
_PROJECT = Path(__file__).parents[1]


def report(host: Host, error: Exception) -> None:
    """Print in one line why this host fails; an unexpected exception goes to the log as a whole."""
    message, expected = explain(error)
    # What is shown is the message alone: the traceback is for the log.
    exc_info = None if expected else error
    host.log_styled(message, fg="red", log_func=lambda line: logger.error(line, exc_info=exc_info))


def explain(error: Exception) -> tuple[str, bool]:
    """The message for an exception, and whether it is an expected one (no mistake of this code)."""
    if isinstance(error, HostFailure):
        return str(error), True
    if isinstance(error, PyinfraError):
        return messages.PYINFRA_ERROR(kind=type(error).__name__, error=error), True
    if isinstance(error, OSError) and error.filename is not None:
        return messages.LOCAL_FILE(path=error.filename, error=error.strerror), True
    if isinstance(error, (OSError, EOFError, SSHException)):
        return messages.CONNECTION_LOST(reason=str(error) or "closed by the node"), True
    said = " ".join(str(error).split()) or "no message"
    shown = f"{said[:LONGEST]} …" if len(said) > LONGEST else said
    log = runs.current().log_path or "-v -v -v shows it"
    kind, place = type(error).__name__, _place(error)
    return messages.UNEXPECTED(kind=kind, place=place, error=shown, log=log), False


def _place(error: Exception) -> str:
    """Return the innermost traceback line in this project, or in the user's own deploy."""
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename).absolute()
        for folder in (_PROJECT, Path.cwd()):
            if path.is_relative_to(folder) and ".venv" not in path.parts:
                return f"{path.relative_to(folder)}, line {line}"
    return type(error).__module__
