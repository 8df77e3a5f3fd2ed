"""Image archives: names and architectures."""

import json

import pytest

from formats.docker_archive import Image, architecture, full_name, images
from tests.said import saying


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.37", "docker.io/library/busybox:1.37"),
        ("flannel/flannel:v0.28.9", "docker.io/flannel/flannel:v0.28.9"),
        ("ghcr.io/flannel-io/flannel:v0.28.9", "ghcr.io/flannel-io/flannel:v0.28.9"),
        ("registry.k8s.io/coredns/coredns:v1.14.2", "registry.k8s.io/coredns/coredns:v1.14.2"),
        ("localhost/x", "localhost/x:latest"),
        ("192.168.1.10:5000/pause:3.10", "192.168.1.10:5000/pause:3.10"),
        ("host:5000/x", "host:5000/x:latest"),
    ],
)
def test_a_name_is_what_containerd_calls_it(name: str, full: str) -> None:
    assert full_name(name) == full
    assert full_name(full) == full


def test_the_manifest_of_docker_save_is_read() -> None:
    manifest = [
        {"Config": "a.json", "RepoTags": ["registry.k8s.io/pause:3.10.2", "pause"], "Layers": []},
        {"Config": "b.json", "RepoTags": None, "Layers": []},
    ]
    assert images(json.dumps(manifest)) == [
        Image(("registry.k8s.io/pause:3.10.2", "docker.io/library/pause:latest"), "a.json"),
        Image((), "b.json"),
    ]


@pytest.mark.parametrize("text", ["", "{}}", '["x"]', "[{}]", "3", '{"schemaVersion": 2}'])
def test_another_manifest_is_refused(text: str) -> None:
    with saying("FMT001 not that of a Docker archive"):
        images(text)


def test_an_image_names_its_architecture() -> None:
    assert architecture('{"architecture": "arm64", "os": "linux"}') == "arm64"
    with saying("FMT001 without an architecture"):
        architecture('{"os": "linux"}')
