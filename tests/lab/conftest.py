"""Labs for the tests: real ones, kept for the whole session, one for each desk asked for."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import host
from lab.api import Lab
from lab.errors import LabError
from lab.plan import check_name
from tests import needs
from tests.project import REPOSITORY, link_code

# Every clone of the repository has names of its own for its labs, so that its tests can run beside
# those of another clone; the same name again finds the left-overs. Tests that run side by side
# (pytest-xdist) have labs of their own.
CLONE = "t" + hashlib.sha256(bytes(REPOSITORY)).hexdigest()[:5]
NAME = os.environ.get("LAB_NAME", CLONE) + os.environ.get("PYTEST_XDIST_WORKER", "")[2:]

# Seconds, for a test with the lab that it may have to make before: many times what one takes.
PATIENCE = 3600


# The files that take longest, first: those that run side by side then end together.
LONGEST = (
    *("kubernetes", "drift", "verify", "guard", "kubernetes_faults", "waits", "nat", "router"),
    *("odd_nodes", "two_runs", "real_kubernetes", "preflight", "containerd", "failures"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    for item in items:
        item.add_marker(pytest.mark.timeout(PATIENCE))


def make_desk(folder: Path, inventory: str | None = None, **changes: object) -> Path:
    """
    A desk to work on: the project's inventory and group_data/, its code linked, no .cluster/ yet.

    + inventory: the text before `settings.prepare`; None: the project's own
    + changes: settings of group_data/all.py with other values, `topology="router"`
    """
    link_code(folder)
    text = (REPOSITORY / "inventory.py").read_text()
    if inventory is not None:
        text = inventory + "\nimport settings as _settings\n\n_settings.prepare(__file__)\n"
    (folder / "inventory.py").write_text(text)
    (folder / "group_data").mkdir()
    for file in (REPOSITORY / "group_data").glob("*.py"):
        text = file.read_text()
        if file.name == "all.py":
            for setting, value in changes.items():
                line = f"{setting} = {value!r}"
                text, found = re.subn(rf"(?m)^{setting}\b[^=]*=.*$", line, text)
                assert found == 1, f"{setting} is not a setting of one line in group_data/all.py"
        (folder / "group_data" / file.name).write_text(text)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    """No other session has labs of these names: it would take them down as left-overs."""
    folder = host.home() / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{NAME}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.exit(f"Tests with labs called {NAME}-… run already: wait, or set LAB_NAME", 1)
        yield


@pytest.fixture(scope="session")
def new_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """
    Makes labs, not up yet, for the session to take down: `new_lab("router", topology="router")`.

    The first argument names the lab among the session's; the others are `make_desk`'s.
    """
    made: dict[str, Lab] = {}

    def make(suffix: str, inventory: str | None = None, **changes: object) -> Lab:
        assert suffix not in made, f"there is a lab called {suffix} in this session already"
        desk = make_desk(tmp_path_factory.mktemp(f"desk-{suffix}"), inventory, **changes)
        lab = Lab(desk, check_name(f"{NAME}-{suffix}"), say=print)
        lab.down()  # what an earlier session left
        made[suffix] = lab
        return lab

    needs.here()
    with _alone():
        try:
            yield make
        finally:
            for lab in made.values():
                lab.down()


@pytest.fixture(scope="session")
def lab(new_lab: Callable[..., Lab]) -> Lab:
    """
    The lab that most tests share: the repository's own inventory.

    + lab.ssh(node, command): over the network, as the admin user
    + lab.run([...]): where the operator is, in the desk
    + lab.console(node, [...]): as root, without the network, to look at things
    + lab.reboot, power_off, power_on, cut, mend, fresh: the levers

    A test leaves the nodes as it found them, or calls `fresh` for those it has changed.
    """
    shared = new_lab("main")
    shared.up()
    return shared


__all__ = ["Lab", "LabError", "make_desk"]
