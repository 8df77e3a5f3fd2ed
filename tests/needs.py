"""
What the tests call besides the lab's own tools, and the Debian package that has it.

`python -m tests.needs` (`make test-tools`) installs what is missing, after saying so; none of it
starts a service or touches the machine's network. A program whose package would (ifupdown,
keepalived, a DHCP client) is asked on a virtual node, never installed here.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from lab import host
from lab.errors import LabError

TOOLS = {
    "iptables-restore": "iptables",
    "ipset": "ipset",
    "nft": "nftables",
    "flock": "util-linux",
    "sfdisk": "fdisk",
    "mkfs.vfat": "dosfstools",
    "mkfs.ext4": "e2fsprogs",
    "losetup": "mount",
    "findmnt": "util-linux",
    "unshare": "util-linux",
    "age": "age",
}


def become_root(module: str, arguments: Sequence[str]) -> None:
    """
    Come back only as root: by sudo, which is said beforehand, else with one line and status 1.

    What root then runs leaves no files of its own in the repository.

    + module: what is started again, as `python -m` names it
    + arguments: its command line
    """
    if os.geteuid() == 0:
        return
    why = "The tests need root (virtual nodes, network namespaces, loop devices)"
    if not shutil.which("sudo"):
        sys.exit(f"{why}, and there is no sudo on this machine: run this as root")
    print(f"{why}: going on with sudo", flush=True)
    kept = [
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith(("LAB_", "CUTS", "PYTEST_"))
    ]
    kept += [
        f"PATH={host.environment()['PATH']}",
        f"PYTEST_ADDOPTS={os.environ.get('PYTEST_ADDOPTS', '')} -p no:cacheprovider",
        "PYTHONDONTWRITEBYTECODE=1",
        f"HYPOTHESIS_STORAGE_DIRECTORY={host.home() / 'hypothesis'}",
    ]
    # Without SUDO_UID: the lab's folders are root's here, not the person's behind sudo.
    command = ["sudo", "env", "-u", "SUDO_UID", "-u", "SUDO_GID", *kept, sys.executable]
    os.execvp("sudo", [*command, "-m", module, *arguments])


def here(*tools: str, root: bool = True) -> None:
    """For a test that calls these, as root: it fails with the remedy where that can't be."""
    path = host.environment()["PATH"]
    for tool in tools:
        package = (host.TOOLS | TOOLS)[tool]
        assert shutil.which(tool, path=path), f"{tool} ({package}) is missing: `make test-tools`"
    assert os.geteuid() == 0 or not root, "this test needs root: as `make test` does, with sudo"


def install() -> None:
    """Install what is missing, after saying so; exits with one line where that fails."""
    os.environ["PATH"] = host.environment()["PATH"]
    try:
        host.install_packages(print, host.TOOLS | TOOLS)
    except LabError as error:
        sys.exit(f"The tests' tools could not be installed: {error}")


if __name__ == "__main__":
    become_root("tests.needs", sys.argv[1:])
    install()
