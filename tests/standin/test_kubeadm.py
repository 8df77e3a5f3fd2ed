"""kubeadm on a node: preflight, join's discovery, tokens, reset; in a root of the test's own."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from standin.node import (
    addons,
    agent,
    config,
    containerd,
    join,
    kubeadm,
    manifests,
    node,
    patch,
    pki,
    preflight,
    services,
    tables,
)
from standin.node.common import Fatal, Obj, duration
from standin.node.preflight import FORWARDING, Check, directory_available, file_available
from tests.standin.conftest import ControlPlane

SWAPS = "Filename\t\tType\t\tSize\tUsed\tPriority\n"


def problems(capsys: pytest.CaptureFixture[str], *checks: Check) -> str:
    with pytest.raises(Fatal, match=r"^preflight checks failed$"):
        preflight.run(list(checks), set())
    return capsys.readouterr().err


def test_leftovers_are_named_as_recorded(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
    (root / manifest.lstrip("/")).touch()
    (root / "var/lib/etcd").mkdir(parents=True)
    (root / "var/lib/etcd/leftover").touch()
    (root / "proc/sys/net/ipv4/ip_forward").write_text("0\n")
    shown = problems(
        capsys, file_available(manifest), directory_available("/var/lib/etcd"), FORWARDING
    )
    assert shown == (
        "[preflight] Some fatal errors occurred:\n"
        "\t[ERROR FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml]: "
        "/etc/kubernetes/manifests/kube-apiserver.yaml already exists\n"
        "\t[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty\n"
        "\t[ERROR FileContent--proc-sys-net-ipv4-ip_forward]: /proc/sys/net/ipv4/ip_forward contents "
        "are not set to 1\n"
        "[preflight] If you know what you are doing, you can make a check non-fatal with "
        "`--ignore-preflight-errors=...`\n"
    )


def test_what_is_ignored_only_warns(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "etc/kubernetes/kubelet.conf").touch()
    name = "fileavailable--etc-kubernetes-kubelet.conf"
    preflight.run([file_available("/etc/kubernetes/kubelet.conf")], {name})
    assert capsys.readouterr().err == (
        "\t[WARNING FileAvailable--etc-kubernetes-kubelet.conf]: /etc/kubernetes/kubelet.conf already "
        "exists\n"
    )


def test_swap_is_kubeadms_warning_and_the_kubelets_end(root: Path) -> None:
    (root / "proc/swaps").write_text(SWAPS)
    assert preflight.swap() == ([], [])
    agent.check_swap({})
    (root / "proc/swaps").write_text(SWAPS + "/dev/zram0 partition 1048572 0 100\n")
    warnings, errors = preflight.swap()
    assert len(warnings) == 1
    assert errors == []
    with pytest.raises(Fatal, match="running with swap on is not supported"):
        agent.check_swap({})
    agent.check_swap({"failSwapOn": False})


def test_a_kubelet_without_a_configuration_ends_before_most_is_imported() -> None:
    """It is started every ten seconds until there is a cluster."""
    program = "import sys; from standin.node import kubelet; s = kubelet.run(['--config=/nope']);"
    shown = "print(s, 'standin.node.agent' in sys.modules, 'cryptography' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program + shown], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 False False\n"
    assert "failed to load kubelet config file, path: /nope" in done.stderr


def test_a_runtime_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(containerd.CriError) as error:
        containerd.Runtime("unix:///run/crio/crio.sock").check()
    assert str(error.value) == (
        'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: '
        'dial unix /run/crio/crio.sock: connect: no such file or directory"'
    )
    assert node.gather(containerd.Runtime("unix:///run/crio/crio.sock"), "systemd").problems == [
        "container runtime is down"
    ]


def wanted(control_plane: ControlPlane, root: Path, token: str, digest: str) -> Obj:
    """A JoinConfiguration with a short time for discovery."""
    file = root / "join.yaml"
    given = {"apiServerEndpoint": control_plane.address, "token": token, "caCertHashes": [digest]}
    document = {
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": given},
        "timeouts": {"discovery": "1s"},
    }
    file.write_text(json.dumps(document))
    return config.load_join(str(file))


def test_discovery_accepts_the_right_token_and_key(control_plane: ControlPlane, root: Path) -> None:
    digest = pki.public_key_hash(pki.load_pair("/etc/kubernetes/pki", "ca").certificate)
    found = join.discover(wanted(control_plane, root, "abcdef.0123456789abcdef", digest))
    assert found["server"] == f"https://{control_plane.address}"


@pytest.mark.parametrize(
    ("token", "digest", "message"),
    [
        ("zzzzzz.0123456789abcdef", "", 'could not find a JWS signature in the cluster-info ConfigMap for token ID "zzzzzz"'),
        ("abcdef.ffffffffffffffff", "", "failed to verify JWS signature of received cluster info object, can't trust this API Server"),
        ("abcdef.0123456789abcdef", f"sha256:{0:064}", "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys"),
        ("abcdef.0123456789abcdef", "sha256:1234", 'invalid discovery token CA certificate hash: invalid hash "sha256:1234", expected a 32 byte SHA-256 hash, found 2 bytes'),
    ],
)  # fmt: skip
def test_discovery_refuses_in_the_recorded_words(
    control_plane: ControlPlane,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    digest: str,
    message: str,
) -> None:
    own = pki.public_key_hash(pki.load_pair("/etc/kubernetes/pki", "ca").certificate)
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append, monotonic=time.monotonic)
    monkeypatch.setattr(join, "time", clock)  # its own alone: the server's threads sleep too
    with pytest.raises(Fatal) as refused:
        join.discover(wanted(control_plane, root, token, digest or own))
    assert str(refused.value).startswith(message)
    assert sum(slept) <= 1, "timeouts.discovery counts, not the default of five minutes"


def test_tokens_are_made_and_deleted(
    control_plane: ControlPlane, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    kubeadm.main(["token", "create", "fedcba.0123456789abcdef", "--ttl", "10m"])
    assert capsys.readouterr().out == "fedcba.0123456789abcdef\n"
    with pytest.raises(Fatal, match=r'"bootstrap-token-fedcba" already exists$'):
        kubeadm.main(["token", "create", "fedcba.0123456789abcdef"])
    made = control_plane.admin.get(f"{addons.SECRETS}/bootstrap-token-fedcba")
    assert addons.secret_text(made, "usage-bootstrap-signing") == "true"
    assert addons.secret_text(made, "token-secret") == "0123456789abcdef"
    kubeadm.main(["token", "delete", "fedcba"])
    assert capsys.readouterr().out == 'bootstrap token "fedcba" deleted\n'
    with pytest.raises(Fatal) as gone:
        kubeadm.main(["token", "delete", "fedcba"])
    assert str(gone.value) == (
        'failed to delete bootstrap token "fedcba": secrets "bootstrap-token-fedcba" not found'
    )


def test_certificates_last_a_year_and_their_authorities_ten(
    control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    kubeadm.main(["certs", "check-expiration", "-o", "json"])
    text = capsys.readouterr().out
    found = json.loads(text[text.index("{") :])
    assert [one["name"] for one in found["certificates"]][:3] == [
        "admin.conf",
        "apiserver",
        "apiserver-etcd-client",
    ]
    assert {one["residualTime"] // 86400 for one in found["certificates"]} == {364}
    assert {one["residualTime"] // 86400 for one in found["certificateAuthorities"]} == {3649}


def test_a_strategic_patch_merges_by_name_and_replaces_what_has_none() -> None:
    pod = {
        "spec": {
            "containers": [{"name": "a", "image": "1"}, {"name": "b"}],
            "taints": [{"key": "x"}],
        }
    }
    change = {
        "spec": {
            "containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}],
            "taints": [{"key": "y"}],
        }
    }
    assert patch.merged(pod, change) == {
        "spec": {"containers": [{"name": "a", "image": "2"}], "taints": [{"key": "y"}]}
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(4, "4s"), (119, "119s"), (721, "12m"), (90000, "25h"), (9e6, "104d")]
)
def test_ages_are_kubectls(seconds: int, text: str) -> None:
    assert tables.age(seconds) == text


@pytest.mark.parametrize(("text", "seconds"), [("24h0m0s", 86400), ("1m2.5s", 62.5), ("0", 0)])
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert duration(text).total_seconds() == seconds


def test_a_kubelet_registers_its_node_once(
    control_plane: ControlPlane,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A node that is deleted stays away until its kubelet is started again."""
    monkeypatch.setattr(services, "systemctl", lambda *_: False)
    monkeypatch.setattr(node, "gather", lambda *_: node.State(["no network"], runs_pods=False))
    path = "/api/v1/nodes/head"
    flags = {"kubeconfig": "/etc/kubernetes/kubelet.conf", "hostname-override": "head"}
    first = agent.Kubelet(flags, {})
    first.round()
    assert control_plane.admin.get(path) is not None
    control_plane.admin.request("DELETE", path)
    for _ in range(2):
        first.round()
        assert control_plane.admin.get(path) is None
    assert 'node "head" not found' in capsys.readouterr().err
    agent.Kubelet(flags, {}).round()
    assert control_plane.admin.get(path) is not None


def test_a_static_pod_that_ends_at_once_is_started_after_a_pause(
    control_plane: ControlPlane, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, starts = SimpleNamespace(now=1000.0), list[float]()
    monkeypatch.setattr(agent, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(services, "is_running", lambda _: False)
    monkeypatch.setattr(services, "UNITS", {services.ETCD: ("etcd",)})
    monkeypatch.setattr(services, "start", lambda *_: starts.append(clock.now - 1000))
    monkeypatch.setattr(services, "stop", lambda _: None)
    one = agent.Kubelet({"hostname-override": "head"}, {})
    image = manifests.read("etcd")["spec"]["containers"][0]["image"]
    state = node.State(images={image: 1})
    while clock.now < 1010:
        one._static_pods(state)
        clock.now += 1
    assert starts == [0, 3, 6, 9]
    manifest = root / "etc/kubernetes/manifests/etcd.yaml"
    manifest.write_text(manifest.read_text() + "# another one\n")
    one._static_pods(state)
    assert starts[-1] == 10, "what is new waits for nothing"


def test_reset_leaves_what_the_real_one_leaves(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(services, "systemctl", lambda *_: False)
    for path in (
        "etc/kubernetes/kubelet.conf",
        "etc/kubernetes/pki/ca.crt",
        "var/lib/kubelet/config.yaml",
        "etc/cni/net.d/10-flannel.conflist",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    kubeadm.main(["reset", "-f"])
    left = sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())
    assert left == ["etc/cni/net.d/10-flannel.conflist", "proc/sys/net/ipv4/ip_forward"]
    assert "[reset] Stopping the kubelet service\n" in capsys.readouterr().out
