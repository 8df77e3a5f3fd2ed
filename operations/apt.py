"""
apt for the first minutes of a node's life: another apt at work, cut off half-way, no lists yet.

pyinfra's own apt operations fail at once while unattended-upgrades or cloud-init hold apt's locks,
and on a node that lost its power in the middle of an installation.
"""

from __future__ import annotations

import time

import gevent
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from formats import apt
from operations.base import Commands
from operations.following import Progress, Result, failed, run

PATIENCE_S = 300  # how long another apt may take before a person is asked to look
_RETRY_S = 3

# What a person changed in a configuration file stays, nobody is asked, nothing is restarted but
# what the package itself restarts.
_APT = (
    "env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C apt-get -q -y "
    "--no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "
    # Not on 1 itself: dpkg would close it, and a package whose script prints a line then fails.
    "-o Dpkg::Use-Pty=0 -o APT::Status-Fd=3 3>&1"
)
# Without the mode apt says success when it could not fetch.
_UPDATE = "update -o APT::Update::Error-Mode=any"
# What was cut off half-way is finished first; what it was is not ours to know, so all of it.
_MEND = (
    '[ -z "$(dpkg --audit 2>&1)" ] || { LC_ALL=C dpkg --force-confdef --force-confold '
    f"--configure -a </dev/null; {_APT} -f install; }}"
)


def install(packages: list[str], change_held: bool = False) -> Commands:
    """
    Install packages with what they need and nothing they only recommend; for use in operations.

    + packages: names, or ``name=version``
    + change_held: whether packages that are held may be changed
    """
    yield FunctionCommand(_install, (packages, change_held), {})


def update(source: str) -> Commands:
    """
    Fetch the package lists of one source alone; for use in operations.

    + source: its file, such as "/etc/apt/sources.list.d/kubernetes.sources"
    """
    yield FunctionCommand(_update_source, (source,), {})


def _install(state: State, host: Host, packages: list[str], change_held: bool) -> bool:
    mended = _patient(state, host, StringCommand("sh", "-c", QuoteString(_MEND)))
    if mended.status == -1:
        return failed(host, mended.last_line)
    command = StringCommand(
        _APT,
        *(["--allow-change-held-packages"] if change_held else []),
        "install",
        *[QuoteString(package) for package in packages],
    )
    result = _patient(state, host, command)
    if result.status != 0 and apt.wants_update(result.lines):
        result = _patient(state, host, StringCommand(_APT, _UPDATE))
        result = result if result.status != 0 else _patient(state, host, command)
    return _ended(host, f"could not install {' '.join(packages)}", result)


def _update_source(state: State, host: Host, source: str) -> bool:
    command = StringCommand(
        _APT,
        _UPDATE,
        "-o",
        QuoteString(f"Dir::Etc::SourceList={source}"),
        "-o Dir::Etc::SourceParts=- -o APT::Get::List-Cleanup=0",
    )
    return _ended(host, f"could not fetch the lists of {source}", _patient(state, host, command))


def _ended(host: Host, failure: str, result: Result) -> bool:
    if result.status == 0:
        return True
    why = result.last_line if result.status == -1 else apt.reason(result.lines)
    return failed(host, f"{failure}: {why}")


def _patient(state: State, host: Host, command: StringCommand) -> Result:
    """Run it, again while another apt holds a lock (apt's own option waits for dpkg's alone)."""
    shown = Progress(host)

    def show(line: str) -> None:
        step = apt.progress(line)
        if step is not None:
            shown.show(f"apt: {step[1]} ({step[0]:.0f} %)")

    end = time.monotonic() + PATIENCE_S
    while True:
        result = run(state, host, command, on_line=show)
        if result.status == 0 or not apt.is_lock(result.lines) or time.monotonic() > end:
            return result
        shown.show("waiting for another apt to finish")
        gevent.sleep(_RETRY_S)
