"""Members of etcd as etcdctl 3.5 and 3.6 print them."""

from __future__ import annotations

from typing import Any

import pytest

from formats.etcd import Member, at, keeps_quorum_without, majority_away, parse
from formats.unreadable import Unreadable
from messages import codes

# Of transcribed commands: node3 was announced a moment before its power went.
LISTED = (
    '{"header":{"cluster_id":12202283103326494598,"member_id":2823102855498853191,"raft_term":2},'
    '"members":[{"ID":1861163747006717899,"peerURLs":["https://192.168.2.13:2380"],'
    '"isLearner":true},'
    '{"ID":2823102855498853191,"name":"node1","peerURLs":["https://192.168.2.11:2380"],'
    '"clientURLs":["https://192.168.2.11:2379"]},'
    '{"ID":11855288843793642286,"name":"node2","peerURLs":["https://192.168.2.12:2380"],'
    '"clientURLs":["https://192.168.2.12:2379"]}]}'
)
HEALTH = (
    '[{"endpoint":"https://192.168.2.11:2379","health":true,"took":"4.6ms"},'
    '{"endpoint":"https://192.168.2.12:2379","health":false,"took":"5s",'
    '"error":"context deadline exceeded"}]'
)


def member(number: int, **changed: Any) -> Member:
    values = {"name": f"node{number}", "is_learner": False, "is_healthy": True, **changed}
    return Member(str(number), peers=(f"192.168.2.1{number}",), **values)


def test_members_have_their_state_and_the_id_that_etcdctl_takes() -> None:
    learner, first, second = parse(LISTED, HEALTH)
    assert learner == Member("19d42e91292b9fcb", "", ("192.168.2.13",), is_learner=True)
    assert not learner.is_started_voter
    assert (first.name, first.id) == ("node1", "272dad16f2666b47")
    assert (first.is_started_voter, first.is_healthy) == (True, True)
    assert (second.is_started_voter, second.is_healthy) == (True, False)


def test_a_learner_that_answers_is_up() -> None:
    refusal = "etcdserver: rpc not supported for learner"
    listed = LISTED.replace('"name":"node2"', '"isLearner":true,"name":"node2"')
    for error, is_up in ((refusal, True), ("context deadline exceeded", False)):
        _, first, learner = parse(listed, HEALTH.replace("context deadline exceeded", error))
        assert (learner.is_learner, learner.is_healthy, learner.is_up) == (True, False, is_up)
        assert (first.is_healthy, first.is_up) == (True, True)


def test_without_an_answer_about_health_nobody_is_healthy() -> None:
    assert not any(each.is_healthy for each in parse(LISTED, ""))


def test_a_node_has_what_others_reach_at_its_address() -> None:
    members = parse(LISTED, HEALTH)
    assert at(members, "192.168.2.13") == members[:1]
    assert at(members, "192.168.2.1") == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"members":[{"ID":"x"}]}', "Error: no"])
def test_anything_else_is_not_understood(text: str) -> None:
    with pytest.raises(Unreadable):
        parse(text, "")


def test_a_majority_of_the_others_has_to_be_healthy() -> None:
    three = [member(1), member(2), member(3, is_healthy=False)]
    assert keeps_quorum_without(three, three[2])
    assert not keeps_quorum_without(three, three[0])  # node2 alone, of two
    two = [member(1), member(2, is_healthy=False)]
    assert keeps_quorum_without(two, two[1])
    assert not keeps_quorum_without(two, two[0])
    assert not keeps_quorum_without([member(1)], member(1))
    five = [member(1), member(2), *(member(n, is_healthy=False) for n in (3, 4, 5))]
    assert not keeps_quorum_without(five, five[4])  # two of four


def test_learners_have_no_vote() -> None:
    members = [member(1), member(2), member(3, is_learner=True, is_healthy=False)]
    assert not keeps_quorum_without([*members, member(4, is_healthy=False)][1:], members[1])
    assert keeps_quorum_without(members, members[1])


def test_a_majority_that_is_away_is_counted() -> None:
    three = ["node1", "node2", "node3"]
    said = majority_away(three, ["node4", "node3", "node1"])
    assert codes(said or "") == ["KUB086"]
    assert said
    assert said.startswith("2 of 3 control planes do not answer (node1, node3), and etcd needs 2 ")
    assert majority_away(three, ["node1", "node4"]) is None
    assert majority_away(["node1"], ["node1"]) is None
    five = [*three, "node4", "node5"]
    assert majority_away(five, five[:2]) is None
    assert "3 of 5" in (majority_away(five, five[:3]) or "")
