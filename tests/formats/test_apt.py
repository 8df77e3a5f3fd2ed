"""What apt-get 3.0 says (recorded), and what a person is told of it."""

from pathlib import Path

import pytest

from formats.apt import (
    Installation,
    available_versions,
    is_lock,
    progress,
    reason,
    simulated,
    source,
    wants_source,
    wants_update,
)
from formats.unreadable import Unreadable
from tests.said import says

SAMPLES = Path(__file__).parent / "samples" / "apt"
RETRIEVING = "dlstatus:1:0.0000:Retrieving file 1 of 1"


def sample(name: str) -> list[str]:
    return (SAMPLES / f"{name}.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("wrong-key", "FMT083"),
        (
            "no-release",
            "FMT086 The repository 'http://192.168.1.10/core:/stable:/v1.99/deb",
        ),
        (
            "refused",
            "FMT084 Could not connect to 192.168.1.10:1",
        ),
        (
            "unresolved",
            "FMT084 Could not resolve 'nosuch.invalid'",
        ),
        (
            "proxy-refuses",
            "FMT085 Failed to fetch http://192.168.1.10:8899/deb/InRelease  403",
        ),
        ("downloads-full", "FMT080"),
        ("unpacking-full", "FMT080"),
        ("lists-locked", "FMT081 (held by process 1884 (apt-get))"),
        (
            "dpkg-locked",
            "FMT081 (held by process 712 (unattended-upgr))",
        ),
        (
            "script-failed",
            "FMT086 error processing package kubelet (--configure): installed kubelet package "
            "post-installation script subprocess returned error exit status 1",
        ),
        ("unknown", "FMT086 Unable to locate package containerd"),
        ("expired", "FMT082"),
    ],
)
def test_a_failure_is_told_in_one_line(said: str, told: str) -> None:
    line = reason(sample(said))
    assert says(line, told)
    assert len(line) < 350


def test_a_simulation_tells_updates_new_packages_and_removals() -> None:
    lines = sample("simulation")
    planned = [line for line in lines if line.startswith(("Inst ", "Remv "))]
    installs, removes = simulated(planned)
    security = Installation("1.10.1-3", "1.10.1-3+deb12u1", security=True)
    assert installs["libgcrypt20-dev"] == security
    assert installs["bash"] == Installation("5.2.15-2+b8", "5.2.15-2+b13", security=False)
    assert installs["libc6:armhf"].before == ""  # new, of another architecture
    assert installs["harmless"] == Installation("1.0", "2.0", security=False)  # a file's archive
    assert removes == ["old-library"]
    with pytest.raises(Unreadable):
        simulated(["Inst nonsense"])


@pytest.mark.parametrize("said", [[], [RETRIEVING], ["", RETRIEVING]])
def test_silence_is_told_as_such(said: list[str]) -> None:
    assert says(reason(said), "FMT086 it printed nothing")


def test_only_a_lock_is_waited_for() -> None:
    assert is_lock(sample("lists-locked"))
    assert is_lock(sample("dpkg-locked"))
    assert not is_lock(sample("unresolved"))


def test_a_cache_that_has_stopped_is_told_from_a_server_that_does_not_answer() -> None:
    assert wants_source(sample("cache-stopped"))
    assert not wants_source(sample("refused"))
    assert not wants_source(sample("unresolved"))


def test_dpkgs_own_word_for_the_lock_is_known() -> None:
    line = "dpkg: error: dpkg frontend lock was locked by another process with pid 712"
    assert is_lock([line])


@pytest.mark.parametrize("said", ["unknown", "no-release"])
def test_old_lists_are_known_for_what_they_are(said: str) -> None:
    assert wants_update(sample(said))


@pytest.mark.parametrize("said", ["downloads-full", "wrong-key", "lists-locked"])
def test_an_update_is_no_cure_for_the_rest(said: str) -> None:
    assert not wants_update(sample(said))


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("dlstatus:3:34.1626:Retrieving file 3 of 3", (34.1626, "Retrieving file 3 of 3")),
        (
            "pmstatus:containerd:40.0000:Installing containerd (amd64)",
            (40.0, "Installing containerd (amd64)"),
        ),
        ("pmstatus:dpkg-exec:0.0000:Running dpkg", (0.0, "Running dpkg")),
        ("pmconffile:/etc/x:40.0000:'/etc/x' '/etc/x.dpkg-new' 1 1 ", None),
        ("Get:1 http://mirror.example/debian trixie InRelease [140 kB]", None),
        ("", None),
    ],
)
def test_progress_is_read(line: str, step: tuple[float, str] | None) -> None:
    assert progress(line) == step


def test_the_versions_of_a_package_are_read_from_a_repositorys_index() -> None:
    index = (
        "Package: kubeadm\nVersion: 1.36.3-1.1\nSize: 1\n\nPackage: kubelet\nVersion: 1.36.4-1.1\n"
    )
    index += "\nPackage: kubeadm\nArchitecture: arm64\nVersion: 1.36.4-1.1\n"
    assert available_versions(index, "kubeadm") == ["1.36.3-1.1", "1.36.4-1.1"]
    assert available_versions("", "kubeadm") == []


def test_a_flat_repository_has_no_components() -> None:
    text = source("https://pkgs.k8s.io/core:/stable:/v1.36/deb/", "/", "/etc/apt/keyrings/k.asc")
    assert text.splitlines() == [
        "Types: deb",
        "URIs: https://pkgs.k8s.io/core:/stable:/v1.36/deb/",
        "Suites: /",
        "Signed-By: /etc/apt/keyrings/k.asc",
    ]
