"""
The lab as real Kubernetes wants it: a mirror's folder is served, and real containers run.

Kubernetes' own programs can't be had everywhere; the stand-in's are served in their place, as if
they were real. What starts the pod here is Debian's containerd, asked as a kubelet asks it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import settings
from lab import cgroup, containers, host, kubernetes
from lab.api import Lab
from lab.errors import LabError
from tests.lab.conftest import make_project
from tests.lab.runs import CLUSTER, changes, ok, pyinfra

pytestmark = pytest.mark.slow

CONTROL_PLANE = """
control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = []
"""

# A program for the sandbox: busybox sleeps in it, under the name of the image that is wanted.
PAUSE = r"""set -e
apt-get install -q -y --no-install-recommends busybox-static python3-grpcio > /dev/null 2>&1
image=$(containerd config dump | sed -n "s/^ *sandbox\(_image\)\? = .\(.*\).$/\2/p")
cd "$(mktemp -d)"; mkdir -p rootfs/bin; cp /bin/busybox rootfs/bin/
for name in sh sleep cat; do ln -s busybox rootfs/bin/$name; done
tar -C rootfs -cf layer.tar .
cat > config.json << END
{"architecture": "$(dpkg --print-architecture)", "os": "linux",
 "config": {"Cmd": ["/bin/sleep", "100000"]}, "rootfs": {"type": "layers",
 "diff_ids": ["sha256:$(sha256sum layer.tar | cut -d' ' -f1)"]}}
END
echo "[{\"Config\": \"config.json\", \"RepoTags\": [\"$image\"], \"Layers\": [\"layer.tar\"]}]" \
  > manifest.json
tar -cf - manifest.json config.json layer.tar | ctr -n k8s.io images import - > /dev/null
echo "$image"
"""

# A pod as the kubelet makes a guaranteed one (CRI's api.proto has the numbers): a sandbox on the
# node's network, a container with 64 MiB and -997 before the OOM killer; then a command in it.
POD = r"""
import sys, grpc

def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)

def encode(*fields):
    data = ((field, one.encode() if isinstance(one, str) else one) for field, one in fields)
    return b"".join(bytes([field << 3 | 2]) + varint(len(one)) + one for field, one in data)

def decode(data):  # messages and strings alone: field -> values
    found = {}
    while data:
        field, size, shift, data = data[0] >> 3, 0, 0, data[1:]
        more = True
        while more:
            size, more = size | (data[0] & 127) << shift, data[0] > 127
            shift, data = shift + 7, data[1:]
        found.setdefault(field, []).append(data[:size])
        data = data[size:]
    return found

def number(field, value):
    return bytes([field << 3]) + varint(value & (1 << 64) - 1)

channel = grpc.insecure_channel("unix:///run/containerd/containerd.sock")

def call(method, message):
    ask = channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")
    return decode(ask(message, timeout=600))

spaces = number(1, 2) + number(2, 1) + number(3, 2)  # network and ipc: the node's; pid: its own
linux = encode((1, "/kubepods.slice/kubepods-podtest.slice"), (2, encode((1, spaces))))
names = encode((1, "test"), (2, sys.argv[1]), (3, "default"))
sandbox = encode((1, names), (8, linux))
pod = call("RunPodSandbox", encode((1, sandbox)))[1][0]
limits = encode((1, number(4, 64 << 20) + number(5, -997)), (2, encode((3, spaces))))
container = encode((1, encode((1, "test"))), (2, encode((1, sys.argv[2]))), (15, limits))
made = call("CreateContainer", encode((1, pod), (2, container), (3, sandbox)))[1][0]
call("StartContainer", encode((1, made)))
look = encode((1, made), (2, "cat"), (2, "/proc/1/cmdline"), (2, "/proc/1/cgroup"))
said = call("ExecSync", look)
print(made.decode())
print(said[1][0].decode().replace("\0", " "))
"""

LIMITS = "find /sys/fs/cgroup -path '*{}*' '(' -name memory.limit_in_bytes -o -name memory.max ')'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for LAB_MIRROR that does not say it is a stand-in."""
    made = kubernetes.make_stand_in("1.36")
    copy = tmp_path_factory.mktemp("served") / "mirror"
    shutil.copytree(made, copy)
    (copy / "fingerprint").unlink()
    return copy


@pytest.fixture(scope="module")
def served(new_lab: Callable[..., Lab], folder: Path) -> Iterator[Lab]:
    """A lab of one node whose Kubernetes is in the folder."""
    lab = new_lab("real", CONTROL_PLANE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_MIRROR", str(folder))
        lab.up()
        yield lab


@pytest.fixture(scope="module")
def deployed(served: Lab) -> Lab:
    """The same after the whole deploy."""
    done = pyinfra(served, "-y", deploys=CLUSTER)
    assert done.status == 0, done.output[-3000:]
    return served


@pytest.fixture(scope="module")
def pause(deployed: Lab) -> str:
    """The name of the sandboxes' image, with a program in it."""
    return ok(deployed.ssh("node1", "sudo sh", stdin=PAUSE))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path, CONTROL_PLANE)


def groups(part: str) -> list[str]:
    """The directories of this control group and below, in every hierarchy."""
    return [found for top in cgroup.hierarchies() for found, _, _ in os.walk(top / part)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("rm -r '{}'", r"no such directory\..*LAB029"),
        ("rm -r '{}/images'", r"no images\..*LAB029"),
        ("rm '{}'/images/*", r"no images/\*\.tar\..*LAB029"),
        ("rm '{}/kube-flannel.yml'", r"no kube-flannel\.yml\..*LAB029"),
        ("mv '{0}/core:/stable:/v1.36' '{0}/core:/stable:/v1.30'", "v1.36/deb/.*LAB029"),
        ("echo no > '{}/core:/stable:/v1.36/deb/Release.key'", "Release.key .*LAB030"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_mirror_is_refused_in_one_line(
    project: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
    message: str,
) -> None:
    damaged = tmp_path / "mirror"
    shutil.copytree(folder, damaged, copy_function=os.link)
    (damaged / "core:/stable:/v1.36/deb/Release.key").unlink()
    shutil.copy(folder / "core:/stable:/v1.36/deb/Release.key", damaged / "core:/stable:/v1.36/deb")
    host.run(["sh", "-c", damage.format(damaged)])
    monkeypatch.setenv("LAB_MIRROR", str(damaged))
    with pytest.raises(LabError, match=message) as refused:
        kubernetes.choose(settings.load(project))
    assert str(damaged) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_wishes_at_odds_are_refused(
    project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_MIRROR", str(folder))
    monkeypatch.setenv("LAB_KUBERNETES", "stand-in")
    with pytest.raises(LabError, match=r"LAB_KUBERNETES=stand-in .*LAB028"):
        kubernetes.choose(settings.load(project))


def test_a_deploy_from_the_mirror_ends_with_a_ready_node(deployed: Lab, folder: Path) -> None:
    ready = ["kubectl", "wait", "--for=condition=Ready", "node", "--all", "--timeout=600s"]
    assert ok(deployed.run(ready)) == "node/node1 condition met"
    # Packages, key, manifest and images are the folder's.
    source = ok(deployed.ssh("node1", "cat /etc/apt/sources.list.d/*kubernetes*"))
    assert f"http://{deployed.plan.router}:8036/core:/stable:/v1.36/deb/" in source
    images = set(ok(deployed.ssh("node1", "sudo ctr -n k8s.io images ls -q")).split())
    archives = {path.name.removesuffix(".tar") for path in (folder / "images").glob("*.tar")}
    assert archives <= {name.rpartition("/")[2].replace(":", "_") for name in images}
    assert changes(deployed, deploys=CLUSTER) == []


def test_the_kubelet_finds_the_kernel_as_it_wants_it_and_leaves_the_hosts_alone(
    served: Lab,
) -> None:
    before = {name: Path("/proc/sys", name).read_text() for name in containers.KUBELET_WANTS}
    for name, value in containers.KUBELET_WANTS.items():
        assert ok(served.ssh("node1", f"cat /proc/sys/{name}")) == str(value)
        assert served.ssh("node1", f"echo 77 | sudo tee /proc/sys/{name}").returncode != 0
    assert before == {name: Path("/proc/sys", name).read_text() for name in before}


def run_pod(lab: Lab, pause: str) -> str:
    """Run a pod on the control plane, look at it from both sides; give its container's id."""
    uid = os.urandom(4).hex()
    said = ok(lab.ssh("node1", f"sudo python3 - {uid} {pause}", stdin=POD))
    name, inside = said.split("\n", 1)
    assert inside.startswith("/bin/sleep 100000")
    slices = f"kubepods-podtest.slice/cri-containerd-{name}.scope"
    # Its own view of itself (v1, or v2 with a namespace for control groups), and the node's.
    assert slices in inside or inside.rstrip().endswith("0::/")
    shown = ok(lab.ssh("node1", f"sudo {LIMITS.format(slices)} -exec cat {{}} +"))
    assert shown == str(64 << 20)
    assert ok(lab.ssh("node1", f"systemctl is-active cri-containerd-{name}.scope")) == "active"
    return name


def test_a_real_container_runs_in_a_pod_under_systemds_groups(deployed: Lab, pause: str) -> None:
    name = run_pod(deployed, pause)
    assert [path for path in groups(f"{cgroup.root(deployed.name)}/node1") if name in path]


def test_no_control_group_outlives_its_boot(deployed: Lab, pause: str) -> None:
    name = run_pod(deployed, pause)
    deployed.reboot("node1")
    assert not [path for path in groups(cgroup.root(deployed.name)) if name in path]
    assert ok(deployed.ssh("node1", "systemctl is-system-running --wait")) == "running"
    assert run_pod(deployed, pause) != name
    root = cgroup.root(deployed.name)
    deployed.power_off("node1")
    assert groups(f"{root}/node1") == []
    deployed.power_on("node1")
    deployed.down()
    assert groups(root) == []
    assert deployed.name not in Path("/proc/self/mounts").read_text()
