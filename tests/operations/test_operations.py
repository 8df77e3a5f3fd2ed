"""
Every operation against given facts: ``cases/MODULE.OPERATION/WHAT_HOLDS.yaml``, one a case.

The command that writes a file reads ``sh -c WRITE write PATH MODE USER:GROUP`` in the cases, its
content stands under ``_stdin``; likewise ``sh -c BRING_UP up INTERFACE …``, ``sh -c RELOAD …``.

The decision itself is tested: the bare generator, without what ``operations.base.operation`` adds,
so that a failure is seen as ``exception: {name: HostFailure, message: {code: KUB003, VALUE: …}}``,
each value as a text, a message among them as its code.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
from pyinfra import host, state
from pyinfra_testing.operations import make_operation_tests
from pyinfra_testing.util import FakeState

import runs
from messages import Said
from operations import files, iptables, sshd
from operations.base import HostFailure
from operations.interfaces import ifup

SCRIPTS = [
    *((files, "WRITE"), (sshd, "RELOAD"), (iptables, "TIDY")),
    *((ifup, "BRING_UP"), (ifup, "GIVE_WAY")),
]


class Named(NamedTuple):
    """Of a host, what operations ask of the others in a run."""

    name: str


def _says_what_it_changes(generator: Callable[..., Iterator[object]]) -> Callable[..., object]:
    """No operation changes anything that it has not said before its first command."""

    @wraps(generator)
    def watched(*args: object, **kwargs: object) -> Iterator[object]:
        setattr(state, runs._ATTRIBUTE, runs.Run())
        work = runs.of(state).record.begin(host.name, "")
        try:
            for command in generator(*args, **kwargs):
                assert work.changes, "it changes something, and says nothing of it"
                yield command
        except HostFailure as error:
            if isinstance(said := error.args[0], Said):
                texts = {name: _text(value) for name, value in said.values.items()}
                raise HostFailure({"code": said.message.code, **texts}) from error
            raise

    return watched


def _text(value: object) -> str:
    """A value, or the code of a message, or of an error raised with one."""
    if isinstance(value, Exception) and value.args:
        value = value.args[0]
    return value.message.code if isinstance(value, Said) else str(value)


WATCHED: dict[object, Callable[..., object]] = {}
for folder in sorted((Path(__file__).parent / "cases").iterdir()):
    module, function = folder.name.split(".")
    operation = getattr(import_module(f"operations.{module}"), function)
    inner = getattr(operation, "_inner", operation)  # of ``files.ensure``, which others use
    for case in folder.glob("*.yaml"):  # with both, a failure that is missing would pass
        keys = re.findall(r"(?m)^(?:commands|exception):", case.read_text())
        assert len(keys) == 1, f"{case}: commands or exception"
    WATCHED[operation] = _says_what_it_changes(inspect.unwrap(inner))
    globals()[f"Test_{module}_{function}"] = make_operation_tests("operations", folder.name, folder)


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch each operation, in a run of three nodes; scripts have their names as texts."""
    for operation, generator in WATCHED.items():
        monkeypatch.setattr(operation, "_inner", generator, raising=False)
    for module, script in SCRIPTS:
        monkeypatch.setattr(module, f"_{script}", script)
    nodes = {Named("node1"), Named("node2"), Named("node3")}
    monkeypatch.setattr(FakeState, "failed_hosts", frozenset(), raising=False)
    monkeypatch.setattr(FakeState, "activated_hosts", nodes, raising=False)
