"""kubeadm's configuration file and command line: what a real kubeadm 1.36 said to the same."""
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import pytest

from standin.node import config, kubeadm
from standin.node.common import Fatal

API = "apiVersion: kubeadm.k8s.io/v1beta4\n"
CLUSTER = API + "kind: ClusterConfiguration\nkubernetesVersion: v1.36.3\n"
REFUSED = {
    "an old version": (
        CLUSTER.replace("v1.36.3", "v1.30.0"),
        "this version of kubeadm only supports deploying clusters with the control plane version >= "
        "1.35.0. Current version: v1.30.0",
    ),
    "no version": (
        CLUSTER.replace("v1.36.3", "newest"),
        'version "newest" doesn\'t match patterns for neither semantic version nor labels (stable, '
        "latest, ...)",
    ),
    "a malformed token": (
        API + "kind: InitConfiguration\nbootstrapTokens: [{token: not-a-token}]",
        'the bootstrap token "not-a-token" was not of the form '
        '"\\\\A([a-z0-9]{6})\\\\.([a-z0-9]{16})\\\\z"',
    ),
    "no kind of init's": (
        API + "kind: JoinConfiguration",
        "no InitConfiguration or ClusterConfiguration kind was found in the YAML file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_init_refuses_of_a_file(case: str, tmp_path: Path) -> None:
    text, message = REFUSED[case]
    (tmp_path / "k.yaml").write_text(text)
    with pytest.raises(Fatal) as refused:
        config.load_init(str(tmp_path / "k.yaml"))
    assert str(refused.value) == message


def test_defaults_stand_where_the_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "k.yaml").write_text(CLUSTER + "networking: {podSubnet: 10.9.0.0/16}")
    found = config.load_init(str(tmp_path / "k.yaml"))
    assert found.cluster["networking"] == {
        "podSubnet": "10.9.0.0/16",
        "serviceSubnet": "10.96.0.0/12",
        "dnsDomain": "cluster.local",
    }
    assert found.init["nodeRegistration"]["taints"] == [config.CONTROL_PLANE_TAINT]
    assert found.init["timeouts"]["discovery"] == "5m0s"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], 'unknown command "nosuch" for "kubeadm"'),
        (["init", "--config", "/no.yaml"], "open /no.yaml: no such file or directory"),
        (
            ["token", "create"],
            "failed to load admin kubeconfig: open /etc/kubernetes/admin.conf: no such file or "
            "directory",
        ),
    ],
)
def test_what_is_wrong_with_a_command_is_said_in_the_recorded_words(
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
