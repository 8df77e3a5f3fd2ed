"""
This machine: root, tools, and the directory of all labs.

All changes of the host are here, in `sysctl.py`, or in `network.py` (the link to the host), and
each of them is undone.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError
from messages import lab as messages

Say = Callable[[str], None]

# A tool that the lab calls, and the Debian package that has it.
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "dnsmasq": "dnsmasq-base",
    "apt-cacher-ng": "apt-cacher-ng",
    "mcopy": "mtools",
    "gpg": "gnupg",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}

# Debian has these tools in sbin, which is not in every PATH.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def home() -> Path:
    """The directory of all labs of this machine; `LAB_HOME` changes it."""
    return Path(os.environ.get("LAB_HOME", "/var/lib/bramble-lab"))


def environment() -> dict[str, str]:
    """The caller's environment, with the tools in PATH and messages in English."""
    return os.environ | {"PATH": f"{os.environ.get('PATH', '')}:{PATH}", "LC_ALL": "C.UTF-8"}


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    timeout: float | None = 600,
) -> subprocess.CompletedProcess[str]:
    """
    Run a tool of the host and return what it prints.

    + argv: the command
    + check: raise a LabError if it fails
    + stdin: its standard input
    + env: added to the environment
    + timeout: seconds
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=environment() | dict(env or {}),
            timeout=timeout,
        )
    except FileNotFoundError as missing:
        raise LabError(messages.TOOL_MISSING(tool=argv[0])) from missing
    except subprocess.TimeoutExpired as late:
        command, seconds = " ".join(argv), round(timeout or 0)
        raise LabError(messages.TOOL_SLOW(command=command, seconds=seconds)) from late
    if check and done.returncode:
        reason = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise LabError(messages.TOOL_FAILED(command=" ".join(argv), reason=reason))
    return done


def require_root(arguments: Sequence[str]) -> None:
    """
    Start again under sudo unless this is root; a LabError without sudo, or elsewhere than on Linux.

    + arguments: of `python -m lab`, for the second start under sudo
    """
    if platform.system() != "Linux":
        raise LabError(messages.NOT_LINUX(system=platform.system()))
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        raise LabError(messages.NOT_ROOT())
    kept = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("LAB_")]
    kept.append(f"PYTHONPATH={Path(__file__).parent.parent}")
    os.execvp("sudo", ["sudo", *kept, sys.executable, "-m", "lab", *arguments])


def caller() -> tuple[int, int] | None:
    """User and group of the person behind sudo; None when root itself called."""
    if os.environ.get("SUDO_UID", "0") == "0":
        return None
    return int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", os.environ["SUDO_UID"]))


@contextmanager
def lock(name: str) -> Iterator[None]:
    """
    Let one process at a time change what labs share, or one lab.

    + name: of the lock file below the lab's home
    """
    home().mkdir(parents=True, exist_ok=True)
    path = home() / f"{name}.lock"
    locked = False
    while not locked:
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The previous holder may have removed the file while this process waited.
            locked = os.fstat(file.fileno()).st_nlink > 0
            if locked:
                try:
                    yield
                finally:
                    path.unlink()


def missing_packages(tools: Mapping[str, str] = TOOLS) -> list[str]:
    """The Debian packages of the tools that are not installed."""
    path = environment()["PATH"]
    return sorted({pkg for tool, pkg in tools.items() if not shutil.which(tool, path=path)})


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Keep packages from starting services on installation, by policy-rc.d."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def install_packages(say: Say, tools: Mapping[str, str] = TOOLS) -> None:
    """
    Install missing tools, without starting their services.

    + say: called before with the packages
    + tools: the lab's own, or others with their packages
    """
    packages = missing_packages(tools)
    if not packages:
        return
    if not shutil.which("apt-get", path=environment()["PATH"]):
        raise LabError(messages.PACKAGES_MISSING(packages=", ".join(packages)))
    say(f"installing on this machine: {', '.join(packages)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    # Wait for another apt.
    patient = "-oDPkg::Lock::Timeout=600"
    command = ["apt-get", patient, "install", "-y", "-q", "--no-install-recommends", *packages]
    with lock("packages"), _no_service_starts():
        if run(command, check=False, env=quiet, timeout=3600).returncode:
            # The package lists may be old or missing: try again with new ones.
            run(["apt-get", "update", "-q"], env=quiet, timeout=3600)
            run(command, env=quiet, timeout=3600)
        if "apt-cacher-ng" in packages:
            # The lab runs its own in a namespace; the host's must not start at the next boot.
            run(["systemctl", "disable", "apt-cacher-ng.service"], check=False)


def resolver() -> str | None:
    """
    The first IPv4 name server that this machine itself asks and that is not on its own loopback.

    A stub on 127.0.0.53 answers nobody else; its owner keeps a list of the real ones.
    """
    for file in (
        "/etc/resolv.conf",
        "/run/systemd/resolve/resolv.conf",
        "/run/NetworkManager/no-stub-resolv.conf",
    ):
        try:
            lines = Path(file).read_text().splitlines()
        except OSError:
            continue
        words = [line.split() for line in lines if line.startswith("nameserver")]
        for address in (w[1] for w in words if len(w) > 1):
            if ":" not in address and not address.startswith("127."):
                return address
    return None


def replace(file: Path, text: str) -> None:
    """Write a file atomically, readable for everybody; several threads may do so at once."""
    handle, partial = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    with open(handle, "w") as stream:
        stream.write(text)
    os.chmod(partial, 0o644)
    os.rename(partial, file)
