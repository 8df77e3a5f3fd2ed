"""What a person is told of a node's updates, which are refused, and when lists are fetched."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeHost, FakeState, create_host

import runs
from facts.reboot import Reboot
from facts.updates import Updates, UpdatesState
from formats.apt import Installation
from operations import updates
from operations.base import HostFailure
from operations.packages import apt
from operations.rollout.work import Rollout
from tests.said import says

NONE = UpdatesState(
    age=60,
    running=False,
    free={"/var/cache/apt/archives": (5000, "/"), "/": (5000, "/"), "/boot": (90, "/boot")},
    broken=[],
    journal=False,
    kept={},
    installs={},
    removes=[],
    problems=[],
    download=0,
    unneeded=[],
)
SOME = {
    "openssl": Installation("3.5.1-1", "3.5.1-1+deb13u1", security=True),
    "bash": Installation("5.2.37-2", "5.2.37-3", security=False),
}

UPGRADE = (apt._run_job, (apt._FULL_UPGRADE, False))
COMPLETION = (apt._run_job, (apt._REPAIR, False))


class Node:
    """A node with these updates, and what operations say and do there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *read: UpdatesState) -> None:
        self.left, self.boot = list(read), list[str]()
        self.lines: list[str] = []
        self.state = FakeState()
        self.state.failed_hosts = frozenset()
        self.state.is_executing = True
        self.state.should_check_for_changes = lambda: False
        monkeypatch.setattr(updates, "read", self.read)
        monkeypatch.setattr(updates, "plan", self.lines.append)
        for name in ("log", "log_styled"):
            monkeypatch.setattr(
                FakeHost, name, lambda *args, **_: self.lines.append(args[1]), raising=False
            )

    def read(self, fact: type) -> Any:
        if fact is Reboot:
            return SimpleNamespace(reasons=self.boot)
        assert fact is Updates
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def run(self, operation: Any, **arguments: Any) -> list[Any]:
        """The functions that it yields, with their arguments."""
        inner = getattr(operation._inner, "__wrapped__", operation._inner)
        host = create_host(self.state, facts={})
        host.name = "node2"
        with ctx_state.use(self.state), ctx_host.use(host):
            return [(each.function, each.args) for each in inner(**arguments)]

    def listed(self) -> list[Any]:
        return self.run(updates.listed, kubernetes_version="1.36")

    def installed(self) -> list[Any]:
        return self.run(updates.installed, kubernetes_version="1.36")

    @property
    def work(self) -> list[str]:
        return runs.of(self.state).part(Rollout).work.get("node2", [])


def test_nothing_to_do_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, NONE)
    assert node.listed() == []
    assert node.work == []
    assert node.run(updates.fetched) == []
    assert node.installed() == []


def test_updates_are_counted_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = {"linux-image-6.12.57+deb13-arm64": Installation("", "6.12.57-1", security=False)}
    free = NONE.free | {"/boot": (400, "/boot")}
    kept, old = {"kubelet": "1.36.5-1.1"}, ["linux-image-6.12.43+deb13-arm64"]
    found = replace(NONE, installs=SOME | kernel, download=61_234_567, free=free)
    node = Node(monkeypatch, replace(found, kept=kept, unneeded=old, removes=["old-library"]))
    assert node.listed() == []
    assert node.lines == [
        "install 4 updates (1 of security); 61.3 MB to download",
        "security updates: openssl",
        "other updates: bash",
        "newly installed: linux-image-6.12.57+deb13-arm64",
        "removed: old-library",
        "held at their version: kubelet (1.36.5-1.1 is there)",
        "no longer needed, `sudo apt-get autoremove --purge` removes them: "
        "linux-image-6.12.43+deb13-arm64",
        "reboot: yes (linux-image-6.12.57+deb13-arm64)",
    ]
    assert node.work == ["install 4 updates (1 of security)"]
    assert node.run(updates.fetched) == [(apt._download_upgrade, ())]
    assert node.installed() == [UPGRADE]


def test_many_names_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"package-{number}": SOME["bash"] for number in range(20)}
    node = Node(monkeypatch, replace(NONE, installs=many))
    node.listed()
    assert node.lines[1].endswith("package-11 and 8 more")


def test_a_reboot_alone_is_work(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, NONE)
    node.boot = ["a reboot is required"]
    assert node.listed() == []
    assert node.work == ["a reboot is required"]
    assert node.installed() == []
    assert node.lines[-1] == "reboot: yes (a reboot is required)"


@pytest.mark.parametrize("age", [None, 3600, 200_000, -5])
def test_old_lists_are_fetched_and_then_looked_at(
    monkeypatch: pytest.MonkeyPatch, age: int | None
) -> None:
    node = Node(monkeypatch, replace(NONE, age=age), replace(NONE, installs=SOME))
    assert node.listed() == [(apt._update_all, ())]
    assert node.work == ["install 2 updates (1 of security)"]
    assert "other updates: bash" in node.lines
    # What old lists have is no reason to fail before they are fetched.
    node = Node(monkeypatch, replace(NONE, age=age, problems=["corrupted"]), NONE)
    assert node.listed() == [(apt._update_all, ())]
    # A dry run goes no further than the first command, and says how old they are.
    node = Node(monkeypatch, replace(NONE, age=age, installs=SOME))
    node.state.is_executing = False
    node.listed()
    assert any("by the present package lists" in line for line in node.lines)


def test_what_was_interrupted_is_completed_whatever_apt_says_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unmet = ["Unmet dependencies. Try 'apt --fix-broken install'"]
    broken = replace(NONE, broken=["openssl"], problems=unmet)
    node = Node(monkeypatch, broken, replace(NONE, installs=SOME))
    assert node.listed() == []
    assert node.work == ["complete an unfinished installation of openssl"]
    assert node.run(updates.fetched) == []
    assert node.installed() == [COMPLETION, UPGRADE]
    # What it has left is checked, before anything more is installed.
    node = Node(monkeypatch, broken, replace(NONE, installs=SOME, removes=["containerd"]))
    node.listed()
    with pytest.raises(HostFailure) as reason:
        node.installed()
    assert says(reason.value, "UPD002 containerd")
    node = Node(monkeypatch, replace(NONE, journal=True, installs=SOME))
    node.listed()
    assert node.work == [
        "complete an unfinished installation, then install 2 updates (1 of security)"
    ]


def test_one_that_runs_is_followed_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, replace(NONE, running=True, age=None, download=5))
    assert node.listed() == []
    assert node.run(updates.fetched) == []
    assert node.installed() == [(apt._run_job, (apt._REPAIR, True))]


def new(**versions: tuple[str, str]) -> dict[str, Installation]:
    return {
        name.replace("_", "-"): Installation(*both, security=False)
        for name, both in versions.items()
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problems": ["Unmet dependencies."]}, "UPD001 Unmet"),
        ({"installs": SOME, "removes": ["old", "containerd"]}, "UPD002 containerd"),
        ({"installs": new(kubelet=("1.36.3", "1.36.4"))}, "UPD003 kubelet"),
        (
            {"installs": new(base_files=("13.8+deb13u1", "14"))},
            "UPD004 13.8+deb13u1 & 14",
        ),
        ({"installs": SOME, "download": 2_000_000_000}, "UPD005 5000 & / & 6200"),
        ({"installs": new(raspi_firmware=("1", "2"))}, "UPD005 90 & /boot & 100"),
    ],
)
def test_what_would_break_a_node_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    node = Node(monkeypatch, replace(NONE, **changes))
    with pytest.raises(HostFailure) as reason:
        node.listed()
    assert says(reason.value, said)
    assert node.work == []


def test_a_containerd_that_is_too_old_for_kubernetes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Node(monkeypatch, replace(NONE, installs=new(containerd=("1.7.24", "1.7.25"))))
    with pytest.raises(HostFailure) as reason:
        node.run(updates.listed, kubernetes_version="1.37")
    assert says(reason.value, "CRI001 1.7.25")
    assert node.listed() == []  # good for 1.36
