"""deploys/reset.py: the cluster goes, its boards are as prepared ones, and a new one is built."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import yaml

from lab.api import Lab
from messages import codes
from tests.lab.clusters import TWO_NODES, all_are_ready, kubeconfig
from tests.lab.runs import CLUSTER, changes, differences, ok, pyinfra, snapshot, start

pytestmark = pytest.mark.slow

NODES = ("node1", "node2")
PREPARED = [
    f"deploys/{name}.py" for name in ("ssh_access", "network", "prepare", "runtime", "packages")
]
DEPLOY = ["deploys/reset.py"]
YES = ["--data", "yes=bramble"]

# What is another's, and stays.
OTHERS = """set -e; iptables -I FORWARD -s 203.0.113.7 -m comment \
  --comment "mine, not -j KUBE-FORWARD" -j ACCEPT
iptables -N OTHERS && iptables -A OTHERS -j ACCEPT
echo true > /opt/cni/bin/other-plugin"""
# What a real cluster leaves besides what the stand-in does: of pods, of kubeadm upgrade, rules of
# IPv6, a jump from another's chain.
LEFT = """set -e
mkdir -p /var/lib/cni/networks/cbr0 /var/lib/cni/results /var/log/containers \
  /var/log/pods/default_bb_1/bb /usr/libexec/kubernetes/kubelet-plugins/volume/exec \
  /etc/kubernetes/tmp/kubeadm-upgrade-apply-dryrun1 /var/lib/kubelet/pods/1/volumes
echo 10.244.1.2 > /var/lib/cni/networks/cbr0/last_reserved_ip.0
echo log > /var/log/pods/default_bb_1/bb/0.log
ln -sf /var/log/pods/default_bb_1/bb/0.log /var/log/containers/bb.log
ip6tables -t mangle -N KUBE-KUBELET-CANARY 2>/dev/null || :
iptables -I OTHERS -j KUBE-FIREWALL"""
# Beyond what `snapshot` has: everything that kubeadm, kubelet and pods may leave. Tables without a
# rule stay on nodes without nft. A whole run records more than single deploys do, but no label.
STATE = """find /var/lib/kubelet /var/lib/cni /var/lib/etcd /run/flannel \
  /usr/libexec /var/log/pods /var/log/containers /opt/cni /etc/kubernetes /etc/cni \
  -printf '%y %m %u %g %p %l\\n' 2>/dev/null
sed -n 's/^  "\\(label .*\\)": {.*/recorded \\1/p' /var/lib/bramble/record.json
ip -o link | sed 's/^[0-9]*: \\([^:@]*\\).*/link \\1/'
for s in iptables ip6tables; do $s-save | grep -E '^(:[^ ]* -|-A)' |
  sed -e 's/\\[[0-9:]*\\]//' -e "s/^/$s /"; done
find /sys/fs/cgroup -name 'kubepods*'; systemctl is-enabled kubelet
[ "$(systemctl is-active kubelet)" = inactive ] || echo kubelet is started"""


def state(lab: Lab) -> dict[str, set[str]]:
    """All that a reset could leave, or remove that is not Kubernetes'."""
    found = snapshot(lab)
    for node, lines in found.items():
        lines |= {
            f"state {line}" for line in ok(lab.console(node, ["sh", "-c", STATE])).split("\n")
        }
    return found


@dataclass(frozen=True)
class Prepared:
    """A lab whose nodes were prepared, then made a cluster; and their state in between."""

    lab: Lab
    state: dict[str, set[str]]


@pytest.fixture(scope="module")
def prepared(new_lab: Callable[..., Lab]) -> Iterator[Prepared]:
    made = new_lab("reset", TWO_NODES, in_use=True)
    made.up()
    kubeconfig(made).write_text(MINE)
    run = pyinfra(made, "-y", deploys=PREPARED)
    assert run.status == 0, run.output
    for node in NODES:
        ok(made.console(node, ["sh", "-c", OTHERS]))
    yield Prepared(made, state(made))
    made.down()


MINE = """apiVersion: v1
kind: Config
current-context: elsewhere
clusters: [{name: elsewhere, cluster: {server: "https://192.0.2.1:6443"}}]
contexts: [{name: elsewhere, context: {cluster: elsewhere, user: me}}]
users: [{name: me, user: {token: mine}}]
"""


@pytest.fixture
def lab(prepared: Prepared) -> Lab:
    """With a cluster, and what a real one leaves."""
    run = pyinfra(prepared.lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    all_are_ready(prepared.lab, *NODES)
    for node in NODES:
        ok(prepared.lab.console(node, ["sh", "-c", LEFT]))
    return prepared.lab


def is_prepared(prepared: Prepared) -> None:
    assert differences(prepared.state, state(prepared.lab)) == []
    config = yaml.safe_load(kubeconfig(prepared.lab).read_text())
    assert [each["name"] for each in config["contexts"]] == ["elsewhere"]
    assert changes(prepared.lab, deploys=DEPLOY) == []  # and asks nothing
    assert differences(prepared.state, state(prepared.lab)) == []


def test_nothing_is_deleted_without_the_clusters_name(lab: Lab) -> None:
    before = state(lab)
    dry = pyinfra(lab, "--dry", "--diff", deploys=DEPLOY)
    assert dry.status == 0, dry.output
    assert "/etc/kubernetes/pki" in dry.output
    for arguments, code in (
        (["-y"], "KUB062"),
        (["-y", "--data", "yes=brambl"], "KUB062"),
        (["-y", "--data", "yes=true"], "KUB062"),
        (["-y", *YES, "--limit", "node2"], "SET118"),
        (["-y", "--data", "sure=bramble"], "SET020"),
    ):
        run = pyinfra(lab, *arguments, deploys=DEPLOY)
        assert run.status != 0
        assert code in codes(run.output), run.output
    assert differences(before, state(lab)) == []


def test_the_name_is_typed(lab: Lab, prepared: Prepared) -> None:
    """On a terminal: `no` first, then the name."""
    for answer, status in ((b"no\n", 1), (b"bramble\n", 0)):
        ours, theirs = pty.openpty()
        run = subprocess.Popen(
            lab.operator_command(["pyinfra", "inventory.py", *DEPLOY, "-y"]),
            env=lab.operator_environment(),
            cwd=lab.project,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        answers, seen = {b"Make a last backup": b"n\n", b"Type its name": answer}, b""
        try:
            while block := os.read(ours, 4096):
                seen += block
                for question in [each for each in answers if each in seen]:
                    os.write(ours, answers.pop(question))
        except OSError:
            pass  # Linux' way to say that the other side is closed
        os.close(ours)
        assert run.wait() == status, seen
        assert seen.count(b"Type its name") == 1, seen
    is_prepared(prepared)


def test_the_cluster_is_deleted_and_a_new_one_built(lab: Lab, prepared: Prepared) -> None:
    run = pyinfra(lab, "-y", *YES, deploys=DEPLOY)
    assert run.status == 0, run.output
    assert run.output.index("kubeadm reset: node2") < run.output.index("kubeadm reset: node1")
    is_prepared(prepared)


def test_the_power_goes_in_the_middle(lab: Lab, prepared: Prepared) -> None:
    run = start(lab, "-y", *YES, deploys=DEPLOY)
    assert run.stdout is not None
    for line in run.stdout:
        if "[node2] kubeadm reset: " in line:
            break
    lab.power_off("node2")
    run.communicate()
    assert run.returncode != 0
    lab.power_on("node2")
    again = pyinfra(lab, "-y", *YES, deploys=DEPLOY)
    assert again.status == 0, again.output
    # The reboot took the rules of others with it, which were made by hand.
    ok(lab.console("node2", ["sh", "-c", OTHERS]))
    is_prepared(prepared)


def test_a_worker_is_down_and_reset_later(lab: Lab, prepared: Prepared) -> None:
    lab.power_off("node2")
    run = pyinfra(lab, "-y", *YES, deploys=DEPLOY)
    assert run.status != 0
    assert run.counts("node1")[2] == 0, run.output
    lab.power_on("node2")
    again = pyinfra(lab, "-y", *YES, deploys=DEPLOY)
    assert again.status == 0, again.output
    ok(lab.console("node2", ["sh", "-c", OTHERS]))
    is_prepared(prepared)
