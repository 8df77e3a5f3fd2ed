"""One command of a guarded change, and the state to save before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyinfra.api import StringCommand

from remote import pyinfra_internals


class Step(StringCommand):
    """
    A command that could cut the connection.

    + what: what it changes, for messages: "eth0", "resolv.conf"
    + paths: files and directories that it changes
    + reload: shell command that makes restored files take effect
    + interface: interfaces that it takes down and up; such steps run last
    + gateway: gateway of the interface's default route afterwards; "": no default route; None: not
      checked
    + prefix: prefix of the iptables chains that it changes
    + network: whether it can affect routes or names: they are checked before the confirmation
    + new_address: address of the node afterwards; None: unchanged
    + is_undo: whether it restores the state before the last change
    + after_others: whether other nodes may need what it removes: the change waits until theirs are
      confirmed
    + entries: the record's entries of what it removes, for undo
    """

    def __init__(
        self,
        *bits: object,
        what: str,
        paths: Sequence[str] = (),
        reload: str = "",
        interface: str = "",
        gateway: str | None = None,
        prefix: str = "",
        network: bool = True,
        new_address: str | None = None,
        is_undo: bool = False,
        after_others: bool = False,
        entries: str = "",
        **arguments: Any,
    ) -> None:
        super().__init__(*bits, **arguments)
        self.what = what
        self.paths = tuple(paths)
        self.reload = reload
        self.interface = interface
        self.gateway = gateway
        self.prefix = prefix
        self.network = network
        self.new_address = new_address
        self.is_undo = is_undo
        self.after_others = after_others
        self.entries = entries

    @classmethod
    def of(cls, command: StringCommand, **known: Any) -> Step:
        """Turn an existing command into a step."""
        return cls(*command.bits, **pyinfra_internals.arguments(command), **known)
