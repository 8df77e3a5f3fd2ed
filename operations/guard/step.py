"""
One part of a change: a command for the node, and what of the node is to be kept before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyinfra.api import StringCommand


class Step(StringCommand):
    """
    A command that could cut the connection.

    + what: it changes, as a person knows it
    + paths: files and folders that it changes
    + live: a shell command that makes live what the files say, for when the old ones are back
    + interface: that it takes down and up: it is done after everything else
    + gateway: that the interface is to lead to; empty for none; None: that is not for it to say
    + prefix: of the chains of iptables that it changes
    + network: whether the way out and names may suffer from it, and are to be looked at
    + reach: where the node answers afterwards; None: where it does now
    + undoes: whether the state that comes is the one before the last change
    + text: what the one file in ``paths`` will hold; None: not known, or no such file
    """

    def __init__(
        self,
        *bits: object,
        what: str,
        paths: Sequence[str] = (),
        live: str = "",
        interface: str = "",
        gateway: str | None = None,
        prefix: str = "",
        network: bool = True,
        reach: str | None = None,
        undoes: bool = False,
        text: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(*bits, **arguments)
        self.what = what
        self.paths = tuple(paths)
        self.live = live
        self.interface = interface
        self.gateway = gateway
        self.prefix = prefix
        self.network = network
        self.reach = reach
        self.undoes = undoes
        self.text = text

    @classmethod
    def of(cls, command: StringCommand, **known: Any) -> Step:
        """A command that somebody has made already."""
        return cls(*command.bits, **command.connector_arguments, **known)
