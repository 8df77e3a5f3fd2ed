"""Packages on a node of a cluster: which are upgraded, to what, and that they stay held."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import requests
from pyinfra.api import FunctionCommand
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from facts.packages import NAMES, PackagesState
from operations import packages
from operations.base import HostFailure
from tests.said import saying

URL = "https://pkgs.k8s.io/core:/stable:/v1.36/deb/"
INDEX = "".join(
    f"Package: kubeadm\nVersion: {version}-{build}\n\n"
    for version, build in (("1.36.3", "1.1"), ("1.36.10", "2.1"), ("1.36.4", "1.1"))
)
CHOSEN = "1.36.4-1.1"
OLD = {name: "1.35.6-1.1" for name in packages.VERSIONED} | {"kubernetes-cni": "1.9.1-1.1"}


def upgraded(
    *names: str,
    installed: dict[str, str],
    held: list[str] = NAMES,
    broken: list[str] | None = None,
    joined: bool = True,
) -> list[Any]:
    """The commands; a function by its arguments."""
    now = PackagesState(9000, joined, True, installed, held, broken or [], {})
    state = FakeState()
    operation: Any = packages.upgraded
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    changes: list[str] = []
    with (
        ctx_state.use(state),
        ctx_host.use(create_host(state)),
        patch.object(packages, "read", lambda fact, version: now),
        patch.object(packages, "offered", lambda version, url: CHOSEN),
        patch.object(packages, "declare", lambda *resources: None),
        patch.object(packages, "plan_change", lambda message, *resources: changes.append(message)),
    ):
        commands = list(inner(names=names, version="1.36", url=URL))
    assert bool(changes) == bool(commands)
    return [
        each.args if isinstance(each, FunctionCommand) else each.get_raw_value()
        for each in commands
    ]


def test_kubeadm_alone_comes_first() -> None:
    _, install, hold = upgraded("kubeadm", installed=OLD)
    assert install == ([f"kubeadm={CHOSEN}"], True)
    assert hold == "apt-mark hold kubeadm"


def test_the_kubelet_brings_the_network_plugins_that_it_needs() -> None:
    _, install, hold = upgraded("kubelet", "kubectl", installed=OLD)
    assert install == ([f"kubelet={CHOSEN}", f"kubectl={CHOSEN}", "kubernetes-cni"], True)
    assert hold == "apt-mark hold kubelet kubectl kubernetes-cni"


def test_what_is_there_and_held_is_left_alone() -> None:
    new = OLD | {"kubelet": "1.36.4-2.1", "kubectl": CHOSEN}  # another build of that release
    assert upgraded("kubelet", "kubectl", installed=new) == []


def test_a_power_cut_leaves_packages_unheld_or_half_installed() -> None:
    new = OLD | {"kubelet": CHOSEN, "kubectl": CHOSEN}
    unheld = upgraded("kubelet", "kubectl", installed=new, held=["kubeadm"])
    assert unheld == ["apt-mark hold kubelet kubectl kubernetes-cni"]
    assert len(upgraded("kubelet", "kubectl", installed=new, broken=["kubelet"])) == 3


def test_a_node_outside_of_a_cluster_is_left_to_the_other_deploys() -> None:
    assert upgraded("kubeadm", installed=OLD, joined=False) == []


@pytest.mark.parametrize(
    ("version", "expected"), [("1.36", "1.36.10-2.1"), ("1.36.3", "1.36.3-1.1")]
)
def test_the_newest_patch_or_the_named_one_is_offered(version: str, expected: str) -> None:
    with patch.object(packages, "_fetch", lambda url: INDEX):
        assert packages.offered(version, URL) == expected


def test_what_is_not_offered_is_refused_beforehand() -> None:
    with (
        patch.object(packages, "_fetch", lambda url: INDEX),
        saying("KUB053 1.36.9 & 1.36.10", HostFailure),
    ):
        packages.offered("1.36.9", URL)

    def away(url: str) -> str:
        raise requests.ConnectionError("no route to host")

    with patch.object(packages, "_fetch", away), saying("UPG002", HostFailure):
        packages.offered("1.36", URL)
