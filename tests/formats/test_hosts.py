"""/etc/hosts: our lines are set, the lines of others stay or are named as a conflict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import marked
from formats.hosts import (
    TEMPLATE_NAMES,
    conflict,
    own_name,
    parse,
    render,
    update,
)

RASPBERRY_PI = """127.0.0.1\tlocalhost
::1\t\tlocalhost ip6-localhost ip6-loopback
ff02::1\t\tip6-allnodes
ff02::2\t\tip6-allrouters

127.0.1.1\tnode1
"""
NODES = {"192.168.2.11": ["node1"], "192.168.2.12": ["node2", "node2.lan"]}
OURS = """# bramble begin
192.168.2.11\tnode1
192.168.2.12\tnode2 node2.lan
# bramble end
"""


@given(st.text())
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert render(parse(text)) == text


def test_a_fresh_file_gets_our_lines_and_gives_up_the_nodes_own_name() -> None:
    changed = update(RASPBERRY_PI, NODES)
    assert changed == RASPBERRY_PI.replace("127.0.1.1\tnode1\n", OURS)
    assert update(changed, NODES) == changed


def test_our_lines_keep_their_place() -> None:
    before = f"127.0.0.1 localhost\n{OURS}10.0.0.1 printer # upstairs\n"
    changed = update(before, {"192.168.2.11": ["node1"]})
    assert changed == (
        "127.0.0.1 localhost\n# bramble begin\n192.168.2.11\tnode1\n# bramble end\n"
        "10.0.0.1 printer # upstairs\n"
    )


def test_without_entries_our_lines_go() -> None:
    assert update(f"127.0.0.1 localhost\n{OURS}", {}) == "127.0.0.1 localhost\n"


def test_a_loopback_line_keeps_the_names_that_are_not_ours() -> None:
    before = "127.0.1.1   node1.home NODE1 pi # by the installer\n127.0.0.1 localhost node1\n"
    assert update(before, NODES).startswith(
        "127.0.1.1   node1.home pi # by the installer\n127.0.0.1 localhost\n"
    )


def test_cloud_inits_template_gives_up_the_nodes_own_name() -> None:
    before = "## template:jinja\n{# why -#}\n127.0.1.1 {{fqdn}} {{hostname}}\n127.0.0.1 localhost\n"
    changed = update(before, NODES, TEMPLATE_NAMES)
    assert changed == f"## template:jinja\n{{# why -#}}\n127.0.0.1 localhost\n{OURS}"


def test_another_address_for_a_name_of_ours_is_a_conflict() -> None:
    before = f"127.0.1.1 node1\n{OURS}# 10.0.0.9 node1\n10.0.0.9 printer Node2\n"
    assert conflict(before, NODES) == (7, "Node2", "10.0.0.9")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("10.0.0.9\tnode2\r\n", "10.0.0.9"),
        ("\v10.0.0.9 x Node2#mine\n", "10.0.0.9"),
        ("::ffff:10.0.0.9 node2\n", "::ffff:10.0.0.9"),
        ("2001:db8::9 node2\n", "2001:db8::9"),
        ("::ffff:192.168.2.12 node2\n", None),
        ("10.1 node2\n", None),
        ("010.0.0.9 node2\n", None),
        ("fe80::9%eth0 node2\n", None),
        ("10.0.0.9,node2\n", None),
        ("10.0.0.9 #node2\n", None),
        ("10.0.0.9 node2\u2028x\n", None),
    ],
)
def test_odd_lines_are_read_as_the_c_library_reads_them(line: str, found: str | None) -> None:
    assert conflict(line, NODES) == ((1, line.split("#")[0].split()[-1], found) if found else None)


def test_a_loopback_address_of_any_form_gives_the_name_up() -> None:
    for address in ("127.0.1.1", "::1", "::ffff:127.0.1.1"):
        assert render(parse(update(f"{address} node1 mine\r\n", NODES))).startswith(
            f"{address} mine\r\n# bramble begin"
        )


def test_the_same_address_and_a_line_of_ours_are_no_conflict() -> None:
    before = f"192.168.2.11 node1\nfe80::1%eth0 router\n{OURS.replace('2.11', '2.99')}"
    assert conflict(before, NODES) is None


addresses = st.ip_addresses(v=4, network="192.168.0.0/16").map(str)
names = st.from_regex(r"node[0-9]{1,3}", fullmatch=True)


@given(st.text(), st.dictionaries(addresses, st.lists(names, min_size=1, max_size=2), max_size=3))
def test_any_file_gets_our_lines_and_a_second_time_changes_nothing(
    text: str, entries: dict[str, list[str]]
) -> None:
    if "bramble" in text:
        return
    changed = update(text, entries)
    assert update(changed, entries) == changed
    found = {line.address: list(line.names) for line in parse(marked.get(changed) or "")}
    assert found == entries


@pytest.mark.parametrize(
    "text",
    [
        "# bramble begin\n10.0.0.1 a\n",
        "# bramble end\n",
        f"{OURS}{OURS}",
        "# bramble end\n# bramble begin\n",
    ],
)
def test_damaged_marks_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="are not one pair"):
        update(text, NODES)


@given(st.text(), st.text())
def test_marked_lines_leave_everything_else_as_it_was(before: str, after: str) -> None:
    if "bramble" in before + after or "\r" in before + after:
        return
    before = before and f"{before}\n"
    text = f"{before}{OURS}{after}"
    assert marked.get(text) == OURS.split("\n", 1)[1].removesuffix(f"{marked.END}\n")
    assert marked.put(text, None) == before + after
    assert marked.put(text, "new\n", "why") == (
        f"{before}# bramble begin (why)\nnew\n# bramble end\n{after}"
    )


def test_the_hostname_file_may_have_comments() -> None:
    assert own_name("# by hand\n\n node1 \n") == "node1"
    assert own_name("") == ""
