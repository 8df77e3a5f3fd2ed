"""deploys/certificates.py: shows all certificates, renews what expires soon or has expired."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from formats import kubeconfig as kubeconfig_format
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.aged import (
    KUBELET_CLIENT,
    KUBELET_SERVING,
    PKI,
    age,
    age_worker,
    all_of_control_plane,
    days_left,
)
from tests.lab.clusters import TWO_NODES, all_are_ready, kubeconfig, kubectl, no_token_is_left
from tests.lab.runs import CLUSTER, build, changes, differences, ok, pyinfra, snapshot, start

NODES = ("node1", "node2")
DEPLOY = ["deploys/certificates.py"]
YEAR = 360  # days, at least, of what was renewed
COPY = "/home/pi/.kube/config"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    made = new_lab("certs", TWO_NODES, in_use=True)
    build(made)
    yield made
    made.down()


def pids(lab: Lab) -> str:
    """The processes of the control plane's static pods."""
    command = "ss -Hltnp 'sport = :6443 or sport = :2379 or sport = :10257 or sport = :10259'"
    found = ok(lab.ssh("node1", f"sudo {command}"))
    return " ".join(sorted(set(re.findall(r"pid=(\d+)", found))))


def all_is_renewed(lab: Lab) -> None:
    for file in [*all_of_control_plane(lab, "node1"), KUBELET_SERVING, COPY]:
        assert days_left(lab, "node1", file) >= YEAR, file
    assert days_left(lab, "node2", KUBELET_CLIENT) >= YEAR
    all_are_ready(lab, *NODES)  # with the operator's own kubeconfig
    kubectl(lab, "get", "nodes")
    assert ok(lab.ssh("node1", "kubectl get nodes -o name")).split() == [
        "node/node1",
        "node/node2",
    ]
    no_token_is_left(lab)
    left = "ls /etc/kubernetes/bootstrap-kubelet.conf*"
    assert lab.ssh("node2", f"sudo {left}").returncode != 0


def expire_all(lab: Lab, days: int = -20) -> None:
    """All but the authorities, as in a cluster that was off for a year."""
    age(lab, "node1", days, [*all_of_control_plane(lab, "node1"), COPY])
    age_worker(lab, "node2", days)
    for node in NODES:
        ok(lab.ssh(node, "sudo systemctl restart kubelet"))
    ok(lab.ssh("node1", "sudo systemctl restart stand-in-control-plane"))


def exits_for_want_of_a_certificate(lab: Lab, node: str) -> bool:
    log = ok(lab.ssh(node, "sudo journalctl -u kubelet -n 20 -o cat"))
    return "unable to load bootstrap kubeconfig" in log


def test_nothing_expires_soon(lab: Lab) -> None:
    before, old = snapshot(lab), pids(lab)
    run = pyinfra(lab, "-y", deploys=DEPLOY)
    assert run.status == 0, run.output
    assert all(run.left_alone(node) for node in NODES), run.output
    # All are shown: kubeadm's eleven, three authorities, two of the kubelet, and two copies.
    table = [
        line for line in run.lines("node1") if re.search(r" 20\d\d-\d\d-\d\d +\d+ days$", line)
    ]
    assert len(table) == 18, run.output
    assert any("on this computer" in line for line in table)
    assert differences(before, snapshot(lab)) == []
    assert pids(lab) == old


def test_a_dry_run_tells_what_would_be_renewed_and_changes_nothing(lab: Lab) -> None:
    age(lab, "node1", 20, ["/etc/kubernetes/admin.conf", f"{PKI}/apiserver-kubelet-client.crt"])
    before, old = snapshot(lab), pids(lab)
    run = pyinfra(lab, "--dry", "--diff", deploys=DEPLOY)
    assert run.status == 0, run.output
    assert "Will renew 2 certificates: apiserver-kubelet-client, admin.conf" in run.output
    assert "kube-apiserver" in run.output
    assert f"Will copy /etc/kubernetes/admin.conf to {COPY}" in run.output
    assert "Will put the context bramble" in run.output
    assert differences(before, snapshot(lab)) == []
    assert pids(lab) == old


def test_what_expires_soon_is_renewed_and_the_rest_is_not(lab: Lab) -> None:
    rest = [f"{PKI}/apiserver.crt", "/etc/kubernetes/scheduler.conf", f"{PKI}/etcd/server.crt"]
    read = f"cat {' '.join(rest)} | md5sum"
    before, old = ok(lab.ssh("node1", f"sudo sh -c '{read}'")), pids(lab)
    age_worker(lab, "node2", 30)
    age(lab, "node1", 20, [KUBELET_SERVING])
    done = changes(lab, deploys=DEPLOY)
    assert len(done) == 4, done  # the control plane, both copies, the worker's kubelet
    assert pids(lab) != old
    assert ok(lab.ssh("node1", f"sudo sh -c '{read}'")) == before
    all_is_renewed(lab)
    local = kubeconfig_format.parse(kubeconfig(lab).read_text())
    admin = kubeconfig_format.parse(ok(lab.ssh("node1", "sudo cat /etc/kubernetes/admin.conf")))
    (user,) = (each["user"] for each in local["users"] if each["name"] == "bramble")
    assert user == admin["users"][0]["user"]
    assert changes(lab, deploys=DEPLOY) == []


def test_a_cluster_that_was_off_for_a_year_is_brought_back(lab: Lab) -> None:
    expire_all(lab)
    assert until(lambda: all(exits_for_want_of_a_certificate(lab, node) for node in NODES))
    run = pyinfra(lab, "-y", deploys=DEPLOY)
    assert run.status == 0, run.output
    assert any(line.endswith(" expired") for line in run.lines("node1")), run.output
    all_is_renewed(lab)
    assert changes(lab, deploys=DEPLOY) == []


def test_the_power_goes_while_the_certificates_are_renewed(lab: Lab) -> None:
    """Between the renewal and the restart of the static pods, which the next run then does."""
    expire_all(lab)
    run = start(lab, "-y", deploys=DEPLOY)
    assert run.stdout is not None
    for line in run.stdout:
        if "certificates are renewed" in line:
            break
    lab.power_off("node1")
    run.communicate()
    assert run.returncode != 0
    lab.power_on("node1")
    again = pyinfra(lab, "-y", deploys=DEPLOY)
    assert again.status == 0, again.output
    all_is_renewed(lab)
    assert changes(lab, deploys=DEPLOY) == []


def test_a_worker_is_down_and_let_in_later(lab: Lab) -> None:
    expire_all(lab)
    lab.power_off("node2")
    run = pyinfra(lab, "-y", deploys=DEPLOY)
    assert run.status != 0
    assert run.counts("node1")[2] == 0, run.output
    assert days_left(lab, "node1", f"{PKI}/apiserver.crt") >= YEAR
    lab.power_on("node2")
    again = pyinfra(lab, "-y", deploys=DEPLOY)
    assert again.status == 0, again.output
    all_is_renewed(lab)


@pytest.mark.long
def test_a_worker_that_is_refused_keeps_its_certificate(lab: Lab) -> None:
    """The worker does not reach the API server."""
    age_worker(lab, "node2", 30)
    block = "iptables -I OUTPUT -p tcp --dport 6443 -j REJECT"
    ok(lab.ssh("node2", f"sudo {block}"))
    try:
        run = pyinfra(lab, "-y", deploys=DEPLOY)
        assert run.status != 0
        assert codes("\n".join(run.lines("node2"))) == ["KUB061"], run.output
        assert days_left(lab, "node2", KUBELET_CLIENT) == 30
    finally:
        ok(lab.ssh("node2", f"sudo {block.replace('-I', '-D')}"))
    assert pyinfra(lab, "-y", deploys=DEPLOY).status == 0
    all_is_renewed(lab)


def test_files_that_a_power_cut_has_emptied_are_made_anew_by_the_command_that_is_named(
    lab: Lab,
) -> None:
    for file in ("/etc/kubernetes/scheduler.conf", f"{PKI}/apiserver.crt"):
        ok(lab.console("node1", ["truncate", "--size=0", file]))
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status != 0
    assert "KUB087" in codes(run.output), run.output
    command = re.search(r"`(sudo rm -f [^`]*)`", " ".join(run.lines("node1")))
    assert command, run.output
    ok(lab.ssh("node1", command[1]))
    assert pyinfra(lab, "-y", deploys=CLUSTER).status == 0
    all_is_renewed(lab)
