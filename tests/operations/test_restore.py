"""What a restore does on a node by what it finds there, and what it is refused for."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

import runs
from facts.backup import NodeBackup
from facts.kubeadm import RESTORED_FROM, ControlPlaneState, MemberState
from facts.restoration import LEFT, Restoration, RestorationState
from formats import age, backup
from formats.backup import Manifest
from formats.kubeadm.config import Init, Registration
from formats.kubernetes_version import Release
from formats.unreadable import Unreadable
from messages import codes
from operations import restore
from operations.base import HostFailure
from operations.restore import checks, run, source, work
from operations.restore.work import Observed
from tests.fake_node import Host
from tests.formats.test_backup import CONTENTS, manifest, packed
from tests.shell import shell

OWN, OTHER = manifest(), manifest(ca="cd" * 32)
CA = "/etc/kubernetes/pki/ca.crt"
ALL = (CA, "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/manifests/etcd.yaml")
COPY = "/var/lib/bramble/restore/manifest.json"
BROKEN = ("/var/lib/etcd/member/wal/0.wal.broken",)


@pytest.fixture(autouse=True)
def authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a certificate stands what its fingerprint shall be."""

    def fingerprint(pem: str) -> str:
        if not pem or pem == "damaged":
            raise Unreadable("not a certificate")
        return pem

    for module in (checks, work):
        monkeypatch.setattr(module, "fingerprint", fingerprint)


def observed(
    state: Any = "finished",
    step: Any = "",
    of: Manifest | None = None,
    unwell: str = "",
    broken: tuple[str, ...] = (),
    has_data: bool = True,
    members: Mapping[str, MemberState] | None = None,
    **plane: Any,
) -> Observed:
    """A control plane; ``of``: the backup that an interrupted restore has put there."""
    of = of or (OWN if step else None)
    text = backup.render(of) if of else ""
    known = {"files": () if state == "absent" else ALL, "ca": "" if state == "absent" else OWN.ca}
    return Observed(
        ControlPlaneState(state, **{**known, **plane}),
        RestorationState(0, text, step, has_data, broken),
        unwell,
        members or {},
        {},
        {},
    )


@pytest.mark.parametrize(
    ("found", "way", "leftovers"),
    [
        (observed("absent", has_data=False), "initialize", False),
        # Damaged data, or none at all: the API server does not answer, or has lost its objects.
        (observed("not answering"), "replace data", True),
        (observed("half-finished", missing=("Deployment/coredns",)), "replace data", True),
        (observed("finished"), "replace data", True),
        (observed("not answering", ca="damaged"), "initialize", True),
        # Somebody has made a new cluster on the blank node.
        (observed("finished", ca=OTHER.ca), "initialize", True),
        (observed("half-finished", missing=(ALL[2],)), "initialize", True),
        # Interrupted: with the keys there, after the data, in kubeadm init, after it.
        (observed("half-finished", files=(COPY,), missing=ALL, of=OWN), "initialize", False),
        (observed("half-finished", files=(CA, COPY), missing=ALL[1:], of=OWN), "initialize", False),
        (
            observed(
                "half-finished",
                "restored",
                files=(CA, "/var/lib/etcd/member", "/etc/kubernetes/pki/ca.key"),
                missing=ALL[1:],
            ),
            "initialize",
            False,
        ),
        (observed("half-finished", "begun", missing=(ALL[2],)), "initialize", True),
        (observed("finished", "begun"), "initialize", True),
        (observed("finished", "initialized"), "start", True),
        # Interrupted after the data was replaced; and the same with another backup.
        (observed("not answering", "restored"), "start", True),
        (observed("not answering", "restored", of=OTHER), "replace data", True),
        (observed("not answering", "restored", has_data=False), "replace data", True),
    ],
)
def test_the_way_follows_from_the_node(found: Observed, way: str, leftovers: bool) -> None:
    assert found.way(OWN) == way
    assert found.has_leftovers(OWN) == leftovers


def test_a_person_is_not_asked_twice_about_an_interrupted_restore() -> None:
    assert not observed("absent").is_asked_already(OWN)
    assert not observed("absent", of=OWN).is_asked_already(OWN)
    for step in ("restored", "begun", "initialized"):
        assert observed("half-finished", step).is_asked_already(OWN)
        assert not observed("half-finished", step).is_asked_already(OTHER)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"kubernetes": Release(1, 35, 9)}, None),
        ({"kubernetes": Release(1, 37, 0)}, "RES002"),
        ({"cluster": "other"}, "RES001"),
        ({"node": "node2"}, "RES001"),
        ({"address": "192.168.2.12"}, "RES001"),
        ({"node": "node3", "address": "192.168.2.13"}, None),
        ({"node": "node3"}, "RES001"),
    ],
)
def test_what_is_another_cluster_s_or_newer_is_refused(
    changes: dict[str, Any], code: str | None
) -> None:
    with pytest.raises(HostFailure, match=code) if code else nullcontext():
        planes = {"node1": "192.168.2.11", "node3": "192.168.2.13"}
        checks.check_backup(manifest(**changes), "bramble", planes, "1.36")


def joined(authority: str) -> MemberState:
    return MemberState("joined", ca=authority)


@pytest.mark.parametrize(
    ("found", "local", "refused"),
    [
        # Without a witness the names decide.
        (observed("absent"), "", False),
        (observed("absent"), OWN.ca, False),
        (observed("absent"), OTHER.ca, True),
        (observed("not answering"), OTHER.ca, False),
        (observed("not answering", ca=OTHER.ca), OWN.ca, True),
        (observed("not answering", ca="damaged"), "", False),
        (observed("not answering", ca="damaged"), OTHER.ca, True),
        (observed("absent", members={"node2": joined("damaged")}), OWN.ca, None),
        # The workers know best: the control plane may have been made anew by mistake.
        (observed("absent", members={"node2": joined(OTHER.ca)}), OWN.ca, True),
        (observed("finished", ca=OTHER.ca, members={"node2": joined(OWN.ca)}), "", False),
        (observed("absent", members={"node2": MemberState("absent")}), OWN.ca, False),
    ],
)
def test_the_authority_decides(found: Observed, local: str, refused: bool | None) -> None:
    """``refused``: None: since a worker's is damaged."""
    code = {True: "RES001", None: "KUB"}.get(refused)
    expected = pytest.raises(HostFailure, match=code) if code else nullcontext()
    with expected:
        checks.check_authority(OWN, found, local)


def test_a_control_plane_that_is_well_is_left_alone_unless_that_is_said() -> None:
    with pytest.raises(HostFailure, match="RES003"):
        checks.check_control_plane(observed(), OWN, "node1", False)
    checks.check_control_plane(observed(), OWN, "node1", True)
    for each in (
        observed("not answering"),
        observed(unwell="etcd"),
        observed(broken=BROKEN),
        observed("finished", "initialized"),
    ):
        checks.check_control_plane(each, OWN, "node1", False)
    with pytest.raises(HostFailure):
        checks.check_control_plane(observed("worker"), OWN, "node1", True)


def test_another_control_plane_that_is_well_is_enough() -> None:
    blank = replace(observed("absent"), well=("node2", "node3"))
    with pytest.raises(HostFailure, match="RES003") as refused:
        checks.check_control_plane(blank, OWN, "node1", False)
    assert refused.value.args[0].values["node"] == "node2, node3"
    checks.check_control_plane(blank, OWN, "node1", True)
    # Those that have joined the restored cluster already.
    going_on = replace(observed("finished", "initialized"), well=("node2",))
    checks.check_control_plane(going_on, OWN, "node1", False)


def test_no_two_clusters_come_of_one() -> None:
    found = replace(observed("absent"), interrupted_on=("node2",))
    # The one that was being restored is off: only what has left for it knows of it.
    away = replace(observed("absent"), left_for=("node1", "node2"))
    for each in (found, away):
        with pytest.raises(HostFailure, match="RES019") as refused:
            checks.check_others(each, "node1", [], named=False)
        assert "--data node=node2" in str(refused.value)
        checks.check_others(each, "node1", [], named=True)
        own = replace(each, restoration=observed(of=OWN).restoration)
        checks.check_others(own, "node1", [], named=False)
    checks.check_others(away, "node2", [], named=True)
    with pytest.raises(HostFailure, match="RES020") as refused:
        checks.check_others(observed("absent"), "node1", ["node3"], named=True)
    assert refused.value.args[0].values["nodes"] == "node3"


def operate(operation: Any, failed: Sequence[str] = (), **arguments: Any) -> list[Any]:
    """What an operation does, in a run in which these have failed; the others answer."""
    state: Any = FakeState()
    state.failed_hosts = {Host(name) for name in failed}
    with ctx_state.use(state), ctx_host.use(create_host(state, facts={})):
        of_run = runs.of(state).part(restore._Restore)
        of_run.backup = source.Backup(OWN)
        of_run.others = [*state.failed_hosts, Host("node3")]  # type: ignore[list-item]
        inner = getattr(operation._inner, "__wrapped__", operation._inner)
        return [command.args for command in inner(**arguments)]


@pytest.mark.parametrize(
    ("answering", "left_for", "said"),
    [
        ((), (), ["RES021"]),
        (("node3",), (), []),
        (("node3",), ("node2",), ["RES021"]),
        (("node2",), ("node2",), []),
    ],
)
def test_what_would_go_on_beside_the_restored_cluster_stays_away(
    monkeypatch: pytest.MonkeyPatch,
    answering: Sequence[str],
    left_for: Sequence[str],
    said: list[str],
) -> None:
    """Two of three members, which come back, elect a leader; one that was restored does alone."""
    shown = list[Any]()
    found = replace(observed("absent"), left_for=left_for)
    monkeypatch.setattr(restore, "observe", lambda *_: found)
    monkeypatch.setattr(restore, "_answering", lambda addresses: [])
    monkeypatch.setattr(restore, "present", lambda names: [Host(name) for name in answering])
    monkeypatch.setattr(restore.kubeconfig, "authority", lambda *_: "")  # type: ignore[attr-defined]
    monkeypatch.setattr(restore, "warned", lambda host, said: shown.append(said))
    planes = {f"node{n}": f"192.168.2.1{n}" for n in (1, 2, 3)}
    about = dict.fromkeys(("folder", "key_file", "kubeconfig_path"), "")
    operate(
        restore.possible,
        cluster="bramble",
        node="node1",
        control_planes=planes,
        named=True,
        kubernetes_version="1.36",
        workers=[],
        backup=None,
        yes=None,
        anyway=False,
        **about,
    )
    assert [each.message.code for each in shown] == said
    away = ", ".join(sorted({"node2", "node3"} - {*answering}))
    assert all(each.values == {"nodes": away} for each in shown)


def test_nothing_is_restored_beside_one_that_has_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "observe", lambda: observed("absent"))
    given = {"node": "node1", "address": "192.168.2.11", "user": "pi"}
    assert len(operate(restore.restored, **given)) == 1
    with pytest.raises(HostFailure, match="RES022") as refused:
        operate(restore.restored, ["node2"], **given)
    assert refused.value.args[0].values == {"nodes": "node2"}


# Two containers of etcd, of which one runs until it is killed.
CTR = """case " $* " in
*" tasks ls "*) echo "TASK PID STATUS"; echo "old 1 STOPPED";
[ -e AT/killed ] || echo "now 2 RUNNING";;
*" containers ls "*'name"==etcd'*) echo old; echo now;;
*" kill "*" now "*) touch AT/killed;; esac"""


def leave(root: Path, which: str, step: str = "", **tools: str) -> subprocess.CompletedProcess[str]:
    script = run._LEAVE
    for place in ("/etc/kubernetes", "/var/lib"):
        script = script.replace(place, f"{root}{place}")
    folder = root / "tools"
    folder.mkdir(exist_ok=True)
    programs = {"ctr": CTR.replace("AT", str(root)), "sleep": "exit 0", "systemctl": "exit 5"}
    return shell(script, which, "node1", step, tools=folder, **{**programs, **tools})


def restoration(root: Path) -> RestorationState:
    """What the fact reads of a node."""
    script = Restoration.script[0]
    for place in (RESTORED_FROM, LEFT, "/var/lib/etcd"):
        script = script.replace(place, f"{root}{place}")
    return Restoration().parse(*shell(script, tools=root).stdout.splitlines())


def test_a_control_plane_leaves_the_former_cluster_once_and_keeps_its_data(tmp_path: Path) -> None:
    data, manifests = tmp_path / "var/lib/etcd", tmp_path / "etc/kubernetes/manifests"
    for each in (data / "member/db", manifests / "etcd.yaml", manifests / "other.yaml"):
        each.parent.mkdir(parents=True, exist_ok=True)
        each.write_text("former")
    begun = tmp_path / "var/lib/bramble/restore/manifest.json"
    begun.parent.mkdir(parents=True)
    begun.touch()
    done = leave(tmp_path, "7 1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed").exists()
    assert [each.name for each in manifests.iterdir()] == ["other.yaml"]
    (kept,) = data.parent.glob("etcd-before-*")
    assert (kept / "member/db").read_text() == "former"
    assert str(kept) in done.stdout
    assert list(data.iterdir()) == []
    assert not begun.parent.exists()
    assert restoration(tmp_path).left_for == "node1"
    kept.rename(tmp_path / "kept")  # the name has the second in it
    # It has joined the restored cluster since; a power cut, and the same restore goes on.
    (manifests / "etcd.yaml").write_text("new")
    (data / "member").mkdir()
    assert leave(tmp_path, "7 1", "initialized").returncode == 0
    assert (manifests / "etcd.yaml").read_text() == "new"
    assert (data / "member").exists()
    # The next restore.
    assert leave(tmp_path, "8 2", "restored").returncode == 0
    assert not (manifests / "etcd.yaml").exists()


def test_one_that_has_joined_the_former_cluster_again_leaves_it_again(tmp_path: Path) -> None:
    """By a run of cluster.py, after the restore was cut off before it restored anything."""
    manifest = tmp_path / "etc/kubernetes/manifests/etcd.yaml"
    manifest.parent.mkdir(parents=True)
    assert leave(tmp_path, "7 1").returncode == 0
    manifest.write_text("former")
    assert leave(tmp_path, "7 1").returncode == 0
    assert not manifest.exists()


@pytest.mark.parametrize("step", [[], ["restored"]])
def test_the_control_plane_that_is_restored_tells_how_far_it_is(step: list[str]) -> None:
    asked, other = Host("node1"), Host("node2")
    given = list[tuple[str, ...]]()
    asked.node.answer = lambda script, *words, stdin=None: ["7 1", *step]

    def leaving(script: str, *words: str, stdin: str | None = None) -> list[str]:
        given.append(words)
        return []

    other.node.answer = leaving
    run.leave(other, asked)  # type: ignore[arg-type]
    assert given == [("7 1", "node1", *step)]


def test_a_blank_control_plane_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        done = leave(tmp_path, "7 1")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_while_etcd_runs_its_data_stays(tmp_path: Path) -> None:
    data = tmp_path / "var/lib/etcd/member"
    data.mkdir(parents=True)
    done = leave(tmp_path, "7 1", ctr=CTR.replace("touch AT/killed", "exit 1").replace("AT", "/no"))
    assert done.returncode != 0
    assert "still running: etcd" in done.stderr
    assert data.exists()


def test_a_backup_of_another_control_plane_is_restored_as_this_one() -> None:
    text = Init(Registration("node2", "192.168.2.12"), "v1.36.4", "api", "10.0.0.0/9", "").text()
    host, written = Host("node1"), list[Any]()
    host.node.answer = lambda script, *words, stdin=None: text.splitlines()
    host.node.execute = written.append  # type: ignore[method-assign,assignment]
    run._write_configuration(host, Registration("node1", "192.168.2.11"))  # type: ignore[arg-type]
    assert "advertiseAddress: 192.168.2.11" in str(vars(written[0]))
    assert "node2" not in str(vars(written[0]))


def test_a_worker_that_was_upgraded_since_is_named() -> None:
    members = {
        "node2": MemberState("joined", version="v1.37.0"),
        "node3": MemberState("joined", version="v1.36.9"),
        "node4": MemberState("absent", version="v1.37.0"),
        "node5": MemberState("joined"),
    }
    shown = list(restore._plan(OWN, observed("absent", members=members), "node1"))
    assert codes("\n".join(shown)) == ["RES017"]
    assert "node2 is at v1.37.0" in "\n".join(shown)


def test_a_newer_backup_on_a_node_is_not_passed_over() -> None:
    def kept(hours: int, is_good: bool = True, **changes: Any) -> NodeBackup:
        made = manifest(taken=OWN.taken + timedelta(hours=hours), **changes)
        return NodeBackup(f"/backups/{made.name}", 1, is_good, backup.render(made))

    older = {"node1": [kept(0), kept(-1)], "node2": [kept(2, False), kept(3, ca=OTHER.ca)]}
    checks.check_newest(OWN, replace(observed(), backups=older), "here")
    newer = {**older, "node3": [kept(1), kept(-5)]}
    with pytest.raises(HostFailure, match="RES018") as refused:
        checks.check_newest(OWN, replace(observed(), backups=newer), "here")
    path = kept(1).path
    assert f"node3 sudo cat {path} > here/{path.rpartition('/')[2]}" in str(refused.value)


# --- the backup ----------------------------------------------------------------------------------


def choose(folder: Path, cluster: str, named: str | None) -> source.Backup:
    secret = str(folder / "passphrase")
    return source.choose(SimpleNamespace(), str(folder), cluster, named, secret)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good backups, a damaged newer one, one of another cluster."""
    first = manifest(taken=OWN.taken - timedelta(days=1))
    for each in (first, OWN):
        (tmp_path / each.name).write_bytes(packed(CONTENTS, backup.render(each)))
    later = manifest(taken=OWN.taken + timedelta(days=1))
    content = bytearray(packed(CONTENTS, backup.render(later)))
    content[len(content) // 2] ^= 1
    (tmp_path / later.name).write_bytes(content)
    other = manifest(cluster="other", taken=OWN.taken + timedelta(days=2))
    (tmp_path / other.name).write_bytes(packed(CONTENTS, backup.render(other)))
    return tmp_path


def test_the_newest_backup_of_the_cluster_or_none(folder: Path) -> None:
    with pytest.raises(HostFailure, match="RES014"):
        choose(folder, "bramble", None)
    damaged = manifest(taken=OWN.taken + timedelta(days=1))
    (folder / damaged.name).unlink()
    found = choose(folder, "bramble", None)
    assert found.manifest == OWN
    assert found.archive == (folder / OWN.name).read_bytes()


def test_a_named_one_by_its_path_or_its_name(folder: Path) -> None:
    for path in sorted(folder.glob("bramble-*"))[:2]:
        for named in (str(path), path.name):
            found = choose(folder, "bramble", named)
            assert found.archive == path.read_bytes()


@pytest.mark.parametrize("where", [0, 700, 100_000, -1500])
def test_a_flipped_bit_or_a_missing_end_is_refused(folder: Path, where: int) -> None:
    content = bytearray((folder / OWN.name).read_bytes())
    flipped = bytearray(content)
    flipped[where] ^= 0x10
    for damaged in (flipped, content[: len(content) // 2], content[:1], b""):
        (folder / "named.tar").write_bytes(damaged)
        with pytest.raises(HostFailure, match="RES014"):
            choose(folder, "bramble", "named.tar")


def test_a_wrong_passphrase_is_refused(folder: Path) -> None:
    content = (folder / OWN.name).read_bytes()
    (folder / "passphrase").touch(0o600)
    (folder / "passphrase").write_text("right\n")
    secret = folder / "secret.tar.age"
    secret.write_bytes(age.encrypt_with(content, "right"))
    assert choose(folder, "bramble", secret.name).archive == content
    secret.write_bytes(age.encrypt_with(content, "wrong"))
    with pytest.raises(HostFailure, match="RES014"):
        choose(folder, "bramble", secret.name)


def test_without_a_backup_it_is_refused(folder: Path) -> None:
    for cluster, named, code in (
        ("nobody", None, "RES013"),
        ("bramble", "absent.tar", "RES014"),
        ("bramble", str(folder), "RES014"),
    ):
        with pytest.raises(HostFailure) as refused:
            choose(folder, cluster, named)
        assert codes(str(refused.value)) == [code]


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [(0.5, "0 min"), (59, "59 min"), (130, "2 h 10 min"), (3000, "2 d 2 h"), (-5, "0 min")],
)
def test_an_age_in_words(minutes: float, shown: str) -> None:
    assert source.ago(timedelta(minutes=minutes)) == shown
