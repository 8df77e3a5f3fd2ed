"""The grammar of interfaces(5): nothing is lost, nothing is taken that ifupdown does not take."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.interfaces.syntax import (
    METHODS,
    File,
    Iface,
    InterfacesError,
    Mapping,
    Option,
    Selection,
    Source,
    Text,
    parse,
    render,
)
from tests.said import says

# Everything the manual page names, in one file.
WHOLE = r"""# interfaces(5) file used by ifup(8) and ifdown(8)
source /etc/network/interfaces.d/*
source-directory more.d

auto lo /eth*/
allow-hotplug eth1 wlan0
no-auto-down eth0
no-scripts eth9
rename eth2=lan mac/00:11:22:33:44:55=wan

iface lo inet loopback

mapping eth0 wlan*
  script /usr/local/sbin/where-am-i
  # a place
  map home eth0-home
  map work eth0-work

iface base inet static
	address 192.168.2.1/24
	post-up echo up
	up echo \
    two lines
	pre-down echo "bye"   # no comment

iface eth0-home inet static inherits base
    auto
    hwaddress ether 00:11:22:33:44:55
    mtu 1400
iface eth0-work inherits base
iface eth0 inet inherits base
iface eth1 inet6 auto
iface tun0 inet tunnel
    mode gre
    endpoint 10.0.0.1
    address 10.0.0.2"""

REAL = {
    "stock": "# interfaces(5) file used by ifup(8) and ifdown(8)\n"
    "# Include files from /etc/network/interfaces.d:\nsource /etc/network/interfaces.d/*\n",
    "the blog's eth0": "    allow-hotplug eth0\n    #iface eth0 inet dhcp\n"
    "    iface eth0 inet static\n        address 192.168.2.13\n        network 192.168.2.0\n"
    "        netmask 255.255.255.0\n        broadcast 192.168.2.255\n"
    "        gateway 192.168.2.11\n",
    "the blog's wlan0": 'auto wlan0\niface wlan0 inet dhcp\n    wpa-ssid "Your ssid"\n'
    '    wpa-psk "your password"\n    gateway 192.168.1.1\n'
    "    post-up iptables-restore < /etc/cluster_ip_rules.fw\n",
    "a bridge": "auto vmbr0\niface vmbr0 inet static\n\taddress 10.10.10.2/24\n"
    "\tgateway 10.10.10.1\n\tbridge-ports eno1\n\tbridge-stp off\n\tbridge-fd 0\n",
    "Windows line ends, no last line end": "auto eth0\r\niface eth0 inet dhcp\r\n\thostname n1",
    "empty": "",
}


@pytest.mark.parametrize("text", [WHOLE, *REAL.values()], ids=["whole", *REAL])
def test_what_was_read_is_written_back_byte_for_byte(text: str) -> None:
    assert render(parse(text)) == text


def test_every_kind_of_line_is_understood() -> None:
    items = [item for item in parse(WHOLE).items if not isinstance(item, Text)]
    assert items == [
        Source("source", "/etc/network/interfaces.d/*"),
        Source("source-directory", "more.d"),
        Selection("auto", ("lo", "/eth*/")),
        Selection("allow-hotplug", ("eth1", "wlan0")),
        Selection("no-auto-down", ("eth0",)),
        Selection("no-scripts", ("eth9",)),
        Selection("rename", ("eth2=lan", "mac/00:11:22:33:44:55=wan")),
        Iface("lo", "inet", "loopback"),
        Mapping(
            ("eth0", "wlan*"),
            (
                Option("script", "/usr/local/sbin/where-am-i"),
                Text("  # a place\n"),
                Option("map", "home eth0-home"),
                Option("map", "work eth0-work"),
            ),
        ),
        Iface(
            "base",
            "inet",
            "static",
            body=(
                Option("address", "192.168.2.1/24"),
                Option("post-up", "echo up"),
                Option("up", "echo     two lines"),
                Option("pre-down", 'echo "bye"   # no comment'),
            ),
        ),
        Iface(
            "eth0-home",
            "inet",
            "static",
            "base",
            (
                Selection("auto"),
                Option("hwaddress", "ether 00:11:22:33:44:55"),
                Option("mtu", "1400"),
            ),
        ),
        Iface("eth0-work", None, None, "base"),
        Iface("eth0", "inet", None, "base"),
        Iface("eth1", "inet6", "auto"),
        Iface(
            "tun0",
            "inet",
            "tunnel",
            body=(
                Option("mode", "gre"),
                Option("endpoint", "10.0.0.1"),
                Option("address", "10.0.0.2"),
            ),
        ),
    ]


def test_an_item_knows_its_line() -> None:
    iface = parse("#\nauto a\\\n b\niface b inet dhcp\n").items[-1]
    assert isinstance(iface, Iface)
    assert iface.line == 4


def test_only_a_changed_line_is_written_anew() -> None:
    text = "iface eth0 inet static\n\t# here\n\taddress  10.0.0.1/24\n      mtu 1400\n"
    file = parse(text)
    iface = file.items[0]
    assert isinstance(iface, Iface)
    body = tuple(
        replace(line, value="10.0.0.2/24", raw=None)
        if isinstance(line, Option) and line.name == "address"
        else line
        for line in iface.body
    )
    changed = File((replace(iface, body=body),))
    assert render(changed) == text.replace("\taddress  10.0.0.1/24", "    address 10.0.0.2/24")


def test_a_stanza_after_a_last_line_without_line_feed_gets_its_own_line() -> None:
    file = File((*parse("auto eth0").items, Iface("eth0", "inet", "dhcp")))
    assert render(file) == "auto eth0\niface eth0 inet dhcp\n"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("\naddress 10.0.0.1\n", 2, "FMT010 misplaced option 'address'"),
        ("auto eth0\n  gateway 10.0.0.1\n", 2, "FMT010 misplaced option 'gateway'"),
        ("iface eth0 inet static\n  address\n", 2, "FMT010 option 'address' has no value"),
        ("iface\n", 1, "FMT010 iface without a name"),
        ("iface eth0\n", 1, "FMT010 unknown or missing address family"),
        ("iface eth0 inet4 static\n", 1, "FMT010 unknown or missing address family: 'inet4'"),
        ("iface eth0 inet\n", 1, "FMT010 unknown or missing method of inet"),
        ("iface eth0 inet statik\n", 1, "FMT010 unknown or missing method of inet: 'statik'"),
        ("iface eth0 inet dhcp inherits\n", 1, "FMT010 inherits without a name"),
        ("mapping eth0\n  script a\n  script b\n", 3, "FMT010 a second script in one mapping"),
        ("mapping eth0\n  mop a b\n", 2, "FMT010 'mop' is not an option of a mapping"),
        ("auto eth0 \\\n\n  lo\n", 3, "FMT010 misplaced option 'lo'"),
    ],
)
def test_ifupdown_stops_reading_here(text: str, line: int, reason: str) -> None:
    with pytest.raises(InterfacesError) as error:
        parse(text)
    assert says(error.value, reason)
    assert error.value.line == line


def test_a_comment_is_not_continued() -> None:
    assert parse("# one \\\nauto eth0\n").items[1] == Selection("auto", ("eth0",))


def test_comments_between_stanzas_belong_to_neither() -> None:
    items = parse("iface a inet dhcp\n# of b\niface b inet dhcp\n  # inside\n  mtu 9\n").items
    assert [type(item) for item in items] == [Iface, Text, Iface]
    assert isinstance(items[2], Iface)
    assert items[2].body[0] == Text("  # inside\n")


@pytest.mark.parametrize("value", ["a\nb", "ends with \\", " padded"])
def test_a_value_that_no_line_can_hold_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        render(File((Iface("eth0", "inet", "manual", body=(Option("up", value),)),)))


# --- any file -----------------------------------------------------------------------------------

_word = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="\\#"), min_size=1, max_size=8
)
_value = st.lists(_word, min_size=1, max_size=3).map(" ".join)
_known = st.sampled_from(
    ("address", "gateway", "post-up", "pre-down", "wpa-ssid", "bridge_ports", "x-own")
)
_option = st.builds(Option, _known, _value)
_text = st.sampled_from((Text("\n"), Text("# a comment\n"), Text("\t#auto eth0 \\\n")))
_selection = st.builds(
    Selection,
    st.sampled_from(("auto", "allow-hotplug", "no-auto-down", "no-scripts", "rename")),
    st.lists(_word, min_size=1, max_size=3).map(tuple),
)
_inside = st.lists(st.one_of(_option, st.just(Selection("auto"))), max_size=5).map(tuple)
_kinds = [(family, method) for family, methods in METHODS.items() for method in methods]
_iface = st.builds(
    lambda name, kind, inherits, body: Iface(name, kind[0], kind[1], inherits, body),
    _word,
    st.sampled_from(_kinds),
    st.none() | _word,
    _inside,
)
_mapping = st.builds(
    Mapping,
    st.lists(_word, min_size=1, max_size=2).map(tuple),
    st.lists(st.builds(Option, st.just("map"), _value), max_size=3).map(tuple),
)
_source = st.builds(Source, st.sampled_from(("source", "source-directory")), _word)
_file = st.builds(
    File,
    st.lists(st.one_of(_text, _selection, _iface, _mapping, _source), max_size=8).map(tuple),
)


@given(_file)
def test_what_is_written_is_read_as_the_same(file: File) -> None:
    assert parse(render(file)) == file


_lines = st.sampled_from(
    [
        *("auto eth0", "auto", "allow-hotplug", "iface eth0 inet static", "iface a inherits b"),
        *("  address 1.2.3.4 ", "\tup x \\", "# c \\", "\\", "", "   ", "source x*", "no-scripts"),
        *("mapping a", "  map a b", "iface eth0 inet6 manual  extra words", "rename a=b", "\f x y"),
    ]
)


@given(st.lists(_lines, max_size=10), st.booleans())
def test_any_file_that_is_taken_is_kept(lines: list[str], ends: bool) -> None:
    text = "\n".join(lines) + ("\n" if ends else "")
    taken = None
    try:
        taken = parse(text)
    except InterfacesError as error:
        stops_at = error.line
    assert render(taken) == text if taken else 1 <= stops_at <= len(lines)
