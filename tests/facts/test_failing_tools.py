"""A tool that fails on a node is not read as one that found nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import FactProcessError

from facts.base import WholeFact
from facts.block_devices import BlockDevices
from facts.firewall import Firewall
from facts.images import Images, ImagesState
from facts.interfaces import InterfacesFiles
from facts.kubeadm import ControlPlane, Member
from facts.kubectl import ClusterObjects, Objects
from facts.listeners import Listeners
from facts.networks import Networks
from facts.packages import Packages
from facts.reach import Reach
from operations.kubeadm import join_token
from operations.kubeadm import run as kubeadm_run

FAILS = "echo 'it does not work' >&2; exit 2"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a tool before those of this machine."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def tool(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return tool


def shell(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)


def read(fact: WholeFact[Any], *arguments: Any) -> Any:
    command: Any = fact.command(*arguments)
    return fact.process(shell("sh", "-c", command.get_raw_value()).stdout.split("\n"))


@pytest.mark.parametrize(
    ("fact", "arguments", "tool", "named"),
    [
        (BlockDevices, [], "lsblk", "lsblk failed"),
        (InterfacesFiles, [], "ip", "line"),  # there may be a secret in its lines
        (Listeners, [], "ss", "ss failed"),
        (Networks, [], "ip", "ip failed"),
        (Packages, ["1.36"], "dpkg-query", "dpkg-query failed"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_the_fact_is_not_read(
    tools: Callable[[str, str], None],
    fact: type[WholeFact[Any]],
    arguments: list[str],
    tool: str,
    named: str,
) -> None:
    tools(tool, FAILS)
    if tool == "dpkg-query":
        tools("dpkg", "echo amd64")
    with pytest.raises(FactProcessError, match=named):
        read(fact(), *arguments)


def test_of_an_nft_that_fails_the_reason_is_known(tools: Callable[[str, str], None]) -> None:
    """Preflight goes on with the rules of iptables, and says so."""
    tools("nft", FAILS)
    state = read(Firewall())
    assert (state.nft, state.ruleset) == ("it does not work", "")


def test_a_containerd_whose_images_cannot_be_listed_is_not_one_without_images(
    tools: Callable[[str, str], None],
) -> None:
    tools("ctr", f'[ "$1" != version ] || exit 0; {FAILS}')
    tools("dpkg", "echo arm64")
    assert read(Images()) == ImagesState("arm64", "stopped", [])


def test_a_kubectl_that_fails_is_not_a_cluster_without_objects(
    tools: Callable[[str, str], None],
) -> None:
    tools("kubectl", FAILS)
    assert read(Objects(), ["nodes"]) == ClusterObjects(False, [], "it does not work")


def test_objects_without_a_namespace_cost_no_kubectl_of_their_own(
    tools: Callable[[str, str], None],
) -> None:
    tools("kubectl", """shift 3; printf '{"kind": "Pod", "asked": "%s"}' "$*\"""")
    names = ["nodes", "/namespace/x", "a/configmap/y", "b/daemonset/z", "/clusterrole/q"]
    options = "--ignore-not-found -o json"
    asked = [one["asked"] for one in read(Objects(), names).objects]
    assert asked == [
        f"nodes {options}",
        f"-n a configmap/y namespace/x clusterrole/q {options}",
        f"-n b daemonset/z {options}",
    ]
    assert [one["asked"] for one in read(Objects(), ["/node/x"]).objects] == [f"node/x {options}"]


@pytest.mark.parametrize("kubeadm", [FAILS, ":"], ids=["fails", "names none"])
def test_images_that_kubeadm_does_not_name_are_not_all_there(
    tools: Callable[[str, str], None], kubeadm: str
) -> None:
    tools("ctr", "echo registry.k8s.io/pause:3.10")
    tools("kubeadm", kubeadm)
    done = shell("sh", "-c", kubeadm_run._MISSING, "sh", "")
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.strip() in ("it does not work", "it lists no images")


def test_what_lacks_of_kubeadms_images_is_named(tools: Callable[[str, str], None]) -> None:
    tools("ctr", "echo registry.k8s.io/pause:3.10")
    tools("kubeadm", "echo registry.k8s.io/pause:3.10; echo registry.k8s.io/etcd:3.6")
    done = shell("sh", "-c", kubeadm_run._MISSING, "sh", "")
    assert done.stdout == "registry.k8s.io/etcd:3.6\n"


def test_nodes_that_cannot_be_asked_for_are_not_none(tools: Callable[[str, str], None]) -> None:
    tools("base64", "cat")
    tools("kubectl", FAILS)
    done = shell("sh", "-c", join_token._MAKE.replace("base64 -w0 /etc", "echo /etc"))
    assert done.returncode != 0
    assert done.stderr.strip() == "it does not work"


@pytest.mark.parametrize("fact", [ControlPlane, Member])
@pytest.mark.parametrize(
    "dpkg", [FAILS, "echo 'config-files v1.35.1-1.1'", "echo 'installed v1.36.4-1.1'"]
)
def test_kubeadm_is_asked_for_its_version_where_dpkg_has_none(
    fact: type[WholeFact[Any]], dpkg: str, tools: Callable[[str, str], None]
) -> None:
    tools("dpkg-query", dpkg)
    tools("kubeadm", FAILS if "installed v" in dpkg else "echo v1.36.4")
    assert read(fact()).version == "v1.36.4"


URL = "http://nowhere.invalid/InRelease"


@pytest.mark.parametrize(
    ("helper", "why"),
    [
        (":", ""),
        (f"echo 'E: Failed to fetch {URL}  404  Not Found'; exit 100", ""),
        (f"echo 'E: Failed to fetch {URL}  Could not connect'; exit 100", "Could not connect"),
        (f"echo 'E: Failed to fetch {URL}\nE: Download Failed\n'; exit 100", "E: Download Failed"),
        ("echo 'E: Unable to read x.conf' >&2; exit 100", "E: Unable to read x.conf"),
        ("exit 127", "apt-helper failed"),
    ],
)
def test_what_cannot_be_fetched_is_not_reached(
    tools: Callable[[str, str], None], tmp_path: Path, helper: str, why: str
) -> None:
    tools("apt-helper", helper)
    tools("apt-get", ":")
    command: Any = Reach().command([], [URL], [URL])
    script = command.get_raw_value().replace("/usr/lib/apt/", "").replace("/run/", f"{tmp_path}/")
    found = Reach().process(shell("sh", "-c", script).stdout.split("\n"))
    assert (found["archive"], found["registry"]) == ({URL: why}, {URL: why})
