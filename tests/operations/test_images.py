"""Image archives of a folder: which are sent to which node."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from facts.images import ImagesState
from messages import Said
from messages import container_runtime as messages
from operations import images
from operations.base import HostFailure

PAUSE = "registry.k8s.io/pause:3.10.2"


def archive(path: Path, *tags: str, architecture: str = "arm64", manifest: bool = True) -> None:
    """An archive as ``docker save`` makes it, without layers."""
    config = json.dumps({"architecture": architecture, "os": "linux"})
    entries = [{"Config": "c.json", "RepoTags": list(tags), "Layers": []}]
    members = {"c.json": config} | ({"manifest.json": json.dumps(entries)} if manifest else {})
    with tarfile.open(path, "w") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))


def imported(
    folder: Path, *names: str, architecture: str = "arm64", containerd: str = "answers"
) -> tuple[list[str], str]:
    """The archives that would be sent to a node that holds these images."""
    state = FakeState()
    host = create_host(state)
    operation: Any = images.imported
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    now = ImagesState(architecture, containerd, list(names))
    with (
        ctx_state.use(state),
        ctx_host.use(host),
        patch.object(images, "read", lambda fact: now),
    ):
        commands = list(inner(folder=str(folder)))
    assert all(command.function is images._import for command in commands)
    return [Path(command.args[0]).name for command in commands], host.noop_description


def failure(folder: Path) -> Said:
    with pytest.raises(HostFailure) as reason:
        imported(folder)
    said: Said = reason.value.args[0]
    return said


def test_only_archives_with_a_missing_image_are_sent(tmp_path: Path) -> None:
    archive(tmp_path / "pause.tar", PAUSE)
    archive(tmp_path / "two.tar", "flannel/flannel:v1", "flannel/cni:v1")
    assert imported(tmp_path)[0] == ["pause.tar", "two.tar"]
    assert imported(tmp_path, PAUSE, "docker.io/flannel/flannel:v1")[0] == ["two.tar"]


def test_nothing_is_sent_a_second_time(tmp_path: Path) -> None:
    archive(tmp_path / "pause.tar", PAUSE)
    assert imported(tmp_path, PAUSE) == ([], f"containerd has the images of {tmp_path}")


def test_each_node_gets_the_archives_of_its_architecture(tmp_path: Path) -> None:
    archive(tmp_path / "arm.tar", PAUSE)
    archive(tmp_path / "intel.tar", PAUSE, architecture="amd64")
    assert imported(tmp_path)[0] == ["arm.tar"]
    assert imported(tmp_path, architecture="amd64")[0] == ["intel.tar"]


def test_an_archive_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    archive(tmp_path / "pause.tar", PAUSE)
    assert imported(tmp_path, PAUSE)[0] == []
    archive(tmp_path / "pause.tar", "registry.k8s.io/pause:3.11-with-another-size")
    assert imported(tmp_path, PAUSE)[0] == ["pause.tar"]


def test_nothing_is_planned_while_containerd_is_stopped(tmp_path: Path) -> None:
    archive(tmp_path / "pause.tar", PAUSE)
    assert imported(tmp_path, containerd="stopped")[0] == []
    assert imported(tmp_path, containerd="absent")[0] == ["pause.tar"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert failure(tmp_path) == messages.NO_ARCHIVES(folder=tmp_path)


def test_a_damaged_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.tar").write_text("not a tar file")
    said = failure(tmp_path)
    assert said.message is messages.BAD_ARCHIVE
    assert said.values["path"] == tmp_path / "broken.tar"


def test_an_archive_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    archive(tmp_path / "oci.tar", PAUSE, manifest=False)
    said = failure(tmp_path)
    assert said.message is messages.BAD_ARCHIVE
    assert said.values["path"] == tmp_path / "oci.tar"
