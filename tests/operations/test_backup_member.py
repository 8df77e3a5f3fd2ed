"""On which control plane the cluster is backed up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from facts.etcd import EtcdMembers, EtcdState
from facts.livez import Livez
from formats.etcd import Member
from operations.backup import member
from operations.base import HostFailure

PLANES = {f"node{each}": f"192.168.2.1{each}" for each in (1, 2, 3)}


def members(*unwell: int, learner: int = 0) -> EtcdState:
    return EtcdState(
        "listed",
        [
            Member(f"a{n}", f"node{n}", (f"192.168.2.1{n}",), n == learner, n not in unwell)
            for n in (1, 2, 3)
        ],
    )


BLANK = (EtcdState("absent", []), "no answer")
WELL, SILENT = (members(), ""), (EtcdState("silent", [], "deadline"), "etcd")


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [
        ([WELL, WELL, WELL], "node1"),
        ([None, WELL, WELL], "node2"),
        ([HostFailure("no answer"), WELL, WELL], "node2"),
        # Its API server, its etcd, or the place of that among the members.
        ([(members(), "etcd"), WELL, WELL], "node2"),
        ([(members(1), ""), (members(1), ""), WELL], "node2"),
        ([(members(learner=1), ""), WELL, WELL], "node2"),
        ([SILENT, BLANK, WELL], "node3"),
        # What is left without a majority can be saved too.
        ([None, SILENT, None], "node2"),
        ([SILENT, SILENT, SILENT], "node1"),
        ([BLANK, BLANK, SILENT], "node3"),
        ([BLANK, BLANK, None], "node1"),
        ([None, None, None], ""),
    ],
)
def test_the_first_that_is_well_is_chosen(
    monkeypatch: pytest.MonkeyPatch, answers: list[Any], chosen: str
) -> None:
    of = dict(zip(PLANES, answers, strict=True))

    def read_together(*questions: Any) -> list[Any]:
        assert [fact for _, fact, _ in questions] == [EtcdMembers, Livez]
        answer = of[questions[0][0]]
        if isinstance(answer, HostFailure):
            raise answer
        return list(answer)

    monkeypatch.setattr(member, "read_together", read_together)
    monkeypatch.setattr(member, "inventory", SimpleNamespace(get_host=lambda name: name))
    present = {name for name in PLANES if of[name] is not None}
    monkeypatch.setattr(member, "state", SimpleNamespace(active_hosts=present))
    assert member.healthiest(PLANES) == chosen


def test_the_only_one_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "inventory", SimpleNamespace(get_host=lambda name: name))
    monkeypatch.setattr(member, "state", SimpleNamespace(active_hosts={"node1"}))
    assert member.healthiest({"node1": "192.168.2.11"}) == "node1"
