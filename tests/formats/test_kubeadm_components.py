"""Fields of the kubelet's and kube-proxy's configuration that would keep them from starting."""

from __future__ import annotations

from typing import Any

import pytest

from formats.kubeadm.components import kube_proxy_mistakes, kubelet_mistakes
from tests.said import says

RIGHT: list[dict[str, Any]] = [
    {},
    {"failSwapOn": False, "maxPods": 50, "clusterDNS": ["10.96.0.10"]},
    {"evictionHard": {"memory.available": "100Mi", "nodefs.available": "10%"}},
    {"evictionSoftGracePeriod": {"memory.available": "1m30s"}, "syncFrequency": "0s"},
    {"systemReserved": {"cpu": "100m", "memory": "0.5Gi"}, "featureGates": {"NodeSwap": True}},
    {"registerWithTaints": [{"key": "a", "effect": "NoSchedule"}], "memoryThrottlingFactor": 1},
    {"cgroupDriver": "systemd", "containerLogMaxSize": "10Mi", "memorySwap": {}},
    {"authentication": {"anonymous": {"enabled": False}, "webhook": {"cacheTTL": "2m"}}},
]


@pytest.mark.parametrize("fields", RIGHT)
def test_what_a_kubelet_takes_is_taken(fields: dict[str, Any]) -> None:
    assert kubelet_mistakes(fields, 36) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"maxPods": "50"}, "SET003 maxPods: '50'"),
        ({"maxPods": True}, "SET003 maxPods: True"),
        ({"failSwapOn": 0}, "SET003 failSwapOn: 0"),
        ({"syncFrequency": "1 m"}, "SET003 syncFrequency: '1 m'"),
        ({"clusterDNS": "10.96.0.10"}, "SET003 clusterDNS: '10.96.0.10'"),
        (
            {"evictionHard": {"memory.available": "100 MB"}},
            "SET003 evictionHard: {'memory.available': '100 MB'}",
        ),
        ({"memorySwap": {"a": {1}}}, "SET003 memorySwap: {'a': {1}}"),
        ({"cgroupDriver": "cgroupfs"}, "SET006 containerd uses systemd"),
        ({"cpuManagerPolicy": "statc"}, "SET002 static"),
        ({"hairpinMode": "yes"}, "SET002 hairpinMode: 'yes'"),
        ({"maxPods": -1}, "SET001 0 to 2147483647"),
        ({"evictionHard": {"memory.avail": "1Gi"}}, "SET002 memory.available"),
        ({"evictionHard": {"memory.available": "101%"}}, "SET001 0% to 100%"),
        ({"systemReserved": {"cpu": "lots"}}, "SET003 systemReserved: {'cpu': 'lots'}"),
        ({"kubeReserved": {"gpu": "1"}}, "SET002 cpu"),
        ({"apiVersion": "v1"}, "SET006 bramble writes this field"),
        ({"MaxPods": 50}, "SET005 maxPods"),
        ({"colour": "red"}, "SET005 'colour'"),
        ({"authentication": {"anonymous": True}}, "SET003 authentication.anonymous: True"),
        (
            {"authentication": {"webhook": {"cacheTtl": "1m"}}},
            "SET005 authentication.webhook.cacheTTL",
        ),
        ({"memorySwap": {"swapBehaviour": "NoSwap"}}, "SET005 memorySwap.swapBehavior"),
    ],
)
def test_what_a_kubelet_refuses_is_told_in_one_line(fields: dict[str, Any], said: str) -> None:
    (mistake,) = kubelet_mistakes(fields, 36)
    assert says(mistake, said)


def test_a_later_kubernetes_may_have_other_fields() -> None:
    assert kubelet_mistakes({"colour": "red"}, 99) == []
    assert kubelet_mistakes({"maxPod": 50}, 99)


def test_kube_proxy_has_three_modes() -> None:
    assert kube_proxy_mistakes({"mode": "nftables", "conntrack": {"maxPerCore": 0}}, 36) == []
    (mistake,) = kube_proxy_mistakes({"mode": "IPVS"}, 36)
    assert says(mistake, "SET002 ipvs")
    assert kube_proxy_mistakes({"mode": "ipvs", "ipvs": {"strictARP": True}}, 36) == []
    (mistake,) = kube_proxy_mistakes({"ipvs": {"strictArp": True}}, 36)
    assert says(mistake, "SET005 ipvs.strictARP")
    (mistake,) = kube_proxy_mistakes({"conntrack": {"min": "0"}}, 36)
    assert says(mistake, "SET003 conntrack.min: '0'")
