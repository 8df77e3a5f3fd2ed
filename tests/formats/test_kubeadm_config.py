"""kubeadm's configuration: what is written, and what the settings refuse of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest
import yaml

from formats.kubeadm.components import kube_proxy_mistakes
from formats.kubeadm.config import (
    INIT_TIMEOUTS,
    JOIN_TIMEOUTS,
    Init,
    Join,
    Registration,
    for_node,
    ignored_mistakes,
    of_node,
    pod_network_mistake,
    service_network_mistake,
    settled,
    timeout_mistakes,
    upload,
    with_names,
)
from formats.unreadable import Unreadable
from messages import Said
from tests.said import says

NODE = Registration("node1", "192.168.2.11")
INIT = Init(
    NODE,
    "v1.36.3",
    "node1",
    "10.244.0.0/16",
    "10.96.0.0/12",
    ("node1", "192.168.2.11", "192.168.1.32", "node1"),
    timeouts=INIT_TIMEOUTS,
)


def documents(text: str) -> dict[str, Any]:
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def test_node_ip_is_given_as_a_list_of_arguments_beside_the_advertise_address() -> None:
    init = documents(INIT.text())["InitConfiguration"]
    assert init["apiVersion"] == "kubeadm.k8s.io/v1beta4"
    assert init["localAPIEndpoint"] == {"advertiseAddress": "192.168.2.11", "bindPort": 6443}
    assert init["nodeRegistration"]["kubeletExtraArgs"] == [
        {"name": "node-ip", "value": "192.168.2.11"}
    ]


def test_every_certificate_name_is_there_once() -> None:
    cluster = documents(INIT.text())["ClusterConfiguration"]
    assert cluster["apiServer"]["certSANs"] == ["node1", "192.168.2.11", "192.168.1.32"]
    assert cluster["controlPlaneEndpoint"] == "node1:6443"


def test_inits_own_token_is_gone_after_a_second_and_not_chosen_by_us() -> None:
    (token,) = documents(INIT.text())["InitConfiguration"]["bootstrapTokens"]
    assert token["ttl"] == "1s"
    assert "token" not in token


def test_further_settings_are_merged_in() -> None:
    node = replace(NODE, ignore_preflight_errors=("SystemVerification",))
    made = documents(
        replace(
            INIT,
            registration=node,
            kubelet={"failCgroupV1": False, "cgroupDriver": "cgroupfs"},
            kube_proxy={"conntrack": {"maxPerCore": 0}},
        ).text()
    )
    assert made["KubeletConfiguration"]["failCgroupV1"] is False
    assert made["KubeletConfiguration"]["cgroupDriver"] == "cgroupfs"
    assert made["KubeProxyConfiguration"]["conntrack"] == {"maxPerCore": 0}
    registration = made["InitConfiguration"]["nodeRegistration"]
    assert registration["ignorePreflightErrors"] == ["SystemVerification"]


def test_for_another_node_only_what_is_about_the_node_changes() -> None:
    other = Registration("node2", "192.168.2.12", ("Mem",))
    text = for_node(INIT.text(), other)
    assert text == replace(INIT, registration=other).text()
    assert for_node(text, NODE) != INIT.text()  # what is ignored stays
    assert documents(for_node(text, NODE))["InitConfiguration"]["nodeRegistration"] == {
        **NODE.document(),
        "ignorePreflightErrors": ["Mem"],
    }


def test_no_kube_proxy_configuration_without_settings_for_it() -> None:
    assert "KubeProxyConfiguration" not in documents(INIT.text())


def test_join_pins_the_authority_and_gives_up_after_15_seconds() -> None:
    join = Join(
        Registration("node2", "192.168.2.12"),
        "node1",
        "abcdef.0123456789abcdef",
        "sha256:" + "0" * 64,
        JOIN_TIMEOUTS,
    )
    made = documents(join.text())["JoinConfiguration"]
    assert made["discovery"]["bootstrapToken"] == {
        "apiServerEndpoint": "node1:6443",
        "token": "abcdef.0123456789abcdef",
        "caCertHashes": ["sha256:" + "0" * 64],
    }
    assert made["timeouts"]["discovery"] == "15s"
    assert "abcdef.0123456789abcdef" not in repr(join)


def test_what_is_right_has_no_mistakes() -> None:
    assert timeout_mistakes(INIT.timeouts) == []
    assert ignored_mistakes(["Mem", "numcpu", "Port-6443"]) == []
    assert kube_proxy_mistakes({"mode": "nftables"}, 36) == []
    assert pod_network_mistake(IPv4Network("10.244.0.0/16"), nodes=200) is None
    assert service_network_mistake(IPv4Network("10.96.0.0/12")) is None


@pytest.mark.parametrize(
    ("mistakes", "message"),
    [
        (kube_proxy_mistakes({"mode": "ebpf"}, 36), "SET002 mode: 'ebpf'"),
        ([pod_network_mistake(IPv4Network("10.244.0.0/28"))], "SET051 10.244.0.0/24"),
        ([service_network_mistake(IPv4Network("10.96.0.0/30"))], "SET051 10.96.0.0/28"),
        (timeout_mistakes({"discovry": "15s"}), "SET005 discovery"),
        (timeout_mistakes({"discovery": 15}), "SET005 15"),  # type: ignore[dict-item]
        (timeout_mistakes({"discovery": "15"}), "SET005 '15'"),
        (ignored_mistakes(["Memory"]), "SET005 Mem"),
        (ignored_mistakes(["all"]), "SET006 it would set up a cluster over a running one"),
    ],
)
def test_a_mistake_is_told_in_one_line(mistakes: list[Said], message: str) -> None:
    (mistake,) = mistakes
    assert says(mistake, message)


def test_what_is_settled_is_read_from_the_file_and_from_the_cluster_alike() -> None:
    stands = """\
apiServer: {}
apiVersion: kubeadm.k8s.io/v1beta4
controlPlaneEndpoint: node1:6443
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
networking:
  dnsDomain: cluster.local
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/12
proxy: {}
"""
    assert settled(stands) == settled(INIT.text())


def test_settled_without_a_cluster_configuration_is_an_error() -> None:
    with pytest.raises(ValueError, match="ClusterConfiguration"):
        settled("kind: InitConfiguration\n")


@pytest.mark.parametrize("key", ["1" * 64, "12e34" + "0" * 59, "0" * 64, "abcdef" + "9" * 58])
def test_a_key_of_certificates_is_a_text_whatever_digits_it_has(key: str) -> None:
    """Kubernetes' reader takes 12e34 for a number, PyYAML for a text."""
    registration = Registration("node2", "192.168.2.12")
    join = Join(registration, "api", "abcdef.0123456789abcdef", "sha256:x", certificate_key=key)
    plane = documents(join.text())["JoinConfiguration"]["controlPlane"]
    endpoint = {"advertiseAddress": "192.168.2.12", "bindPort": 6443}
    assert plane == {"certificateKey": key, "localAPIEndpoint": endpoint}
    text = upload(registration, "v1.36.3", key)
    assert documents(text)["InitConfiguration"]["certificateKey"] == key
    assert documents(text)["ClusterConfiguration"]["kubernetesVersion"] == "v1.36.3"
    if not set(key) & set("abcdf"):
        assert f"certificateKey: '{key}'\n" in join.text()
        assert f"certificateKey: '{key}'\n" in text
    assert key not in repr(join)


def test_a_worker_brings_no_control_plane() -> None:
    join = Join(Registration("node2", "::"), "api", "abcdef.0123456789abcdef", "sha256:x")
    assert "controlPlane" not in join.text()


def test_names_are_added_to_the_cluster_and_its_other_documents_stay() -> None:
    before = documents(INIT.text())
    named = documents(with_names(INIT.text(), ["node1", "192.168.2.10"]))
    names = named["ClusterConfiguration"]["apiServer"].pop("certSANs")
    assert names == ["node1", "192.168.2.11", "192.168.1.32", "192.168.2.10"]
    before["ClusterConfiguration"]["apiServer"].pop("certSANs")
    assert named == before
    for text in ("", "kind: InitConfiguration\n", "kind: ["):
        with pytest.raises(Unreadable):
            with_names(text, ["node1"])


def test_a_phase_gets_the_clusters_configuration_and_its_own_folder() -> None:
    stored = "kind: ClusterConfiguration\ncertificatesDir: /etc/kubernetes/pki\n"
    for given, folder in (("", "/etc/kubernetes/pki"), ("/new", "/new")):
        found = documents(of_node(NODE, stored, given))
        assert found["InitConfiguration"]["localAPIEndpoint"]["bindPort"] == 6443
        cluster = {"kind": "ClusterConfiguration", "certificatesDir": folder}
        assert found["ClusterConfiguration"] == cluster
