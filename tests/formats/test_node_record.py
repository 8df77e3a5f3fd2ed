"""The record of what bramble manages on a node."""

from __future__ import annotations

import json

import pytest

from formats.node_record import FORMAT, Entry, NodeRecord, fingerprint, parse

FILE = "file /etc/sysctl.d/60-bramble-forward.conf"
ENTRY = Entry(("1a",), {"path": "/etc/x"}, keeps=("/etc/x",))
NODES = {"node1": "192.168.2.11", "node2": "192.168.2.12", "node3": "192.168.2.13"}


def test_what_is_written_is_read_again() -> None:
    entries = {
        FILE: ENTRY,
        "sysctl net.ipv4.ip_forward": Entry(("1",), before="0"),
        "interface eth0": Entry((), {"files": ["/a", "/b"]}, guarded=True),
    }
    record = NodeRecord(entries, True, "5f", NODES)
    assert parse(record.render()) == record


def test_an_older_bramble_leaves_a_newer_record_alone() -> None:
    text = json.dumps({"format": FORMAT + 1, "something": "else"})
    assert parse(text) == NodeRecord(newer=True)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", "{}", '{"format": 1}', '{"format": "1"}']
    + [NodeRecord({FILE: ENTRY}).render().replace(*change) for change in (
        ('"content"', '"contents"'), ('"resources": {', '"resources": [], "r": {'),
        ('"nodes": {}', '"nodes": []'), ('"complete": false,', ""),
    )]
    + [NodeRecord({FILE: ENTRY}).render()[:-9]],
)  # fmt: skip
def test_a_damaged_record_is_no_record(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_what_was_there_first_is_kept_and_an_interrupted_change_is_either_content() -> None:
    record = NodeRecord().put(FILE, ENTRY)
    again = record.put(FILE, Entry(("2b",), {"path": "/etc/x"}, before="7", keeps=()))
    entry = again.entries[FILE]
    assert (entry.content, entry.before, entry.keeps) == (("1a", "2b"), None, ("/etc/x",))
    assert [entry.holds(content) for content in ("1a", "2b", "3c")] == [True, True, False]
    assert again.put(FILE, Entry(("2b",), {"path": "/etc/x"})) == again
    assert again.without([FILE]).entries == {}


def test_a_resource_that_is_not_compared_holds_anything() -> None:
    assert Entry().holds("anything")


@pytest.mark.parametrize(
    ("nodes", "same"),
    [
        (NODES, True),
        ({**NODES, "node4": "192.168.2.14", "node5": "192.168.2.15"}, True),
        ({name: NODES[name] for name in ("node1", "node2")}, True),
        ({"node3": "192.168.2.13"}, False),
        ({name: address.replace(".2.", ".7.") for name, address in NODES.items()}, False),
        ({"node3": "192.168.2.13", "a": "10.0.0.1", "b": "10.0.0.2"}, False),
    ],
)
def test_an_inventory_is_known_by_most_of_its_nodes(nodes: dict[str, str], same: bool) -> None:
    assert NodeRecord(nodes=NODES).is_of(nodes) is same


def test_a_record_before_the_first_whole_run_is_of_any_inventory() -> None:
    assert NodeRecord().is_of(NODES)


def test_a_fingerprint_tells_a_content_and_its_status_apart() -> None:
    texts = [("644", "a"), ("600", "a"), ("644", "a\n"), ("644a", "")]
    assert len({fingerprint(*each) for each in texts}) == len(texts)
    assert fingerprint("\udcff") != fingerprint("\udcfe")
