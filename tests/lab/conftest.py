"""Labs for the tests, kept for the whole session, each with its own settings."""

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

# Each clone of the repository and each process of pytest-xdist has names of its own for labs, which
# run beside each other. With the same name again, what a crash left is removed.
CLONE = "t" + hashlib.sha256(bytes(REPOSITORY)).hexdigest()[:5]
NAME = os.environ.get("LAB_NAME", CLONE) + os.environ.get("PYTEST_XDIST_WORKER", "")[2:]

# Seconds: many times what a test takes with the lab that it may have to make first.
PATIENCE = 3600


# The files that take longest run first, so that parallel processes end together.
LONGEST = (
    *("control_plane_join_cuts", "control_plane_upgrade_cuts", "control_plane_many_runs"),
    *("control_plane_removal_cuts", "control_plane_rollouts", "shared_downloads"),
    *("kubernetes", "control_plane_changes", "restore", "upgrade", "control_planes", "removals"),
    *("reboot", "patch", "drift", "remove", "certificates", "backup", "reset", "two_runs"),
    *("kubernetes_faults", "guard", "verify", "nat", "lab_itself", "router", "worker_gateway"),
    *("preflight", "interfaces", "real_kubernetes", "containerd", "failures", "first_boot"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    for item in items:
        own = item.get_closest_marker("timeout")
        item.add_marker(pytest.mark.timeout(max(PATIENCE, own.args[0] if own else 0)))


def make_project(folder: Path, inventory: str | None = None, **changes: object) -> Path:
    """
    Make a directory to run deploys in: inventory.py, group_data/, and links to the code.

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
    """Keep other sessions from using the same names for labs."""
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
    Makes labs: `new_lab("router", topology="router")`. The session takes them down.

    The first argument names the lab among the session's; `in_use` is the lab's, the others are
    `make_project`'s.
    """
    made: dict[str, Lab] = {}

    def make(
        suffix: str, inventory: str | None = None, in_use: bool = False, **changes: object
    ) -> Lab:
        assert suffix not in made, f"there is a lab called {suffix} in this session already"
        project = make_project(tmp_path_factory.mktemp(f"project-{suffix}"), inventory, **changes)
        lab = Lab(project, check_name(f"{NAME}-{suffix}"), print, in_use)
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
    + lab.run([...]): as the operator, in the directory of the inventory
    + lab.console(node, [...]): as root, without the network
    + lab.reboot, power_off, power_on, cut, mend, fresh: power, cables and disks

    A test restores the nodes, or calls `fresh` for those that it has changed.
    """
    shared = new_lab("main")
    shared.up()
    return shared


__all__ = ["Lab", "LabError", "make_project"]
