"""Swap off: the kubelet does not start while swap is on."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.swap import FSTAB, RPI_SWAP, Swap, SwapState
from formats import fstab
from messages import Said, nodes
from operations.base import Commands, HostFailure, declare, operation, plan, plan_change, read
from operations.files import ensure
from runs.output import failed

_RESOURCE = "setting no swap"
_RPI_SWAP = "# bramble: no swap on a Kubernetes node\n[Main]\nMechanism=none\n"

_SWAPOFF = """why=$(swapoff -a 2>&1 | tail -n1);
left=$(tail -n +2 /proc/swaps | cut -d' ' -f1 | tr '\\n' ' ');
[ -z "$left" ] || { echo "$left"; echo "${why:-no reason given}"; exit 1; }"""


@operation()
def off() -> Commands:
    """
    Turn swap off, live and at boot.

    It covers fstab (lines are commented out), Raspberry Pi OS's rpi-swap, swap units of systemd,
    and services that call swapon. A warning names swap of unknown origin, and scripts that call
    swapon among other things.
    """
    swap = read(Swap)
    declare(_RESOURCE)
    # Sources first: if swap cannot be emptied now, a reboot is the remedy.
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
    """Return what turns swap on at the next boot, for a person."""
    table, own = swap.files[FSTAB].text, swap.files[RPI_SWAP].text
    found = [FSTAB] if table is not None and fstab.swap_lines(table) else []
    found += ["rpi-swap"] if swap.rpi_swap and own != _RPI_SWAP else []
    return [*found, *swap.services, *swap.units]


def warnings(swap: SwapState) -> list[Said]:
    """Return messages about swap that this operation cannot keep off."""
    found = [nodes.SWAP_IN_SCRIPT(path=path) for path in swap.scripts]
    if unknown := _unaccounted(swap):
        found.append(nodes.SWAP_UNEXPLAINED(devices=", ".join(unknown)))
    return found


def _unaccounted(swap: SwapState) -> list[str]:
    """Return the swap in use that no unit, line of fstab or known program accounts for."""
    if swap.rpi_swap or swap.scripts:
        return []
    fields = [line.split() for line in fstab.swap_lines(swap.files[FSTAB].text or "")]
    named = {words[0] for words in fields if words}
    by_label = any("=" in name for name in named)  # labels are for partitions only
    return [
        each
        for each in swap.in_use
        if each not in {*named, *swap.accounted}
        and not (swap.by_zram_service if "zram" in each else swap.by_service)
        and not (by_label and each.startswith("/dev/") and "zram" not in each)
    ]


def check_room(swap: SwapState) -> None:
    """``HostFailure`` if what is swapped out does not fit into memory."""
    if swap.used_kb > swap.available_kb:
        used, available = _mb(swap.used_kb), _mb(swap.available_kb)
        raise HostFailure(nodes.SWAP_FULL(used=used, available=available))


def _swapoff(state: State, host: Host) -> bool:
    result = remote.of(host).stream(StringCommand("sh", "-c", QuoteString(_SWAPOFF)))
    if result.status == 0:
        return True
    devices, reason = (["swap", *result.lines])[-2:]
    return failed(host, nodes.SWAP_NOT_OFF(devices=devices.strip(), reason=reason))


def _sources(swap: SwapState) -> Commands:
    """Yield what keeps swap off at the next boot."""
    table = swap.files[FSTAB]
    if table.text is not None and fstab.swap_lines(table.text):
        without = fstab.without_swap(table.text)
        own = table.mode, table.user, table.group
        yield from ensure(FSTAB, without, *own, now=table, resource=_RESOURCE, recorded=False)
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
