"""`make demo`, and `make verify` on its cluster: it finds each fault that is injected."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import settings
from lab.api import Lab
from messages import codes
from tests.lab.cluster_faults import BATCHES, FIRST, PODS, REBOOT, SECOND, Fault, injected
from tests.lab.runs import ok
from tests.lab.verifying import CHECKS, VERIFY, Verified, verify
from tests.project import REPOSITORY


@dataclass(frozen=True)
class Demo:
    """The lab that `make demo` has made, and its output."""

    lab: Lab
    status: int
    output: str


@pytest.fixture(scope="module")
def demo(new_lab: Callable[..., Lab]) -> Iterator[Demo]:
    lab = new_lab("demo")
    done = subprocess.run(
        [sys.executable, "-m", "lab", "demo"],
        cwd=lab.project,
        env=os.environ | {"LAB_NAME": lab.name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield Demo(lab, done.returncode, done.stdout)
    lab.down()


@pytest.fixture(scope="module")
def cluster(demo: Demo) -> Lab:
    assert demo.status == 0, demo.output[-3000:]
    return demo.lab


def test_the_demo_ends_with_the_list_of_nodes(demo: Demo) -> None:
    assert demo.status == 0, demo.output[-3000:]
    shown = demo.output.partition("over TLS")[2]
    for node in ("node1", "node2", "node3"):
        assert re.search(rf"(?m)^{node} +Ready ", shown), shown


def test_a_new_cluster_passes_and_so_it_does_after_a_reboot(cluster: Lab, tmp_path: Path) -> None:
    """One node is kept from rebooting: nothing else fails, in either round."""
    before = [each.status.boots for each in cluster.status()]
    with injected(cluster, REBOOT):
        found = verify(
            cluster, tmp_path / "report.xml", "--reboot", changed={"password_login": False}
        )
    assert_found(found, REBOOT)
    boots = [each.status.boots for each in cluster.status()]
    assert [now - then for now, then in zip(boots, before, strict=True)] == [1, 1, 0]
    assert found.output.startswith(f"Target: lab {cluster.name} (virtual nodes node1, node2, ")
    now = {name for name in found.passed if name.endswith("now]")}
    again = {name.replace("now]", "rebooted]") for name in now}
    assert len(now) > 70
    assert found.passed - now == again | {
        "test_it_comes_back[node1-rebooted]",
        "test_it_comes_back[node2-rebooted]",
    }
    assert {name.partition("[")[0] for name in found.skipped} == {
        "test_dns_in_pods",
        "test_services_across_nodes",
        "test_scheduled_backups",
        "test_shared_downloads",
    }
    assert "Skipped (--no-pods): " in found.output


@pytest.mark.parametrize("batch", [FIRST, SECOND], ids=["first", "second"])
def test_each_fault_is_found_and_nothing_else(
    cluster: Lab, tmp_path: Path, batch: tuple[Fault, ...]
) -> None:
    with injected(cluster, batch):
        changed = {name: value for each in batch for name, value in each.settings.items()}
        found = verify(cluster, tmp_path / "report.xml", changed=changed)
    assert_found(found, batch)


def assert_found(found: Verified, batch: tuple[Fault, ...]) -> None:
    assert set(found.failed) == {name for each in batch for name in each.fails}, found.output
    assert found.status == 1
    shown = " ".join(found.output.split())
    for fault in batch:
        said = [found.failed[name] for name in fault.fails]
        assert any(codes(text) == [fault.code] and fault.values in text for text in said), said
        assert all(" ".join(text.split()) in shown for text in said), shown


def test_pods_are_checked_where_containers_run_and_removed(cluster: Lab, tmp_path: Path) -> None:
    """A kubectl on the control plane answers for the pods, which the stand-in does not run."""
    with injected(cluster, PODS):
        image = settings.load(cluster.project).pause_image
        only_pods = ("-k", "test_pods", f"--pod-image={image}")
        found = verify(cluster, tmp_path / "report.xml", *only_pods, pytest_options="")
        namespaces = ok(cluster.ssh("node1", "/usr/bin/kubectl get namespaces -o name"))
    assert_found(found, PODS)
    assert found.skipped == set()
    assert "verify" not in namespaces


def test_every_check_has_its_fault(cluster: Lab) -> None:
    listed = ok(cluster.run([*VERIFY, "--collect-only", "-q", "--reboot"]))
    checks = set(re.findall(r"::(test_\w+)", listed))
    assert len(checks) > 30
    faulty = {name for batch in BATCHES for each in batch for name in each.fails}
    assert checks - {name.partition("[")[0] for name in faulty} == set()


def test_the_checks_import_settings_and_formats_but_no_operations() -> None:
    ours = "|".join(path.name for path in REPOSITORY.iterdir() if (path / "__init__.py").exists())
    for file in CHECKS.glob("*.py"):
        imported = set(re.findall(rf"(?m)^(?:from|import) ({ours})\b", file.read_text()))
        assert imported <= {"settings", "formats", "messages"}, file.name
