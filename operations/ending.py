"""
What stands last on the screen: which hosts are not as they should be, and what to do.

pyinfra says it where it happens, and a hundred lines later counts operations: a host that was not
reached is in none of them.
"""

from __future__ import annotations

import atexit

import click
from pyinfra import state
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State
from typing_extensions import override


class Ending(BaseStateCallback):
    """Remembers why hosts were not reached."""

    unreached: dict[str, str] = {}  # noqa: RUF012  # pyinfra calls the class, not an instance

    @staticmethod
    @override
    def host_connect_error(state: State, host: Host, error: ConnectError) -> None:
        Ending.unreached[host.name] = str(error)


def announce() -> None:
    """Have the last lines printed when this run of pyinfra ends; once, from its configuration."""
    state.add_callback_handler(Ending())
    atexit.register(_print, state)


def _print(state: State) -> None:
    for host in sorted(state.failed_hosts, key=lambda host: host.name) if state.initialised else ():
        click.secho(f"{host.name}: {_what_to_do(host.name)}", fg="red", err=True)


def _what_to_do(name: str) -> str:
    why = Ending.unreached.get(name)
    if why is None:
        return "not as it should be: its red lines above say why. The next run goes on from there"
    if "Authentication" in why:
        return (
            "does not let your key in. Give its password once (deploys/ssh_access.py with "
            "--ssh-password-prompt), or see that its .ssh and authorized_keys are the user's alone"
        )
    if "key" in why.lower():
        return "shows another host key than before: see above"
    return (
        "was not reached. Is it on, its cable in, its address in inventory.py right? "
        "Then run this again"
    )
