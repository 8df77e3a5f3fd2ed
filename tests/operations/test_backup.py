"""What a node does to make a backup: its script, run by this computer's sh on folders of a test."""

from __future__ import annotations

import base64
import inspect
import subprocess
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import click
import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

import runs
from facts.backup import ControlPlaneState
from formats import backup
from formats.kubernetes_version import Release
from operations import backup as operations
from operations.backup import archive, key
from remote.failures import HostFailure
from tests.fake_node import Host
from tests.formats.test_backup import CONTENTS, packed
from tests.said import saying
from tests.shell import shell
from workstation import backups

# etcd's container, the second of two.
CTR = r"""case " $* " in
*" tasks ls "*) echo "TASK PID STATUS"; echo "old 1 STOPPED"; echo "now 2 RUNNING";;
*" containers ls "*) echo old; echo now;;
*" exec "*" old "*) exit 1;;
*"snapshot save"*) for f; do :; done; echo data > "$f";;
*"snapshot status"*) echo '{"hash":1,"revision":892,"totalKey":506,"version":"3.6.0"}';;
*" /registry/ --prefix --count-only --consistency=s --rev 892 "*)
echo '"More" : false'; echo '"Count" : 301';;
*"snapshot restore"*) for f; do :; done; mkdir -p "$f/member";;
*) exit 9;; esac"""
CONTAINERD = "echo containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+b4"
MADE_AGAIN = (
    "admin.conf", "super-admin.conf", "kubelet.conf", "scheduler.conf", "controller-manager.conf",
    "pki/apiserver.crt", "pki/apiserver-etcd-client.key", "pki/front-proxy-client.crt",
    "pki/etcd/server.key", "pki/etcd/peer.crt", "pki/etcd/healthcheck-client.key",
    "tmp/kubeadm-backup/x", "manifests/.kubelet-keep",
)  # fmt: skip
OWN = ("audit/policy.yaml", "encryption.yaml", "pki/oidc-ca.crt", "manifests/mine.yaml", 'a "b"')
IMAGES = {"kube-apiserver": "kube-apiserver:v1.36.3", "etcd": "etcd:3.6.8-0"}
PARTS = ("kube-scheduler", "kube-controller-manager")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a control plane's file system."""
    files = tmp_path / "etc/kubernetes"
    for name in (*backup.KEYS, *MADE_AGAIN, *OWN, *(f"manifests/{each}.yaml" for each in PARTS)):
        path = files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}\n")
    for name, image in IMAGES.items():
        text = f"  containers:\n  - command:\n    image: registry.k8s.io/{image}\n"
        (files / f"manifests/{name}.yaml").write_text(text)
    (files / "kubeadm-config.yaml").write_text("controlPlaneEndpoint: kubernetes-api:6443\n")
    body = base64.encodebytes(b"certificate").decode()
    certificate = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    (files / "pki/ca.crt").write_text(certificate)
    (tmp_path / "var/lib/etcd").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    return tmp_path


def make(root: Path, ctr: str = CTR, keep: int = 7) -> subprocess.CompletedProcess[str]:
    script = archive.SCRIPT
    for path in ("/var/lib/", "/etc/kubernetes"):
        script = script.replace(f"={path}", f"={root}{path}")
    words = (str(keep), "me@home", "me_home", "node1", "192.168.2.11")
    return shell(script, *words, tools=root / "tools", ctr=ctr, containerd=CONTAINERD)


def folder(root: Path) -> Path:
    return root / "var/lib/bramble/backups"


def test_an_archive_is_what_its_format_says(root: Path) -> None:
    done = make(root)
    assert done.returncode == 0, done.stderr
    made = Path(done.stdout.splitlines()[-1])
    with made.open("rb") as file:
        found = backup.verify(file)
    assert made.name == found.name
    assert (found.cluster, found.node, found.address) == ("me@home", "node1", "192.168.2.11")
    assert found.ca == sha256(b"certificate").hexdigest()
    assert (found.endpoint, found.etcd) == ("kubernetes-api:6443", "registry.k8s.io/etcd:3.6.8-0")
    assert (found.kubernetes, found.containerd) == (Release(1, 36, 3), "1.7.24~ds1")
    assert (found.objects, found.revision, found.proved) == (301, 892, True)
    members = {backup.SNAPSHOT, *(f"{backup.FILES}{name}" for name in (*backup.KEYS, *OWN))}
    assert {*found.members} == members
    with made.open("rb") as file:
        beside = backup.parse(Path(f"{made}.json").read_text())
        assert beside == backup.beside(found, backup.digest(file))
    assert {path.stat().st_mode & 0o77 for path in (folder(root), *folder(root).iterdir())} == {0}
    assert list((root / "var/lib/etcd").iterdir()) == []


def test_the_newest_are_kept_and_what_was_cut_off_goes(root: Path) -> None:
    folder(root).mkdir(parents=True)
    for day in range(1, 8):
        (folder(root) / f"me_home-2026010{day}T000000Z.tar").touch()
        (folder(root) / f"me_home-2026010{day}T000000Z.tar.json").touch()
    (folder(root) / "me_home-20260109T000000Z.tar.json").touch()
    (folder(root) / ".new.cut-off").mkdir()
    (root / "var/lib/etcd/bramble-snapshot").mkdir()
    future = folder(root) / "me_home-20990101T000000Z.tar"  # the clock was ahead then
    future.touch()
    Path(f"{future}.json").touch()
    made = make(root, keep=3).stdout.splitlines()[-1]
    kept = ["me_home-20260107T000000Z.tar", future.name, Path(made).name]
    assert sorted(path.name for path in folder(root).iterdir()) == sorted(
        name for each in kept for name in (each, f"{each}.json")
    )


@pytest.mark.parametrize(
    "ctr",
    [
        CTR.replace("echo data >", "exit 1; echo >"),
        CTR.replace('mkdir -p "$f/member"', "exit 1"),
        CTR.replace('mkdir -p "$f/member"', ":"),
        CTR.replace('"revision":892', '"revision":893'),
        CTR.replace("now 2 RUNNING", "now 2 STOPPED"),
        "exit 1",
    ],
    ids=["not saved", "not restored", "restored to nothing", "not counted", "no etcd", "no ctr"],
)
def test_a_snapshot_that_is_none_leaves_what_there_was(root: Path, ctr: str) -> None:
    earlier = Path(make(root).stdout.splitlines()[-1])
    before = sorted(folder(root).iterdir())
    done = make(root, ctr, keep=1)
    assert done.returncode != 0
    assert sorted(folder(root).iterdir()) == before
    assert earlier in before
    assert list((root / "var/lib/etcd").iterdir()) == []


@pytest.mark.parametrize("name", backup.KEYS)
def test_without_a_key_there_is_no_backup(root: Path, name: str) -> None:
    (root / "etc/kubernetes" / name).unlink()
    done = make(root)
    assert done.returncode != 0
    assert f"/etc/kubernetes/{name}" in done.stderr
    assert list(folder(root).iterdir()) == []


refused = partial(saying, error=HostFailure)


def state() -> Any:
    return SimpleNamespace()


def test_the_passphrase_is_of_the_environment_or_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with refused("BAK005"):
        key.passphrase(state(), str(file), confirm=True)
    file.write_text(" of the file \n")
    file.chmod(0o644)
    with refused("BAK006"):
        key.passphrase(state(), str(file), confirm=True)
    file.chmod(0o600)
    assert key.passphrase(state(), str(file), confirm=True) == " of the file "
    monkeypatch.setenv(key.VARIABLE, "of the environment")
    assert key.passphrase(state(), str(file), confirm=True) == "of the environment"
    file.write_bytes(b"\xff\n")
    monkeypatch.delenv(key.VARIABLE)
    with refused("BAK007"):
        key.passphrase(state(), str(file), confirm=True)


def test_a_person_is_asked_once_in_a_run_and_types_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["one", "two", "", "", "same", "same", "never"]
    shown = []

    def prompt(text: str, **options: Any) -> str:
        shown.append((text, options["hide_input"]))
        return typed.pop(0)

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "prompt", prompt)
    run = state()
    for _ in range(2):
        with refused("BAK008"):
            key.passphrase(run, str(tmp_path / "none"), confirm=True)
    for _ in range(2):
        assert key.passphrase(run, str(tmp_path / "none"), confirm=True) == "same"
    assert typed == ["never"]
    assert {hidden for _, hidden in shown} == {True}


def test_off_encrypts_nothing_and_asks_for_nothing() -> None:
    assert key.encryption(state(), "off", "/nowhere") is None


def test_an_identity_that_is_missing_is_named(tmp_path: Path) -> None:
    from formats import age
    from tests.formats.test_age import identity

    text, public = identity()
    path = tmp_path / "x.tar.age"
    encrypt = key.encryption(state(), public, str(tmp_path / "key"))
    assert encrypt is not None
    path.write_bytes(encrypt(b"archive"))
    with refused("BAK007"):
        key.archive(state(), path, str(tmp_path / "key"))
    (tmp_path / "key").write_text(text)
    (tmp_path / "key").chmod(0o600)
    assert key.archive(state(), path, str(tmp_path / "key")) == b"archive"
    assert not age.needs_passphrase(path.read_bytes())


# --- the operations ------------------------------------------------------------------------------

HERE = {"folder": "/f"}
PLANES = {"node1": "a", "node2": "b"}
BACKUP: dict[str, Any] = {"cluster": "c", "control_planes": PLANES, "storage": HERE}
TAKEN = ("c", "a", HERE)


def yielded(name: str, exists: bool = True, maker: str = "node1", **arguments: Any) -> list[Any]:
    """What an operation yields on a node: each function with its arguments."""
    state = FakeState()
    with (
        ctx_state.use(state),
        ctx_host.use(create_host(state, name="node1")),
        patch.object(operations, "_maker", lambda planes: maker),
        patch.object(operations, "read", lambda fact: ControlPlaneState(exists)),
        patch.object(operations, "plan", lambda message: None),
        patch.object(operations, "plan_change", lambda *message: None),
        patch.object(operations, "declare", lambda *resources: None),
    ):
        inner: Any = inspect.unwrap(getattr(operations, name)._inner)
        return [(each.function.__name__, *each.args) for each in inner(**arguments, **BACKUP)]


def test_without_a_cluster_there_is_nothing_to_back_up() -> None:
    assert yielded("taken") == [("take", *TAKEN)]
    assert yielded("taken", maker="node2") == yielded("taken", exists=False, maker="node2") == []
    with refused("BAK015"):
        yielded("taken", exists=False)


@pytest.mark.parametrize(
    ("terminal", "exists", "answer", "confirmed", "expected"),
    [
        (True, True, None, False, True),
        (True, True, "yes", False, False),
        (False, True, "yes", True, False),
        (True, True, "no", False, None),
        (True, True, None, True, None),
        (False, True, None, False, None),
        (True, False, "yes", False, None),
    ],
)
def test_the_last_backup_is_asked_for_or_told(
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    exists: bool,
    answer: str | None,
    confirmed: bool,
    expected: bool | None,
) -> None:
    """``expected``: whether a person is asked; None: no backup is made."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal, raising=False)
    found = yielded("offered", exists, answer=answer, confirmed=confirmed)
    assert found == ([] if expected is None else [("_offer", expected, *TAKEN)])
    assert yielded("offered", exists, maker="node2", answer=answer, confirmed=confirmed) == []


@pytest.mark.parametrize("said", [True, False])
def test_a_person_may_do_without_it_and_a_failure_stops_the_run(
    monkeypatch: pytest.MonkeyPatch, said: bool
) -> None:
    host: Any = Host()
    monkeypatch.setattr(click, "confirm", lambda *words, **named: said)
    with patch.object(archive, "take", side_effect=HostFailure("etcd does not run")):
        if said:
            with refused("BAK014 etcd does not run"):
                operations._offer(host.state, host, True, *TAKEN)
        else:
            assert operations._offer(host.state, host, True, *TAKEN)
    assert bool(runs.of(host.state).stopped) == said


STORAGE: dict[str, Any] = {"newest": 2, "weekly": 0, "encryption": "off", "key_file": "/none"}


def test_what_has_not_arrived_whole_is_not_stored(tmp_path: Path) -> None:
    host: Any = Host()
    into = archive.Storage(folder=str(tmp_path / "backups"), **STORAGE)
    whole = packed(CONTENTS)
    pieces = [whole[:5000], whole[5000:]]
    host.node.download = lambda path: iter(pieces)
    archive.store(host, "/on/the/node", into, None)
    assert str(tmp_path / "backups") in host.said[-1]
    (kept,) = backups.listed(tmp_path / "backups")
    for broken in (pieces[:1], [whole.replace(b"snapshot", b"Snapshot")], []):
        host.node.download = lambda path, broken=broken: iter(broken)
        with refused("BAK011"):
            archive.store(host, "/on/the/node", into, None)
    assert backups.listed(tmp_path / "backups") == [kept]


def test_a_disk_that_is_full_is_named(tmp_path: Path) -> None:
    host: Any = Host()
    host.node.download = lambda path: iter([packed(CONTENTS)])
    (tmp_path / "file").touch()
    into = archive.Storage(folder=str(tmp_path / "file/backups"), **STORAGE)
    with refused("BAK011"):
        archive.store(host, "/on/the/node", into, None)
