"""
Kernel modules.
"""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand

from facts.modules import LOAD_FILE, Modules
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from operations.files import ensure


@operation()
def loaded(names: list[str]) -> Commands:
    """
    Kernel modules, loaded now and at every boot. One that is built into the kernel counts.

    + names: the modules' names; the whole list, as it replaces the one of the run before

    **Example:**

    .. code:: python

        modules.loaded(
            name="Kernel modules for containers and their network",
            names=["overlay", "br_netfilter"],
        )
    """

    state = read(Modules, names=names)
    missing = [name for name in names if state.modules[name] == "missing"]
    if missing:
        raise HostFailure(
            f"its kernel {state.kernel} has no module {', '.join(missing)}: reboot if the kernel "
            "was upgraded since the last boot, else install the package with its other modules"
        )
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
        host.noop(f"{', '.join(names)} are loaded, now and at every boot")
    yield from commands
