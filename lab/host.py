"""
This machine, which the lab only borrows: rights, tools, and where the lab keeps its things.

What the lab changes on the host is here, in `sysctl.py`, or in `network.py` (the link to the host),
and each of these changes has its way back.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError

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

# sbin is not in everybody's PATH, and all of these tools live there on Debian.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def home() -> Path:
    """Where all labs of this machine keep their state; `LAB_HOME` moves it."""
    return Path(os.environ.get("LAB_HOME", "/var/lib/bramble-lab"))


def environment() -> dict[str, str]:
    """The environment for the tools: the caller's, with a PATH that finds them, in English."""
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
    Run a tool of the host and read what it prints.

    + argv: the command
    + check: a failure is a LabError with the command's own words
    + stdin: what the command reads
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
        raise LabError(f"{argv[0]} is not on this machine: install it and try again") from missing
    except subprocess.TimeoutExpired as late:
        raise LabError(f"no answer within {timeout:.0f} s from: {' '.join(argv)}") from late
    if check and done.returncode:
        words = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise LabError(f"{' '.join(argv)}: {words}")
    return done


def require_root(arguments: Sequence[str]) -> None:
    """
    Come back only as root on Linux: by sudo when there is one, else a LabError.

    + arguments: of `python -m lab`, for the second start under sudo
    """
    if platform.system() != "Linux":
        raise LabError(f"the lab needs Linux (namespaces, overlayfs); this is {platform.system()}")
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        raise LabError("the lab needs root, and there is no sudo here: run it as root")
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
    Let one process at a time do what several labs share (or two commands on the same lab).

    + name: of the lock file below the lab's home
    """
    home().mkdir(parents=True, exist_ok=True)
    path = home() / f"{name}.lock"
    locked = False
    while not locked:
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever held it before may have removed the file that was waited for here.
            locked = os.fstat(file.fileno()).st_nlink > 0
            if locked:
                try:
                    yield
                finally:
                    path.unlink()


def missing_packages(tools: Mapping[str, str] = TOOLS) -> list[str]:
    """Debian packages for the tools that are not here yet."""
    path = environment()["PATH"]
    return sorted({pkg for tool, pkg in tools.items() if not shutil.which(tool, path=path)})


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's own switch against starting services on installation: policy-rc.d answering 101."""
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
    Install what the lab calls and this machine lacks; nothing that comes with it is started.

    + say: told beforehand what will be installed
    + tools: the lab's own, or others with their packages
    """
    packages = missing_packages(tools)
    if not packages:
        return
    if not shutil.which("apt-get", path=environment()["PATH"]):
        raise LabError(f"missing on this machine: {', '.join(packages)} (Debian's package names)")
    say(f"installing on this machine: {', '.join(packages)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    # Whoever else installs something here just now is waited for.
    patient = "-oDPkg::Lock::Timeout=600"
    command = ["apt-get", patient, "install", "-y", "-q", "--no-install-recommends", *packages]
    with lock("packages"), _no_service_starts():
        if run(command, check=False, env=quiet, timeout=3600).returncode:
            # Lists too old to fetch from, or none at all: once more with fresh ones.
            run(["apt-get", "update", "-q"], env=quiet, timeout=3600)
            run(command, env=quiet, timeout=3600)
        if "apt-cacher-ng" in packages:
            # The lab runs its own in a namespace: the host's must not come with the next boot.
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
    """Write a file that everybody may read, so that no reader sees half of it."""
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(text)
    partial.chmod(0o644)
    partial.rename(file)
