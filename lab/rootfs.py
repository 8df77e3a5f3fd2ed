"""
The nodes' common root file system: Debian, built once by mmdebstrap, cached by its recipe.

It stands for what a flashed card holds before its first boot: NetworkManager in charge with netplan
above it, cloud-init waiting for its seed, no SSH host keys, nobody's key inside, SSH off.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from lab import debian_mirror, host, kernel
from lab.errors import LabError
from messages import lab as messages

PACKAGES = (
    # what Raspberry Pi OS has, and the deploys meet
    *("systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "sudo", "cloud-init", "kmod"),
    *("network-manager", "netplan.io", "wpasupplicant", "iproute2", "iputils-ping", "procps"),
    *("locales", "curl", "ca-certificates"),
    # what somebody who has tried before has installed
    *("ifupdown", "isc-dhcp-client", "iptables", "conntrack"),
)

# What cards in use have besides, so that tests of what comes after the installation install less.
IN_USE = (
    *("containerd", "runc", "systemd-timesyncd"),
    # what Kubernetes' packages need, or the stand-in's
    *("containernetworking-plugins", "python3-cryptography", "python3-yaml"),
)

IMAGE = Path(__file__).parent / "image"

LEFT_OUT = [f"path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "info", "locale")]

# Background work that would only disturb measurements, and needs hardware or hours.
MASKED = (
    "apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer "
    "systemd-pstore.service getty@tty1.service console-getty.service"
)

# etcd's programs, for the stand-in's control plane: without the packages' service and user, and
# where no command of the operator's finds them.
ETCD = (
    'set -e; folder="$1"/usr/lib/stand-in/etcd; mkdir -p "$folder"; cd "$folder" || exit; '
    'chroot "$1" sh -c "cd /usr/lib/stand-in/etcd && apt-get download etcd-server etcd-client"; '
    'for package in ./*.deb; do dpkg-deb --fsys-tarfile "$package" | '
    "tar -x --strip-components=3 --wildcards './usr/bin/*'; done; rm ./*.deb"
)

# Run by mmdebstrap with the new root as $1, when all packages are there.
CUSTOMIZE = (
    ETCD,
    'chroot "$1" dpkg-divert --quiet --local --rename --add /etc/wpa_supplicant/ifupdown.sh',
    'rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/resolv.conf "$1"/etc/machine-id '
    '"$1"/var/lib/dbus/machine-id',
    'cp -r --no-preserve=ownership "$LAB_IMAGE"/. "$1"/',
    f'systemctl --quiet --root="$1" mask {MASKED}',
    'systemctl --quiet --root="$1" enable lab-hotplug lab-host-keys userconfig',
    'systemctl --quiet --root="$1" disable ssh.service',
)


def _customize() -> list[str]:
    steps = list(CUSTOMIZE)
    if kernel.modules_directory() is None:
        folder = f'"$1"/usr/lib/modules/{kernel.release()}'
        listed = kernel.builtin_list().replace("\n", "\\n")
        steps.append(f"mkdir -p {folder}; printf '{listed}' > {folder}/modules.builtin")
        steps.append(f'touch {folder}/modules.order; chroot "$1" depmod {kernel.release()}')
    return steps


def recipe(source: debian_mirror.Mirror, in_use: bool = False) -> list[str]:
    """The mmdebstrap command line, without the target directory."""
    options = [f"--dpkgopt={line}" for line in LEFT_OUT]
    options += [f"--customize-hook={step}" for step in _customize()]
    packages = [*PACKAGES, *(IN_USE if in_use else ())]
    if in_use:
        options += ["--skip=cleanup/apt", '--customize-hook=chroot "$1" apt-cache stats >/dev/null']
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=important",
        '--aptopt=APT::Install-Recommends "false"',
        f"--include={','.join(packages)}",
        f"--keyring={source.keyring}",
        *options,
        debian_mirror.SUITE,
    ]


def fingerprint(command: Sequence[str], lines: Sequence[str]) -> str:
    """A short name for what this recipe builds: another recipe, another name."""
    digest = hashlib.sha256(json.dumps([list(command), list(lines)]).encode())
    for file in sorted(path for path in IMAGE.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(IMAGE)} {file.stat().st_mode & 0o111}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def cache() -> Path:
    """Where the built root file systems are, one directory each."""
    return host.home() / "rootfs"


def target(in_use: bool = False) -> Path:
    """Where today's recipe builds to, or has built already."""
    source = debian_mirror.choose(debian_mirror.read_sources())
    return cache() / fingerprint(recipe(source, in_use), source.lines())


def build(say: host.Say, in_use: bool = False) -> Path:
    """
    The root file system for today's recipe, built now if it is not in the cache.

    + say: told what takes long
    + in_use: with ``IN_USE``, and with apt's lists
    """
    path = target(in_use)
    if path.is_dir():
        os.utime(path)  # in use from now on, see drop_unused()
        return path
    with host.lock("rootfs"):
        if path.is_dir():  # another lab built it while this one waited
            return path
        source = debian_mirror.choose(debian_mirror.read_sources())
        say("building the nodes' root file system with mmdebstrap (once; about a minute)")
        started = time.monotonic()
        partial = path.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [*recipe(source, in_use), str(partial), *source.lines()]
        done = host.run(command, check=False, env={"LAB_IMAGE": str(IMAGE)}, timeout=7200)
        if done.returncode:
            log = cache() / "build.log"
            log.write_text(done.stderr)
            why = next((line for line in done.stderr.splitlines() if line.startswith("E:")), "")
            raise LabError(messages.ROOT_FS(reason=why or "no reason given", log=log))
        partial.rename(path)
        say(f"root file system built in {time.monotonic() - started:.0f} s")
    return path


def drop_unused(used: set[str]) -> None:
    """
    Remove what older recipes built, except what a lab stands on or was built from within a day.

    + used: names of directories in the cache
    """
    for path in cache().iterdir():
        is_old = time.time() - path.stat().st_mtime > 24 * 3600
        if path.is_dir() and path.name not in used and is_old:
            shutil.rmtree(path, ignore_errors=True)
