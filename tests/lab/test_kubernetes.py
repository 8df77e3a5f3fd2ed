"""The whole cluster: from blank boards to Ready, seen by the operator, and what comes after."""

from __future__ import annotations

import json
import re
import shlex
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import yaml

from formats import backup
from formats.kubeconfig import Access, merged
from lab.api import Lab
from lab.waiting import until
from tests.lab.clusters import (
    TWO_NODES,
    all_are_ready,
    kubeconfig,
    kubectl,
    no_token_is_left,
    nodes,
    ready,
    rules_of_all_are_there,
    tokens_made,
    work_of,
)
from tests.lab.rollouts import (
    DEPLOY,
    ask_for_reboot,
    blackout,
    boots,
    cordons,
    interrupted,
    reboot,
    rebooted,
)
from tests.lab.runs import (
    CLUSTER,
    Run,
    Watched,
    changes,
    differences,
    ok,
    paths,
    pyinfra,
    reaches_internet,
    snapshot,
)

ONE_MORE = 'workers.append(("node3", {"address": "192.168.2.13"}))\n'
NODES = ("node1", "node2", "node3")

# The operator's kubeconfig before: somebody else's cluster.
ELSEWHERE = """apiVersion: v1
kind: Config
current-context: elsewhere
clusters: [{name: elsewhere, cluster: {server: "https://192.0.2.1:6443"}}]
contexts: [{name: elsewhere, context: {cluster: elsewhere, user: me}}]
users: [{name: me, user: {token: mine}}]
"""

TOKEN = re.compile(r"(?<![\w.-])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w.-])")

# Host headers, and what asks the proxy with each of them.
SERVED = ("192.168.1.5", "192.168.1.32:8080", "localhost")
REFUSED = ("192.168.10.7", "192x168y1.evil", "192.168.1.5.evil", "example.org")
ASK_PROXY = """import json, requests, sys
url = "http://192.168.1.32:8080/api/v1/nodes"
ask = lambda name: requests.get(url, headers={"Host": name}, timeout=120).status_code
print(json.dumps({name: ask(name) for name in sys.argv[1:]}))"""

TAINT = "node-role.kubernetes.io/control-plane"

# By hand, on the control plane: etcd's programs as in its container, and by an image of it alone.
ETCD = """set -e; p=/etc/kubernetes/pki/etcd
id() { ctr -n k8s.io containers ls -q \
'labels."io.kubernetes.container.name"==etcd,labels."io.cri-containerd.kind"==container'; }
inside() { ctr -n k8s.io tasks exec --exec-id "by-hand-$$" "$(id)" "$@"; }
etcdctl() { inside etcdctl --endpoints https://127.0.0.1:2379 --cacert $p/ca.crt \
--cert $p/healthcheck-client.crt --key $p/healthcheck-client.key "$@" 2>&1; }
"""
KEYS = "etcdctl get /registry/ --prefix --keys-only"
SAVE = """mkdir /root/backup; etcdctl snapshot save /var/lib/etcd/etcd.db
inside etcdutl snapshot status /var/lib/etcd/etcd.db -w json; mv /var/lib/etcd/etcd.db /root/backup
"""
RESTORE = """systemctl stop kubelet; ctr -n k8s.io tasks ls -q | while read -r each; do
ctr -n k8s.io tasks kill -s SIGKILL "$each"; done
mv /var/lib/etcd/member /root/backup; rmdir /var/lib/etcd
image=$(kubeadm config images list --config /etc/kubernetes/kubeadm-config.yaml | grep /etcd:)
bind=options=rbind:rw peer=https://192.168.2.11:2380
ctr -n k8s.io run --rm --net-host --mount type=bind,src=/root/backup,dst=/backup,$bind \
--mount type=bind,src=/var/lib,dst=/var/lib,$bind "$image" by-hand etcdutl snapshot restore \
/backup/etcd.db --data-dir /var/lib/etcd --name node1 --initial-cluster node1=$peer \
--initial-advertise-peer-urls $peer --bump-revision 1000000000 --mark-compacted
rm -r /root/backup; systemctl start kubelet
"""


@dataclass(frozen=True)
class Made:
    """A control plane and a worker: blank, a dry run, and the run; a third node is spare."""

    lab: Lab
    blank: dict[str, set[str]]
    dry: Run
    after_dry: dict[str, set[str]]
    kubeconfig_after_dry: str
    run: Run
    seen: set[str]


@dataclass(frozen=True)
class Grown:
    """The same with the third node: the tokens that were made for it, and what was changed."""

    lab: Lab
    tokens: list[str]
    changed: dict[str, list[str]]


@pytest.fixture(scope="module")
def made(new_lab: Callable[..., Lab]) -> Iterator[Made]:
    lab = new_lab("kube", TWO_NODES)
    lab.up(workers=2)
    kubeconfig(lab).write_text(ELSEWHERE)
    kubeconfig(lab).chmod(0o644)
    blank = snapshot(lab, "node1", "node2")
    dry = pyinfra(lab, "--dry", "--diff", deploys=CLUSTER)
    after_dry = snapshot(lab, "node1", "node2")
    kubeconfig_after_dry = kubeconfig(lab).read_text()
    with Watched() as watched:
        run = pyinfra(lab, "-y", "-vv", "--diff", deploys=CLUSTER)
    yield Made(lab, blank, dry, after_dry, kubeconfig_after_dry, run, watched.seen)
    lab.down()


def test_a_dry_run_of_blank_nodes_changes_nothing(made: Made) -> None:
    assert made.dry.status == 0, made.dry.output
    assert differences(made.blank, made.after_dry) == []
    assert made.kubeconfig_after_dry == ELSEWHERE


def test_a_dry_run_shows_the_cluster_to_come(made: Made) -> None:
    plane, worker = ("\n".join(made.dry.lines(node)) for node in ("node1", "node2"))
    for text in (
        "Will initialize the control plane of Kubernetes v1.36",
        "Will create /etc/kubernetes/kubeadm-config.yaml",
        "+ controlPlaneEndpoint: kubernetes-api:6443",
        "+   podSubnet: 10.244.0.0/16",
        "Will create kube-flannel/daemonset/kube-flannel-ds",
        "Will label node2: node-role.kubernetes.io/worker=",
        "Will put the context bramble for https://192.168.1.32:6443 into ",
    ):
        assert text in plane
    assert "Will join node2 (192.168.2.12) to the cluster of node1" in worker
    for said in (plane, worker):
        assert "Will create /etc/containerd/config.toml" in said
        assert "+ SystemdCgroup = true" in said
        assert "Will install kubelet, kubeadm, kubectl, kubernetes-cni" in said


def test_every_file_that_it_announced_is_there_after_the_run(made: Made) -> None:
    for node, after in snapshot(made.lab, "node1", "node2").items():
        said = made.dry.lines(node)
        announced = {line.split()[2] for line in said if line.startswith("Will create /")}
        assert announced <= paths(after)


def test_all_nodes_are_ready(made: Made) -> None:
    assert made.run.status == 0, made.run.output[-5000:]
    table = kubectl(made.lab, "get", "nodes", "-o", "wide")
    assert re.search(r"node1 +Ready +control-plane +\S+ +v1\.36\.\S+ +192\.168\.2\.11 ", table)
    assert re.search(r"node2 +Ready +worker +\S+ +v1\.36\.\S+ +192\.168\.2\.12 ", table)


def test_pods_keep_off_the_control_plane_unless_wished_otherwise(made: Made) -> None:
    def tainted() -> bool:
        taints = nodes(made.lab)["node1"]["spec"].get("taints", [])
        return {"key": TAINT, "effect": "NoSchedule"} in taints

    deploys = ["deploys/workers.py"]
    assert tainted()
    run = pyinfra(made.lab, "-y", "--data", "pods_on_control_plane=true", deploys=deploys)
    assert run.status == 0, run.output
    assert not tainted()
    changed = work_of(changes(made.lab, deploys=deploys))
    assert changed == {"node1": ["Node labels and taints"]}
    assert tainted()


def test_this_computer_has_one_more_context_over_tls_and_keeps_the_others(made: Made) -> None:
    file = kubeconfig(made.lab)
    config, before = yaml.safe_load(file.read_text()), yaml.safe_load(ELSEWHERE)
    assert config["current-context"] == "elsewhere"
    for part in ("clusters", "contexts", "users"):
        assert before[part][0] in config[part]
        assert [each["name"] for each in config[part] if each not in before[part]] == ["bramble"]
    cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == "bramble")
    assert set(cluster) == {"server", "certificate-authority-data"}
    assert cluster["server"] == "https://192.168.1.32:6443"
    assert b64decode(cluster["certificate-authority-data"]).decode().strip() == ok(
        made.lab.ssh("node1", "sudo cat /etc/kubernetes/pki/ca.crt")
    )
    backups = list(file.parent.glob("kubeconfig.*.bak"))
    assert [backup.read_text() for backup in backups] == [ELSEWHERE]
    assert {path.stat().st_mode & 0o777 for path in (file, *backups)} == {0o600}


def test_the_nodes_keep_the_keys_private_and_the_packages_held(made: Made) -> None:
    assert ok(made.lab.ssh("node1", "stat -c '%a %U' ~/.kube/config")) == "600 pi"
    assert "node2" in ok(made.lab.ssh("node1", "kubectl get nodes"))
    for node in ("node1", "node2"):
        held = ok(made.lab.ssh(node, "apt-mark showhold")).split()
        assert held == ["kubeadm", "kubectl", "kubelet", "kubernetes-cni"]


def test_a_kubeconfig_of_the_control_planes_user_that_holds_more_is_never_overwritten(
    made: Made,
) -> None:
    lab, deploys = made.lab, ["deploys/control_plane.py"]
    ours = ok(lab.ssh("node1", "cat ~/.kube/config"))
    more = merged(ours, Access("elsewhere", "https://192.0.2.1:6443", "QQ==", "QQ==", "QQ=="))
    other = more.replace("client-key-data: LS0t", "client-key-data: AAAA")
    put = "cat > ~/.kube/config"
    try:
        ok(lab.ssh("node1", put, stdin=more))
        assert changes(lab, deploys=deploys) == []
        assert ok(lab.ssh("node1", "cat ~/.kube/config")) == more.strip()
        ok(lab.ssh("node1", put, stdin=other))
        run = pyinfra(lab, "-y", deploys=deploys)
        assert run.status == 0, run.output
        assert [line for line in run.lines("node1") if "(KUB072)" in line]
        assert ok(lab.ssh("node1", "cat ~/.kube/config")) == other.strip()
        ok(lab.ssh("node1", put, stdin=other.replace("certificate-authority-data: LS0t", "x: ")))
        run = pyinfra(lab, "-y", deploys=deploys)
        assert run.status != 0
        assert [line for line in run.lines("node1") if "(KUB038)" in line]
    finally:
        ok(lab.ssh("node1", put, stdin=ours))
    assert changes(lab, deploys=deploys) == []


def test_no_log_of_either_side_shows_a_secret(made: Made) -> None:
    users = yaml.safe_load(kubeconfig(made.lab).read_text())["users"]
    user = next(each["user"] for each in users if each["name"] == "bramble")
    key = b64decode(user["client-key-data"]).decode().splitlines()[1]
    debug = made.lab.project / "pyinfra-debug.log"
    logs = {"run": made.run.output, "debug": debug.read_text() if debug.exists() else ""}
    folder = made.lab.project / ".cluster" / "logs"
    logs |= {log.name: log.read_text() for log in folder.iterdir()}
    for node in ("node1", "node2"):
        logs[node] = ok(made.lab.ssh(node, "sudo journalctl -b -a --no-pager"))
    assert "[bootstrap-token] Using token: ******" in logs["run"]  # its line is there, it isn't
    for name, text in logs.items():
        assert not TOKEN.findall(text), name
        for secret in ("PRIVATE KEY", "client-key-data: ", user["client-key-data"], key):
            assert secret not in text, name


def test_no_command_line_and_no_environment_showed_one(made: Made) -> None:
    assert any("kubeadm\0join" in line for line in made.seen), "nothing was watched"
    for line in made.seen:
        assert not TOKEN.search(line)
        assert "PRIVATE KEY" not in line


def test_a_second_run_changes_nothing_and_makes_no_token(made: Made) -> None:
    no_token_is_left(made.lab)
    before = snapshot(made.lab, "node1", "node2")
    with tokens_made(made.lab) as tokens:
        assert changes(made.lab, deploys=CLUSTER) == []
    assert tokens == []
    no_token_is_left(made.lab)
    assert differences(before, snapshot(made.lab, "node1", "node2")) == []
    assert len(list(kubeconfig(made.lab).parent.glob("kubeconfig.*.bak"))) == 1


def test_a_backup_holds_the_whole_cluster_and_no_log_shows_it(made: Made) -> None:
    run = pyinfra(made.lab, "-y", "-vv", deploys=["deploys/backup.py"])
    assert run.status == 0, run.output
    (path,) = (made.lab.project / ".cluster/backups").iterdir()
    with path.open("rb") as file:
        found = backup.verify(file)
    there = ok(made.lab.ssh("node1", "sudo sha256sum /etc/kubernetes/pki/ca.key")).split()[0]
    assert found.members["kubernetes/pki/ca.key"].sha256 == there
    assert found.objects > 20
    line = ok(made.lab.ssh("node1", "sudo sed -n 3p /etc/kubernetes/pki/ca.key"))
    logs = [path.read_text() for path in (made.lab.project / ".cluster/logs").iterdir()]
    assert not any(line in text for text in [run.output, *logs])


def test_preflight_finds_nothing_wrong_with_a_cluster_that_is_ours(made: Made) -> None:
    run = pyinfra(made.lab, "-y", deploys=["deploys/preflight.py"])
    assert run.status == 0, run.output
    for check in ("ports", "earlier cluster", "interfaces", "firewall", "networks", "iptables"):
        assert len(re.findall(rf"(?m)^ *OK +{check}  ", run.output)) == 2, run.output


@pytest.fixture(scope="module")
def grown(made: Made) -> Grown:
    """One more worker in the inventory, and the run after that."""
    inventory = made.lab.project / "inventory.py"
    text = inventory.read_text()
    inventory.write_text(text.replace("\nimport settings", ONE_MORE + "\nimport settings", 1))
    with tokens_made(made.lab) as tokens:
        changed = work_of(changes(made.lab, deploys=CLUSTER))
    return Grown(made.lab, tokens, changed)


def test_one_more_worker_in_the_inventory_joins_alone(grown: Grown) -> None:
    assert len(grown.tokens) == 1
    no_token_is_left(grown.lab)
    assert ready(grown.lab) == set(NODES)
    changed = dict(grown.changed)
    assert "kubeadm join" in changed.pop("node3")
    # The others learn the new one's name, and the control plane labels it; it may be Ready by then.
    names = "/etc/hosts"
    assert changed.pop("node2") == [names]
    (marks,) = changed.values()
    assert [mark for mark in marks if mark != "Nodes Ready"] == [names, "Node labels and taints"]
    assert list(changed) == ["node1"]
    assert changes(grown.lab, deploys=CLUSTER) == []


def test_a_worker_that_was_reset_joins_after_the_remedy(grown: Grown) -> None:
    lab = grown.lab
    ok(lab.ssh("node3", "sudo kubeadm reset -f"))
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status != 0
    remedy = "kubectl delete node node3"
    told = [line for line in run.lines("node3") if remedy in line]
    assert len(told) == 1, run.output
    for other in ("node1", "node2"):
        assert run.left_alone(other)
    no_token_is_left(lab)
    kubectl(lab, *remedy.split()[1:])
    changed = work_of(changes(lab, deploys=CLUSTER))
    assert changed["node3"] == ["kubeadm join"]
    assert set(changed) == {"node1", "node3"}


def test_kubectl_proxy_serves_the_home_network_alone_and_only_when_asked_for(made: Made) -> None:
    lab, deploys = made.lab, ["deploys/access.py"]
    assert ":8080 " not in ok(lab.ssh("node1", "ss -Hltn"))
    run = pyinfra(lab, "-y", "--data", "kubectl_proxy=true", deploys=deploys)
    assert run.status == 0, run.output
    answers = json.loads(ok(lab.run(["python", "-c", ASK_PROXY, *SERVED, *REFUSED])))
    assert answers == dict.fromkeys(SERVED, 200) | dict.fromkeys(REFUSED, 403)
    assert "node1" in ok(lab.run(["kubectl", "--context=bramble-proxy", "get", "nodes"]))
    assert ok(lab.ssh("node1", "ps -C kubectl -o user=")) not in ("", "root", "pi")
    changed = work_of(changes(lab, deploys=deploys))
    assert changed == {"node1": ["kubectl proxy", "kubeconfig context for kubectl proxy"]}
    assert ":8080 " not in ok(lab.ssh("node1", "ss -Hltn"))
    assert "bramble-proxy" not in kubeconfig(lab).read_text()


def test_the_rules_of_all_stand_side_by_side_when_networking_starts_again(made: Made) -> None:
    rules_of_all_are_there(made.lab)
    before = snapshot(made.lab, "node1")
    restart = "sudo systemd-run --wait systemctl restart networking"
    ok(made.lab.ssh("node1", restart))
    assert differences(before, snapshot(made.lab, "node1")) == []
    reaches_internet(made.lab, "node2")


def test_all_nodes_are_ready_again_after_a_reboot_of_all(grown: Grown) -> None:
    lab = grown.lab
    with ThreadPoolExecutor() as pool:
        list(pool.map(lab.reboot, NODES))
    all_are_ready(lab, *NODES)
    reaches_internet(lab, "node2", "node3")
    rules_of_all_are_there(lab)
    assert changes(lab, deploys=CLUSTER) == []
    no_token_is_left(lab)


def test_a_roll_out_survives_the_worst_power_cuts(grown: Grown) -> None:
    """Of this computer with a node drained, and with one rebooted; of either node in its turn."""
    lab = grown.lab
    all_are_ready(lab, *NODES)
    ask_for_reboot(lab, "node1")
    before = boots(lab)
    interrupted(lab, "Reboot node1", None)
    assert rebooted(lab, before) == []
    assert cordons(lab) == {"node1": DEPLOY[0]}
    interrupted(lab, "node1 Ready", blackout(lab, "node1"))  # it is waited for, if it comes in time
    first = boots(lab)["node1"]
    ask_for_reboot(lab, "node2")
    run = interrupted(lab, "Reboot node2", lambda: lab.power_off("node2"))
    assert run.status != 0
    assert cordons(lab) == {"node2": DEPLOY[0]}
    lab.power_on("node2")
    second = boots(lab)["node2"]
    interrupted(lab, "node2 Ready", None)
    assert cordons(lab) == {"node2": DEPLOY[0]}
    run = reboot(lab)
    assert run.status == 0, run.output
    assert cordons(lab) == {}
    # Each was off once, and not rebooted again for that.
    assert boots(lab) == before | {"node1": first, "node2": second}
    all_are_ready(lab, *NODES)


def by_hand(lab: Lab, script: str) -> str:
    """The output of a script that uses etcd's programs."""
    return ok(lab.ssh("node1", f"sudo sh -c {shlex.quote(ETCD + script)}"))


def config_maps(lab: Lab) -> dict[str, str]:
    """The version of each ConfigMap in the namespace ``default``."""
    found = json.loads(kubectl(lab, "get", "configmaps", "-o", "json"))["items"]
    return {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in found}


def lives(lab: Lab) -> str:
    """What the API server answers about itself: ok, or which of its parts has failed."""
    done = lab.run(["kubectl", "--context=bramble", "--request-timeout=5s", "get", "--raw=/livez"])
    return done.stdout or done.stderr


def test_objects_are_in_etcd_and_outlive_it(made: Made) -> None:
    """By a kill, after which the kubelet starts it again, and by a power cut."""
    lab = made.lab
    kubectl(lab, "create", "configmap", "kept", "--from-literal=a=1")
    keys = by_hand(lab, KEYS).split()
    assert {"/registry/configmaps/default/kept", "/registry/minions/node2"} <= {*keys}
    before = config_maps(lab)
    by_hand(lab, 'systemctl stop kubelet; ctr -n k8s.io tasks kill -s SIGKILL "$(id)"')
    assert until(lambda: "etcd failed" in lives(lab))
    ok(lab.ssh("node1", "sudo systemctl start kubelet"))
    assert until(lambda: lives(lab) == "ok", pause=1)
    assert config_maps(lab) == before
    kubectl(lab, "create", "configmap", "last", "--from-literal=a=1")
    before = config_maps(lab)
    lab.power_off("node1")
    lab.power_on("node1")
    assert until(lambda: lives(lab) == "ok", pause=1)
    assert config_maps(lab) == before


def test_a_snapshot_brings_back_what_it_holds(made: Made) -> None:
    lab = made.lab
    kubectl(lab, "create", "configmap", "before", "--from-literal=a=1")
    before = config_maps(lab)
    assert '"totalKey"' in by_hand(lab, SAVE)
    kubectl(lab, "delete", "configmap", "before")
    kubectl(lab, "create", "configmap", "after", "--from-literal=a=1")
    by_hand(lab, RESTORE)
    assert until(lambda: lives(lab) == "ok", pause=1)
    assert config_maps(lab) == before
    kubectl(lab, "create", "configmap", "after", "--from-literal=a=1")
    assert int(config_maps(lab)["after"]) > 1_000_000_000
    all_are_ready(lab, *nodes(lab))
