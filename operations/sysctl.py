"""
Kernel parameters, live and at boot.

pyinfra's ``server.sysctl`` takes two executions a key and ignores later files that override it.
"""

from __future__ import annotations

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand

from facts.sysctl import Sysctl
from formats import sysctl
from formats.node_record import Entry
from messages import nodes
from operations.base import (
    Commands,
    HostFailure,
    declare_recorded,
    operation,
    plan_change,
    read,
)
from operations.files import ensure
from operations.node_record import ChangedSince


@operation()
def settings(values: dict[str, str | int], path: str) -> Commands:
    """
    Set kernel parameters, live and in a file for the boot.

    + values: parameters such as ``net.ipv4.ip_forward`` with their values
    + path: .conf file in /etc/sysctl.d for these parameters only. Files there are read in the order
      of their names: the host fails if a later one has another value
    """
    now = read(Sysctl, keys=list(values), path=path)
    desired = {key: sysctl.plain(str(value)) for key, value in values.items()}
    text = "".join(f"{key} = {value}\n" for key, value in desired.items())
    for key, value in desired.items():
        last = sysctl.at_boot({**now.files, path: text}, key)
        if last is None or last.value != value:
            other = f"{last.path} sets it to {last.value}" if last else "a later file unsets it"
            raise HostFailure(nodes.SYSCTL_OVERRIDDEN(key=key, value=value, path=path, other=other))
        if now.live[key] is None and state.is_executing:  # until then a module may be loaded
            raise HostFailure(nodes.NO_SYSCTL(key=key))
    for key, value in desired.items():
        declare_recorded(f"sysctl {key}", value, before=now.live[key], path=path)
    commands = list(ensure(path, text, now=now.file))
    for key, value in desired.items():
        if now.live[key] != value:
            observed = now.live[key] or "not there yet"
            plan_change(f"set {key} = {value} (it is {observed})", f"sysctl {key}")
            commands.append(StringCommand("sysctl", "-q", "-w", QuoteString(f"{key}={value}")))
    if not commands:
        host.noop(f"{', '.join(f'{k} = {v}' for k, v in desired.items())}, live and at boot")
    yield from commands


def remove(resource: str, entry: Entry) -> Commands:
    """
    Set a recorded parameter to what it is without bramble; for ``removals``, after its file.

    That is what the other files say, or else its value before bramble. An unknown one stays until
    the next boot.

    + resource: "sysctl KEY"
    + entry: what the record says of it: its value, and the ``path`` of bramble's file
    + raises ``ChangedSince``
    """
    key, path = resource.partition(" ")[2], str(entry.arguments["path"])
    now = read(Sysctl, keys=[key], path=path)
    others = {other: text for other, text in now.files.items() if other != path}
    last = sysctl.at_boot(others, key)
    value, live = last.value if last else entry.before, now.live[key]
    if value is None or live in (None, value):
        return
    if not entry.holds(live):
        raise ChangedSince(f"sysctl -w {key}={value}")
    plan_change(f"set {key} = {value} again (it is {live})", resource)
    yield StringCommand("sysctl", "-q", "-w", QuoteString(f"{key}={value}"))
