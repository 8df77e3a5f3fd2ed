"""The kubeconfig on the computer that pyinfra runs on: merged, backed up, private."""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

import runs
from messages import Message
from messages import kubernetes as messages
from operations import contexts, kubeconfig
from operations.base import HostFailure
from tests.fake_node import Host
from workstation import context_record, tls_probe


def data(content: str) -> str:
    return b64encode(content.encode()).decode()


ADMIN_CONF = yaml.safe_dump(
    {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "admin",
        "clusters": [
            {
                "name": "kubernetes",
                "cluster": {
                    "server": "https://node1:6443",
                    "certificate-authority-data": data("CA"),
                },
            }
        ],
        "contexts": [{"name": "admin", "context": {"cluster": "kubernetes", "user": "admin"}}],
        "users": [
            {
                "name": "admin",
                "user": {
                    "client-certificate-data": data("CERT"),
                    "client-key-data": data("KEY"),
                },
            }
        ],
    }
)
SHARED = "users: &u\n- name: a\n  user: {}\nclusters: *u\n"
CERTIFICATE = b"CERT"  # of the control plane that is asked
SERVER = "https://192.168.1.32:6443"


@pytest.fixture
def control_plane(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(tls_probe, "probe", lambda *_: None)
    host = Host()
    host.node.answer = lambda *_, **__: ADMIN_CONF.splitlines()
    return host


def record_of(path: Path) -> str:
    """A record of contexts beside the kubeconfig's folder."""
    return str(path.parents[1] / f"{path.parent.name}.json")


def write(control_plane: Host, path: Path) -> bool:
    record = record_of(path)
    return kubeconfig.write_context(None, control_plane, str(path), "bramble", SERVER, record)  # type: ignore[arg-type]


def commands(
    path: Path, operation: Any = kubeconfig.operator, state: Any = None, **kwargs: Any
) -> list[Any]:
    state = state or FakeState()
    sums = {"ca": sha256(b"CA").hexdigest(), "cert": sha256(CERTIFICATE).hexdigest()}
    names = ("home", "group", "user", "user_ca", "status", "odd")
    fact = {"admin": "x", **sums, **dict.fromkeys(names, "")}
    host = create_host(state, facts={"kubeconfig.AdminCredentials": {"owner=": fact}})
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    with ctx_state.use(state), ctx_host.use(host):
        arguments = {
            "path": str(path),
            "context": "bramble",
            "server": SERVER,
            "record": record_of(path),
            **kwargs,
        }
        return [(command.function.__name__, command.args) for command in inner(**arguments)]


def test_file_is_private_and_second_run_changes_nothing(
    control_plane: Host, tmp_path: Path
) -> None:
    path = tmp_path / ".kube" / "config"
    assert commands(path) == [("write_context", (str(path), "bramble", SERVER, record_of(path)))]
    assert write(control_plane, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    made = yaml.safe_load(path.read_text())
    assert made["current-context"] == "bramble"
    assert made["clusters"][0]["cluster"]["server"] == SERVER
    assert commands(path) == []
    assert os.listdir(path.parent) == ["config"]


def test_the_credentials_of_any_control_plane_are_as_good(
    control_plane: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that asks another one than the last run did, since one was off, changes nothing."""
    path = tmp_path / ".kube" / "config"
    write(control_plane, path)
    mine = sha256(b"CERT").hexdigest()
    names = {"control_planes": ["node1", "node2"]}
    for certificates, expected in (({mine}, []), ({"of another"}, ["write_context"])):
        monkeypatch.setattr(kubeconfig, "_certificates", lambda _, found=certificates: found)
        monkeypatch.setattr(sys.modules[__name__], "CERTIFICATE", b"OF NODE2")
        assert [name for name, _ in commands(path, **names)] == expected


def test_other_contexts_are_kept_and_a_backup_is_made(control_plane: Host, tmp_path: Path) -> None:
    path = tmp_path / "config"
    before = (
        "kind: Config\ncurrent-context: work\ncontexts:\n- context: {cluster: w}\n  name: work\n"
    )
    path.write_text(before)
    assert write(control_plane, path)
    made = yaml.safe_load(path.read_text())
    assert made["current-context"] == "work"
    assert [entry["name"] for entry in made["contexts"]] == ["work", "bramble"]
    (backup,) = [entry for entry in tmp_path.iterdir() if entry != path]
    assert backup.read_text() == before
    assert backup.stat().st_mode & 0o777 == 0o600


def test_no_credential_is_logged(control_plane: Host, tmp_path: Path) -> None:
    write(control_plane, tmp_path / "config")
    write(control_plane, tmp_path / "config")
    assert control_plane.said
    assert not any(data("KEY") in line or data("CERT") in line for line in control_plane.said)


def test_a_link_is_followed(control_plane: Host, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "config").symlink_to(tmp_path / "real")
    write(control_plane, tmp_path / "config")
    assert (tmp_path / "config").is_symlink()
    assert "bramble" in (tmp_path / "real").read_text()


def test_a_file_that_is_no_kubeconfig_is_not_changed(control_plane: Host, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("kind: Pod\n")
    path = tmp_path / "config"
    for work in (lambda: commands(path), lambda: write(control_plane, path)):
        with pytest.raises(HostFailure) as reason:
            work()
        assert reason.value.args[0].message is messages.KUBECONFIG_KEPT
    assert (tmp_path / "config").read_text() == "kind: Pod\n"


def test_context_for_the_proxy_is_added_and_removed(control_plane: Host, tmp_path: Path) -> None:
    path = tmp_path / "config"
    server = "http://192.168.1.32:8080"
    ways = {"operation": kubeconfig.proxy, "context": "bramble-proxy", "server": server}
    arguments = (str(path), "bramble-proxy", server, record_of(path))
    assert commands(path, **ways) == [("change_proxy_context", (*arguments, True))]
    assert commands(path, present=False, **ways) == []
    assert kubeconfig.change_proxy_context(None, control_plane, *arguments, True)  # type: ignore[arg-type]
    assert commands(path, **ways) == []
    assert commands(path, present=False, **ways) == [("change_proxy_context", (*arguments, False))]
    assert kubeconfig.change_proxy_context(None, control_plane, *arguments, False)  # type: ignore[arg-type]
    assert commands(path, present=False, **ways) == []


def test_dates_times_comments_and_line_ends_are_kept(control_plane: Host, tmp_path: Path) -> None:
    path = tmp_path / "config"
    before = (
        b"kind: Config\r\nextensions:\r\n- {name: e, since: 2024-01-01, at: 12:30:45}  # mine\r\n"
    )
    path.write_bytes(before)
    assert write(control_plane, path)
    assert path.read_bytes().startswith(before)
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), messages.KUBECONFIG_KEPT),
        (os.mkfifo, messages.KUBECONFIG_KEPT),
        (lambda path: path.write_bytes(b"\xff\xfe"), messages.KUBECONFIG_KEPT),
        (lambda path: path.symlink_to(path), messages.KUBECONFIG_NOT_READ),
        (
            lambda path: (path.write_text("kind: Config"), path.chmod(0o400)),
            messages.KUBECONFIG_NOT_WRITTEN,
        ),
        (lambda path: path.write_text(SHARED), messages.KUBECONFIG_KEPT),
    ],
)
def test_a_file_that_can_not_be_changed_is_refused_in_prepare(
    control_plane: Host, tmp_path: Path, make: Any, message: Message
) -> None:
    path = tmp_path / "config"
    make(path)
    with pytest.raises(HostFailure) as reason:
        commands(path)
    assert reason.value.args[0].message is message
    assert os.listdir(tmp_path) == ["config"]


def test_suggested_command_names_a_kubeconfig_that_kubectl_would_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    suggested: list[str] = []
    for known in ("", f"/nowhere:{path}"):
        monkeypatch.setenv("KUBECONFIG", known)
        state = FakeState()
        commands(path, state=state)
        suggested += runs.of(state).next_commands
    assert suggested == [
        f"kubectl --kubeconfig={path} --context bramble get nodes",
        "kubectl --context bramble get nodes",
    ]


def removed(path: Path, *names: str, whole: bool = True, executing: bool = True) -> list[Any]:
    """What is removed while the settings have these contexts, and removed for real."""
    state = FakeState()
    host = create_host(state, "node1")
    host.log_styled = host.log = lambda *_, **__: None
    runs.of(state)
    state.is_executing, state.should_check_for_changes = executing, lambda: False
    inner = contexts.removed._inner.__wrapped__
    with ctx_state.use(state), ctx_host.use(host):
        found = []
        for command in inner(str(record_of(path)), str(path), names, whole):
            found.append(command.args)
            if executing:
                command.function(state, host, *command.args)
    return found


def test_a_context_that_the_settings_no_longer_have_is_removed(
    control_plane: Host, tmp_path: Path
) -> None:
    path = tmp_path / "home" / "config"
    path.parent.mkdir()
    path.write_text("kind: Config\ncurrent-context: other\n")
    write(control_plane, path)
    assert removed(path, "bramble") == []
    assert removed(path, "new", whole=False) == []
    dry = removed(path, "new", executing=False)
    assert removed(path, "new") == dry == [(str(path), "bramble")]
    assert yaml.safe_load(path.read_text())["contexts"] == []
    assert removed(path, "new") == []


def test_a_context_in_a_kubeconfig_of_earlier_settings_is_removed(
    control_plane: Host, tmp_path: Path
) -> None:
    before, after = tmp_path / "home" / "before", tmp_path / "home" / "after"
    write(control_plane, before)
    write(control_plane, after)
    assert removed(after, "bramble") == [(str(before), "bramble")]
    assert yaml.safe_load(after.read_text())["contexts"] != []


def test_one_kubeconfig_written_in_two_ways_is_one(
    control_plane: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "home" / "config"
    monkeypatch.setenv("HOME", str(path.parent))
    write(control_plane, path)
    assert context_record.resource("bramble", "~/config") == context_record.resource(
        "bramble", str(path)
    )


@pytest.mark.parametrize("record", [None, "{", '{"format": 99}'])
def test_a_context_that_is_not_recorded_is_left_and_then_adopted(
    control_plane: Host, tmp_path: Path, record: str | None
) -> None:
    path = tmp_path / "home" / "config"
    write(control_plane, path)
    Path(record_of(path)).unlink()
    if record:
        Path(record_of(path)).write_text(record)
    assert removed(path, "new") == []
    assert removed(path, "bramble") == []
    newer = record is not None and "99" in record
    assert removed(path, "new") == ([] if newer else [(str(path), "bramble")])


def test_a_context_that_was_changed_is_left(control_plane: Host, tmp_path: Path) -> None:
    path = tmp_path / "home" / "config"
    write(control_plane, path)
    ours = path.read_text()
    path.write_text(ours.replace("cluster: bramble\n", "cluster: bramble\n    namespace: mine\n"))
    for _ in range(2):
        assert removed(path, "new") == []
    path.write_text(ours)
    assert removed(path, "new") == [(str(path), "bramble")]
