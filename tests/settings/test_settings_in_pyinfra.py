"""Together with pyinfra: the inventory object, and the real command (which connects to nothing)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import pytest
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State
from pyinfra.connectors.ssh import connector_data_meta
from pyinfra.context import ctx_state

import settings
from messages import codes
from settings import sources
from settings.build import build
from settings.connector_fields import Derived, PerNode

ROOT = Path(__file__).parents[2]


def inventory_of(project: Path, override: dict[str, object] | None = None) -> Inventory:
    """What pyinfra makes of the project folder's files."""
    read = sources.read(project, "inventory.py", {})
    data = {
        group: {name: value.value for name, value in values.items()}
        for group, values in read.groups.items()
    }
    own = {
        host.name: {
            name: value.value for name, value in host.data.items() if value.file == "inventory.py"
        }
        for host in read.hosts
    }
    members = {
        group: [(name, own[name]) for listed, name in read.listed if listed == group]
        for group in ("control_plane", "workers")
    }
    return Inventory(
        ([(name, own[name]) for name in own], data["all"]),
        override_data=override,
        control_plane=(members["control_plane"], data.get("control_plane", {})),
        workers=(members["workers"], data["workers"]),
    )


def pyinfra(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyinfra", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(project)}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project folder as the working directory."""
    monkeypatch.chdir(project)
    return project


def test_pyinfras_inventory_gives_the_same_cluster_as_the_files(here: Path) -> None:
    assert settings.of(inventory_of(here)) == settings.load()


def test_data_of_the_command_line_is_honoured(here: Path) -> None:
    cluster = settings.of(inventory_of(here, {"uplink_method": "static"}))
    assert cluster.uplink_method == "static"


def test_what_a_run_has_compiled_is_kept_for_the_next(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "config.py").symlink_to(ROOT / "config.py")
    cache = tmp_path / "bytecode"
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(cache))
    assert pyinfra(project, "inventory.py", "debug-inventory").returncode == 0
    kept = {path.parent.name for path in cache.rglob("*.pyc")}
    assert {"settings", "report", "remote"} <= kept


def test_the_cluster_is_built_once_for_each_run(here: Path) -> None:
    first, other = inventory_of(here), inventory_of(here, {"admin_user": "paul"})
    run = State()
    with ctx_state.use(run):
        cluster = settings.of(first)
        assert settings.of(first) is cluster
    assert {node.admin_user for node in cluster.nodes} == {"pi"}
    with ctx_state.use(State()):
        assert {node.admin_user for node in settings.of(other).nodes} == {"paul"}
    with ctx_state.use(run):
        assert settings.of(first) is cluster


COUNTING = """
with open("{log}", "a") as _file:
    _file.write("{what}\\n")
"""
COUNTING_CONFIG = """
import functools, settings.run

def counted(build):
    @functools.wraps(build)
    def counting(sources):
        with open("log", "a") as file:
            file.write("build\\n")
        return build(sources)
    return counting

settings.run.build = counted(settings.run.build)
"""
DEPLOY = """
from pyinfra import inventory
import settings
print("cluster", id(settings.of(inventory)))
"""


def test_a_run_reads_the_files_once_and_builds_the_cluster_once(project: Path) -> None:
    """pyinfra itself runs each file once more. The run's only host is this computer."""
    with (project / "inventory.py").open("a") as file:
        file.write('operator = ["@local"]\n')
    for name in ("inventory.py", "group_data/all.py"):
        with (project / name).open("a") as file:
            file.write(COUNTING.format(log=project / "log", what=name))
    config = (ROOT / "config.py").read_text()
    (project / "config.py").write_text(COUNTING_CONFIG + config)
    (project / "deploy.py").write_text(DEPLOY)
    done = pyinfra(project, "inventory.py", "--limit", "operator", "-y", "deploy.py", "deploy.py")
    found = re.findall(r"cluster (\d+)", done.stdout)
    assert len(found) == 2, done.stderr
    assert len(set(found)) == 1
    counts = Counter((project / "log").read_text().split())
    assert counts == {"inventory.py": 2, "group_data/all.py": 2, "build": 1}, done.stderr


def test_pyinfras_own_options_are_no_settings(here: Path) -> None:
    override: dict[str, object] = {"ssh_user": "ubuntu", "ssh_port": 2222, "ssh_password": "x"}
    assert settings.of(inventory_of(here, override)).nodes == settings.load().nodes


def test_a_mistake_is_found_where_it_was_written(here: Path) -> None:
    with (here / "group_data/workers.py").open("a") as file:
        file.write('cluster_interface = "eth0.1"\n')
    text = (here / "inventory.py").read_text().replace("192.168.2.13", "192.168.9.13")
    (here / "inventory.py").write_text(text)
    with pytest.raises(settings.SettingsError) as caught:
        settings.of(inventory_of(here, {"uplink_gateway": "192.168.7.1", "colour": "red"}))
    assert [
        (problem.file, problem.host, problem.setting, problem.text.message.code)
        for problem in caught.value.problems
    ] == [
        ("--data", None, "colour", "SET020"),
        ("--data", None, "uplink_gateway", "SET053"),
        ("group_data/workers.py", None, "cluster_interface", "SET005"),
        ("inventory.py", "node3", "address", "SET053"),
    ]


def test_known_data_of_pyinfra_are_those_of_its_ssh_connector() -> None:
    assert set(connector_data_meta) == Derived.model_fields.keys() | PerNode.model_fields.keys()


def test_pyinfra_reads_the_inventory_and_finds_the_folder_ready(project: Path) -> None:
    done = pyinfra(project, "inventory.py", "debug-inventory")
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (project / ".cluster").iterdir()}
    assert {"id_ed25519", "id_ed25519.pub", "ssh_config", "known_hosts"} <= made
    assert "settings" not in done.stdout


def test_a_mistake_ends_pyinfra_with_its_line_and_no_traceback(project: Path) -> None:
    with (project / "group_data/all.py").open("a") as file:
        file.write('uplink_gateway = "192.168.3.1"\n')
    done = pyinfra(project, "inventory.py", "exec", "--", "true")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "group_data/all.py: uplink_gateway: 192.168.3.1 is not in uplink_network 192.168.1.0/24. "
        "Write 192.168.1.1. (SET053)\n"
    )
    assert "Traceback" not in done.stderr
    assert "Connecting" not in done.stderr


@pytest.mark.parametrize(
    ("file", "text", "said", "code"),
    [
        (
            "inventory.py",
            "control_plane = [node1]\n",
            "inventory.py line 1: ",
            "SET104",
        ),
        (
            "inventory.py",
            "\ufeffworkers = []\n",
            "inventory.py line 1: ",
            "SET102",
        ),
        ("inventory.py", "workers = {}\n", "inventory.py: workers: {} ", "SET030"),
        ("inventory.py", "raise SystemExit(0)\n", "inventory.py: ", "SET106"),
        (
            "group_data/all.py",
            "import nothing_here\n",
            "group_data/all.py line 1: ModuleNot",
            "SET105",
        ),
        ("group_data/all.py", "x = (\n", "group_data/all.py line 1: ", "SET103"),
    ],
)
@pytest.mark.parametrize("command", [["pyinfra", "inventory.py", "deploys/x.py"], ["settings"]])
def test_files_that_are_not_python_end_a_run_with_their_line(
    command: list[str], file: str, text: str, said: str, code: str, project: Path
) -> None:
    (project / "config.py").symlink_to(ROOT / "config.py")
    (project / "deploys").mkdir()
    (project / "deploys/x.py").write_text("print('reached')\n")
    (project / file).write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(project)}
    run = [sys.executable, "-m", *command]
    done = subprocess.run(run, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert said in done.stderr
    assert codes(done.stderr) == [code]
    assert "Traceback" not in done.stdout + done.stderr
    assert "reached" not in done.stdout


def test_the_command_line_has_texts_alone(project: Path) -> None:
    words = ["nameservers=1.1.1.1,router", "guard_seconds=90", "docker=yes", "wifi_hidden=true"]
    data = [word for each in words for word in ("--data", each)]
    done = pyinfra(project, "inventory.py", "debug-inventory", *data)
    assert done.returncode == 0, done.stderr
    done = pyinfra(project, "inventory.py", "debug-inventory", "--data", "docker=perhaps")
    assert "--data: docker: 'perhaps' " in done.stderr
    assert codes(done.stderr) == ["SET003"]
    (project / "config.py").symlink_to(ROOT / "config.py")
    done = pyinfra(project, "inventory.py", "debug-inventory", "--data", "docker")
    assert codes(done.stderr.splitlines()[-1]) == ["SET110"]


@pytest.mark.parametrize("name", ["address", "uplink_address", "first_address"])
def test_what_one_node_has_is_not_given_to_all(name: str, project: Path) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        build(sources.read(project, "inventory.py", {name: "192.168.2.99"}))
    assert str(caught.value).startswith(f"--data: {name}: ")
    assert codes(str(caught.value)) == ["SET023"]


def test_none_on_the_command_line_is_none(project: Path) -> None:
    done = pyinfra(project, "inventory.py", "debug-inventory", "--data", "image_archives=None")
    assert done.returncode == 0, done.stderr


def test_a_mistake_in_data_of_the_command_line_is_found_before_connecting(project: Path) -> None:
    done = pyinfra(project, "inventory.py", "exec", "--data", "admin_user=Paul", "--", "true")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("--data: admin_user: 'Paul' ")
    assert last.endswith("Write paul. (SET005)")


def test_data_of_the_command_line_reach_ssh_config(project: Path) -> None:
    done = pyinfra(project, "inventory.py", "debug-inventory", "--data", "admin_user=paul")
    assert done.returncode == 0, done.stderr
    assert "  User paul\n" in (project / ".cluster/ssh_config").read_text()


def test_a_version_on_the_command_line_needs_no_quotes_within_quotes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyinfra alone reads it as a number."""
    words = ["--data", "kubernetes_version=1.36"]
    assert pyinfra(project, "inventory.py", "debug-inventory", *words).returncode == 0
    monkeypatch.chdir(project)
    with ctx_state.use(State()):
        with click.Context(click.Command("pyinfra")) as context:
            context.params.update(inventory="inventory.py", data=("kubernetes_version=1.36",))
            settings.check_files()
        cluster = settings.of(inventory_of(project, {"kubernetes_version": 1.36}))
    assert cluster.kubernetes_version == "1.36"


OF_NODE2 = ["--data", "node=node2"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["inventory.py", "deploys/sdcard.py", "--data", "node=node1"], "SET112"),
        (["@local", "deploys/cluster.py"], "SET117"),
        (["node2", "deploys/cluster.py"], "SET117"),
        (["inventroy.py", "deploys/cluster.py"], "SET117"),
        (["inventroy.py", "debug-inventory"], "SET117"),
        (["deploys/cluster.py", "inventory.py"], "SET117"),
        (["inventory.py", "deploys/cluster.py", "--ssh-port", "2222"], "SET013"),
        (["inventory.py", "deploys/reset.py", "--limit", "node2"], "SET118"),
        (["inventory.py", "deploys/reset.py", "--exclude", "node2"], "SET118"),
        (["inventory.py", "deploys/network.py", "--data", "yes=bramble"], "SET020"),
        (["inventory.py", "deploys/reboot.py", "--data", "reboot=node2"], "SET121"),
        (["inventory.py", "deploys/remove.py"], "SET119"),
        (["inventory.py", "deploys/remove.py", "--data", "node=node1"], "SET120"),
        (
            ["inventory.py", "deploys/remove.py", *OF_NODE2, "--data", "packages=all"],
            "SET121",
        ),
    ],
)
def test_a_deploy_runs_only_where_it_belongs(
    arguments: list[str], code: str, project: Path
) -> None:
    for name in ("deploys", "config.py"):
        (project / name).symlink_to(ROOT / name)
    done = pyinfra(project, "-y", *arguments)
    assert done.returncode == 1
    assert codes(done.stderr) == [code]
    assert "Connecting" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_limit_to_a_node_that_there_is_not_is_refused(project: Path) -> None:
    done = pyinfra(project, "inventory.py", "--limit", "node7", "debug-inventory")
    assert done.returncode != 0
    assert codes(done.stderr) == ["SET040"]
    assert "--limit: node7 " in done.stderr
    with (project / "inventory.py").open("a") as file:
        file.write('kitchen = ["node2"]\n')
    for known in ("work*", "node3", "kitchen", "inventory", "all"):
        done = pyinfra(project, "inventory.py", "--limit", known, "debug-inventory")
        assert done.returncode == 0, known


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("known_hosts", b"\xff\xfe\n", "SET114"),
        ("id_ed25519", b"", "SET122"),
        ("id_ed25519", b"not a key\n", "SET122"),
        ("id_ed25519.pub", b"", "SET122"),
        ("id_ed25519.pub", b"ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n", "SET122"),
        ("host_keys", b"", None),  # is not used before an SD card is written
    ],
)
def test_what_is_damaged_in_the_cluster_folder_is_named(
    file: str, content: bytes, code: str | None, project: Path
) -> None:
    assert pyinfra(project, "inventory.py", "debug-inventory").returncode == 0
    (project / ".cluster" / file).write_bytes(content)
    done = pyinfra(project, "inventory.py", "debug-inventory")
    assert codes(done.stderr) == ([code] if code else [])
    assert "Traceback" not in done.stderr
    if code:
        assert file.removesuffix(".pub") in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("instead", ["folder", "inventory.py.txt"])
def test_an_inventory_that_is_not_there_is_named(instead: str, project: Path) -> None:
    (project / "config.py").symlink_to(ROOT / "config.py")
    (project / "inventory.py").rename(project / "inventory.py.txt")
    if instead == "folder":
        (project / "inventory.py").mkdir()
    done = pyinfra(project, "inventory.py", "debug-inventory")
    assert codes(done.stderr) == ["SET101" if instead == "folder" else "SET100"]
