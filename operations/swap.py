"""
Swap off: the kubelet does not start while there is any.
"""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from facts.swap import FSTAB, RPI_SWAP, Swap, SwapState
from formats import fstab
from operations.base import Commands, HostFailure, declare, operation, plan, plan_change, read
from operations.files import ensure
from operations.following import failed, run

_RESOURCE = "setting no swap"
_RPI_SWAP = "# bramble: no swap on a Kubernetes node\n[Main]\nMechanism=none\n"

_SWAPOFF = """why=$(swapoff -a 2>&1 | tail -n1);
left=$(tail -n +2 /proc/swaps | cut -d' ' -f1 | tr '\\n' ' ');
[ -z "$left" ] || { echo "swap could not be turned off: $left(${why:-no reason given}); \
it will stay off after a reboot: stop what uses the memory, or reboot, then run this again";
exit 1; }"""


@operation()
def off() -> Commands:
    """
    No swap, now and at every boot, wherever it comes from: fstab (its lines are kept behind a
    mark), Raspberry Pi OS's rpi-swap, swap units of systemd, services that call swapon. Where it
    can't be known what has turned a swap on, or it is a script that does more than that, a person
    is told.

    **Example:**

    .. code:: python

        swap.off(name="Swap is off, now and at every boot")
    """

    swap = read(Swap)
    declare(_RESOURCE)
    # All sources first: should the swap of now be too full to be emptied, a reboot is the remedy.
    commands = list(_sources(swap))
    if swap.in_use:
        plan_change(f"turn off the swap on {', '.join(swap.in_use)}", _RESOURCE)
    for warning in warnings(swap):
        plan(warning)
    if not commands and not swap.in_use:
        host.noop("swap is off")
        return
    yield from commands
    if not swap.in_use:
        return
    check_room(swap)
    yield FunctionCommand(_swapoff, (), {})


def sources(swap: SwapState) -> list[str]:
    """What turns swap on at the next boot, in words."""
    table, own = swap.files[FSTAB].text, swap.files[RPI_SWAP].text
    found = [FSTAB] if table is not None and fstab.swap_lines(table) else []
    found += ["rpi-swap"] if swap.rpi_swap and own != _RPI_SWAP else []
    return [*found, *swap.services, *swap.units]


def warnings(swap: SwapState) -> list[str]:
    """What this operation can't keep from coming back, each with its remedy."""
    found = [
        f"swap comes back at the next boot: {path} calls swapon: take that line out"
        for path in swap.scripts
    ]
    if unknown := _unaccounted(swap):
        devices = ", ".join(unknown)
        found.append(
            f"what turned on the swap on {devices} could not be found, so it may come back at the "
            "next boot: look at `swapon --show` after a reboot, and disable what made it "
            "(`systemctl list-units`, root's crontab)"
        )
    return found


def _unaccounted(swap: SwapState) -> list[str]:
    """The swap in use that no unit, no line of fstab and no known program stands for."""
    if swap.rpi_swap or swap.scripts:
        return []
    fields = [line.split() for line in fstab.swap_lines(swap.files[FSTAB].text or "")]
    named = {words[0] for words in fields if words}
    by_label = any("=" in name for name in named)  # of a partition, not of memory or a file
    return [
        each
        for each in swap.in_use
        if each not in {*named, *swap.accounted}
        and not (swap.by_zram_service if "zram" in each else swap.by_service)
        and not (by_label and each.startswith("/dev/") and "zram" not in each)
    ]


def check_room(swap: SwapState) -> None:
    """``HostFailure`` where the memory can't take back what is swapped out."""
    if swap.used_kb > swap.available_kb:
        raise HostFailure(
            f"{_mb(swap.used_kb)} MB are swapped out and only {_mb(swap.available_kb)} MB of "
            "memory could take them back: stop what uses the memory, or reboot (swap will stay off "
            "then), and run this again"
        )


def _swapoff(state: State, host: Host) -> bool:
    result = run(state, host, StringCommand("sh", "-c", QuoteString(_SWAPOFF)))
    return result.status == 0 or failed(host, result.last_line)


def _sources(swap: SwapState) -> Commands:
    """What keeps swap off at the next boot."""
    table = swap.files[FSTAB]
    if table.text is not None and fstab.swap_lines(table.text):
        without = fstab.without_swap(table.text)
        own = table.mode, table.user, table.group
        yield from ensure(FSTAB, without, *own, now=table, resource=_RESOURCE)
        yield StringCommand("systemctl", "daemon-reload")
    if swap.rpi_swap:
        yield from ensure(RPI_SWAP, _RPI_SWAP, now=swap.files[RPI_SWAP])
    for service in swap.services:
        plan_change(f"disable {service}, which turns swap on", _RESOURCE)
        yield StringCommand("systemctl", "disable", "--now", QuoteString(service))
    for unit in swap.units:
        plan_change(f"mask {unit}", _RESOURCE)
        yield StringCommand("systemctl", "mask", "--now", QuoteString(unit))


def _mb(kb: int) -> int:
    return round(kb / 1024)
