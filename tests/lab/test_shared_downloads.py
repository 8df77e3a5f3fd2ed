"""Each byte comes through the uplink once: packages and images that the gateway keeps."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from formats.shared_downloads import CACHE_MB, MEMORY_MB, NAME, PORT
from lab import network
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab import executions
from tests.lab.clusters import all_are_ready, kubectl, work_of
from tests.lab.registry import LAYER_MB
from tests.lab.runs import (
    CLUSTER,
    Run,
    changes,
    differences,
    ok,
    paths,
    pyinfra,
    snapshot,
    start,
)
from tests.project import REPOSITORY

pytestmark = pytest.mark.long

GATEWAY = "192.168.2.11"
REGISTRY_PORT = 5000
UNIT = f"{NAME}.service"
MIRRORS = {"registry.example": f"http://192.168.1.1:{REGISTRY_PORT}"}
PULL = "sudo ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d registry.example/{}:1"
# The lab's cache as an archive, not as a proxy of the node's own, which would stay in use.
ARCHIVE = """rm /etc/apt/apt.conf.d/90lab-proxy
a=http://192.168.1.1:3142
find /etc/apt/sources.list* -type f \
-exec sed -Ei "s#https://#$a/HTTPS///#; s#http://([^1])#$a/\\1#" {} +"""
OF_PODS = ("kube-proxy", "coredns", "pause")
CONNECT = "timeout 5 bash -c '</dev/tcp/{}/{}' 2>&1"
# Accepts connections, and says nothing.
TAKE_PORT = f"""sudo systemd-run --unit=taken python3 -c "from socket import *
s = create_server(('{GATEWAY}', {PORT})); list(iter(s.accept, None))\""""


def inventory(workers: int) -> str:
    listed = [f'("node{n}", {{"address": "192.168.2.1{n}"}})' for n in range(2, workers + 2)]
    gateway = f'{{"address": "{GATEWAY}", "uplink_address": "192.168.1.32"}}'
    return f'control_plane = [("node1", {gateway})]\nworkers = [{", ".join(listed)}]\n'


def configure(lab: Lab, workers: int, share: bool = True) -> None:
    """Write the inventory and the setting, as a person does."""
    end = "\nimport settings as _settings\n\n_settings.prepare(__file__)\n"
    (lab.project / "inventory.py").write_text(inventory(workers) + end)
    path = lab.project / "group_data" / "all.py"
    text, found = re.subn(
        r"(?m)^share_downloads = .*$", f"share_downloads = {share}", path.read_text()
    )
    assert found == 1
    path.write_text(text)


def received(lab: Lab) -> int:
    """The bytes that came in by the gateway's uplink."""
    shown = ok(lab.console("node1", ["ip", "-json", "-statistics", "link", "show", "wlan0"]))
    return int(json.loads(shown)[0]["stats64"]["rx"]["bytes"])


def pull(lab: Lab, image: str, *nodes: str) -> None:
    """Pull an image on several nodes at once."""
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda node: lab.ssh(node, PULL.format(image)), nodes):
            ok(done)


def can_connect(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 0


@dataclass(frozen=True)
class Deployed:
    """
    Fresh nodes, a dry run, and runs with one worker and with four.

    + one, four: bytes that came in by the uplink, from the beginning to the end of each run
    """

    lab: Lab
    blank: dict[str, set[str]]
    dry: Run
    after_dry: dict[str, set[str]]
    first: Run
    second: Run
    one: int
    four: int


@pytest.fixture(scope="module")
def shared(new_lab: Callable[..., Lab]) -> Iterator[Deployed]:
    lab = new_lab("share", inventory(1), registry_mirrors=MIRRORS, share_downloads=True)
    plan = lab.up(workers=4)
    for node in plan.nodes:
        ok(lab.console(node.name, ["sh", "-c", ARCHIVE]))
    command = [sys.executable, "-m", "tests.lab.registry", plan.router, str(REGISTRY_PORT)]
    images = ["first", "second", "third", *OF_PODS]
    registry = subprocess.Popen(
        network.inside(lab.name, "router", [*command, *images]), cwd=REPOSITORY
    )
    try:
        blank = snapshot(lab, "node1", "node2")
        dry = pyinfra(lab, "--dry", "--diff", deploys=CLUSTER)
        after_dry = snapshot(lab, "node1", "node2")
        begin = received(lab)
        first = pyinfra(lab, "-y", deploys=CLUSTER)
        pull(lab, "first", "node1", "node2")
        one = received(lab) - begin
        configure(lab, workers=4)
        second = pyinfra(lab, "-y", deploys=CLUSTER)
        pull(lab, "first", "node3", "node4", "node5")
        four = received(lab) - begin
        yield Deployed(lab, blank, dry, after_dry, first, second, one, four)
    finally:
        registry.terminate()
        registry.wait()
        lab.down()


def test_a_dry_run_of_blank_nodes_changes_nothing(shared: Deployed) -> None:
    assert shared.dry.status == 0, shared.dry.output
    assert differences(shared.blank, shared.after_dry) == []


def test_a_dry_run_shows_what_the_setting_brings(shared: Deployed) -> None:
    said = {node: "\n".join(shared.dry.lines(node)) for node in ("node1", "node2")}
    assert f"Will start {UNIT}" in said["node1"]
    assert f"Will create /etc/bramble/{NAME}.conf" in said["node1"]
    assert f"--dport {PORT} -j DROP" in said["node1"]
    for lines in said.values():
        assert "Will create /etc/apt/bramble-proxy" in lines
        assert "Will create /etc/containerd/certs.d/_default/hosts.toml" in lines
    assert UNIT not in said["node2"]


def test_four_workers_cost_the_uplink_little_more_than_one(shared: Deployed) -> None:
    """Without the setting it is three times as much."""
    assert shared.first.status == 0, shared.first.output[-5000:]
    assert shared.second.status == 0, shared.second.output[-5000:]
    all_are_ready(shared.lab, *(f"node{n}" for n in range(1, 6)))
    assert shared.one > LAYER_MB << 20
    print(f"one worker: {shared.one >> 20} MB, four: {shared.four >> 20} MB")
    assert shared.four <= 1.3 * shared.one


def test_an_image_that_all_nodes_pull_at_once_comes_in_once(shared: Deployed) -> None:
    begin = received(shared.lab)
    pull(shared.lab, "second", *(f"node{n}" for n in range(1, 6)))
    assert LAYER_MB << 20 < received(shared.lab) - begin < 1.3 * (LAYER_MB << 20)


def test_a_second_run_changes_nothing_and_asks_as_little_as_without(shared: Deployed) -> None:
    with executions.counted(shared.lab, "node1", "node5") as since:
        assert changes(shared.lab, deploys=CLUSTER) == []
        found = since()
        assert all(1 <= count <= executions.MOST for count in found.values()), found


def test_nothing_of_it_is_reachable_from_the_uplinks_side(shared: Deployed) -> None:
    """The operator is there, with a route to the cluster's network, by which sshd is reached."""
    lab = shared.lab
    assert can_connect(lab.ssh("node2", CONNECT.format(GATEWAY, PORT)))
    enter = ["ip", "-netns", network.namespace(lab.name, "operator"), "route"]
    subprocess.run([*enter, "add", "192.168.2.0/24", "via", "192.168.1.32"], check=True)
    try:
        for address in (GATEWAY, "192.168.1.32"):
            assert can_connect(lab.run(["sh", "-c", CONNECT.format(address, 22)]))
            assert not can_connect(lab.run(["sh", "-c", CONNECT.format(address, PORT)]))
    finally:
        subprocess.run([*enter, "delete", "192.168.2.0/24"], check=True)


def test_it_stays_in_its_bounds_of_memory_and_disk(shared: Deployed) -> None:
    shown = ok(shared.lab.ssh("node1", f"systemctl show -P MemoryMax {UNIT}"))
    assert int(shown) == MEMORY_MB << 20
    own = f'p=$(systemctl show -P MainPID {UNIT}); ps -o rss= -p "$p" --ppid "$p"'
    assert sum(map(int, ok(shared.lab.ssh("node1", own)).split())) < MEMORY_MB << 10
    config = ok(shared.lab.ssh("node1", f"sudo cat /etc/bramble/{NAME}.conf"))
    assert f"max_size={CACHE_MB}m" in config
    # nginx itself keeps the bound: with a smaller one it drops what was used least recently.
    size = f"sudo du -sm /var/cache/private/{NAME}/files | cut -f1"
    assert int(ok(shared.lab.ssh("node1", size))) > 2 * LAYER_MB
    smaller = f"sudo sed -i 's/max_size={CACHE_MB}m/max_size={LAYER_MB}m/' /etc/bramble/{NAME}.conf"
    ok(shared.lab.ssh("node1", f"{smaller} && sudo systemctl restart {UNIT}"))
    assert until(lambda: int(ok(shared.lab.ssh("node1", size))) <= 2 * LAYER_MB, pause=1)
    again = changes(shared.lab, deploys=["deploys/shared_downloads.py"])
    assert work_of(again) == {"node1": ["Download cache"]}


def test_a_cache_that_stops_while_a_node_joins_does_not_stop_the_run(shared: Deployed) -> None:
    """Images and packages come from the source then, and the next run starts it again."""
    lab = shared.lab
    kubectl(lab, "delete", "node", "node5")
    lab.fresh("node5")
    ok(lab.console("node5", ["sh", "-c", ARCHIVE]))
    deploys = ["deploys/shared_downloads.py", "deploys/runtime.py"]
    run = start(lab, "-y", "--limit", "node5", deploys=deploys)
    fetching = "pgrep -f '/usr/lib/apt/methods/http' > /dev/null"
    assert until(lambda: can_connect(lab.console("node5", ["sh", "-c", fetching])), pause=0.1)
    ok(lab.console("node1", ["systemctl", "stop", UNIT]))
    output, _ = run.communicate()
    assert run.returncode == 0, output[-5000:]
    pull(lab, "third", "node1", "node5")
    a_worker_pulls_its_first_images_before_it_joins(lab)
    again = pyinfra(lab, "-y", deploys=CLUSTER)
    assert again.status == 0, again.output[-5000:]
    all_are_ready(lab, *(f"node{n}" for n in range(1, 6)))
    assert can_connect(lab.ssh("node5", CONNECT.format(GATEWAY, PORT)))


def a_worker_pulls_its_first_images_before_it_joins(lab: Lab) -> None:
    """The lab's own images come as archives; here they are in the registry, but flannel's."""
    data = ("--data", "image_archives=null", "--data", "image_repository=registry.example")
    deploys = ["deploys/packages.py", "deploys/control_plane.py"]
    run = pyinfra(lab, "-y", "--limit", "node5", *data, deploys=deploys)
    assert run.status == 0, run.output
    assert "Images for pods" in run.output
    names = "|".join(OF_PODS)
    listed = f"sudo ctr -n k8s.io images ls -q | grep -cE '^registry.example/({names}):' || :"
    assert until(lambda: int(ok(lab.ssh("node5", listed))) == len(OF_PODS), pause=1)


def test_a_cache_that_cannot_start_is_a_warning(shared: Deployed) -> None:
    lab = shared.lab
    ok(lab.ssh("node1", f"sudo systemctl stop {UNIT}"))
    ok(lab.ssh("node1", TAKE_PORT))
    run = pyinfra(lab, "-y", deploys=["deploys/shared_downloads.py"])
    assert run.status == 0, run.output
    assert "NOD060" in codes(run.output)
    ok(lab.ssh("node1", "sudo systemctl stop taken"))
    assert pyinfra(lab, "-y", deploys=["deploys/shared_downloads.py"]).status == 0


def test_it_goes_away_with_the_setting(shared: Deployed) -> None:
    lab = shared.lab
    configure(lab, workers=4, share=False)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output[-5000:]
    left = snapshot(lab, "node1", "node2")
    named = re.compile(
        rf"shared-downloads|bramble-proxy|kubernetes-mirrors|certs.d/_default|dport {PORT}"
    )
    assert [line for lines in left.values() for line in lines if named.search(line)] == []
    assert "/etc/apt/sources.list.d/kubernetes.sources" in paths(left["node2"])
    ok(lab.ssh("node1", f"! sudo test -e /var/cache/private/{NAME} && ! systemctl is-active nginx"))
    assert changes(lab, deploys=CLUSTER) == []
