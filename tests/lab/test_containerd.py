"""containerd's configuration, judged by containerd itself."""

from __future__ import annotations

import io
import tarfile
import tomllib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from formats.containerd import Runtime, configured, overridden
from formats.registry_mirrors import CERTS_DIR
from lab.api import Lab
from messages import codes
from tests.formats.test_containerd import DEBIAN, DOCKER, FORMS, leaves
from tests.lab.runs import changes, ok, pyinfra

pytestmark = pytest.mark.slow

CONTROL_PLANE = """
control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = []
"""
RUNTIME = ["deploys/runtime.py"]
CONFIG = "/etc/containerd/config.toml"
CRI = "io.containerd.grpc.v1.cri"
TABLE = f'[plugins."{CRI}"]\n'
CHANGED = {"sandbox_image", "bin_dir", "conf_dir", "SystemdCgroup", "config_path"}
# systemd starts a unit five times in ten seconds at most, unless it is told to forget them.
RESTART = "sudo systemctl reset-failed containerd; sudo systemctl restart containerd"
CRI_IS_LOADED = "sudo ctr plugins ls | grep -Eq '^io.containerd.grpc.v1 +cri .*ok *$'"


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    made = new_lab("ctd", CONTROL_PLANE)
    made.up()
    run = pyinfra(made, "-y", deploys=RUNTIME)
    assert run.status == 0, run.output
    ok(made.ssh("node1", f"sudo cp {CONFIG} /root/config.toml"))
    yield made
    made.down()


@pytest.fixture(autouse=True)
def put_back(lab: Lab) -> Iterator[None]:
    yield
    ok(lab.ssh("node1", f"sudo cp /root/config.toml {CONFIG}; {RESTART}"))


def write(lab: Lab, text: str, path: str = CONFIG) -> None:
    """The file as a person leaves it, and containerd started with it."""
    folder = path.rsplit("/", 1)[0]
    encoded = b64encode(text.encode()).decode()
    script = f"sudo mkdir -p {folder}; echo {encoded} | base64 -d | sudo tee {path} > /dev/null"
    ok(lab.ssh("node1", f"{script}; {RESTART}"))


def dumps(lab: Lab, texts: list[str]) -> list[str]:
    """What containerd makes of each configuration; "" for one that it can't read."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for number, text in enumerate(texts):
            member = tarfile.TarInfo(str(number))
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    script = (
        'cd "$(mktemp -d)" && base64 -d | tar -x; for n in $(find . -type f | sort -V); do '
        'echo "x $(containerd --config "$n" config dump 2> /dev/null | base64 -w0)"; done'
    )
    said = ok(lab.ssh("node1", script, stdin=b64encode(archive.getvalue()).decode()))
    found = [b64decode(line.partition(" ")[2]).decode() for line in said.splitlines()]
    assert len(found) == len(texts)
    return found


def cri(dump: str) -> Any:
    return tomllib.loads(dump)["plugins"][CRI]


@pytest.mark.parametrize("mirrors", [False, True])
def test_containerd_reads_what_is_wanted_and_keeps_what_others_have_set(
    lab: Lab, mirrors: bool
) -> None:
    wanted = Runtime("registry.k8s.io/pause:3.10.2", mirrors=mirrors)
    before = [DEBIAN, DOCKER, *(f"version = 2\n{form}" for form in FORMS)]
    after = [configured(text, wanted, "1.7.24") for text in before]
    read = dumps(lab, [*before, *after])
    compared = []
    for number, text in enumerate(after):
        was, now = read[number], read[len(before) + number]
        if not was:  # a form that containerd's own reader of TOML does not take
            continue
        assert now, text
        assert overridden(now, wanted) == [], text
        if CRI not in tomllib.loads(was)["plugins"]:  # switched off before
            continue
        compared.append(text)
        theirs = tomllib.loads(before[number]).get("plugins", {}).get(CRI, {})
        known = leaves(theirs, CHANGED) & leaves(cri(was), CHANGED)  # it prints no others
        assert known <= leaves(cri(now), CHANGED), text
        # Of the rest nothing but runc's own entry, made anew where there was none.
        moved = leaves(cri(was), CHANGED) ^ leaves(cri(now), CHANGED)
        assert {path[:3] for path, _ in moved} <= {("containerd", "runtimes", "runc")}, text
        paths = [CERTS_DIR] * mirrors + [
            path for path in [cri(was)["registry"]["config_path"]] if path
        ]
        assert cri(now)["registry"]["config_path"] == ":".join(paths), text
    assert len(compared) >= 10
    assert after[0] in compared  # Debian's own


def test_a_persons_dotted_key_stays_where_it_was(lab: Lab) -> None:
    write(lab, f'version = 2\n{TABLE}registry.config_path = "/etc/mine"\n')
    run = pyinfra(lab, "-y", deploys=RUNTIME)
    assert run.status == 0, run.output
    found = cri(ok(lab.ssh("node1", "containerd config dump")))
    assert found["registry"]["config_path"] == "/etc/mine"
    assert found["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    ok(lab.ssh("node1", CRI_IS_LOADED))
    assert changes(lab, deploys=RUNTIME) == []


@pytest.mark.parametrize(
    "text",
    [
        f"version = 2\n{TABLE}systemd_cgroup = true\n",
        "[plugins.cri]\nsystemd_cgroup = true\n",
        'disabled_plugins = ["cri"]\n',
        f'version = 2\ndisabled_plugins = ["{CRI}"]\n',
    ],
)
def test_a_cri_that_was_not_loaded_is_afterwards(lab: Lab, text: str) -> None:
    write(lab, text)
    assert lab.ssh("node1", CRI_IS_LOADED).returncode != 0
    run = pyinfra(lab, "-y", deploys=RUNTIME)
    assert run.status == 0, run.output
    ok(lab.ssh("node1", CRI_IS_LOADED))
    assert changes(lab, deploys=RUNTIME) == []


def test_why_no_cri_is_loaded_is_told_in_containerds_words_and_the_remedy_helps(lab: Lab) -> None:
    mine = ok(lab.ssh("node1", f"cat {CONFIG}"))
    broken = f'\n[plugins."{CRI}".containerd]\ndefault_runtime_name = "nosuch"\n'
    write(lab, mine + broken)
    run = pyinfra(lab, "-y", deploys=RUNTIME)
    assert run.status != 0
    (told,) = [line for line in run.lines("node1") if "nosuch" in line]
    assert "failed to load plugin" in told
    assert codes(told) == ["CRI007"]
    write(lab, mine)
    assert changes(lab, deploys=RUNTIME) == []


def test_a_file_that_is_imported_and_says_otherwise_is_told_before_anything_is_changed(
    lab: Lab,
) -> None:
    mine = ok(lab.ssh("node1", f"cat {CONFIG}"))
    theirs = "/etc/containerd/theirs/a.toml"
    try:
        other = f'[plugins."{CRI}".containerd.runtimes.runc.options]\nSystemdCgroup = false\n'
        write(lab, f"version = 2\n{other}", theirs)
        text = mine.replace("version = 2", f'version = 2\nimports = ["{theirs}"]', 1)
        write(lab, text)
        run = pyinfra(lab, "-y", deploys=RUNTIME)
        assert run.status != 0
        (told,) = [line for line in run.lines("node1") if "SystemdCgroup" in line]
        assert codes(told) == ["CRI002"]
        assert ok(lab.ssh("node1", f"cat {CONFIG}")) == text
    finally:
        ok(lab.ssh("node1", "sudo rm -r /etc/containerd/theirs"))
