"""
Kernel settings, now and at every boot.
"""

from __future__ import annotations

import posixpath

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand

from facts.sysctl import Sysctl
from formats import sysctl
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from operations.files import ensure


@operation()
def settings(values: dict[str, str | int], path: str) -> Commands:
    """
    Kernel settings, live and from a file of their own at boot.

    + values: keys such as ``net.ipv4.ip_forward``, with their values
    + path: a file in /etc/sysctl.d, for these settings alone. Files there are read in the order of
      their names: when a later one contradicts, it is named and nothing is changed

    **Example:**

    .. code:: python

        sysctl.settings(
            name="Forward between the interfaces, now and after a reboot",
            values={"net.ipv4.ip_forward": 1},
            path="/etc/sysctl.d/60-bramble-forward.conf",
        )
    """

    if posixpath.dirname(path) not in sysctl.DIRECTORIES or not path.endswith(".conf"):
        raise HostFailure(f"{path} would not be read at boot: take a .conf file in /etc/sysctl.d")
    now = read(Sysctl, keys=list(values), path=path)
    wanted = {key: sysctl.plain(str(value)) for key, value in values.items()}
    text = "".join(f"{key} = {value}\n" for key, value in wanted.items())
    for key, value in wanted.items():
        last = sysctl.at_boot({**now.files, path: text}, key)
        if last is None or last.value != value:
            culprit = f"{last.path} sets it to {last.value}" if last else "something unsets it"
            raise HostFailure(
                f"{key} = {value} in {path} would be lost at the next boot: {culprit}, and is read "
                "later; take that line out, then run this again"
            )
        if now.live[key] is None and state.is_executing:  # until then a module may be loaded
            raise HostFailure(
                f"this kernel has no setting {key}: is the module loaded that brings it?"
            )
    declare(*(f"sysctl {key}" for key in wanted))
    commands = list(ensure(path, text, now=now.file))
    for key, value in wanted.items():
        if now.live[key] != value:
            plan_change(
                f"set {key} = {value} (it is {now.live[key] or 'not there yet'})", f"sysctl {key}"
            )
            commands.append(StringCommand("sysctl", "-q", "-w", QuoteString(f"{key}={value}")))
    if not commands:
        host.noop(f"{', '.join(f'{k} = {v}' for k, v in wanted.items())}, now and at every boot")
    yield from commands
