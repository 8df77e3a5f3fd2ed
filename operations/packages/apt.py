"""
Install packages on a node that has just booted: apt is locked, was interrupted, or has no lists.

pyinfra's own apt operations fail at once while unattended-upgrades or cloud-init hold apt's locks,
and after a power cut during an installation.
"""

from __future__ import annotations

import time

import gevent
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from formats import apt
from messages import nodes
from operations.base import Commands
from remote import Result
from runs.output import Progress, failed

LOCKED_S = 300  # how long to wait for another apt
_RETRY_S = 3

# Keeps changed configuration files, asks no questions, restarts only what the package restarts.
_APT = (
    "env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C apt-get -q -y "
    "--no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "
    # Not 1 itself: dpkg closes that descriptor, and then a maintainer script that prints fails.
    "-o Dpkg::Use-Pty=0 -o APT::Status-Fd=3 3>&1"
)
# Without that mode, apt-get exits with 0 if it cannot fetch.
_UPDATE = "update -o APT::Update::Error-Mode=any"
# Completes whatever an interrupted dpkg has left.
_REPAIR = (
    '[ -z "$(dpkg --audit 2>&1)" ] || { LC_ALL=C dpkg --force-confdef --force-confold '
    f"--configure -a </dev/null; {_APT} -f install; }}"
)


def install(packages: list[str], change_held: bool = False) -> Commands:
    """
    Install packages without recommended ones; for use in other operations.

    + packages: names, or ``name=version``
    + change_held: whether held packages may be changed
    """
    yield FunctionCommand(_install, (packages, change_held), {})


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


def _purge(state: State, host: Host, packages: list[str]) -> bool:
    _run_apt(state, host, StringCommand("sh", "-c", QuoteString(_REPAIR)))
    names = [QuoteString(package) for package in packages]
    result = _run_apt(
        state, host, StringCommand(_APT, "--allow-change-held-packages", "purge", *names)
    )
    if result.status == 0:
        return True
    return failed(host, nodes.PURGE_FAILED(packages=" ".join(packages), reason=_reason(result)))


def _install(state: State, host: Host, packages: list[str], change_held: bool) -> bool:
    repaired = _run_apt(state, host, StringCommand("sh", "-c", QuoteString(_REPAIR)))
    if repaired.status == -1:
        return failed(host, repaired.last_line)
    command = StringCommand(
        _APT,
        *(["--allow-change-held-packages"] if change_held else []),
        "install",
        *[QuoteString(package) for package in packages],
    )
    result = _run_apt(state, host, command)
    if result.status != 0 and apt.wants_update(result.lines):
        result = _run_apt(state, host, StringCommand(_APT, _UPDATE))
        result = result if result.status != 0 else _run_apt(state, host, command)
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


def _reason(result: Result) -> str:
    return result.last_line if result.status == -1 else apt.reason(result.lines)


def _run_apt(state: State, host: Host, command: StringCommand) -> Result:
    """Run apt, and again while another one holds a lock (apt's option waits for dpkg's only)."""
    shown = Progress(host)

    def show(line: str) -> None:
        step = apt.progress(line)
        if step is not None:
            shown.show(f"apt: {step[1]} ({step[0]:.0f} %)")

    end = time.monotonic() + LOCKED_S
    while True:
        result = remote.of(host).stream(command, on_line=show)
        if result.status == 0 or not apt.is_lock(result.lines) or time.monotonic() > end:
            return result
        shown.show("waiting for another apt process to finish")
        gevent.sleep(_RETRY_S)
