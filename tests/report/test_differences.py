"""What would change, as a person reads it."""

from __future__ import annotations

import io

from rich.console import Console

from report import differences
from report.result import Result, Step
from runs.record import Change

HOSTS = Change("modify /etc/hosts", ("file /etc/hosts",), "/etc/hosts", "a\nb\n", "a\nc\n")
KEY = Change("create /etc/key", ("file /etc/key",), "/etc/key", secret=True)
SYSCTL = Change("set net.ipv4.ip_forward = 1 (it is 0)", ("sysctl net.ipv4.ip_forward",))


def shown(found: Result, colour: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=colour, color_system="standard" if colour else None)
    differences.show(found, console)
    return out.getvalue()


def result(*steps: Step, failed: tuple[str, ...] = (), errors: tuple[str, ...] = ()) -> Result:
    return Result(["node1", "node2"], list(failed), list(errors), list(steps))


def test_it_is_grouped_by_node_and_file_and_says_nothing_of_what_stays() -> None:
    text = shown(
        result(
            Step("node1", "Names", "planned", changes=[HOSTS]),
            Step("node2", "Names", "planned", changes=[HOSTS]),
            Step("node1", "Settings", "planned", changes=[SYSCTL]),
            Step("node1", "Its nameservers", "same"),
        )
    )
    first, second = text.split("\nnode2\n")
    assert first.startswith("\nnode1\n")
    for part in ("/etc/hosts (modify)", "-b", "+c", "set net.ipv4.ip_forward = 1"):
        assert part in first
    assert "/etc/hosts (modify)" in second
    assert "nameservers" not in text
    assert "3 steps to do on node1, node2" in text


def test_differences_are_in_colour() -> None:
    text = shown(result(Step("node1", "Names", "planned", changes=[HOSTS])), colour=True)
    assert "\x1b[31m      -b" in text
    assert "\x1b[32m      +c" in text


def test_of_a_secret_only_that_it_changes_is_said() -> None:
    text = shown(result(Step("node1", "Wi-Fi", "planned", changes=[KEY])))
    assert "/etc/key: changed (contains a secret, which is not shown)" in text


def test_what_does_not_say_what_it_changes_is_named_all_the_same() -> None:
    text = shown(result(Step("node1", "Something new", "planned")))
    assert "Something new" in text
    assert "(something would change)" in text


def test_nothing_to_do_is_said() -> None:
    assert shown(result(Step("node1", "Names", "same"))) == ("\nNo changes on node1, node2\n")


def test_a_node_that_could_not_be_looked_at_is_told_with_the_reason() -> None:
    text = shown(result(failed=("node2",), errors=("[node2] no route to host",)))
    assert "node2: unknown, because it failed" in text
    assert "[node2] no route to host" in text
    assert "No changes on node1" in text


def test_as_data_it_has_each_nodes_state_and_the_differences_but_no_secret() -> None:
    found = result(
        Step("node1", "Names", "planned", changes=[HOSTS, KEY, SYSCTL]),
        Step("node1", "Its nameservers", "same"),
        failed=("node2",),
        errors=("[node2] no route to host",),
    )
    assert differences.data(found) == {
        "nodes": {
            "node1": {
                "state": "different",
                "steps": [
                    {
                        "name": "Names",
                        "changes": [
                            {
                                "says": "modify /etc/hosts",
                                "path": "/etc/hosts",
                                "secret": False,
                                "diff": ["@@ -1,2 +1,2 @@", " a", "-b", "+c"],
                            },
                            {
                                "says": "create /etc/key",
                                "path": "/etc/key",
                                "secret": True,
                                "diff": [],
                            },
                            {"says": SYSCTL.says, "path": None, "secret": False, "diff": []},
                        ],
                    }
                ],
            },
            "node2": {"state": "unknown", "steps": []},
        },
        "errors": ["[node2] no route to host"],
    }
