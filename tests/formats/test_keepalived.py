"""keepalived's configuration, as its manual page and its own check want it."""

from __future__ import annotations

import re

from formats.keepalived import HEAD, configuration

THREE = configuration("192.168.2.10", "eth0", "192.168.2.11", ["192.168.2.12", "192.168.2.13"], 100)


def test_each_peer_stands_on_a_line_of_its_own() -> None:
    """keepalived reads the first of a line only, and a node without peers holds the address too."""
    (block,) = re.findall(r"unicast_peer \{\n(.*?)\n  \}", THREE, re.DOTALL)
    assert block.split("\n") == ["    192.168.2.12", "    192.168.2.13"]
    assert "  unicast_src_ip 192.168.2.11\n" in THREE


def test_the_address_does_not_move_back() -> None:
    assert THREE.startswith(HEAD)
    assert "  state BACKUP\n  nopreempt\n" in THREE
    assert "    192.168.2.10/32 dev eth0\n" in THREE
    assert "  priority 100\n" in THREE


def test_the_nodes_own_api_server_is_asked() -> None:
    (script,) = re.findall(r'script "(.*)"', THREE)
    assert script.split()[-1] == "https://127.0.0.1:6443/livez"
    assert re.findall(r"track_script \{\n +(\w+)\n", THREE) == re.findall(
        r"vrrp_script (\w+) ", THREE
    )


def test_a_single_control_plane_multicasts_nothing() -> None:
    """Another keepalived of the network, with the same number, would keep it from the address."""
    alone = configuration("192.168.2.10", "eth0", "192.168.2.11", [], 100)
    assert "  unicast_src_ip 192.168.2.11\n  unicast_peer {\n    192.168.2.10\n  }\n" in alone


def test_every_address_has_a_router_id_that_keepalived_takes() -> None:
    for last in (0, 1, 254, 255):
        text = configuration(f"10.0.3.{last}", "eth0", "10.0.0.1", [], 100)
        (number,) = re.findall(r"virtual_router_id (\d+)\n", text)
        assert 1 <= int(number) <= 255


def test_braces_are_closed() -> None:
    assert THREE.count("{") == THREE.count("}") == 6
