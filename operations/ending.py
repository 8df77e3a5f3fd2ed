"""
What stands last on the screen: which hosts are not as they should be, and what to do.

pyinfra says it where it happens, and a hundred lines later counts operations: a host that was not
reached is in none of them.
"""

from __future__ import annotations

import atexit

import click
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_state

UNREACHED = (
    "was not reached (its red line above says why). Is it on, its cable in, its address in "
    "inventory.py right? Does it know your key (README, The first contact)? Then run this again"
)
FAILED = "is not as it should be: its red lines above say why. The next run goes on from there"


def announce() -> None:
    """Have the last lines printed when this run of pyinfra ends; once, from its configuration."""
    atexit.register(_print, ctx_state.get())


def _print(state: State) -> None:
    if not state.initialised:
        return
    for host in sorted(state.failed_hosts, key=lambda host: host.name):
        click.secho(f"{host.name} {_what_to_do(state, host)}", fg="red", err=True)


def _what_to_do(state: State, host: Host) -> str:
    if host.name == "@local":
        return "(this computer): the red lines above say what was not done, and why"
    return FAILED if host in state.activated_hosts else UNREACHED
