"""
The lab's network: namespaces, bridges and cables.

    operator ── lan ── router ── this machine        (namespaces; `lan` and `cluster` are bridges in
                 └─ gateway ── cluster ── others         the namespace "switch")

With topology "router" there is one bridge: operator, router and all nodes are on it. On the host
there is one interface (the link to the router) and one nft table, named after the lab.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import zlib
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

from lab import firewall, host, waiting
from lab.errors import LabError
from lab.plan import NodePlan, Plan, Port, node_names, of_all_labs, state_directory
from messages import lab as messages

# Google's resolvers, which the settings name by default: in the lab the router answers for them.
PUBLIC_RESOLVERS = ("8.8.8.8", "8.8.4.4")
PARTS = ("switch", "router", "operator")

# Benchmarking addresses (RFC 2544): on nobody's home network, and the router lets none of them out.
TRANSFERS = IPv4Network("198.18.200.0/22")


def namespace(lab: str, part: str) -> str:
    """The network namespace of a node or of `switch`, `router`, `operator`."""
    return f"{lab}-{part}"


def namespace_path(lab: str, part: str) -> Path:
    """The same, as the file that nsenter and nspawn take."""
    return Path("/run/netns") / namespace(lab, part)


def host_link(lab: str) -> str:
    """The name of the host's end of the link to the router: 15 bytes at most."""
    return f"lab{zlib.crc32(lab.encode()):08x}"


def switch_port(node: NodePlan, interface: str) -> str:
    """The switch's end of a node's cable."""
    return f"n{node.index}-{interface}"[:15]


def exists(lab: str, part: str) -> bool:
    """Whether the namespace is there."""
    return namespace_path(lab, part).exists()


def inside(lab: str, part: str, argv: Sequence[str]) -> list[str]:
    """
    The command that runs `argv` in a namespace, with the lan's resolver as its own.

    The mount that puts resolv.conf there is the command's alone, and gone with it.
    """
    resolv_conf = state_directory(lab) / "resolv.conf"
    script = '[ ! -e /etc/resolv.conf ] || mount --bind "$0" /etc/resolv.conf && exec "$@"'
    enter = ["nsenter", f"--net={namespace_path(lab, part)}", "unshare", "--mount"]
    return [*enter, "--propagation=slave", "sh", "-c", script, str(resolv_conf), *argv]


def _batch(lab: str, part: str, lines: Sequence[str]) -> None:
    """Commands of ip(8), all of them in one namespace."""
    command = ["ip", "-netns", namespace(lab, part), "-batch", "-"]
    host.run(command, stdin="\n".join(lines) + "\n")


def choose_transfer() -> str:
    """Four addresses for the link to this machine that neither it nor another lab uses."""
    routes = json.loads(host.run(["ip", "-json", "route", "show", "table", "all"]).stdout or "[]")
    used = [IPv4Network(transfer) for transfer in of_all_labs("transfer")]
    for route in routes:
        with contextlib.suppress(ValueError, KeyError):
            network = IPv4Network(route["dst"], strict=False)
            if network.prefixlen:
                used.append(network)
    for candidate in TRANSFERS.subnets(new_prefix=30):
        if not any(candidate.overlaps(network) for network in used):
            return str(candidate)
    raise LabError(messages.LINK_ADDRESSES(network=TRANSFERS))


def _host_mtu() -> int:
    """The MTU of the default route's interface, so that no packet of the lab is too long."""
    routes = json.loads(host.run(["ip", "-json", "route", "show", "default"]).stdout or "[]")
    if not routes:
        return 1500
    shown = host.run(["ip", "-json", "link", "show", "dev", routes[0]["dev"]]).stdout
    return min(1500, int(json.loads(shown)[0]["mtu"]))


def transfer_addresses(plan: Plan) -> tuple[str, str]:
    """The two ends of the link between this machine and the router: the host's, the router's."""
    network = IPv4Network(plan.transfer)
    return str(network[1]), str(network[2])


def up(plan: Plan, resolver: str | None) -> None:
    """
    Build everything but the nodes: switch, router with its rules, operator, and last the uplink.

    + resolver: the host's own name server
    """
    lab = plan.name
    down(lab)
    for part in PARTS:
        _add_namespace(namespace(lab, part))
    bridges = ["cluster"] if plan.lan_bridge == "cluster" else ["cluster", "lan"]
    _batch(
        lab,
        "switch",
        [f"link add {bridge} type bridge stp_state 0 forward_delay 0" for bridge in bridges]
        + [f"link set {bridge} up" for bridge in ["lo", *bridges]],
    )
    length = plan.prefix_length
    _connect(lab, "router", "lan", plan.lan_bridge, "router")
    _connect(lab, "operator", "lan", plan.lan_bridge, "operator")
    (state_directory(lab) / "resolv.conf").write_text(f"nameserver {plan.router}\n")
    resolver_lines = [f"address add {address}/32 dev lo" for address in PUBLIC_RESOLVERS]
    _batch(
        lab,
        "router",
        [
            *resolver_lines,
            f"address add {plan.router}/{length} dev lan",
            "link set lo up",
            "link set lan up",
        ],
    )
    _batch(
        lab,
        "operator",
        [
            f"address add {plan.operator}/{length} dev lan",
            "link set lo up",
            "link set lan up",
            f"route add default via {plan.router}",
        ],
    )
    # The rules are loaded before the uplink exists.
    enter = ["nsenter", f"--net={namespace_path(lab, 'router')}"]
    here, _ = transfer_addresses(plan)
    host.run([*enter, "nft", "-f", "-"], stdin=firewall.router_rules(plan.lan, here))
    host.run([*enter, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])
    _add_uplink(plan, resolver)


def _add_uplink(plan: Plan, resolver: str | None) -> None:
    lab, link = plan.name, host_link(plan.name)
    here, there = transfer_addresses(plan)
    mtu = _host_mtu()
    peer = ["peer", "name", "uplink", "mtu", str(mtu), "netns", namespace(lab, "router")]
    host.run(["ip", "link", "add", link, "mtu", str(mtu), "type", "veth", *peer])
    if shutil.which("nmcli", path=host.environment()["PATH"]):
        # NetworkManager would start DHCP on the new interface, and remove its address.
        host.run(["nmcli", "device", "set", link, "managed", "no"], check=False)
    Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6").write_text("1\n")
    host.run(["ip", "address", "add", f"{here}/30", "dev", link])
    host.run(["ip", "link", "set", link, "up"])
    firewall.open_host(lab, link, plan.transfer, resolver)
    _batch(
        lab,
        "router",
        [
            f"address add {there}/30 dev uplink",
            "link set uplink up",
            f"route add default via {here}",
        ],
    )


def _add_namespace(name: str) -> None:
    host.run(["ip", "netns", "add", name])
    # A new namespace inherits this from the host; a node forwards only if it is configured to.
    host.run(["ip", "netns", "exec", name, "sysctl", "-q", "-w", "net.ipv4.ip_forward=0"])


def _connect(
    lab: str, part: str, name: str, bridge: str, port: str, mac: str | None = None
) -> None:
    """A cable from `name` in a namespace to `port` on a bridge of the switch; the port is up."""
    address = ["address", mac] if mac else []
    cable = [name, *address, "type", "veth", "peer", "name", port]
    switch = namespace(lab, "switch")
    host.run(["ip", "-netns", namespace(lab, part), "link", "add", *cable, "netns", switch])
    _batch(lab, "switch", [f"link set {port} master {bridge}", f"link set {port} up"])


def cut_file(lab: str, node: NodePlan, port: Port) -> Path:
    """The file that exists while the link is cut, also over reboots."""
    return state_directory(lab) / "nodes" / node.name / f"cut-{port.interface}"


def plug(plan: Plan, node: NodePlan) -> None:
    """Make the node's namespace and connect its interfaces, before every boot."""
    unplug(plan, node)
    _add_namespace(namespace(plan.name, node.name))
    for port in node.ports:
        name = switch_port(node, port.interface)
        _connect(plan.name, node.name, port.interface, port.bridge, name, port.mac)
        if cut_file(plan.name, node, port).exists():
            set_link(plan, node, port, up=False)


def unplug(plan: Plan, node: NodePlan) -> None:
    """
    Remove the node's cables and its namespace.

    The cables first: a namespace deleted alone can keep them for seconds after.
    """
    switch = namespace(plan.name, "switch")
    for port in node.ports:
        name = switch_port(node, port.interface)
        host.run(["ip", "-netns", switch, "link", "delete", name], check=False)
    delete_namespace(namespace(plan.name, node.name))


def delete_namespace(name: str) -> None:
    """Remove a namespace, if it exists."""
    if (Path("/run/netns") / name).exists():
        host.run(["ip", "netns", "delete", name])


def set_link(plan: Plan, node: NodePlan, port: Port, *, up: bool) -> None:
    """Disconnect or connect one cable at the switch; the node loses or gets its carrier."""
    name = switch_port(node, port.interface)
    _batch(plan.name, "switch", [f"link set {name} {'up' if up else 'down'}"])


def down(lab: str) -> None:
    """Remove this lab's network, also what a crash left; the nodes must be off."""
    link = host_link(lab)
    firewall.close_host(lab, link)
    if Path(f"/sys/class/net/{link}").exists():
        host.run(["ip", "link", "delete", link])
    for part in sorted({*PARTS, *node_names(lab)}):
        if exists(lab, part):
            # The links first, see unplug().
            shown = host.run(["ip", "-netns", namespace(lab, part), "-json", "link"], check=False)
            for device in json.loads(shown.stdout or "[]"):
                if device.get("ifname") != "lo":
                    target = ["link", "delete", device["ifname"]]
                    host.run(["ip", "-netns", namespace(lab, part), *target], check=False)
            delete_namespace(namespace(lab, part))


def wait_until_gone(lab: str) -> None:
    """Wait until the kernel has removed the host's link."""
    link = Path(f"/sys/class/net/{host_link(lab)}")
    if not waiting.until(lambda: not link.exists()):
        raise LabError(messages.NOT_REMOVED(what=f"the interface {link.name}"))
