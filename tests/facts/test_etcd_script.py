"""The scripts that ask etcd for its members, and remove one, with a ctr that a test gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from facts.etcd import REMOVE_MEMBER, EtcdMembers, EtcdState
from tests.shell import shell

MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
CTR = """case "$*" in
*"tasks ls") printf 'TASK PID STATUS\\naaa 1 RUNNING\\nbbb 2 STOPPED\\nccc 3 RUNNING\\n';;
*"containers ls"*) printf 'bbb\\nccc\\n';;
*" ccc etcdctl "*) echo "$*" >> {log}; {answer};;
esac"""
LISTS = """case "$*" in *"member list"*)
echo '{"members":[{"ID":1,"name":"node1","peerURLs":["https://192.168.2.11:2380"],\
"clientURLs":["https://192.168.2.11:2379"]}]}';;
*) echo '[{"endpoint":"https://192.168.2.11:2379","health":true}]'; exit 1;; esac"""
SILENT = "echo '{\"level\":\"warn\"}' >&2; echo 'Error: context deadline exceeded' >&2; exit 1"


def read(folder: Path, answer: str, manifest: str = "x") -> EtcdState:
    (folder / "etcd.yaml").write_text(manifest)
    ctr = CTR.format(log=folder / "log", answer=answer)
    script = EtcdMembers.script[0].replace(MANIFEST, str(folder / "etcd.yaml"))
    script = script.replace("/var/lib/etcd", str(folder))
    done = shell(script, tools=folder, ctr=ctr)
    assert (done.returncode, done.stderr) == (0, "")
    return EtcdMembers().parse(*done.stdout.split("\n")[:3])


def test_the_container_that_runs_is_asked(tmp_path: Path) -> None:
    found = read(tmp_path, LISTS)
    assert found.state == "listed"
    assert [(each.name, each.is_healthy) for each in found.members] == [("node1", True)]
    assert len({line.split()[5] for line in (tmp_path / "log").read_text().splitlines()}) == 2


def test_etcdctls_last_line_says_why_it_is_silent(tmp_path: Path) -> None:
    assert read(tmp_path, SILENT) == EtcdState("silent", [], "Error: context deadline exceeded")


def test_without_a_manifest_there_is_no_etcd(tmp_path: Path) -> None:
    assert read(tmp_path, LISTS, manifest="") == EtcdState("absent", [])


def test_data_without_a_manifest_are_those_of_a_cluster(tmp_path: Path) -> None:
    """Another control plane must not make a second one."""
    (tmp_path / "member").mkdir()
    found = read(tmp_path, LISTS, manifest="")
    assert (found.state, found.why) == ("silent", f"{tmp_path}/etcd.yaml is missing or empty")


@pytest.mark.parametrize(
    ("refusal", "attempts", "status"),
    [
        ("etcdserver: unhealthy cluster", 3, 0),
        ("etcdserver: re-configuring cluster: not enough started members", 3, 0),
        ("etcdserver: member not found", 1, 0),
        ("etcdserver: permission denied", 1, 1),
    ],
)
def test_a_member_is_removed_once_etcd_allows_it(
    refusal: str, attempts: int, status: int, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    answer = f'[ "$(wc -l < {log})" -ge 3 ] || {{ echo "Error: {refusal}" >&2; exit 1; }}'
    ctr = CTR.format(log=log, answer=answer)
    done = shell(REMOVE_MEMBER, "a2", tools=tmp_path, ctr=ctr, sleep="")
    assert done.returncode == status
    assert done.stderr == (f"Error: {refusal}\n" if status else "")
    calls = log.read_text().splitlines()
    assert len(calls) == attempts
    assert all(call.endswith("member remove a2") for call in calls)
