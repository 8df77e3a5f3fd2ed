"""
Kernel modules.

pyinfra's ``server.modprobe`` takes two more executions and counts built-in modules as missing.
"""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand

from facts.modules import LOAD_FILE, Modules
from messages import nodes
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from operations.files import ensure


@operation()
def loaded(names: list[str]) -> Commands:
    """
    Load kernel modules, live and at boot; those built into the kernel count as loaded.

    + names: all modules: the list replaces that of an earlier run
    """
    state = read(Modules, names=names)
    missing = [name for name in names if state.modules[name] == "missing"]
    if missing:
        raise HostFailure(nodes.NO_MODULE(kernel=state.kernel, modules=", ".join(missing)))
    text = "".join(f"{line}\n" for line in ["# bramble: for Kubernetes", *names])
    declare(*(f"module {name}" for name in names))
    commands = list(ensure(LOAD_FILE, text, now=state.load_file))
    load = [name for name in names if state.modules[name] != "loaded"]
    if load:
        plan_change(
            f"load the kernel module{'s' * (len(load) > 1)} {', '.join(load)}",
            *(f"module {name}" for name in load),
        )
        commands.append(StringCommand("modprobe", "-a", *[QuoteString(name) for name in load]))
    if not commands:
        host.noop(f"{', '.join(names)} are loaded, live and at boot")
    yield from commands
