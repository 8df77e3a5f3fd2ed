"""A further control plane: what is done with it, by what is on the node and in etcd."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api.exceptions import ConnectError
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from facts.etcd import REMOVE_MEMBER, EtcdMembers, EtcdState
from facts.kubeadm import ControlPlaneState, MemberState
from facts.kubectl import DELETE_NODE, ClusterObjects
from formats.etcd import Member
from formats.kubeadm.config import Init, Registration, for_node
from formats.node import CONTROL_PLANE_LABEL, Node
from messages import kubernetes as messages
from operations import kubeadm
from operations.base import HostFailure
from operations.kubeadm import certificate_key as certificates
from operations.kubeadm import control_planes, existing, members, run
from operations.kubeadm.acting import acting
from operations.kubeadm.control_planes import next_step
from operations.kubeadm.existing import Existing
from operations.kubeadm.join_token import JoinCredentials
from operations.kubeadm.members import check_removable
from remote.failures import RemoteFailure
from tests.fake_node import Host
from tests.shell import shell

OWN = "192.168.2.12"
OTHERS = {"node1": "192.168.2.11", "node3": "192.168.2.13"}
REGISTERED = Node("node2", {CONTROL_PLANE_LABEL: ""}, (), None)


def member(number: int, **changed: Any) -> Member:
    values = {"name": f"node{number}", "is_learner": False, "is_healthy": True, **changed}
    return Member(f"a{number}", peers=(f"192.168.2.1{number}",), **values)


FIRST, VOTER, THIRD = member(1), member(2), member(3)
UNSTARTED = member(2, name="", is_learner=True, is_healthy=False)
LEARNER = member(2, is_learner=True, is_healthy=False)


@pytest.mark.parametrize(
    ("state", "members", "registered", "step"),
    [
        ("absent", [FIRST], None, "join"),
        ("absent", [FIRST, UNSTARTED], None, "join"),
        ("absent", [FIRST, VOTER], REGISTERED, "join"),  # another card under the same name
        ("half-joined", [FIRST], None, "undo"),
        ("half-joined", [FIRST, UNSTARTED], None, "undo"),
        ("half-joined", [FIRST, LEARNER], None, "undo"),
        ("half-joined", [FIRST, VOTER], None, "undo"),  # without the kubelet's certificate
        ("control plane", [FIRST, LEARNER], None, "undo"),
        ("control plane", [FIRST], REGISTERED, "undo"),  # somebody has removed its member
        ("control plane", [FIRST, VOTER], None, "label"),  # its kubelet is about to register
        ("control plane", [FIRST, VOTER], Node("node2", {}, (), None), "label"),
        ("control plane", [FIRST, VOTER], REGISTERED, "finished"),
    ],
)
def test_the_next_step(
    state: Any, members: list[Member], registered: Node | None, step: str
) -> None:
    assert next_step(MemberState(state), members, OWN, registered) == step


def test_a_voter_is_never_removed_when_the_rest_has_no_quorum() -> None:
    check_removable([FIRST, LEARNER, member(3, is_healthy=False)], LEARNER)
    check_removable([FIRST, VOTER, THIRD], VOTER)
    with pytest.raises(HostFailure) as refused:
        check_removable([FIRST, VOTER, member(3, is_healthy=False)], VOTER)
    said = messages.QUORUM_WOULD_BE_LOST(member="node2", healthy="node1", count=2)
    assert refused.value.args[0] == said


class Joined:
    """The operation on node2, with the given answers; what it does and says."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        observed: MemberState,
        etcd: dict[str, EtcdState | Exception],
        nodes: list[dict[str, Any]] | None = None,
        executing: bool = True,
        others: dict[str, MemberState | Exception] | None = None,
    ) -> None:
        asked: list[str] = []

        def read_together(*questions: Any) -> list[Any]:
            name = questions[0][0]
            asked.append(name)
            answer = etcd[name]
            if isinstance(answer, Exception):
                raise answer
            return [answer, ClusterObjects(answer.state == "listed", nodes or []), "CA"]

        monkeypatch.setattr(control_planes, "read", lambda fact: observed)
        monkeypatch.setattr(existing, "read_together", read_together)
        monkeypatch.setattr(existing, "inventory", SimpleNamespace(get_host=lambda name: name))
        monkeypatch.setattr(control_planes, "check_cluster", self._check)
        monkeypatch.setattr(
            control_planes, "inventory", SimpleNamespace(get_host=lambda name: name)
        )

        def gather(name: str) -> MemberState:
            answer = (others or {})[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        node = lambda name: SimpleNamespace(gather=lambda fact: gather(name))  # noqa: E731
        monkeypatch.setattr(control_planes, "remote", SimpleNamespace(of=node))
        monkeypatch.setattr(
            control_planes, "plan_change", lambda text, *resources: self.planned.append(text)
        )
        state = FakeState()
        state.is_executing, state.failed_hosts = executing, set()
        state.activated_hosts = set(others or {})
        host = create_host(state)
        self.planned: list[str] = []
        self.checked: list[str] = []
        self.asked = asked
        operation: Any = control_planes.join
        inner = getattr(operation._inner, "__wrapped__", operation._inner)
        with ctx_state.use(state), ctx_host.use(host):
            made = list(inner(node="node2", address=OWN, endpoint="api", control_planes=OTHERS))
        self.names = [command.function.__name__ for command in made]
        self.kwargs = made[-1].kwargs if made else {}
        self.arguments = {each.function.__name__: each.args for each in made}
        self.noop = host.noop_description

    def _check(self, observed: MemberState, control_plane: str, authority: str) -> None:
        self.checked.append(control_plane)
        if observed.ca != authority:
            raise HostFailure(messages.OTHER_CLUSTER(cluster="x", control_plane=control_plane))


def listed(*members: Member) -> EtcdState:
    return EtcdState("listed", list(members))


def registered(*names: str, labelled: bool = True) -> list[dict[str, Any]]:
    labels = {CONTROL_PLANE_LABEL: ""} if labelled else {}
    return [{"kind": "Node", "metadata": {"name": name, "labels": labels}} for name in names]


ABSENT, HALF = MemberState("absent", "v1.36.3"), MemberState("half-joined", "v1.36.3", ca="CA")
COMPLETE = MemberState("control plane", "v1.36.3", ca="CA")


def test_a_blank_node_joins_after_its_ghost_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Joined(monkeypatch, ABSENT, {"node1": listed(FIRST, UNSTARTED)}, registered("node1"))
    assert done.names == ["_leave_etcd", "pull_images", "_copy_configuration", "run_join"]
    assert done.planned == [
        f"remove the learner without a name of etcd at {OWN} (a2)",
        f"join node2 ({OWN}) to the cluster of node1 as a control plane",
    ]
    assert done.kwargs["upload"] == (Registration("node1", "192.168.2.11"), "v1.36.3")
    assert done.kwargs["timeouts"]["discovery"] == "15s"
    assert done.checked == []


def test_half_a_join_is_undone_first(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Joined(monkeypatch, HALF, {"node1": listed(FIRST, LEARNER)}, registered("node1"))
    assert done.names == [
        "_leave_etcd",  # before its data is wiped: a voter without data may cost the quorum
        "_undo",
        "pull_images",
        "_copy_configuration",
        "run_join",
    ]


THIRD_LEARNER = member(3, is_learner=True, is_healthy=False)
THIRD_IS_UP = member(3, is_learner=True, is_healthy=False, is_up=True)


@pytest.mark.parametrize(
    ("third", "others"),
    [
        (THIRD_LEARNER, {}),  # its node is not part of this run
        (THIRD_LEARNER, {"node3": RemoteFailure("off")}),
        (THIRD_IS_UP, {"node3": HALF}),  # its kubelet starts etcd after each boot
        (THIRD_IS_UP, {"node3": COMPLETE}),
        (member(5, is_learner=True, is_healthy=False), {}),  # of no node of the inventory
    ],
)
def test_what_a_join_of_another_node_has_left_makes_room(
    monkeypatch: pytest.MonkeyPatch, third: Member, others: dict[str, MemberState | Exception]
) -> None:
    """etcd takes one learner at a time."""
    etcd: dict[str, EtcdState | Exception] = {"node1": listed(FIRST, third)}
    done = Joined(monkeypatch, ABSENT, etcd, registered("node1"), others=others)
    assert done.names[:2] == ["_leave_etcd", "_remove_abandoned"]
    assert done.arguments["_remove_abandoned"] == ("node1", [third.id])
    text = f"remove the learner {third.name} of etcd at {third.peers[0]} ({third.id})"
    assert done.planned[0] == f"{text}: its node's join was cut off"


def test_another_node_that_joins_now_keeps_its_member(monkeypatch: pytest.MonkeyPatch) -> None:
    etcd: dict[str, EtcdState | Exception] = {"node1": listed(FIRST, THIRD_IS_UP)}
    running: dict[str, MemberState | Exception] = {"node3": MemberState("running")}
    done = Joined(monkeypatch, ABSENT, etcd, registered("node1"), others=running)
    assert "_remove_abandoned" not in done.names
    unknown: tuple[dict[str, MemberState | Exception], ...] = ({}, {"node3": RemoteFailure("off")})
    for others in unknown:
        with pytest.raises(HostFailure) as refused:
            Joined(monkeypatch, ABSENT, etcd, registered("node1"), others=others)
        said = messages.LEARNER_IN_THE_WAY(node="node3")
        assert refused.value.args[0] == said


def test_a_finished_one_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = registered("node1", "node2")
    done = Joined(monkeypatch, COMPLETE, {"node1": listed(FIRST, VOTER)}, nodes)
    assert (done.names, done.planned) == ([], [])
    assert done.noop == "node2 is a control plane of the cluster"
    assert done.checked == ["node1"]


def test_one_that_only_lacks_its_label_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = registered("node1", "node2", labelled=False)
    done = Joined(monkeypatch, COMPLETE, {"node1": listed(FIRST, VOTER)}, nodes)
    assert done.names == ["_label"]


def test_another_is_asked_when_the_first_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (HostFailure("away"), ConnectError("off"), EtcdState("silent", [], "deadline")):
        done = Joined(monkeypatch, ABSENT, {"node1": answer, "node3": listed(FIRST, THIRD)})
        assert done.asked == ["node1", "node3"]
        assert done.kwargs["control_plane"] == "node3"


def test_without_etcd_nothing_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = {name: EtcdState("silent", [], "deadline") for name in OTHERS}
    for observed in (ABSENT, HALF):
        with pytest.raises(HostFailure) as refused:
            Joined(monkeypatch, observed, dict(silent))
        reason = "; ".join(f"{name} (deadline)" for name in OTHERS)
        assert refused.value.args[0] == messages.ETCD_NOT_ASKED(reason=reason)
    assert Joined(monkeypatch, COMPLETE, dict(silent)).names == []


def test_a_dry_run_of_a_blank_cluster_plans_the_join(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = {name: EtcdState("absent", []) for name in OTHERS}
    done = Joined(monkeypatch, ABSENT, dict(blank), executing=False)
    assert done.planned == [f"join node2 ({OWN}) to the cluster of node1 as a control plane"]


def test_nothing_of_another_cluster_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    other = MemberState("half-joined", "v1.36.3", ca="another")
    with pytest.raises(HostFailure) as refused:
        Joined(monkeypatch, other, {"node1": listed(FIRST)})
    assert refused.value.args[0].message is messages.OTHER_CLUSTER


def test_a_worker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostFailure) as refused:
        Joined(monkeypatch, MemberState("joined"), {})
    assert refused.value.args[0] == messages.IS_WORKER()


def test_a_join_that_runs_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Joined(monkeypatch, MemberState("running"), {}).names == ["follow_join"]


# --- what is done -------------------------------------------------------------------------------


def test_members_are_read_again_and_removed_by_their_id() -> None:
    first, removed = Host("node1"), list[tuple[str, ...]]()

    def answer(script: str, *words: str, stdin: str | None = None) -> list[str]:
        removed.append((script, *words))
        return []

    first.node.answer = answer

    def fact(_: Any) -> EtcdState:
        return listed(FIRST, THIRD) if removed else listed(FIRST, LEARNER, THIRD)

    first.node.fact = fact
    members.remove(first, Host("node2"), OWN)  # type: ignore[arg-type]
    assert removed == [(REMOVE_MEMBER, "a2")]

    first.node.fact = lambda fact: listed(FIRST, VOTER, member(3, is_healthy=False))
    with pytest.raises(HostFailure) as refused:
        members.remove(first, Host("node2"), OWN)  # type: ignore[arg-type]
    assert refused.value.args[0].message is messages.QUORUM_WOULD_BE_LOST
    first.node.fact = lambda fact: EtcdState("silent", [], "deadline")
    with pytest.raises(HostFailure) as refused:
        members.remove(first, Host("node2"), OWN)  # type: ignore[arg-type]
    assert refused.value.args[0].message is messages.ETCD_NOT_ASKED
    assert len(removed) == 1


def test_a_learner_that_has_got_a_vote_meanwhile_is_not_removed() -> None:
    first, removed = Host("node1"), list[str]()

    def answer(script: str, *words: str, stdin: str | None = None) -> list[str]:
        removed.extend(words)
        return []

    first.node.answer = answer
    first.node.fact = lambda fact: listed(FIRST, LEARNER, THIRD)
    members.remove_learners(first, Host("node2"), ["a2", "a3"])  # type: ignore[arg-type]
    assert removed == ["a2"]
    first.node.fact = lambda fact: EtcdState("silent", [], "deadline")
    with pytest.raises(HostFailure) as refused:
        members.remove_learners(first, Host("node2"), ["a2"])  # type: ignore[arg-type]
    assert refused.value.args[0].message is messages.ETCD_NOT_ASKED


def test_its_configuration_is_that_of_the_other_one_for_this_node() -> None:
    first, node = Host("node1"), Host("node2")
    text = Init(Registration("node1", "192.168.2.11"), "v1.36.3", "api", "10.0.0.0/9", "").text()
    first.node.answer = lambda script, *words, stdin=None: text.splitlines()
    state: Any = SimpleNamespace(inventory=SimpleNamespace(get_host=lambda name: first))
    own, written = Registration("node2", OWN, ("Mem",)), list[Any]()
    node.node.execute = written.append  # type: ignore[method-assign,assignment]
    assert control_planes._copy_configuration(state, node, "node1", own)  # type: ignore[arg-type]
    assert written[0].connector_arguments["_stdin"] == for_node(text, own)
    # A cluster that was made by hand has no such file.
    first.node.answer = lambda script, *words, stdin=None: []
    assert control_planes._copy_configuration(state, node, "node1", own)  # type: ignore[arg-type]
    assert len(written) == 1


@pytest.mark.parametrize("healthy", [True, False])
def test_after_a_removal_etcd_has_to_work(monkeypatch: pytest.MonkeyPatch, healthy: bool) -> None:
    """The removed member may have led the others: they are asked until they have a new leader."""
    first, asked = Host("node1"), list[float]()
    first.node.answer = lambda script, *words, stdin=None: []
    silent = EtcdState("silent", [], "deadline")

    def fact(_: Any) -> EtcdState:
        asked.append(0)
        works = healthy and len(asked) > 3
        return (
            listed(FIRST, VOTER, THIRD) if len(asked) == 1 else listed(FIRST) if works else silent
        )

    first.node.fact = fact
    monkeypatch.setattr("gevent.sleep", lambda seconds: None)
    monkeypatch.setattr(members, "_SECONDS", 60 if healthy else 0)
    if healthy:
        members.remove(first, Host("node2"), OWN)  # type: ignore[arg-type]
        assert len(asked) == 4
        return
    with pytest.raises(HostFailure) as refused:
        members.remove(first, Host("node2"), OWN)  # type: ignore[arg-type]
    assert refused.value.args[0] == messages.NO_QUORUM_AFTER(address=OWN, reason="deadline")


def test_the_node_of_the_former_card_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered at the node's own address is no other machine, whatever its machine-id."""

    def at(address: str) -> list[dict[str, Any]]:
        status = {"addresses": [{"type": "InternalIP", "address": address}]}
        return [{**registered("node2")[0], "status": status}]

    done = Joined(monkeypatch, ABSENT, {"node1": listed(FIRST, VOTER, THIRD)}, at(OWN))
    assert "delete the node node2, as it was registered before" in done.planned
    assert done.names[:2] == ["_leave_etcd", "_delete_node"]
    done = Joined(monkeypatch, ABSENT, {"node1": listed(FIRST, THIRD)}, at("1.2.3.4"))
    assert not any("delete" in line for line in done.planned)
    assert "_delete_node" not in done.names


def test_the_former_member_and_the_former_node_are_removed_by_another_control_plane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, done = Host("node1"), list[tuple[str, ...]]()

    def answer(script: str, *words: str, stdin: str | None = None) -> list[str]:
        done.append((script, *words))
        return []

    first.node.answer = answer
    state: Any = SimpleNamespace(inventory=SimpleNamespace(get_host=lambda name: first))
    removed = lambda other, shown, address: done.append(("member", address))  # noqa: E731
    monkeypatch.setattr(members, "remove", removed)
    host: Any = Host("node2")
    assert control_planes._leave_etcd(state, host, "node1", OWN)
    assert control_planes._delete_node(state, host, "node1", "node2")
    assert done == [("member", OWN), (DELETE_NODE, "node2")]


class Sponsor(Host):
    """A control plane that notes what is run on it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ran: list[tuple[str, str | None]] = []
        self.broken = ""
        self.node.answer = self.run

    def run(self, script: str, *words: str, stdin: str | None = None) -> list[str]:
        assert not words
        self.ran.append(("upload" if stdin else "delete", stdin))
        if self.broken == self.ran[-1][0]:
            raise RemoteFailure("no route to host")
        return []


REGISTRATION = Registration("node1", "192.168.2.11")


def test_certificates_are_uploaded_with_a_new_key_and_deleted_afterwards() -> None:
    sponsor: Any = Sponsor()
    with certificates.certificate_key(sponsor, REGISTRATION, "v1.36.3") as key:
        assert [what for what, _ in sponsor.ran] == ["upload"]
        assert f"certificateKey: {key}" in sponsor.ran[0][1].replace("'", "")
        assert "kubernetesVersion: v1.36.3" in sponsor.ran[0][1]
        assert len(bytes.fromhex(key)) == 32
    with (
        pytest.raises(RuntimeError),
        certificates.certificate_key(sponsor, REGISTRATION, "v1.36.3") as other,
    ):
        raise RuntimeError
    assert [what for what, _ in sponsor.ran] == ["upload", "delete", "upload", "delete"]
    assert key != other
    assert not any(key in line or other in line for line in sponsor.said)


def test_the_key_is_in_no_script() -> None:
    assert "certificate-key" not in certificates._UPLOAD
    assert ">/dev/null" in certificates.PHASE


def test_what_can_not_be_deleted_is_a_warning() -> None:
    sponsor: Any = Sponsor()
    sponsor.broken = "delete"
    with certificates.certificate_key(sponsor, REGISTRATION, "v1.36.3"):
        pass
    assert sponsor.said == [messages.CERTIFICATES_NOT_DELETED(reason="no route to host")]


def test_without_an_upload_nothing_joins() -> None:
    sponsor: Any = Sponsor()
    sponsor.broken = "upload"
    with (
        pytest.raises(HostFailure) as refused,
        certificates.certificate_key(sponsor, REGISTRATION, "v1.36.3"),
    ):
        raise AssertionError
    assert refused.value.args[0].message is messages.CERTIFICATES_NOT_UPLOADED


def test_the_key_reaches_the_node_in_a_file_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    first, node, written = Host("node1"), Host("node2"), list[Any]()

    @contextmanager
    def credentials(_: Any) -> Iterator[JoinCredentials]:
        yield JoinCredentials("abcdef.0123456789abcdef", "sha256:PEM", {})

    @contextmanager
    def key(*_: Any) -> Iterator[str]:
        yield "12e34"

    monkeypatch.setattr(run, "join_credentials", credentials)
    monkeypatch.setattr(run, "certificate_key", key)
    monkeypatch.setattr(run, "follow_join", lambda state, host: True)
    monkeypatch.setattr(node.node, "execute", lambda command, seconds=60: written.append(command))
    monkeypatch.setattr(
        node.node, "job", lambda unit: SimpleNamespace(start=lambda *words, remove: None)
    )
    state: Any = SimpleNamespace(inventory=SimpleNamespace(get_host=lambda name: first))
    arguments: dict[str, Any] = {
        "control_plane": "node1",
        "node": "node2",
        "address": OWN,
        "ignore_preflight_errors": [],
        "endpoint": "kubernetes-api",
        "timeouts": {},
    }
    for upload, there in (((REGISTRATION, "v1.36.3"), True), (None, False)):
        assert run.run_join(state, node, **arguments, upload=upload)  # type: ignore[arg-type]
        text = written[-1].connector_arguments["_stdin"]
        assert ("certificateKey: '12e34'" in text) is there
        assert ("advertiseAddress: 192.168.2.12" in text) is there
        assert "12e34" not in str(written[-1])
        assert "600" in str(written[-1])


def test_the_fact_that_lists_members_is_asked_again() -> None:
    assert EtcdMembers().parse("absent", "", "") == EtcdState("absent", [])


def test_the_upload_leaves_no_file_and_says_nothing(tmp_path: Path) -> None:
    script = certificates._UPLOAD.replace("/run", str(tmp_path))
    kubeadm = 'for f; do :; done; stat -c %a "$f" >&2; cat "$f"; exit 3'
    done = shell(script, tools=tmp_path, kubeadm=kubeadm, kubectl=":")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "600\n")
    assert {path.name for path in tmp_path.iterdir()} == {"kubeadm", "kubectl"}


def test_what_an_earlier_upload_has_left_goes_before_the_next(tmp_path: Path) -> None:
    """Nothing refers to its token afterwards, which would stay for two hours."""
    log = tmp_path / "log"
    script = certificates._UPLOAD.replace("/run", str(tmp_path))
    kubectl = f"""echo "$*" >> {log}; case "$*" in *" get "*) echo bootstrap-token-a1b2c3;; esac"""
    done = shell(script, tools=tmp_path, kubectl=kubectl, kubeadm=f"echo upload >> {log}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    *_, secret, token, upload = log.read_text().splitlines()
    assert " delete secret kubeadm-certs " in secret
    assert " delete secret bootstrap-token-a1b2c3 " in token
    assert upload == "upload"


def test_an_upload_is_noted_before_it_is_made(tmp_path: Path) -> None:
    """So a run that is cut off between the two leaves nothing that the next does not know of."""
    script = certificates._UPLOAD.replace("/run", str(tmp_path))
    refused = shell(script, tools=tmp_path, kubeadm="echo made >&2; exit 1", kubectl="exit 1")
    assert (refused.returncode, refused.stderr) == (1, "")


@pytest.mark.parametrize("tokens", [[], ["bootstrap-token-a1b2c3"], ["a", "b"]])
def test_the_tokens_that_would_delete_the_certificates_go_with_them(
    tokens: list[str], tmp_path: Path
) -> None:
    """Also of an upload that was cut off when it had made its token alone."""
    log = tmp_path / "log"
    said = " ".join(tokens)
    kubectl = f"""echo "$*" >> {log}; case "$*" in *" get "*) printf %s '{said}';; esac"""
    done = shell(certificates.DELETE, tools=tmp_path, kubectl=kubectl)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    asked, *deletions, note = log.read_text().splitlines()
    description = b64encode(b"Proxy for managing TTL for the kubeadm-certs secret").decode()
    assert f'data.description=="{description}"' in asked
    for name, deletion in zip(["kubeadm-certs", *tokens], deletions, strict=True):
        assert deletion.endswith(f"delete secret {name} --ignore-not-found")
    assert note.endswith("annotate namespace kube-system bramble/certificates-")


# --- which control plane is asked ---------------------------------------------------------------


def initialized(
    monkeypatch: pytest.MonkeyPatch, observed: ControlPlaneState, known: Existing
) -> tuple[list[Any], str]:
    """The commands of ``kubeadm.init`` on node2, and why it does nothing."""
    monkeypatch.setattr(kubeadm, "read", lambda fact, **arguments: observed)
    monkeypatch.setattr(existing, "ask", lambda others: known)
    state = FakeState()
    host = create_host(state)
    operation: Any = kubeadm.init
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    networks = {"pod_network": "10.244.0.0/16", "service_network": "10.96.0.0/12"}
    with ctx_state.use(state), ctx_host.use(host):
        made = inner(node="node2", address=OWN, endpoint="api", others=OTHERS, **networks)
        return list(made), str(host.noop_description or "")


@pytest.mark.parametrize("found", ["absent", "half-finished", "not answering"])
def test_no_second_cluster_is_made_beside_that_of_the_others(
    monkeypatch: pytest.MonkeyPatch, found: Any
) -> None:
    dead = VOTER if found == "absent" else LEARNER  # its former card's, or a join's
    observed = ControlPlaneState(found, "v1.36.3")
    made = initialized(monkeypatch, observed, Existing("node1", [FIRST, dead, THIRD]))
    assert made == ([], "this node joins the cluster of node1")


def test_no_cluster_is_made_while_another_may_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostFailure) as refused:
        initialized(monkeypatch, ControlPlaneState("absent"), Existing(silent={"node1": "away"}))
    assert refused.value.args[0] == messages.CLUSTER_UNKNOWN(others="node1 (away)")


def test_a_member_whose_api_server_is_silent_does_not_join_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observed = ControlPlaneState("not answering", why="refused")
    with pytest.raises(HostFailure) as refused:
        initialized(monkeypatch, observed, Existing("node1", [FIRST, VOTER]))
    assert refused.value.args[0] == messages.API_NOT_ANSWERING(reason="refused")


def test_a_run_asks_the_first_that_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {name: Host(name) for name in ("node1", "node2", "node3")}
    well = {"node1": "no answer", "node2": "", "node3": ""}
    for name, each in hosts.items():
        each.node.fact = lambda fact, name=name: well[name]
    inventory = SimpleNamespace(get_host=lambda name: hosts[name])
    monkeypatch.setattr("operations.kubeadm.acting.inventory", inventory)
    planes = list(hosts.values())

    def asked(*, failed: set[Host] = frozenset(), of: list[Host] = planes) -> str:  # type: ignore[assignment]
        state = FakeState()
        state.failed_hosts = failed
        with ctx_state.use(state):
            assert acting(of).name == acting(of).name
            return acting(of).name

    assert asked() == "node2"
    assert asked(failed={hosts["node2"]}) == "node3"
    assert asked(of=[hosts["node1"], hosts["node3"]]) == "node3"
    assert asked(of=[hosts["node1"]]) == "node1"
    well.update(node2="etcd", node3="etcd")
    assert asked() == "node1"
    assert asked(failed={hosts["node1"]}) == "node2"
