"""
Install the updates of a node's packages, as the work of a roll-out.

The packages of Kubernetes stay: they are held. Debian's containerd is upgraded like any other
package, while the node is drained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pyinfra import host, state

import runs
from facts.packages import NAMES
from facts.reboot import Reboot, RebootState
from facts.updates import ARCHIVES, BOOT, Updates, UpdatesState
from messages import updates as messages
from operations import rollout
from operations.base import Commands, HostFailure, operation, plan, plan_change, read
from operations.containerd import check_version
from operations.packages import apt
from runs import gathering

_FRESH_S = 3600  # age up to which package lists are not fetched again
_SHOWN = 12  # names in a line
_KEPT_FREE_MB = 200
_BOOT_MB = 100  # a kernel and its initramfs, for two models of a Raspberry Pi
_NEEDED = {*NAMES, "containerd", "containerd.io", "runc", "openssh-server", "sudo", "iptables"}
_BOOTED = ("linux-image-", "raspi-firmware", "raspberrypi-kernel", "raspberrypi-bootloader")


class _Found(dict[str, UpdatesState]):
    """The updates of each node, when they were last read."""


@operation()
def listed(kubernetes_version: str) -> Commands:
    """
    Find out which updates there are, and note them for the roll-out.

    Package lists that are older than an hour are fetched. A dry run tells what the present ones
    have, and how old they are.

    + kubernetes_version: "1.36" or "1.36.4": newer versions need containerd 2

    ``HostFailure``: an update would break the node, or the disk is too full.
    """
    observed, boot = read(Updates), read(Reboot)
    is_fresh = observed.running or (observed.age is not None and 0 <= observed.age < _FRESH_S)
    if is_fresh or not state.is_executing:
        _check(observed, kubernetes_version)
    lines = _note(observed, boot)
    if is_fresh:
        _show(lines)
        host.noop("; ".join(lines))
        return
    plan_change(f"fetch the package lists, {_age(observed)}")
    if not state.is_executing:
        _show([*lines, f"that is by the present package lists, {_age(observed)}"])
    yield from apt.update_all()
    observed = read(Updates)
    _check(observed, kubernetes_version)
    again = _note(observed, boot)
    if again != lines or not state.should_check_for_changes():
        for line in again:
            host.log(line)


@operation()
def fetched() -> Commands:
    """Download this node's updates, while its pods run on."""
    observed = _work()
    if observed is None or not observed.download or observed.broken or observed.running:
        host.noop("there is nothing to download")
        return
    plan_change(f"download {_size(observed.download)}")
    yield from apt.download_upgrade()


@operation()
def installed(kubernetes_version: str) -> Commands:
    """
    Install this node's updates, if the roll-out has work here.

    Configuration files that were changed on the node stay as they are. Nothing is removed only
    because nothing needs it any more.

    + kubernetes_version: as for ``listed``

    ``HostFailure``: in apt's own words; or what an interrupted installation has left would break
    the node.
    """
    observed = _work()
    if observed is None or not _has_updates(observed):
        host.noop("there are no updates")
        return
    plan_change(_what(observed))
    if _is_interrupted(observed):
        yield from apt.complete(observed.running)
        observed = read(Updates)
        _check(observed, kubernetes_version)
    if observed.installs or observed.removes:
        yield from apt.full_upgrade()


def _work() -> UpdatesState | None:
    return runs.of(state).part(_Found).get(host.name) if rollout.has_work() else None


def _has_updates(observed: UpdatesState) -> bool:
    return bool(observed.installs or observed.removes) or _is_interrupted(observed)


def _is_interrupted(observed: UpdatesState) -> bool:
    return observed.running or observed.journal or bool(observed.broken)


def _note(observed: UpdatesState, boot: RebootState) -> list[str]:
    """Note what is to be done for the roll-out, and return it in lines."""
    if not gathering.of(state).is_asking:
        runs.of(state).part(_Found)[host.name] = observed
    reasons = [_what(observed)] if _has_updates(observed) else []
    rollout.note([*reasons, *boot.reasons])
    return _lines(observed, boot)


def _check(observed: UpdatesState, kubernetes_version: str) -> None:
    """Raise ``HostFailure`` for updates that would break the node."""
    installs = observed.installs
    if observed.problems and not _is_interrupted(observed):
        raise HostFailure(messages.NOT_KNOWN(reason=observed.problems[0]))
    if lost := [name for name in observed.removes if name in _NEEDED]:
        raise HostFailure(messages.WOULD_REMOVE(packages=", ".join(lost)))
    if unheld := [name for name in NAMES if name in installs]:
        raise HostFailure(messages.NOT_HELD(packages=", ".join(unheld)))
    for name in ("containerd", "containerd.io"):
        if name in installs:
            check_version(installs[name].after, kubernetes_version)
    if (base := installs.get("base-files")) and _major(base.before) != _major(base.after):
        raise HostFailure(messages.OTHER_RELEASE(before=base.before, after=base.after))
    if not installs:
        return
    needed = {ARCHIVES: 3 * observed.download // 1_000_000 + _KEPT_FREE_MB, "/": _KEPT_FREE_MB}
    if _boots_anew(observed):
        needed |= dict.fromkeys(BOOT, _BOOT_MB)
    for path, megabytes in needed.items():
        free, mount = observed.free.get(path, (megabytes, path))
        if free < megabytes:
            raise HostFailure(messages.DISK_FULL(free=free, path=mount, needed=megabytes))


def _major(version: str) -> str:
    return version.partition(".")[0]


def _boots_anew(observed: UpdatesState) -> list[str]:
    """The updates of what a node takes at its boot only."""
    return [name for name in observed.installs if name.startswith(_BOOTED)]


def _what(observed: UpdatesState) -> str:
    """What is to be done, in a few words."""
    if observed.running:
        return "follow the installation of updates that is running there"
    count = len(observed.installs) + len(observed.removes)
    words = f"install {count} update{'s' * (count != 1)}" if count else ""
    secure = sum(each.security for each in observed.installs.values())
    words += f" ({secure} of security)" if secure else ""
    if _is_interrupted(observed):
        what = f" of {', '.join(observed.broken)}" if observed.broken else ""
        return f"complete an unfinished installation{what}{words and f', then {words}'}"
    return words


def _lines(observed: UpdatesState, boot: RebootState) -> list[str]:
    """Show a person what is going to happen on a node."""
    changed = {name: each for name, each in observed.installs.items() if each.before}
    lines = [f"{_what(observed) or 'no updates'}; {_size(observed.download)} to download"]
    if secure := [name for name, each in changed.items() if each.security]:
        lines.append(f"security updates: {_names(secure)}")
    if rest := [name for name, each in changed.items() if not each.security]:
        lines.append(f"other updates: {_names(rest)}")
    if new := [name for name in observed.installs if name not in changed]:
        lines.append(f"newly installed: {_names(new)}")
    if observed.removes:
        lines.append(f"removed: {_names(observed.removes)}")
    if observed.kept:
        kept = [f"{name} ({version} is there)" for name, version in observed.kept.items()]
        lines.append(f"held at their version: {_names(kept)}")
    if observed.unneeded:
        names = _names(observed.unneeded)
        lines.append(f"no longer needed, `sudo apt-get autoremove --purge` removes them: {names}")
    if why := boot.reasons or _boots_anew(observed):
        lines.append(f"reboot: yes ({'; '.join(why)})")
    elif _has_updates(observed):
        lines.append("reboot: only if an update asks for it")
    return lines


def _names(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _size(count: int) -> str:
    return f"{math.ceil(count / 100_000) / 10} MB" if count else "nothing"


def _age(observed: UpdatesState) -> str:
    if observed.age is None:
        return "of which there are none"
    hours = observed.age // 3600
    return f"which are {hours} hours old" if hours < 48 else f"which are {hours // 24} days old"


def _show(lines: Sequence[str]) -> None:
    for line in lines:
        plan(line)
