"""Why a node needs a reboot: what is installed and not yet in use."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from facts.base import State, UnexpectedLine, WholeFact, number

# Packages whose files the running system has taken at its boot; the list is written at an upgrade.
_AT_BOOT = '"linux-image-$r" raspi-firmware raspberrypi-bootloader raspberrypi-kernel'

# The start of process 1: in a container, the uptime is its host's. A Pi's new boot loader waits in
# a file for the reboot. needrestart's first line tells its version; it may be missing.
_SCRIPT = f"""cat /proc/sys/kernel/random/boot_id;
r=$(uname -r); echo "$r";
{{ find /boot -maxdepth 1 -name 'vmlinu[xz]-*' 2>/dev/null | sed 's/.*vmlinu[xz]-//';
echo "$r"; }} | sort -uV | tr '\\n' ' '; echo;
h=$(getconf CLK_TCK); u=$(cut -d. -f1 /proc/uptime); n=$(date +%s);
b=$(awk -v u="$u" -v h="$h" -v n="$n" '{{print int(n - u + $22 / h)}}' /proc/1/stat); echo "$b";
for p in {_AT_BOOT}; do
t=$(stat -c %Y "/var/lib/dpkg/info/$p.list" 2>/dev/null || echo 0);
[ "$t" -le "$b" ] || echo "package $p"; done;
for f in /boot/firmware/pieeprom.upd /boot/pieeprom.upd; do [ ! -e "$f" ] || echo loader; done;
[ ! -e /run/reboot-required ] || {{ echo required;
sort -u /run/reboot-required.pkgs 2>/dev/null | sed -n 's/^./required &/p'; }};
if command -v needrestart >/dev/null; then timeout 45 needrestart -b -r l 2>/dev/null </dev/null |
sed -nE 's/^NEEDRESTART-SVC: *(.*[^ ]) *$/service \\1/p'; fi"""


@dataclass(frozen=True)
class RebootState(State):
    """
    + boot: the kernel's random id of the present boot
    + kernel: the release of the running kernel
    + newer_kernel: the newest installed one of the same flavour; "" if none is newer
    + booted: seconds since 1970, by the present clock
    + packages: of the kernel or the firmware, installed since then
    + loader: whether a new boot loader of a Raspberry Pi is to be written at the next boot
    + required: whether Debian says that a reboot is required
    + required_by: the packages that asked for it, as far as they are known
    + services: that use deleted files (libraries), as far as needrestart is installed
    """

    boot: str
    kernel: str
    newer_kernel: str
    booted: int
    packages: list[str]
    loader: bool
    required: bool
    required_by: list[str]
    services: list[str]

    @property
    def reasons(self) -> list[str]:
        """Why the node needs a reboot, each in a few words; none when it does not."""
        by = f" ({', '.join(self.required_by)})" if self.required_by else ""
        found = [f"a reboot is required{by}"] if self.required else []
        if self.newer_kernel:
            found.append(f"kernel {self.newer_kernel} is installed, and {self.kernel} runs")
        found += [f"{name} was installed after the last boot" for name in self.packages]
        found += ["a new boot loader is to be written"] if self.loader else []
        if self.services:
            found.append(f"deleted files are in use by {', '.join(self.services)}")
        return found


class Reboot(WholeFact[RebootState]):
    """Read why a node needs a reboot: a ``RebootState``."""

    script = (_SCRIPT,)

    def parse(self, boot: str, kernel: str, kernels: str, booted: str, *rest: str) -> RebootState:
        packages: list[str] = []
        required_by: list[str] = []
        services: list[str] = []
        for line in rest:
            match line.partition(" ")[::2]:
                case ["package", name] if name:
                    packages.append(name)
                case ["required", name]:
                    required_by += [name] if name else []
                case ["service", name] if name:
                    services.append(name)
                case ["loader", ""]:
                    pass
                case _:
                    raise UnexpectedLine(line)
        return RebootState(
            str(UUID(boot)),
            kernel,
            _newer(kernel, kernels),
            number(booted),
            packages,
            "loader" in rest,
            "required" in rest,
            required_by,
            services,
        )


def _newer(running: str, releases: str) -> str:
    """
    Return the newest kernel of the flavour of the running one, if that is newer; else "".

    + releases: those installed, in the order of their versions, the running one among them
    """
    installed = releases.split()
    if running not in installed:
        raise UnexpectedLine(running if " " in running else releases)
    later = installed[installed.index(running) + 1 :]
    return next((each for each in later[::-1] if _flavour(each) == _flavour(running)), "")


def _flavour(release: str) -> str:
    """Return what a kernel's release has after its version: "amd64", "rpi-v8", "cloud-amd64"."""
    words = release.split("-")[1:]
    start = next((at for at, word in enumerate(words) if word[:1].isalpha()), len(words))
    return "-".join(words[start:])
