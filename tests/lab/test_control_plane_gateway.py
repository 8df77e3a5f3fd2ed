"""Three control planes of which one is the gateway: what is reached through it, and without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import yaml

from facts.kubectl import ADMIN_CONF
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.clusters import all_are_ready, kubeconfig, kubectl, nodes
from tests.lab.executions import spare
from tests.lab.runs import CLUSTER, changes, ok, pyinfra
from tests.lab.test_control_planes import ADDRESS, NODES, holders, members

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]

INVENTORY = """control_plane = [
    ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"}),
    ("node2", {"address": "192.168.2.12"}),
    ("node3", {"address": "192.168.2.13"}),
]
workers = []
"""
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
LIVEZ = "curl -sfk -m 4 -o /dev/null https://127.0.0.1:6443/livez"
FINGERPRINT = "sha256sum < /etc/kubernetes/pki/ca.crt"


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """From boards without Kubernetes."""
    made = new_lab("cpgate", INVENTORY, in_use=True, control_plane_address=ADDRESS)
    made.up()
    run = pyinfra(made, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    yield made
    made.down()


def is_served(lab: Lab) -> bool:
    """Whether the API server answers the operator, and reads from etcd."""
    asked = ["kubectl", "--context=bramble", "--request-timeout=5s", "get", "nodes"]
    return lab.run(asked).returncode == 0


def held_by(lab: Lab, *names: str) -> bool:
    """Whether one of these has the address, and no other."""
    found = holders(lab)
    return len(found) == 1 and found[0] in names


def all_vote(lab: Lab, asked: str) -> bool:
    """Whether a node knows all of them as members with a vote."""
    return members(lab, asked) == dict.fromkeys(NODES, "voter")


def uids(lab: Lab) -> dict[str, str]:
    return {name: node["metadata"]["uid"] for name, node in nodes(lab).items()}


def is_whole(lab: Lab) -> None:
    """All are Ready and members of one cluster, of which one has the address."""
    all_are_ready(lab, *NODES)
    for name in NODES:
        assert until(partial(all_vote, lab, name), pause=1), name
    assert len({ok(lab.console(name, ["sh", "-c", FINGERPRINT])) for name in NODES}) == 1
    assert until(partial(held_by, lab, *NODES), pause=1), holders(lab)
    assert until(partial(is_served, lab), pause=1)


def changes_no_node(lab: Lab) -> None:
    """A run changes nothing but kubectl's context, if it asks another control plane than before."""
    found = changes(lab, deploys=CLUSTER)
    assert [each for each in found if "kubeconfig context" not in each] == []


def test_the_operator_reaches_the_api_server_at_the_gateway(lab: Lab) -> None:
    is_whole(lab)
    config = yaml.safe_load(kubeconfig(lab).read_text())
    servers = [each["cluster"]["server"] for each in config["clusters"]]
    assert servers == ["https://192.168.1.32:6443"]
    assert kubectl(lab, "get", "--raw=/livez") == "ok"


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    spare(lab, NODES, lambda: pyinfra(lab, "-y", deploys=CLUSTER))


def test_the_api_server_survives_the_gateways_own(lab: Lab) -> None:
    """The gateway passes the operator on to another one; a run has it join that one anew."""
    ok(lab.console("node1", ["mv", MANIFEST, "/root/"]))
    assert until(partial(held_by, lab, "node2", "node3"), pause=1), holders(lab)
    assert until(partial(is_served, lab), pause=1)
    assert lab.console("node1", ["sh", "-c", LIVEZ]).returncode != 0
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    is_whole(lab)


def test_the_gateway_is_off(lab: Lab) -> None:
    """The others have the API server and the address; nothing outside reaches them."""
    lab.power_off("node1")
    ask = ["kubectl", f"--kubeconfig={ADMIN_CONF}", "--request-timeout=5s", "get", "nodes"]
    for name in ("node2", "node3"):
        answers = lambda name=name: lab.console(name, ask).returncode == 0  # noqa: E731
        assert until(answers, pause=1), name
    assert until(partial(held_by, lab, "node2", "node3"), pause=1), holders(lab)
    assert not is_served(lab)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status != 0
    assert codes("\n".join(run.output.splitlines()[-3:])) == ["RUN016", "RUN023", "RUN023"]
    lab.power_on("node1")
    is_whole(lab)
    changes_no_node(lab)


def test_a_new_card_of_the_gateway_joins_the_cluster_that_is_there(lab: Lab) -> None:
    before = uids(lab)
    authority = ok(lab.console("node2", ["sh", "-c", FINGERPRINT]))
    kubectl(lab, "create", "namespace", "kept")
    lab.fresh("node1")
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    is_whole(lab)
    assert ok(lab.console("node1", ["sh", "-c", FINGERPRINT])) == authority
    assert {name for name, uid in uids(lab).items() if before[name] != uid} == {"node1"}
    assert kubectl(lab, "get", "namespace", "kept", "-o", "name") == "namespace/kept"
    changes_no_node(lab)
