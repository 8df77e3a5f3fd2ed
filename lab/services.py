"""
The services of the lan's router: DHCP and DNS (dnsmasq), and a caching apt proxy (apt-cacher-ng).

Both run in the router's namespace, in a control group of their own, and nowhere else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

from lab import cgroup, host, network, waiting
from lab.errors import LabError
from lab.plan import Plan, state_directory
from messages import lab as messages

PROXY_PORT = 3142


def reserve(plan: Plan) -> None:
    """Reserve addresses in DHCP; a running dnsmasq rereads them automatically."""
    folder = state_directory(plan.name) / "dhcp-hosts"
    folder.mkdir(parents=True, exist_ok=True)
    for node in plan.nodes:
        for port in node.ports:
            if node.reserved and port.bridge == plan.lan_bridge:
                (folder / node.name).write_text(f"{port.mac},{node.reserved},{node.name}\n")


def _dnsmasq(plan: Plan) -> list[str]:
    folder = state_directory(plan.name)
    first, last = plan.pool
    lan = IPv4Network(plan.lan)
    upstream, _ = network.transfer_addresses(plan)
    return [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--interface=lan",
        "--bind-dynamic",
        "--no-hosts",
        "--no-resolv",
        "--bogus-priv",
        f"--server={upstream}",
        "--dhcp-authoritative",
        f"--dhcp-range={first},{last},{lan.netmask},2h",
        f"--dhcp-option=option:router,{plan.router}",
        f"--dhcp-option=option:dns-server,{plan.router}",
        f"--dhcp-leasefile={folder / 'dhcp.leases'}",
        f"--log-facility={folder / 'dnsmasq.log'}",
        f"--dhcp-hostsdir={folder / 'dhcp-hosts'}",
    ]


def _apt_cacher(plan: Plan) -> list[str]:
    folder = state_directory(plan.name)
    configuration = folder / "acng"
    configuration.mkdir(exist_ok=True)
    (configuration / "acng.conf").write_text(
        f"CacheDir: {_cache(plan.name)}\nLogDir: {folder / 'acng-log'}\n"
        f"Port: {PROXY_PORT}\nBindAddress: {plan.router}\nSocketPath:\nPidFile:\n"
        "SupportDir: /usr/lib/apt-cacher-ng\nForeGround: 1\nReportPage:\n"
    )
    return ["apt-cacher-ng", "-c", str(configuration)]


def _cache(lab: str) -> Path:
    """A lab's own cache, as two apt-cacher-ng cannot share one."""
    return host.home() / "apt" / lab


def _pool() -> Path:
    """The packages that any lab has fetched, as hard links, for all others."""
    return host.home() / "apt" / ".pool"


def _link_packages(source: Path, target: Path) -> None:
    """Hard-link complete packages of one cache into another that lacks them."""
    for package in source.rglob("*.deb"):
        head = package.with_name(package.name + ".head")
        copy = target / package.relative_to(source)
        if copy.exists() or not _is_whole(package, head):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        # apt-cacher-ng rewrites the head in place: each cache has one of its own.
        shutil.copyfile(head, copy.with_name(head.name))
        with contextlib.suppress(FileExistsError):
            os.link(package, copy)


def _is_whole(package: Path, head: Path) -> bool:
    """Whether the file has the length that the mirror announced."""
    try:
        lines = head.read_text(errors="replace").splitlines()
        size = package.stat().st_size
    except OSError:
        return False
    return f"content-length: {size}" in (line.strip().lower() for line in lines)


def start(plan: Plan, group: str) -> None:
    """
    Start both and wait until they answer.

    + group: the lab's control group
    """
    cgroup.end(f"{group}/services")
    folder = state_directory(plan.name)
    for path in (folder / "acng-log", _cache(plan.name), _pool()):
        path.mkdir(parents=True, exist_ok=True)
    _link_packages(_pool(), _cache(plan.name))
    servers = {}
    for name, port, command in (
        ("dnsmasq", 53, _dnsmasq(plan)),
        ("apt-cacher-ng", PROXY_PORT, _apt_cacher(plan)),
    ):
        with (folder / f"{name}.out").open("wb") as output:
            servers[port] = subprocess.Popen(
                cgroup.wrap(f"{group}/services", network.inside(plan.name, "router", command)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=host.environment(),
            )
    wait_listening(plan, servers)


def wait_listening(plan: Plan, servers: Mapping[int, subprocess.Popen[bytes]]) -> None:
    """
    Wait until the router listens on these ports.

    + servers: by their ports of TCP, at the router's address in the lan; a LabError if one ends
    """
    wanted = {f"{plan.router}:{port}" for port in servers}
    waiting.until(
        lambda: (
            wanted <= listening(plan)
            or any(server.poll() is not None for server in servers.values())
        )
    )
    if not wanted <= listening(plan):
        folder = state_directory(plan.name)
        missing = ", ".join(sorted(wanted - listening(plan)))
        raise LabError(messages.ROUTER(addresses=missing, directory=folder))


def listening(plan: Plan) -> set[str]:
    """The TCP addresses on which something listens in the router's namespace."""
    enter = ["nsenter", f"--net={network.namespace_path(plan.name, 'router')}"]
    done = host.run([*enter, "cat", "/proc/net/tcp"], check=False)
    found = set()
    for line in done.stdout.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and words[3] == "0A":  # TCP_LISTEN
            address, port = words[1].split(":")
            octets = socket.inet_ntoa(bytes.fromhex(address)[::-1])
            found.add(f"{octets}:{int(port, 16)}")
    return found


def are_up(plan: Plan) -> bool:
    """Whether the router exists and answers."""
    if not all(network.exists(plan.name, part) for part in network.PARTS):
        return False
    return {f"{plan.router}:53", f"{plan.router}:{PROXY_PORT}"} <= listening(plan)


def share_packages(lab: str) -> None:
    """Share the packages that this lab has fetched; its proxy must have ended."""
    if _cache(lab).is_dir():
        _link_packages(_cache(lab), _pool())
