"""
Install packages on a node that has just booted: apt is locked, was interrupted, or has no lists.

pyinfra's own apt operations fail at once while unattended-upgrades or cloud-init hold apt's locks,
and after a power cut during an installation.
"""

from __future__ import annotations

import time
from collections import defaultdict

import gevent
from pyinfra import host, state
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
import runs
from facts.updates import UNIT
from formats import apt
from messages import nodes, updates
from operations.base import Commands, HostFailure, plan_change
from remote import Result
from remote.job import FOLDER
from runs.output import Progress, detail, failed

LOCKED_S = 300  # how long to wait for another apt
_UPGRADE_MINUTES = 120  # for an installation of updates: another's, and then this one's
_RETRY_S = 3

# What asks, or shows text page by page, besides dpkg.
_QUIET = (
    "DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none "
    "APT_LISTBUGS_FRONTEND=none LC_ALL=C"
)
# Keeps changed configuration files, asks no questions, restarts only what the package restarts.
_APT = (
    f"env {_QUIET} apt-get -q -y "
    "--no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "
    # Not 1 itself: dpkg closes that descriptor, and then a maintainer script that prints fails.
    "-o Dpkg::Use-Pty=0 -o APT::Status-Fd=3 3>&1"
)
# Without that mode, apt-get exits with 0 if it cannot fetch.
_UPDATE = "update -o APT::Update::Error-Mode=any"
# Completes whatever an interrupted dpkg has left: packages, or only its journal.
_REPAIR = (
    '[ -z "$(dpkg --audit 2>&1; ls /var/lib/dpkg/updates)" ] || '
    f"{{ env {_QUIET} dpkg --force-confdef --force-confold --configure -a </dev/null; "
    f"{_APT} -f install; }}"
)
# Afterwards, the new versions of configuration files that were kept as they are on the node.
_FULL_UPGRADE = (
    f"{_APT} full-upgrade || exit; apt-get -q clean; "
    f"find /etc -xdev -name '*.dpkg-dist' -cnewer {FOLDER}/{UNIT}.sh -printf 'kept %p\\n'"
)


class _Expected(defaultdict[str, dict[str, None]]):
    """The packages that operations of this run will install on each node."""

    def __init__(self) -> None:
        super().__init__(dict)


def expect(packages: list[str]) -> None:
    """
    Note that this operation will install Debian's packages: the run's next ``install`` on the node
    takes them along, so that apt runs once. To be called before the first command.

    + packages: names; of those that may be there before what other operations change
    """
    runs.of(state).part(_Expected)[host.name].update(dict.fromkeys(packages))


def install(packages: list[str], change_held: bool = False) -> Commands:
    """
    Install packages without recommended ones; for use in other operations.

    + packages: names, or ``name=version``
    + change_held: whether held packages may be changed
    """
    along: list[str] = []
    if state.is_executing:
        expected = runs.of(state).part(_Expected).pop(host.name, {})
        along = [name for name in expected if name not in packages]
    if along:
        resources = [f"package {name}" for name in along]
        plan_change(f"install {', '.join(along)}, which later steps need", *resources)
    yield FunctionCommand(_install, (packages, change_held, *along), {})


def purge(packages: list[str]) -> Commands:
    """
    Remove packages with their configuration, held ones too; for use in other operations.

    + packages: names
    """
    yield FunctionCommand(_purge, (packages,), {})


def update(source: str) -> Commands:
    """
    Fetch the package lists of one source; for use in other operations.

    + source: its file, such as "/etc/apt/sources.list.d/kubernetes.sources"
    """
    yield FunctionCommand(_update_source, (source,), {})


def update_all() -> Commands:
    """Fetch the package lists of all sources; for use in other operations."""
    yield FunctionCommand(_update_all, (), {})


def download_upgrade() -> Commands:
    """Download what ``full_upgrade`` will install; for use in other operations."""
    yield FunctionCommand(_download_upgrade, (), {})


def full_upgrade() -> Commands:
    """
    Install all updates; for use in other operations.

    It outlives the connection. An installation that unattended-upgrades has begun is waited for.
    """
    yield FunctionCommand(_run_job, (_FULL_UPGRADE, False), {})


def complete(running: bool) -> Commands:
    """
    Complete what an interrupted dpkg has left; for use in other operations.

    + running: the job of an interrupted run is still running, and is followed
    """
    yield FunctionCommand(_run_job, (_REPAIR, running), {})


def _purge(state: State, host: Host, packages: list[str]) -> bool:
    _run_apt(state, host, StringCommand("sh", "-c", QuoteString(_REPAIR)))
    names = [QuoteString(package) for package in packages]
    result = _run_apt(
        state, host, StringCommand(_APT, "--allow-change-held-packages", "purge", *names)
    )
    if result.status == 0:
        return True
    return failed(host, nodes.PURGE_FAILED(packages=" ".join(packages), reason=_reason(result)))


def _install(state: State, host: Host, packages: list[str], change_held: bool, *along: str) -> bool:
    repaired = _run_apt(state, host, StringCommand("sh", "-c", QuoteString(_REPAIR)))
    if repaired.status == -1:
        return failed(host, repaired.last_line)
    held = ["--allow-change-held-packages"] if change_held else []

    def try_all(names: list[str]) -> Result:
        quoted = [QuoteString(name) for name in names]
        return _run_apt(state, host, StringCommand(_APT, *held, "install", *quoted))

    result = try_all([*packages, *along])
    if result.status != 0 and apt.wants_update(result.lines):
        result = _run_apt(state, host, StringCommand(_APT, _UPDATE))
        result = result if result.status != 0 else try_all([*packages, *along])
    if result.status > 0 and along:  # what is wrong with these is for their own step to report
        result = try_all(packages)
    if result.status == 0:
        return True
    return failed(host, nodes.INSTALL_FAILED(packages=" ".join(packages), reason=_reason(result)))


def _update_source(state: State, host: Host, source: str) -> bool:
    command = StringCommand(
        _APT,
        _UPDATE,
        "-o",
        QuoteString(f"Dir::Etc::SourceList={source}"),
        "-o Dir::Etc::SourceParts=- -o APT::Get::List-Cleanup=0",
    )
    result = _run_apt(state, host, command)
    if result.status == 0:
        return True
    return failed(host, nodes.UPDATE_FAILED(source=source, reason=_reason(result)))


def _update_all(state: State, host: Host) -> bool:
    # The time of the folder is when they were fetched, also if none has changed.
    result = _run_apt(state, host, StringCommand(_APT, _UPDATE, "&& touch /var/lib/apt/lists"))
    if result.status == 0:
        return True
    return failed(host, nodes.UPDATE_FAILED(source="all sources", reason=_reason(result)))


def _download_upgrade(state: State, host: Host) -> bool:
    command = StringCommand(_APT, "--download-only full-upgrade")
    result = _run_apt(state, host, command, _UPGRADE_MINUTES * 60)
    if result.status == 0:
        return True
    return failed(host, updates.NOT_FETCHED(reason=_reason(result)))


def _run_job(state: State, host: Host, script: str, running: bool) -> bool:
    shown, job = Progress(host), remote.of(host).job(UNIT)

    def show(line: str) -> None:
        if step := apt.progress(line):
            shown.show(f"apt: {step[1]} ({step[0]:.0f} %)")
        elif line.startswith("kept "):
            path = line.removeprefix("kept ").removesuffix(".dpkg-dist")
            host.log(f"{path} stays as it is; the new version is {path}.dpkg-dist")
        elif line.strip():
            detail(host, line)

    end = time.monotonic() + _UPGRADE_MINUTES * 60
    while True:
        if not running:
            job.start("bramble: updates", ["sh", "-c", script])
        outcome, running = job.follow(show, _UPGRADE_MINUTES), False
        if outcome.status == 0:
            return True
        if outcome.status is None:
            raise HostFailure(updates.STOPPED())
        if not apt.is_lock(outcome.lines) or time.monotonic() > end:
            raise HostFailure(updates.FAILED(reason=apt.reason(outcome.lines)))
        shown.show("waiting for another apt process to finish")
        gevent.sleep(_RETRY_S)


def _reason(result: Result) -> str:
    return result.last_line if result.status == -1 else apt.reason(result.lines)


def _run_apt(
    state: State, host: Host, command: StringCommand, locked_s: float = LOCKED_S
) -> Result:
    """Run apt, and again while another one holds a lock (apt's option waits for dpkg's only)."""
    shown = Progress(host)

    def show(line: str) -> None:
        step = apt.progress(line)
        if step is not None:
            shown.show(f"apt: {step[1]} ({step[0]:.0f} %)")

    end = time.monotonic() + locked_s
    again = True
    while True:
        result = remote.of(host).stream(command, on_line=show)
        if result.status != 0 and again and apt.wants_source(result.lines):
            again = False  # a cache that has stopped is not asked again
            continue
        if result.status == 0 or not apt.is_lock(result.lines) or time.monotonic() > end:
            return result
        shown.show("waiting for another apt process to finish")
        gevent.sleep(_RETRY_S)
