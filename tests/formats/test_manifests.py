"""Wanted objects against live ones, and flannel's manifest made to fit."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import flannel
from formats.manifests import differing, documents, project, text, word
from tests.said import saying

# The shape of flannel's own, in short.
MANIFEST = """\
---
kind: Namespace
apiVersion: v1
metadata: {name: kube-flannel, labels: {k8s-app: flannel}}
---
kind: ConfigMap
apiVersion: v1
metadata: {name: kube-flannel-cfg, namespace: kube-flannel}
data:
  cni-conf.json: "{}"
  net-conf.json: |
    {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec:
  template:
    spec:
      tolerations: [{operator: Exists, effect: NoSchedule}]
      containers:
      - name: kube-flannel
        image: ghcr.io/flannel-io/flannel:v0.28.9
        args: [--ip-masq, --kube-subnet-mgr]
        resources: {requests: {cpu: 100m, memory: 50Mi}}
        env: [{name: EVENT_QUEUE_DEPTH, value: "5000"}]
        volumeMounts: [{name: run, mountPath: /run/flannel}]
"""


def live(wanted: dict[str, Any]) -> dict[str, Any]:
    """As an API server gives it back: with more in it, and quantities in its own form."""
    thing = deepcopy(wanted)
    thing["metadata"] |= {"uid": "x", "resourceVersion": "7", "generation": 1}
    thing["status"] = {"numberAvailable": 1}
    if wanted["kind"] == "DaemonSet":
        (container,) = thing["spec"]["template"]["spec"]["containers"]
        container["resources"] = {"requests": {"cpu": "0.1", "memory": "51200Ki"}}
        container["terminationMessagePath"] = "/dev/termination-log"
        container["volumeMounts"].append({"name": "kube-api", "mountPath": "/var/run"})
        thing["spec"]["updateStrategy"] = {"type": "RollingUpdate"}
    return thing


def adapted() -> list[dict[str, Any]]:
    return flannel.adapted(MANIFEST, "10.245.0.0/16", "eth0")


def test_the_images_of_the_manifest_are_those_of_its_pods() -> None:
    assert flannel.images(MANIFEST)[-1] == "ghcr.io/flannel-io/flannel:v0.28.9"
    first = "      initContainers: [{name: install-cni, image: ghcr.io/flannel-io/cni:v1}]\n"
    more = MANIFEST.replace("      containers:\n", f"{first}      containers:\n")
    assert flannel.images(more)[0] == "ghcr.io/flannel-io/cni:v1"


def container(thing: dict[str, Any]) -> dict[str, Any]:
    (found,) = thing["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_flannel_gets_the_pod_network_and_the_interface() -> None:
    namespace, config, daemon_set = adapted()
    assert json.loads(config["data"]["net-conf.json"]) == {
        "Network": "10.245.0.0/16",
        "Backend": {"Type": "vxlan"},
    }
    assert config["data"]["cni-conf.json"] == "{}"
    assert container(daemon_set)["args"] == ["--ip-masq", "--kube-subnet-mgr", "--iface=eth0"]
    assert flannel.namespace([namespace, config, daemon_set]) == "kube-flannel"


def test_an_interface_that_is_there_is_replaced() -> None:
    other = MANIFEST.replace("--kube-subnet-mgr]", "--kube-subnet-mgr, --iface=wlan0]")
    assert container(flannel.adapted(other, "10.245.0.0/16", "eth0")[2])["args"] == [
        "--ip-masq",
        "--kube-subnet-mgr",
        "--iface=eth0",
    ]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("<html>404</html>", "FMT001 a document that is not a Kubernetes object"),
        ("a: [", "FMT001 not YAML: while parsing a flow node"),
        (
            MANIFEST.replace("kube-flannel-cfg", "calico"),
            "FMT001 no configmap kube-flannel-cfg: this is not flannel's manifest",
        ),
        (
            MANIFEST.replace("net-conf.json: |", "other.json: |"),
            "FMT001 no readable net-conf.json in kube-flannel-cfg",
        ),
        (
            MANIFEST.replace("[--ip-masq, --kube-subnet-mgr]", "text"),
            "FMT001 no container kube-flannel in kube-flannel-ds",
        ),
        (
            MANIFEST.replace("- name: kube-flannel\n", "- name: other\n"),
            "FMT001 no container kube-flannel in kube-flannel-ds",
        ),
    ],
)
def test_what_is_not_flannels_is_refused(manifest: str, message: str) -> None:
    with saying(message):
        flannel.adapted(manifest, "10.245.0.0/16", "eth0")


@pytest.mark.parametrize("args", ["[--iface, wlan0, --a]", "[-iface=wlan0, -iface, wlan0, --a]"])
def test_an_interface_in_any_of_gos_ways_is_replaced(args: str) -> None:
    other = MANIFEST.replace("[--ip-masq, --kube-subnet-mgr]", args)
    assert container(flannel.adapted(other, "10.245.0.0/16", "eth0")[2])["args"] == [
        "--a",
        "--iface=eth0",
    ]


def test_the_objects_of_a_list_are_those_of_a_manifest() -> None:
    one = "apiVersion: v1\nkind: List\nmetadata: {}\nitems: "
    items = text([{"apiVersion": "v1", "kind": "List", "items": documents(MANIFEST)}])
    assert documents(items) == documents(MANIFEST)
    assert documents(f"---\n{one}null\n---\n{one}[null]\n---\n{one}[]\n") == []
    with saying("FMT001 not a Kubernetes object"):
        documents(f"{one}[5]\n")


def test_no_namespace_may_be_written_as_null() -> None:
    (thing,) = documents("apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: null}\n")
    assert word(thing) == "/a/a"


def test_objects_are_named_with_their_namespace() -> None:
    assert [word(thing) for thing in adapted()] == [
        "/namespace/kube-flannel",
        "kube-flannel/configmap/kube-flannel-cfg",
        "kube-flannel/daemonset/kube-flannel-ds",
    ]


def test_defaults_and_additions_are_no_difference() -> None:
    assert differing(adapted(), [live(thing) for thing in adapted()]) == []


def test_what_is_not_there_differs() -> None:
    wanted = adapted()
    assert differing(wanted, [live(wanted[0])]) == [(wanted[1], None), (wanted[2], None)]


def test_a_change_by_hand_is_seen_and_shown_by_its_own_fields() -> None:
    wanted = adapted()
    there = [live(thing) for thing in wanted]
    pod = there[2]["spec"]["template"]["spec"]
    pod["containers"][0]["args"].append("--iface=wlan0")
    ((thing, before),) = differing(wanted, there)
    assert thing is wanted[2]
    assert before is not None
    assert container(before)["args"][-1] == "--iface=wlan0"
    assert "status" not in before
    assert "terminationMessagePath" not in container(before)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [("1000m", "1", True), ("50Mi", "51200Ki", True), ("1", "2", False), ("1k", "1Ki", False)],
)
def test_quantities_are_compared_by_value(one: str, other: str, equal: bool) -> None:
    base = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}
    assert (differing([{**base, "q": one}], [{**base, "q": other}]) == []) == equal


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(plain)
def test_a_thing_projected_on_itself_is_itself(thing: object) -> None:
    assert project(thing, thing) == thing


@given(
    st.dictionaries(st.sampled_from("abc"), plain), st.dictionaries(st.sampled_from("def"), plain)
)
def test_fields_that_nobody_asked_for_do_not_count(
    wanted: dict[str, Any], more: dict[str, Any]
) -> None:
    base = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}
    assert differing([{**wanted, **base}], [{**wanted, **more, **base}]) == []


def test_manifest_text_reads_back() -> None:
    assert documents(text(adapted())) == adapted()
