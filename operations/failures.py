"""
What went wrong with one host, in one line for the person, and all of it in the run's log.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from typing import Any

from paramiko import SSHException
from pyinfra import logger
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

from operations import record

LONGEST = 300  # characters of an exception's own words
_PROJECT = Path(__file__).parents[1]


class HostFailure(Exception):
    """
    An operation will not go on with this host; the message tells a person why and what to do.

    Raise it anywhere in an operation: the host fails with that one line, the others go on.
    """


class RemoteFailure(Exception):
    """A command failed on a node, or the node went away; the message is for the person."""


class Unreachable(RemoteFailure):
    """The node did not answer: whether the command was run is not known."""


def tell(host: Host, error: Exception) -> None:
    """Say in one line why this host fails; what nobody has foreseen goes to the log as a whole."""
    message, foreseen = in_words(error)
    if not foreseen and (path := record.log()):
        message += f". The traceback is in {path}"
    # The traceback goes along for the log: what is shown is the message alone.
    exc_info = None if foreseen else error
    host.log_styled(message, fg="red", log_func=lambda line: logger.error(line, exc_info=exc_info))


def in_words(error: Exception) -> tuple[str, bool]:
    """An exception for a person, and whether it is one that may come (no mistake of ours)."""
    if isinstance(error, (HostFailure, RemoteFailure)):
        return str(error), True
    if isinstance(error, PyinfraError):
        return f"{type(error).__name__}: {error}", True
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} on this computer: {error.strerror}", True
    if isinstance(error, (OSError, EOFError, SSHException)):
        return f"the connection was lost ({error or 'closed by the node'})", True
    said = " ".join(str(error).split())
    shown = f"{said[:LONGEST]} …" if len(said) > LONGEST else said
    why = f": {shown}" if shown else ""
    return f"unexpected {type(error).__name__} in {_where(error)}{why}", False


def _where(error: Exception) -> str:
    """The innermost line of this project, or of a deploy of one's own, that it came through."""
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename).absolute()
        for folder in (_PROJECT, Path.cwd()):
            if path.is_relative_to(folder) and ".venv" not in path.parts:
                return f"{path.relative_to(folder)}, line {line}"
    return type(error).__module__


def announce() -> None:
    """Once, from pyinfra's configuration: what a deploy file raises for a host fails it alone."""
    # Here alone: it patches sockets and threads of whoever imports it.
    import pyinfra_cli.util as cli_util
    from pyinfra_cli.exceptions import UnexpectedExternalError

    load = cli_util._parallel_load_hosts

    def load_hosts(state: State, callback: Callable[[], Any], name: str) -> None:
        def alone() -> None:
            try:
                callback()
            except Exception as error:
                host: Host = ctx_host.get()
                if isinstance(error, PyinfraError) and host in state.failed_hosts:
                    raise  # there is no other host left
                while isinstance(error, UnexpectedExternalError):  # pyinfra's, one a file
                    error = error.exception
                tell(host, error)
                state.fail_hosts({host})

        load(state, alone, name)

    cli_util._parallel_load_hosts = load_hosts
