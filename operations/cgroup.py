"""The memory cgroup, which Kubernetes needs and Raspberry Pi kernels leave off."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.cgroup import BOOT_CMDLINE, FIRMWARE_CMDLINE, CgroupState, MemoryCgroup
from facts.files import FileState
from formats import cmdline
from messages import nodes
from messages import run as run_messages
from operations.base import (
    Commands,
    HostFailure,
    declare,
    diff,
    operation,
    plan_change,
    read,
    read_from,
)
from operations.files import write_command
from runs.output import Progress, failed

ARGUMENT = "cgroup_enable=memory"
_REBOOT_S = 300  # a Pi 3 with a slow card and a file system check needs two or three minutes


@operation()
def memory(required: bool = True) -> Commands:
    """
    Turn the memory cgroup on: add it to the kernel's command line, reboot, and wait.

    + required: False skips nodes without it, for virtual nodes that share their host's kernel

    A reboot cuts the connections through a node: run this on the gateway first, then (after
    ``base.depends_on``) on the nodes behind it.
    """
    state = read(MemoryCgroup)
    if state.memory != "off":
        commands = list(_also_at_the_next_boot(state))
        if not commands:
            host.noop(f"the memory cgroup is on ({state.memory})")
        yield from commands
        return
    if not required:
        host.noop("the memory cgroup is off, and not required")
        return
    path, text = command_line(state)
    file = state.files[path]
    if text != file.text:
        diff(path, file.text, text)
    plan_change("reboot this node and wait for it")
    if text != file.text:
        # Keep owner and mode: the boot partition is FAT, which has neither.
        yield write_command(path, text, file.mode, file.user, file.group)
    yield FunctionCommand(_reboot, (path,), {})


def command_line(state: CgroupState) -> tuple[str, str]:
    """
    Return the file of the kernel's command line and the text that turns the memory cgroup on.

    ``HostFailure`` if there is no such file, or if it has had no effect.
    """
    path = _cmdline_path(state.files)
    file = state.files[path]
    text = _with_argument(path, file)
    if text == file.text and cmdline.has(state.running, ARGUMENT):
        raise HostFailure(nodes.NO_MEMORY_CGROUP(argument=ARGUMENT))
    return path, text


def _also_at_the_next_boot(state: CgroupState) -> Commands:
    """Keep the argument in the file if it turned the memory cgroup on."""
    if not cmdline.has(state.running, ARGUMENT):
        return
    for path in (FIRMWARE_CMDLINE, BOOT_CMDLINE):
        file = state.files[path]
        if file.kind == "file" and file.text and not cmdline.is_stub(file.text):
            declare(f"file {path}")
            text = _with_argument(path, file)
            if text != file.text:
                diff(path, file.text, text)
                yield write_command(path, text, file.mode, file.user, file.group)


def _with_argument(path: str, file: FileState) -> str:
    try:
        return cmdline.with_arguments(file.text or "", [ARGUMENT])
    except ValueError as error:
        raise HostFailure(nodes.CMDLINE_INVALID(path=path, problem=error)) from None


def _cmdline_path(files: dict[str, FileState]) -> str:
    """Return the file that the firmware reads."""
    firmware, boot = files[FIRMWARE_CMDLINE], files[BOOT_CMDLINE]
    if firmware.kind == "file":
        return FIRMWARE_CMDLINE
    if boot.kind == "file" and not cmdline.is_stub(boot.text or ""):
        return BOOT_CMDLINE
    if boot.kind == "file":
        raise HostFailure(nodes.BOOT_NOT_MOUNTED(path=FIRMWARE_CMDLINE))
    raise HostFailure(nodes.NO_CMDLINE(argument=ARGUMENT))


def _reboot(state: State, host: Host, path: str) -> bool:
    why = remote.of(host).reboot(_REBOOT_S, Progress(host).show)
    if why is not None:
        return failed(host, run_messages.NOT_BACK(seconds=_REBOOT_S, reason=why))
    now = read_from(host, MemoryCgroup)
    if now.memory == "off":
        return failed(host, nodes.CGROUP_STILL_OFF(path=path, argument=ARGUMENT))
    return True
