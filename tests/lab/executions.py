"""Count the remote executions on nodes, by what their sshd logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lab.api import Lab
from tests.lab.runs import Run, ok

MOST = 3  # on each node, in a run that changes nothing

_VERBOSE = "/etc/ssh/sshd_config.d/90-test-verbose.conf"
_COUNT = "journalctl --sync; journalctl -o cat | grep -c 'Starting session: command' || :"


@contextmanager
def counted(lab: Lab, *nodes: str) -> Iterator[Callable[[], dict[str, int]]]:
    """Have sshd log each command; the function returns how many there were since its last call."""
    with_commands = f"echo LogLevel VERBOSE > {_VERBOSE}; systemctl reload ssh"
    _everywhere(lab, nodes, with_commands)
    seen = _everywhere(lab, nodes, _COUNT)

    def since() -> dict[str, int]:
        nonlocal seen
        before, seen = seen, _everywhere(lab, nodes, _COUNT)
        return {name: int(seen[name]) - int(before[name]) for name in nodes}

    try:
        yield since
    finally:
        _everywhere(lab, nodes, f"rm {_VERBOSE}; systemctl reload ssh")


def spare(lab: Lab, nodes: Sequence[str], work: Callable[[], Run]) -> None:
    """Have a run change nothing on these nodes, with few executions."""
    with counted(lab, *nodes) as since:
        run = work()
        assert run.status == 0, run.output
        assert all(run.left_alone(node) for node in nodes), run.output
        executions = since()
        assert all(1 <= count <= MOST for count in executions.values()), executions


def _everywhere(lab: Lab, nodes: Sequence[str], script: str) -> dict[str, str]:
    return {name: ok(lab.console(name, ["sh", "-c", script])) for name in nodes}
