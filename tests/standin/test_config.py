"""kubeadm's configuration file: what a real kubeadm 1.36 said to the same files."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import pytest

from lab.standin.node import kubeadm
from lab.standin.node.common import Fatal

API = "apiVersion: kubeadm.k8s.io/v1beta4\n"
CLUSTER = API + "kind: ClusterConfiguration\nkubernetesVersion: v1.36.3\n"
JOIN = API + "kind: JoinConfiguration\n"
KIND = 'schema.GroupVersionKind{Group:"kubeadm.k8s.io", Version:"v1beta4", Kind:"%s"}'

REFUSED = {
    "a network that is none": (
        CLUSTER + "networking: {podSubnet: 10.244.0.0/33}",
        'networking.podSubnet: Invalid value: "10.244.0.0/33": couldn\'t parse subnet',
    ),
    "unknown fields": (
        CLUSTER + "networking: {podSubnett: 10.244.0.0/16}\nfoo: bar",
        f"error unmarshaling configuration {KIND % 'ClusterConfiguration'}: strict decoding error: "
        'unknown field "foo", unknown field "networking.podSubnett"',
    ),
    "extraArgs as a map": (
        CLUSTER + 'apiServer: {extraArgs: {v: "4"}}',
        f"error unmarshaling configuration {KIND % 'ClusterConfiguration'}: json: cannot unmarshal "
        "object into Go struct field APIServer.apiServer.ControlPlaneComponent.extraArgs of type "
        "[]v1beta4.Arg",
    ),
    "an unknown kind": (
        API + "kind: ClusterConfigurationn",
        "unknown configuration APIs: []schema.GroupVersionKind{"
        + KIND % "ClusterConfigurationn"
        + "}",
    ),
    "broken YAML": (
        API + "kind: ClusterConfiguration\nkubernetesVersion: [1, 2\n",
        "could not interpret GroupVersionKind; unmarshal error: error converting YAML to JSON: yaml: "
        "line 3: did not find expected ',' or ']'",
    ),
    "a malformed token": (
        API + "kind: InitConfiguration\nbootstrapTokens: [{token: not-a-token}]",
        f"error unmarshaling configuration {KIND % 'InitConfiguration'}: the bootstrap token "
        '"not-a-token" was not of the form "\\\\A([a-z0-9]{6})\\\\.([a-z0-9]{16})\\\\z"',
    ),
    "an old version": (
        CLUSTER.replace("v1.36.3", "v1.30.0"),
        "this version of kubeadm only supports deploying clusters with the control plane version >= "
        "1.35.0. Current version: v1.30.0",
    ),
    "an unknown feature gate": (
        CLUSTER + "featureGates: {NoSuchGate: true}",
        'featureGates: Invalid value: {"NoSuchGate":true}: NoSuchGate is not a valid feature name.',
    ),
    "an endpoint that is none": (
        CLUSTER + 'controlPlaneEndpoint: "bad host:xyz"',
        "hostport bad host:xyz: port xyz must be a valid number between 1 and 65535, inclusive",
    ),
    "a kubelet field that isn't there": (
        CLUSTER
        + "---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriverr: x",
        'error unmarshaling configuration schema.GroupVersionKind{Group:"kubelet.config.k8s.io", '
        'Version:"v1beta1", Kind:"KubeletConfiguration"}: strict decoding error: unknown field '
        '"cgroupDriverr"',
    ),
    "a join without hash and port": (
        JOIN
        + 'discovery: {bootstrapToken: {apiServerEndpoint: "10.98.0.10", token: abcdef.0123456789abcdef}}',
        '[discovery.bootstrapToken.caCertHashes: Invalid value: "": using token-based discovery without '
        "caCertHashes can be unsafe. Set unsafeSkipCAVerification as true in your kubeadm config file or "
        "pass --discovery-token-unsafe-skip-ca-verification flag to continue, "
        'discovery.bootstrapToken.apiServerEndpoint: Invalid value: "10.98.0.10": address 10.98.0.10: '
        "missing port in address]",
    ),
}
PASSED = {
    "an empty file": "",
    "pods inside the services": CLUSTER
    + "networking: {podSubnet: 10.96.0.0/16, serviceSubnet: 10.96.0.0/12}",
    "an unknown proxy mode": CLUSTER
    + "---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ebpf",
    "a version newer than kubeadm": CLUSTER.replace("v1.36.3", "v1.37.0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_config_validate_refuses_with_the_recorded_words(case: str, tmp_path: Path) -> None:
    text, message = REFUSED[case]
    (tmp_path / "k.yaml").write_text(text)
    with pytest.raises(Fatal) as refused:
        kubeadm.main(["config", "validate", "--config", str(tmp_path / "k.yaml")])
    assert str(refused.value) == message


@pytest.mark.parametrize("case", PASSED)
def test_config_validate_lets_pass_what_the_real_one_lets_pass(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "k.yaml").write_text(PASSED[case])
    kubeadm.main(["config", "validate", "--config", str(tmp_path / "k.yaml")])
    assert capsys.readouterr().out == "ok\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["init", "--nosuchflag"], "unknown flag: --nosuchflag"),
        (["token", "create", "-o", "json"], "unknown shorthand flag: 'o' in -o"),
        (
            ["init", "--config", "/x", "--pod-network-cidr", "10.9.0.0/16"],
            "can not mix '--config' with arguments [pod-network-cidr]",
        ),
        (["config", "validate"], "the --config flag is mandatory"),
        (
            ["config", "validate", "--config", "/no.yaml"],
            "open /no.yaml: no such file or directory",
        ),
        (
            ["token", "list"],
            "failed to load admin kubeconfig: open /etc/kubernetes/admin.conf: no such file or directory",
        ),
    ],
)
def test_wrong_command_lines_are_refused_with_the_recorded_words(
    arguments: list[str], message: str, root: Path
) -> None:
    with pytest.raises(Fatal) as refused:
        kubeadm.main(arguments)
    assert str(refused.value) == message


def test_images_are_those_of_the_wanted_version(capsys: pytest.CaptureFixture[str]) -> None:
    kubeadm.main(["config", "images", "list", "--kubernetes-version", "v1.36.3"])
    assert capsys.readouterr().out.splitlines() == [
        "registry.k8s.io/kube-apiserver:v1.36.3",
        "registry.k8s.io/kube-controller-manager:v1.36.3",
        "registry.k8s.io/kube-scheduler:v1.36.3",
        "registry.k8s.io/kube-proxy:v1.36.3",
        "registry.k8s.io/coredns/coredns:v1.14.2",
        "registry.k8s.io/pause:3.10.2",
        "registry.k8s.io/etcd:3.6.8-0",
    ]
