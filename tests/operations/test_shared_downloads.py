"""Which node keeps the downloads, who asks it, and what nginx is told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

import settings
from facts.files import FileState
from facts.shared_downloads import CONFIG, UNIT_PATH, CacheState
from formats import shared_downloads
from operations import shared_downloads as operations
from settings import specifications
from tests.project import behind_a_router

ROOT = Path(__file__).parents[2]


def cluster(folder: Path, router: bool = False, **changes: object) -> settings.Cluster:
    project = folder / "project"
    shutil.copytree(ROOT / "group_data", project / "group_data")
    shutil.copy(ROOT / "inventory.py", project)
    if router:
        behind_a_router(project)
    with (project / "group_data/all.py").open("a") as file:
        file.writelines(f"\n{name} = {value!r}\n" for name, value in changes.items())
    return settings.load(project)


@pytest.mark.parametrize(
    ("router", "setting", "keeps"),
    [
        (False, None, "node1"),
        (False, True, "node1"),
        (False, False, None),
        (True, None, None),
        (True, True, "node1"),
        (True, False, None),
    ],
)
def test_the_gateway_or_the_first_control_plane_keeps_the_downloads(
    tmp_path: Path, router: bool, setting: bool | None, keeps: str | None
) -> None:
    found = cluster(tmp_path, router, share_downloads=setting).download_cache
    assert (found and found.name) == keeps


def test_containerd_asks_the_kept_ones_then_the_mirrors_of_the_settings(tmp_path: Path) -> None:
    mirrors = {"docker.io": "http://10.0.0.9:5000"}
    first = "http://192.168.2.11:5142"
    found = specifications.registries(cluster(tmp_path, registry_mirrors=mirrors))
    assert found == {"mirrors": mirrors, "cache": first}


def test_containerd_has_the_mirrors_of_the_settings_alone_where_nothing_is_shared(
    tmp_path: Path,
) -> None:
    mirrors = {"_default": "http://10.0.0.9:5000"}
    apart = cluster(tmp_path, registry_mirrors=mirrors, share_downloads=False)
    assert specifications.registries(apart) == {"mirrors": mirrors, "cache": None}


def origins(mirrors: dict[str, str]) -> list[str]:
    """nginx's lines that say where a registry's images come from."""
    text = shared_downloads.server("192.168.2.11", ["8.8.8.8"], "https://k/deb", mirrors)
    listed = text.partition("map $arg_ns ")[2].partition("}")[0]
    return [line.strip() for line in listed.splitlines()]


def test_a_mirror_of_the_settings_is_the_origin_of_what_is_kept() -> None:
    found = origins({"docker.io": "http://10.0.0.9:5000"})
    assert '"docker.io" "http://10.0.0.9:5000";' in found
    assert any(line.endswith('"https://$name";') for line in found)
    assert '"docker.io" "https://registry-1.docker.io";' in origins({})


def test_a_mirror_for_all_registries_leaves_no_other_origin() -> None:
    found = origins({"_default": "http://10.0.0.9:5000"})
    assert 'default "http://10.0.0.9:5000";' in found
    assert not any("$name" in line for line in found)


def test_apt_is_told_of_the_kept_packages_before_the_source() -> None:
    kept = shared_downloads.kept_packages("192.168.2.11", "1.36")
    lines = shared_downloads.mirror_list(kept, "https://pkgs.k8s.io/deb/").splitlines()
    assert [line.split("\t") for line in lines] == [
        ["http://192.168.2.11:5142/kubernetes/1.36/", "priority:1"],
        ["https://pkgs.k8s.io/deb/", "priority:2"],
    ]


def detected(tmp_path: Path, url: str, own: str = "", answer: bool = True) -> str:
    """What the program prints that apt asks for a proxy, with apt's own as the configuration."""
    (tmp_path / "bin").mkdir()
    for name, says in (("apt-config", f"own={own!r}"), ("timeout", "200" if answer else "")):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\necho {says!r}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    program = tmp_path / "program"
    program.write_text(shared_downloads.detection("192.168.2.11"))
    done = subprocess.run(
        ["bash", str(program), url],
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_apt_asks_the_node_that_keeps_downloads_while_it_answers(tmp_path: Path) -> None:
    assert detected(tmp_path, "http://deb.debian.org") == "http://192.168.2.11:5142"


def test_apt_asks_the_source_while_that_node_does_not_answer(tmp_path: Path) -> None:
    assert detected(tmp_path, "http://deb.debian.org", answer=False) == ""


def test_a_proxy_of_the_node_stays_in_use(tmp_path: Path) -> None:
    assert detected(tmp_path, "http://deb.debian.org", own="http://10.0.0.9:3128") == ""


def test_the_node_that_keeps_downloads_is_not_asked_by_itself(tmp_path: Path) -> None:
    assert detected(tmp_path, "http://192.168.2.11:5142") == "DIRECT"


ARGUMENTS: dict[str, Any] = {
    "address": "192.168.2.11",
    "nameservers": ["8.8.8.8"],
    "kubernetes": "https://k/deb/",
    "mirrors": {},
}
FILES = {UNIT_PATH: shared_downloads.unit(CONFIG), CONFIG: shared_downloads.server(**ARGUMENTS)}


def regular(text: str, mode: str = "644") -> FileState:
    return FileState("file", mode, "root", "root", text)


def commands(operation: Any, now: Any, **arguments: Any) -> list[str]:
    """What an operation does to a node in this state: its commands without the files' contents."""
    state = FakeState()
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    with (
        ctx_state.use(state),
        ctx_host.use(create_host(state)),
        patch.object(operations, "read", lambda fact, **_: now),
    ):
        done = list(inner(**arguments))
    return [
        getattr(each, "function", each).__name__ if hasattr(each, "function") else str(each)
        for each in done
    ]


def server(files: dict[str, str] = FILES, **changes: bool) -> list[str]:
    states = {path: regular(text) for path, text in files.items()}
    absent = dict.fromkeys(FILES, FileState("absent"))
    as_it_is = {"installed": True, "enabled": True, "active": True, "needs_restart": False}
    now = CacheState(**as_it_is | changes, files=absent | states)
    return commands(operations.server, now, **ARGUMENTS)


def test_a_fresh_node_installs_nginx_with_its_own_service_masked() -> None:
    done = server({}, installed=False, enabled=False, active=False)
    assert "systemctl mask --quiet nginx.service" in done[0]
    assert done[1] == "_install"
    assert [CONFIG in done[2], UNIT_PATH in done[3], done[4:]] == [True, True, ["_start"]]


def test_the_nginx_of_somebody_else_is_left_alone() -> None:
    done = server({}, enabled=False, active=False)
    assert [CONFIG in done[0], UNIT_PATH in done[1], done[2:]] == [True, True, ["_start"]]


def test_a_service_that_runs_as_configured_is_left_alone() -> None:
    assert server() == []


@pytest.mark.parametrize("state", [{"needs_restart": True}, {"active": False}, {"enabled": False}])
def test_a_service_that_does_not_run_as_configured_is_started_again(state: dict[str, bool]) -> None:
    assert server(FILES, **state) == ["_start"]


def test_another_configuration_is_written_and_the_service_restarted() -> None:
    done = server(FILES | {CONFIG: "old"})
    assert [CONFIG in done[0], done[1:]] == [True, ["_start"]]


def test_apt_gets_the_program_before_its_configuration_names_it() -> None:
    paths = (operations.DETECTION, operations.APT_CONFIG)
    fresh = dict.fromkeys(paths, FileState("absent"))
    done = commands(operations.client, fresh, address="192.168.2.11")
    assert [path in command for path, command in zip(paths, done, strict=True)] == [True, True]
    assert " 755 " in done[0]
    now = {
        operations.DETECTION: regular(shared_downloads.detection("192.168.2.11"), "755"),
        operations.APT_CONFIG: regular(shared_downloads.apt_configuration(operations.DETECTION)),
    }
    assert commands(operations.client, now, address="192.168.2.11") == []
