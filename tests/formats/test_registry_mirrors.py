"""hosts.toml, and which registries and mirrors may be in it."""

import tomllib

import pytest

from formats.registry_mirrors import check_mirror, hosts_toml
from tests.said import saying


def test_a_mirror_is_asked_before_the_registry() -> None:
    hosts = tomllib.loads(hosts_toml("registry.k8s.io", ["http://192.168.1.10:5000"]))
    assert hosts == {
        "server": "https://registry.k8s.io",
        "host": {"http://192.168.1.10:5000": {"capabilities": ["pull", "resolve"]}},
    }
    assert "server" not in tomllib.loads(hosts_toml("_default", ["http://192.168.1.10:5000"]))


def test_docker_hub_is_served_under_another_name() -> None:
    hosts = tomllib.loads(hosts_toml("docker.io", ["http://192.168.1.10:5000"]))
    assert hosts["server"] == "https://registry-1.docker.io"


@pytest.mark.parametrize(
    ("registry", "mirror"),
    [
        ("docker.io", "http://192.168.1.10:5000"),
        ("_default", "https://mirror.example.org"),
        ("localhost:5000", "http://mirror"),
        ("registry.k8s.io", "http://[fd00::1]:5000"),
        ("[fd00::1]:5000", "http://my_mirror.lan:65535"),
    ],
)
def test_mirrors_that_containerd_asks(registry: str, mirror: str) -> None:
    check_mirror(registry, mirror)


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        ("https://docker.io", "SET005 docker.io"),
        ("docker.io/library", "SET005 docker.io"),
        ("docker.io/", "SET005 docker.io"),
        ("registry-1.docker.io", "SET005 docker.io"),
        ("Registry.k8s.io", "SET005 registry.k8s.io"),
        ("*", "SET005 _default"),
        ("*.example.org", "SET005 '*.example.org'"),
        ("registry", "SET005 'registry'"),
        ("", "SET005 ''"),
        ("quay.io:0", "SET001 1 to 65535"),
        ("quay.io:65536", "SET001 1 to 65535"),
        ("quay.io:", "SET005 'quay.io:'"),
        ("quay.io:x", "SET005 'quay.io:x'"),
        ("fd00::1", "SET005 'fd00::1'"),
        ("quay .io", "SET005 'quay .io'"),
        ("../..", "SET005 .."),
    ],
)
def test_a_registry_that_no_image_is_named_after_is_refused(registry: str, message: str) -> None:
    with saying(message):
        check_mirror(registry, "http://mirror:5000")


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("mirror:5000", "SET005 http://mirror:5000"),
        ("", "SET005 ''"),
        ("ftp://mirror", "SET005 'ftp://mirror'"),
        ("http://mirror:5000/", "SET005 http://mirror:5000"),
        ("http://mirror/v2/cache", "SET005 http://mirror"),
        ("http://mirror?x", "SET005 http://mirror"),
        ("http://me:secret@mirror", "SET006 a mirror takes no user and no password"),
        ("http:/mirror", "SET005 http://mirror"),
        ("HTTPS//mirror:5000/", "SET005 https://mirror:5000"),
        ("http://mirror..lan", "SET005 'mirror..lan'"),
        ("http://mirror:99999", "SET001 1 to 65535"),
        ("http://fd00::1:5000", "SET005 'fd00::1:5000'"),
        ("http://[fd00::zz]:5000", "SET005 '[fd00::zz]:5000'"),
        ("http://[fe80::1%eth0]:5000", "SET005 '[fe80::1%eth0]:5000'"),
        ("http://192.168.1.300:5000", "SET005 '192.168.1.300:5000'"),
        ("http://", "SET005 'http://'"),
        ("http://-mirror", "SET005 '-mirror'"),
        ("http:// mirror", "SET005 ' mirror'"),
    ],
)
def test_a_mirror_that_can_not_be_asked_is_refused(mirror: str, message: str) -> None:
    with saying(message):
        check_mirror("docker.io", mirror)
