"""Which upgrades are refused, what is left to do, and what a node's scripts do."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from pyinfra.api import FunctionCommand
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from facts.clock import ClockState
from facts.packages import PackagesState
from facts.upgrade import ControlPlaneVersions
from formats.kubeadm import config
from formats.kubeadm.output import causes
from formats.kubernetes_version import Release
from messages import kubernetes as kubernetes_messages
from messages import upgrade as messages
from operations import packages as packages_of
from operations import upgrade
from operations.base import HostFailure
from operations.kubeadm import run as kubeadm_run
from operations.nodes.control_planes import ControlPlanes
from operations.packages import VERSIONED
from operations.upgrade import checks, is_done
from operations.upgrade import run as upgrade_run
from operations.upgrade.versions import Versions, tag
from tests.said import saying
from tests.shell import shell

OLD, NEW = Release(1, 35, 6), Release(1, 36, 4)
CLOCK = ClockState(0, "", True, ["chrony"], [], True)
DEPRECATED = 'apiserver_requested_deprecated_apis{group="a",version="v1beta1",resource="b",removed_release="1.36"} 1'  # noqa: E501


def packages(release: Release, free_mb: int = 9000, **others: Release) -> PackagesState:
    installed = {name: f"{others.get(name, release)}-1.1" for name in VERSIONED}
    return PackagesState(free_mb, True, True, installed, list(installed), [], {})


def parts(release: Release, deprecated: list[str] | None = None) -> ControlPlaneVersions:
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    images = {name: f"registry.k8s.io/{name}:v{release}" for name in names}
    images["etcd"] = "registry.k8s.io/etcd:3.6.6-0"
    server = f"v{release}+x"
    return ControlPlaneVersions(False, False, server, f"v{release}", images, deprecated or [])


def versions(release: Release, **kubelets: Release) -> Versions:
    """A cluster of one version, with kubelets of others."""
    return Versions(
        cluster=release,
        parts={"node1": parts(release)},
        addons={"kube-proxy": f"v{release}", "CoreDNS": "v1.13.1"},
        kubelets={"node1": release, "node2": release} | kubelets,
        runtimes={"node1": "1.7.24~ds1", "node2": "1.7.24~ds1"},
        packages={"node1": packages(release), "node2": packages(release)},
    )


def test_one_minor_and_any_patch_forward_are_possible() -> None:
    for target in (OLD, Release(1, 35, 9), NEW):
        checks.check_cluster(versions(OLD), target)


@pytest.mark.parametrize(
    ("observed", "target", "said"),
    [
        (versions(OLD), Release(1, 38, 0), "UPG003 1.35 → 1.36 → 1.37 → 1.38 & 1.36 & the cluster"),
        # The control plane alone has been upgraded: the nodes come first.
        (versions(NEW, node2=OLD), Release(1, 37, 1), "UPG003 1.35.6 & the kubelet of node2"),
        (versions(NEW), OLD, "UPG004 the cluster & 1.36.4 & 1.35.6"),
        (versions(NEW), Release(1, 36, 3), "UPG004 the cluster & 1.36.4 & 1.36.3"),
        (
            replace(versions(OLD), parts={"node1": parts(NEW)}),
            Release(1, 35, 9),
            "UPG004 the API server",
        ),
        (versions(OLD, node2=Release(1, 37, 0)), NEW, "UPG005 node2 & 1.37.0 & 1.36.4"),
        (versions(NEW), Release(1, 37, 0), "CRI001 1.7.24 & 1.37"),
        (
            replace(versions(OLD), parts={"node1": parts(OLD, [DEPRECATED])}),
            NEW,
            "UPG006 b of a/v1beta1",
        ),
    ],
)
def test_what_can_not_succeed_is_refused(observed: Versions, target: Release, said: str) -> None:
    with saying(said, HostFailure):
        checks.check_cluster(observed, target)


def test_an_api_that_has_gone_already_is_not_in_the_way() -> None:
    checks.check_cluster(replace(versions(NEW), parts={"node1": parts(NEW, [DEPRECATED])}), NEW)


@pytest.mark.parametrize(
    ("found", "clock", "said"),
    [
        (packages(OLD, free_mb=899), CLOCK, "UPG008 899 & 900"),
        (packages(OLD), replace(CLOCK, ahead=-7200, synchronized=False), "UPG007"),
        (packages(OLD, kubelet=Release(1, 37, 1)), CLOCK, "KUB050 kubelet & 1.37.1 & 1.36.4"),
    ],
)
def test_a_node_that_can_not_take_it_is_refused(
    found: PackagesState, clock: ClockState, said: str
) -> None:
    checks.check_node(packages(OLD), CLOCK, NEW, checks.NEEDED_MB["worker"])
    with saying(said, HostFailure):
        checks.check_node(found, clock, NEW, checks.NEEDED_MB["worker"])


def test_what_is_left_is_known_from_the_last_part_of_each_step() -> None:
    done = versions(NEW)
    assert all(is_done(done, node, NEW) for node in ("node1", "node2"))
    assert not is_done(versions(OLD), "node1", NEW)
    # Power cuts in apply: before its last add-on, and before kubeadm's own file was corrected.
    for cut in (
        replace(done, addons={**done.addons, "kube-proxy": "v1.35.6"}),
        replace(done, parts={"node1": replace(parts(NEW), configured="v1.35.6")}),
        replace(done, cluster=OLD),
        replace(done, parts={"node1": replace(parts(NEW), unfinished=True)}),
        replace(done, parts={"node1": replace(parts(NEW), running=True)}),
    ):
        assert not is_done(cut, "node1", NEW)
        assert is_done(cut, "node2", NEW)
    # The package is new and the kubelet that runs is not; and the other way round.
    assert not is_done(versions(NEW, node2=OLD), "node2", NEW)
    half = {**done.packages, "node2": packages(NEW, kubectl=OLD)}
    assert not is_done(replace(done, packages=half), "node2", NEW)
    # A worker that is not in this run, and one that has not joined.
    assert is_done(replace(done, packages={}), "node2", NEW)
    assert is_done(done, "node3", NEW)


def test_the_table_has_a_row_of_each_part_and_a_column_of_each_node() -> None:
    rows = {str(row[0]): [str(cell) for cell in row[1:]] for row in versions(OLD).rows(NEW)}
    assert rows[""] == ["node1", "node2"]
    assert rows["kube-apiserver"] == ["1.35.6", ""]
    assert rows["kubelet"] == rows["kube-proxy"] == ["1.35.6", "1.35.6"]
    assert rows["etcd"] == ["3.6.6-0", ""]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("registry.k8s.io/etcd:3.6.6-0", "3.6.6-0"),
        ("mirror:5000/kube-proxy", ""),
        ("mirror:5000/kube-proxy:v1.36.4@sha256:00", "v1.36.4"),
    ],
)
def test_the_tag_of_an_image(image: str, expected: str) -> None:
    assert tag(image) == expected


# --- the operations ------------------------------------------------------------------------------

TARGET = {"control_planes": ["node1"], "version": "1.36", "url": "https://example.org/"}
IGNORED: dict[str, Any] = {"ignore_preflight_errors": ["Mem"]}
PLANES: dict[str, Any] = {"addresses": {"node1": "a"}, "shared": "a"}
APPLIED: dict[str, Any] = {**IGNORED, **PLANES, "timeouts": {"upgradeManifests": "20m0s"}}


def commands(
    name: str,
    observed: Versions,
    node: str = "node1",
    offered: str | HostFailure = f"{NEW}-1.1",
    failed: Sequence[str] = (),
    fact: Any = CLOCK,
    **arguments: Any,
) -> list[Any]:
    """What an operation yields on a node: each function with its arguments, or a command."""
    state = FakeState()
    state.failed_hosts = [SimpleNamespace(name=one) for one in failed]
    fake = create_host(state, name=node)
    fake.log = lambda line: None
    changes: list[str] = []

    def offer(version: str, url: str) -> str:
        if isinstance(offered, HostFailure):
            raise offered
        return offered

    with (
        ctx_state.use(state),
        ctx_host.use(fake),
        patch.object(packages_of, "offered", offer),
        patch.object(upgrade, "observe", lambda control_planes, target: observed),
        patch.object(upgrade, "read", lambda wanted: fact),
        patch.object(upgrade, "plan", lambda message: None),
        patch.object(upgrade, "plan_change", lambda message: changes.append(message)),
    ):
        inner: Any = inspect.unwrap(getattr(upgrade, name)._inner)
        found = list(inner(**({} if name == "followed" else TARGET | arguments)))
    assert bool(found) == bool(changes)
    return [
        (each.function.__name__, *each.args)
        if isinstance(each, FunctionCommand)
        else each.get_raw_value()
        for each in found
    ]


def test_each_step_does_what_is_left() -> None:
    old = versions(OLD)
    backup: dict[str, Any] = {
        "cluster": "c",
        "control_planes": {"node1": "a"},
        "storage": {"folder": "f"},
    }
    assert commands("backed_up", old, **backup) == [("take", "c", "a", {"folder": "f"})]
    images = {"image_repository": "r"}
    listed = ["--kubernetes-version", "v1.36.4", "--image-repository", "r"]
    assert commands("images", old, **images) == [("pull_images", listed, False)]
    assert commands("images", old, "node2", **images) == [("pull_images", listed, True)]
    spare, first, (name, *arguments, text), wait = commands("applied", old, **APPLIED)
    assert (spare[0], wait[0]) == ("spare", "wait_until_serving")
    assert first == ("show_plan", "v1.36.4", ["Mem"])
    assert (name, arguments) == ("run_apply", ["v1.36.4", ["Mem"]])
    assert yaml.safe_load(text) == {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "UpgradeConfiguration",
        "timeouts": config.UPGRADE_TIMEOUTS | {"upgradeManifests": "20m0s"},
    }
    assert commands("node_configured", old, "node2", **IGNORED) == [("run_node", ["Mem"])]
    assert commands("restarted", old, "node2", seconds=9, **PLANES) == [
        "systemctl daemon-reload && systemctl restart kubelet.service",
        ("wait_for_kubelet", ControlPlanes({"node1": "a"}, "a"), "v1.36.4", 9),
    ]


def test_the_others_follow_the_first_and_the_last_has_the_add_ons() -> None:
    """kubeadm leaves kube-proxy as it is until no control plane is at the older version."""
    done, lagging = versions(NEW), {"kube-proxy": "v1.35.6", "CoreDNS": "v1.13.1"}
    two = replace(done, parts={"node1": parts(NEW), "node2": parts(OLD)}, addons=lagging)
    assert [is_done(two, node, NEW) for node in ("node1", "node2")] == [True, False]
    assert commands("applied", two, **APPLIED) == []
    further = commands("applied", two, "node2", **APPLIED)
    assert [each[0] for each in further] == ["spare", "run_further", "wait_until_serving"]
    both = {"node1": parts(NEW), "node2": parts(NEW)}
    assert not is_done(replace(two, parts=both), "node2", NEW)
    assert is_done(replace(done, parts=both), "node2", NEW)
    assert not is_done(replace(done, parts=both, cluster=OLD), "node1", NEW)
    rows = {str(row[0]): [str(cell) for cell in row[1:]] for row in two.rows(NEW)}
    assert rows["kube-apiserver"] == ["1.36.4", "1.35.6"]


def test_a_further_one_that_was_cut_off_after_its_static_pods_is_not_done() -> None:
    """What kubeadm does then shows nowhere: the kubelet's configuration, an add-on."""
    cut = {"node1": parts(NEW), "node2": replace(parts(NEW), unfinished=True, configured="")}
    observed = replace(versions(NEW), parts=cut)
    assert [is_done(observed, node, NEW) for node in ("node1", "node2")] == [True, False]
    further = commands("applied", observed, "node2", **APPLIED)
    assert [each[0] for each in further] == ["spare", "run_further", "wait_until_serving"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, []),
        ({"unfinished": True}, []),
        ({"running": True}, [("follow_upgrade",)]),
        ({"running": True, "lost": True}, [("follow_upgrade",)]),  # kubeadm is replacing it
        ({"unfinished": True, "lost": True}, [("put_back", ["etcd"])]),
        ({"lost": True}, []),  # somebody has moved it away
    ],
)
def test_what_an_interrupted_run_has_left_comes_first(
    state: dict[str, Any], expected: list[Any]
) -> None:
    images = parts(NEW).images | ({"etcd": ""} if state.pop("lost", False) else {})
    observed = replace(parts(NEW), images=images, **state)
    assert commands("followed", versions(NEW), fact=observed) == expected


def test_no_step_is_left_when_all_is_done() -> None:
    done = versions(NEW)
    assert commands("possible", done) == commands("possible", done, "node2") == []
    backup: dict[str, Any] = {
        "cluster": "c",
        "control_planes": {"node1": "a"},
        "storage": {"folder": "f"},
    }
    assert commands("backed_up", done, **backup) == commands("applied", done, **APPLIED) == []
    for node in ("node1", "node2"):
        assert commands("images", done, node, image_repository="r") == []
        assert commands("node_configured", done, node, **IGNORED) == []
        assert commands("restarted", done, node, seconds=9, **PLANES) == []
    assert commands("compared", done) == []


def test_the_control_plane_waits_for_all_nodes() -> None:
    with saying("ROL003 node2", HostFailure):
        commands("applied", versions(OLD), failed=["node2"], **APPLIED)


def test_a_minor_that_can_not_be_gone_to_need_not_be_offered() -> None:
    away = HostFailure(messages.NOT_LISTED(url="u", reason="404"))
    arguments: dict[str, Any] = {"offered": away}
    with patch.dict(TARGET, version="1.39"), saying("UPG003", HostFailure):
        commands("possible", versions(NEW), **arguments)
    with patch.dict(TARGET, version="1.34"), saying("UPG004", HostFailure):
        commands("possible", versions(OLD), **arguments)
    with saying("UPG002", HostFailure):
        commands("possible", versions(OLD), **arguments)


def test_what_is_not_upgraded_in_the_end_is_named() -> None:
    with saying("UPG012 node2", HostFailure):
        commands("compared", versions(NEW, node2=OLD))


# --- the scripts ---------------------------------------------------------------------------------


LISTED = "\n".join(
    f"echo registry.k8s.io/{name}:v1"
    for name in ("kube-apiserver", "kube-proxy", "coredns/coredns", "pause", "etcd")
)


def test_a_worker_pulls_what_its_pods_need(tmp_path: Path) -> None:
    have = "echo registry.k8s.io/pause:v1"
    missing = kubeadm_run._MISSING
    plane = shell(missing, "", "--config", "f", tools=tmp_path, kubeadm=LISTED, ctr=have)
    assert plane.stdout.split() == [
        f"registry.k8s.io/{name}:v1"
        for name in ("kube-apiserver", "kube-proxy", "coredns/coredns", "etcd")
    ]
    of_worker = kubeadm_run._ON_WORKERS
    worker = shell(missing, of_worker, tools=tmp_path, kubeadm=LISTED, ctr=have)
    assert worker.stdout.split() == [
        "registry.k8s.io/kube-proxy:v1",
        "registry.k8s.io/coredns/coredns:v1",
    ]


@pytest.mark.parametrize("tool", ["kubeadm", "ctr"])
def test_images_that_could_not_be_listed_are_not_taken_for_none(tmp_path: Path, tool: str) -> None:
    programs = {"kubeadm": LISTED, "ctr": "echo a"} | {tool: "exit 1"}
    assert shell(kubeadm_run._MISSING, "", tools=tmp_path, **programs).returncode != 0


def test_a_node_without_images_lacks_all(tmp_path: Path) -> None:
    done = shell(kubeadm_run._MISSING, "", tools=tmp_path, kubeadm=LISTED, ctr=":")
    assert len(done.stdout.split()) == 5


def test_a_pull_that_fails_names_the_reason_and_ends(tmp_path: Path) -> None:
    ctr = 'case "$*" in *bad*) echo "ctr: dial tcp: no such host" >&2; exit 1;; esac'
    images = ("good:1", "mirror:5000/bad:1", "never:1")
    done = shell(kubeadm_run._PULL, *images, tools=tmp_path, ctr=ctr)
    assert (done.returncode, done.stdout.split("\n")[0]) == (1, "Pulled good:1")
    said = kubernetes_messages.IMAGE_NOT_PULLED(
        image="mirror:5000/bad:1", others="", reason="no such host"
    )
    assert causes(done.stdout.splitlines()) == [said]
    assert "never" not in done.stdout


UPGRADED = """case "$*" in *fails*) exit 1;; esac
test -e "$KUBERNETES/kubeadm-upgrade"; echo "kubeadm $*"
"""


def test_an_upgrade_is_unfinished_until_kubeadm_has_succeeded(tmp_path: Path) -> None:
    """Then its file has the new version; a control plane that has joined has no such file."""
    script = upgrade_run._UPGRADE.replace("/etc/kubernetes", str(tmp_path))
    config_file, unfinished = tmp_path / "kubeadm-config.yaml", tmp_path / "kubeadm-upgrade"
    tools = tmp_path / "tools"
    tools.mkdir()

    def run(*words: str) -> int:
        arguments = ("text", "v1.36.4", *words)
        programs = {"kubeadm": UPGRADED.replace("$KUBERNETES", str(tmp_path)), "systemctl": ":"}
        return shell(script, *arguments, tools=tools, **programs).returncode

    assert run("node", "fails") != 0
    assert unfinished.exists()
    assert run("node", "-y") == 0
    assert not unfinished.exists()
    assert not config_file.exists()
    config_file.write_text("a: b\nkubernetesVersion: v1.35.6\nc: d\n")
    assert run("apply", "fails") != 0
    assert "v1.35.6" in config_file.read_text()
    assert run("apply", "v1.36.4", "-y") == 0
    assert config_file.read_text() == "a: b\nkubernetesVersion: v1.36.4\nc: d\n"


def test_a_manifest_that_is_lost_is_put_back_as_it_was_last(tmp_path: Path) -> None:
    script = upgrade_run._PUT_BACK.replace("/etc/kubernetes", str(tmp_path))
    manifests, kept = tmp_path / "manifests", tmp_path / "tmp/kubeadm-backup-manifests-2026-11-"
    manifests.mkdir()
    (manifests / "etcd.yaml").write_text("")
    (manifests / "kube-apiserver.yaml").write_text("as it is")
    for day, text in (("23-07", "oldest"), ("24-07", "last"), ("25-07", "")):
        folder = Path(f"{kept}{day}")
        folder.mkdir(parents=True)
        for name in ("etcd", "kube-apiserver"):
            (folder / f"{name}.yaml").write_text(text)
    names = ("kube-apiserver", "etcd")
    assert shell(script, *names, tools=tmp_path / "tools").returncode == 0
    found = {each.name: each.read_text() for each in manifests.iterdir()}
    assert found == {"etcd.yaml": "last", "kube-apiserver.yaml": "as it is"}
    done = shell(script, "etcd", "kube-scheduler", tools=tmp_path / "tools")
    assert done.returncode != 0
    assert "no kube-scheduler.yaml" in done.stderr
