"""
The memory cgroup, which Raspberry Pi kernels leave off and Kubernetes can't do without.
"""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from facts.cgroup import BOOT_CMDLINE, FIRMWARE_CMDLINE, CgroupState, MemoryCgroup
from facts.files import FileState
from formats import cmdline
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
from operations.following import failed
from operations.reboot import SECONDS, reboot_and_wait

ARGUMENT = "cgroup_enable=memory"


@operation()
def memory(required: bool = True, seconds: float = SECONDS) -> Commands:
    """
    The memory cgroup is on. Where it isn't, the kernel's command line of a Raspberry Pi is changed,
    and the node is rebooted and waited for.

    + required: False leaves a node without it alone, for virtual ones whose kernel is not theirs
    + seconds: how long to wait for the reboot

    Rebooting a node ends the connections that go through it: run it on the gateway first, then
    (after ``base.depends_on``) on the workers behind it.

    **Example:**

    .. code:: python

        cgroup.memory(name="The kernel counts memory (reboots when it has to)")
    """

    state = read(MemoryCgroup)
    if state.memory != "off":
        commands = list(_also_at_the_next_boot(state))
        if not commands:
            host.noop(f"the memory cgroup is on ({state.memory})")
        yield from commands
        return
    if not required:
        host.noop("the memory cgroup is off, and not asked for")
        return
    path, text = command_line(state)
    file = state.files[path]
    if text != file.text:
        diff(path, file.text, text)
    plan_change("reboot this node, and wait until it is back")
    if text != file.text:
        # Owner and mode as they are: the boot partition is a FAT file system, which has neither.
        yield write_command(path, text, file.mode, file.user, file.group)
    yield from reboot_and_wait(seconds)
    yield FunctionCommand(_is_on, (path,), {})


def command_line(state: CgroupState) -> tuple[str, str]:
    """
    What turns it on at the next boot: the file of the kernel's command line, and its text.

    ``HostFailure`` where nothing does.
    """
    path = _cmdline_path(state.files)
    file = state.files[path]
    text = _with_argument(path, file)
    if text == file.text and cmdline.has(state.running, ARGUMENT):
        raise HostFailure(
            f"its kernel was started with {ARGUMENT} and has no memory cgroup all the same: "
            "use the kernel of Raspberry Pi OS or Debian"
        )
    return path, text


def _also_at_the_next_boot(state: CgroupState) -> Commands:
    """Where our argument has turned it on, it stays in the file."""
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
        raise HostFailure(f"{path} is no kernel command line: {error}") from None


def _cmdline_path(files: dict[str, FileState]) -> str:
    """The file that the firmware reads."""
    firmware, boot = files[FIRMWARE_CMDLINE], files[BOOT_CMDLINE]
    if firmware.kind == "file":
        return FIRMWARE_CMDLINE
    if boot.kind == "file" and not cmdline.is_stub(boot.text or ""):
        return BOOT_CMDLINE
    if boot.kind == "file":
        raise HostFailure(
            f"its memory cgroup is off, and {FIRMWARE_CMDLINE}, where that is changed, is missing: "
            "mount the boot partition on /boot/firmware"
        )
    raise HostFailure(
        "its memory cgroup is off, and there is no cmdline.txt (not a Raspberry Pi?): "
        f"add {ARGUMENT} to the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub), "
        "and reboot"
    )


def _is_on(state: State, host: Host, path: str) -> bool:
    now = read_from(host, MemoryCgroup)
    if now.memory == "off":
        return failed(
            host,
            f"its memory cgroup is still off after the reboot, with {ARGUMENT} in {path}: "
            "see in /proc/cmdline what the kernel was given",
        )
    return True
