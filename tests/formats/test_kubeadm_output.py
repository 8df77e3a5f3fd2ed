"""kubeadm's words, as a real one (1.36.3) said them, turned into a line for a person."""

from __future__ import annotations

import pytest

from formats.kubeadm.output import (
    Problem,
    causes,
    masked,
    phase,
    problems,
    upgrade_plan,
)
from formats.unreadable import Unreadable
from messages import Said
from messages import kubernetes as messages

AGAIN = """\
[init] Using Kubernetes version: v1.36.3
[preflight] Running pre-flight checks
	[WARNING ContainerRuntimeVersion]: You must update your container runtime to a version that
[preflight] Some fatal errors occurred:
	[ERROR Port-6443]: Port 6443 is in use
	[ERROR FileAvailable--etc-kubernetes-manifests-etcd.yaml]: /etc/kubernetes/manifests/etcd.yaml already exists
	[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty
[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`
error: error execution phase preflight: preflight checks failed
To see the stack trace of this error execute with --v=5 or higher
""".splitlines()  # noqa: E501
DISCOVERY = (
    "error: error execution phase preflight: couldn't validate the identity of the API Server: "
)
CLUSTER_INFO = 'https://10.98.0.10:9999/api/v1/namespaces/kube-public/configmaps/cluster-info"'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[preflight] The system verification failed. Printing the output …", "preflight"),
        ("[kubelet-check] The kubelet is healthy after 973.659µs", "kubelet-check"),
        ("[init] Using Kubernetes version: v1.36.3", None),
        ("[upgrade] Running cluster health checks", None),
        ("[upgrade/versions] kubeadm version: v1.36.3", "upgrade/versions"),
        (
            '[upgrade/staticpods] Preparing for "kube-apiserver" upgrade',
            "upgrade of kube-apiserver",
        ),
        ("[upgrade/staticpods] Renewing apiserver certificate", None),
        ('[patches] Applied patch of type "application/strategic-merge-patch+json"', None),
        ("[upload-certs] Skipping phase. Please see --upload-certs", None),
        ("\t[WARNING Swap]: swap is supported for cgroup v2 only", None),
        ("KERNEL_VERSION: 6.18.0", None),
    ],
)
def test_a_line_belongs_to_a_phase(line: str, expected: str | None) -> None:
    assert phase(line) == expected


def test_preflight_lines_are_read_with_their_names() -> None:
    assert problems(AGAIN)[0].kind == "WARNING"
    assert problems(AGAIN)[1:] == [
        Problem("ERROR", "Port-6443", "Port 6443 is in use"),
        Problem(
            "ERROR",
            "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
            "/etc/kubernetes/manifests/etcd.yaml already exists",
        ),
        Problem("ERROR", "DirAvailable--var-lib-etcd", "/var/lib/etcd is not empty"),
    ]


def test_each_failed_check_gets_its_line() -> None:
    assert causes(AGAIN) == [
        messages.PORT_TAKEN(port=6443),
        messages.EARLIER_CLUSTER(problem="/etc/kubernetes/manifests/etcd.yaml already exists"),
        messages.EARLIER_CLUSTER(problem="/var/lib/etcd is not empty"),
    ]


FEW_CPUS = "the number of available CPUs 1 is less than the required 2"
OLD_KUBELET = 'Kubelet version "1.31.0" is lower than kubeadm can support. Please upgrade kubelet'


@pytest.mark.parametrize(
    ("name", "message", "said"),
    [
        ("NumCPU", FEW_CPUS, messages.TOO_SMALL(problem=FEW_CPUS, check="NumCPU")),
        (
            "FileContent--proc-sys-net-ipv4-ip_forward",
            "/proc/sys/net/ipv4/ip_forward contents are not set to 1",
            messages.IP_FORWARDING_OFF(),
        ),
        ("SystemVerification", "missing required cgroups: memory", messages.CGROUP_OFF()),
        (
            "FileExisting-nsenter",
            "nsenter not found in system path",
            messages.PROGRAM_MISSING(name="nsenter", package="util-linux"),
        ),
        (
            "KubeletVersion",
            OLD_KUBELET,
            messages.PREFLIGHT_FAILED(check="KubeletVersion", problem=OLD_KUBELET),
        ),
    ],
)
def test_a_check_is_explained(name: str, message: str, said: Said) -> None:
    assert causes([f"\t[ERROR {name}]: {message}"]) == [said]


def test_containerd_that_does_not_answer_is_one_line_though_two_checks_fail() -> None:
    dial = 'could not connect to the container runtime: … dial unix: no such file or directory"'
    lines = [f"\t[ERROR CRI]: {dial}", f"\t[ERROR ContainerRuntimeVersion]: {dial}"]
    assert causes(lines) == [messages.CONTAINERD_SILENT()]


def test_images_that_can_not_be_pulled_are_one_line() -> None:
    def pull(name: str) -> str:
        image = f"registry.k8s.io/{name}:v1.36.3"
        return (
            f"\t[ERROR ImagePull]: failed to pull image {image}: failed to pull image {image}: "
            f'failed to do request: Head "https://registry.k8s.io/v2/": dial tcp: lookup '
            "registry.k8s.io on 10.255.255.53:53: no such host"
        )

    image = "registry.k8s.io/kube-apiserver:v1.36.3"
    assert causes([pull("kube-apiserver"), pull("kube-proxy")]) == [
        messages.IMAGE_NOT_PULLED(image=image, others=" and 1 more", reason="no such host")
    ]


EARLY = (
    "x509: certificate has expired or is not yet valid: current time 2020-01-01T00:00:00Z is "
    "before 2026-11-23T07:11:37Z"
)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            'could not find a JWS signature in the cluster-info ConfigMap for token ID "zzzzzz"',
            messages.TOKEN_UNKNOWN(),
        ),
        (
            f'failed to request the cluster-info ConfigMap: Get "{CLUSTER_INFO}: dial tcp '
            "10.98.0.10:9999: connect: connection refused",
            messages.API_UNREACHABLE(server="10.98.0.10:9999", reason="connection refused"),
        ),
        (
            f'failed to request the cluster-info ConfigMap: Get "{CLUSTER_INFO}: dial tcp '
            "10.98.0.99:6443: connect: no route to host",
            messages.API_UNREACHABLE(server="10.98.0.10:9999", reason="no route to host"),
        ),
        (
            f'failed to request the cluster-info ConfigMap: Get "{CLUSTER_INFO}: tls: failed to '
            f"verify certificate: {EARLY}",
            messages.API_UNTRUSTED(server="10.98.0.10:9999", reason=EARLY),
        ),
        (
            "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys "
            '"sha256:00" are pinned',
            messages.OTHER_AUTHORITY(),
        ),
    ],
)
def test_a_failed_discovery_is_explained(message: str, said: Said) -> None:
    assert causes([DISCOVERY + message]) == [said]


def test_a_node_that_is_ready_already_is_causes() -> None:
    line = (
        'error: error execution phase kubelet-start: a Node with name "w2" and status "Ready" '
        "already exists in the cluster. You must delete the existing Node or change the name"
    )
    (told,) = causes([line, "To see the stack trace of this error execute with --v=5 or higher"])
    assert told == messages.NODE_EXISTS(name="w2")


def test_the_unknown_is_passed_on_as_kubeadm_said_it() -> None:
    assert causes(["error: unknown flag: --nosuchflag", "To see the stack trace"]) == [
        messages.KUBEADM_ERROR(problem="unknown flag: --nosuchflag")
    ]
    assert causes(["something", ""]) == [messages.KUBEADM_ERROR(problem="something")]
    assert [said.message for said in causes([])] == [messages.KUBEADM_ERROR]


def test_no_token_is_ever_passed_on() -> None:
    line = "kubeadm join 10.98.0.10:6443 --token llxnnp.3olarq4jqfn5zfqc \\"
    assert "3olarq4jqfn5zfqc" not in masked(line)
    assert causes([f"error: {line}"])[0].count("3olarq4jqfn5zfqc") == 0
    assert masked("registry.k8s.io/kube-apiserver:v1.36.3") == (
        "registry.k8s.io/kube-apiserver:v1.36.3"
    )


def test_a_containerd_without_cri_is_not_said_to_be_silent() -> None:
    line = (
        "\t[ERROR CRI]: could not connect to the container runtime: failed to create new CRI "
        'runtime service: validate service connection: validate CRI v1 runtime API for endpoint "unix:///run/'
        'containerd/containerd.sock": rpc error: code = Unimplemented desc = unknown service '
        "runtime.v1.RuntimeService"
    )
    assert causes([line]) == [messages.NO_CRI()]


PLAN = """{"kind": "UpgradePlan", "availableUpgrades": [{"components": [
{"name": "kubelet", "currentVersion": "v1.35.6", "newVersion": "v1.36.3", "nodeName": "head"},
{"name": "CoreDNS", "currentVersion": "v1.13.1", "newVersion": "v1.14.2"}]}]}"""


def test_a_plan_has_a_row_of_each_component_and_nothing_when_all_is_done() -> None:
    assert upgrade_plan(PLAN) == [
        ("kubelet", "head", "v1.35.6", "v1.36.3"),
        ("CoreDNS", "", "v1.13.1", "v1.14.2"),
    ]
    assert upgrade_plan("\n") == []
    for odd in ("[upgrade] Running", "{}", "[]"):
        with pytest.raises(Unreadable):
            upgrade_plan(odd)
