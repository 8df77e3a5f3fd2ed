"""Fields of the kubelet's and kube-proxy's configuration that would keep them from starting."""

from __future__ import annotations

from typing import Any

import pytest

from formats.kubeadm.components import kube_proxy_mistakes, kubelet_mistakes

RIGHT: list[dict[str, Any]] = [
    {},
    {"failSwapOn": False, "maxPods": 50, "clusterDNS": ["10.96.0.10"]},
    {"evictionHard": {"memory.available": "100Mi", "nodefs.available": "10%"}},
    {"evictionSoftGracePeriod": {"memory.available": "1m30s"}, "syncFrequency": "0s"},
    {"systemReserved": {"cpu": "100m", "memory": "0.5Gi"}, "featureGates": {"NodeSwap": True}},
    {"registerWithTaints": [{"key": "a", "effect": "NoSchedule"}], "memoryThrottlingFactor": 1},
    {"cgroupDriver": "systemd", "containerLogMaxSize": "10Mi", "memorySwap": {}},
]


@pytest.mark.parametrize("fields", RIGHT)
def test_what_a_kubelet_takes_is_taken(fields: dict[str, Any]) -> None:
    assert kubelet_mistakes(fields, 36) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"maxPods": "50"}, "maxPods: '50' can't be: write a whole number"),
        ({"maxPods": True}, "maxPods: True can't be: write a whole number"),
        ({"failSwapOn": 0}, "write True or False"),
        ({"syncFrequency": "1 m"}, 'write a duration such as "1m30s"'),
        ({"clusterDNS": "10.96.0.10"}, "write a list, each value a text"),
        ({"evictionHard": {"memory.available": "100 MB"}}, 'each value a quantity such as "100Mi"'),
        ({"memorySwap": {"a": {1}}}, "write a mapping"),
        ({"cgroupDriver": "cgroupfs"}, "is not containerd's: remove it"),
        ({"cpuManagerPolicy": "statc"}, "did you mean static?"),
        ({"hairpinMode": "yes"}, "write hairpin-veth or none or promiscuous-bridge"),
        ({"maxPods": -1}, "maxPods: -1 can't be: write 0 to "),
        ({"evictionHard": {"memory.avail": "1Gi"}}, "did you mean memory.available?"),
        ({"evictionHard": {"memory.available": "101%"}}, "write 100% or less"),
        ({"systemReserved": {"cpu": "lots"}}, "each value a quantity"),
        ({"kubeReserved": {"gpu": "1"}}, "did you mean cpu?"),
        ({"apiVersion": "v1"}, "is written by bramble: remove it"),
        ({"MaxPods": 50}, "did you mean maxPods?"),
        ({"colour": "red"}, "'colour' is not a field of KubeletConfiguration: remove it"),
    ],
)
def test_what_a_kubelet_refuses_is_told_in_one_line(fields: dict[str, Any], said: str) -> None:
    (mistake,) = kubelet_mistakes(fields, 36)
    assert said in mistake


def test_a_later_kubernetes_may_have_other_fields() -> None:
    assert kubelet_mistakes({"colour": "red"}, 99) == []
    assert kubelet_mistakes({"maxPod": 50}, 99)


def test_kube_proxy_has_three_modes() -> None:
    assert kube_proxy_mistakes({"mode": "nftables", "conntrack": {"maxPerCore": 0}}, 36) == []
    (mistake,) = kube_proxy_mistakes({"mode": "IPVS"}, 36)
    assert mistake.endswith("did you mean ipvs?")
