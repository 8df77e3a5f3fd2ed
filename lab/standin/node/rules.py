"""
The packet-filter rules that kube-proxy, flannel and the kubelet keep on a node: foreign to whoever
else writes rules there, and put back in the same moments as the real ones.

Recorded from a real cluster: flannel looks every few seconds; kube-proxy looks at its canary chain
in the mangle table only, and at changed Services; the kubelet likewise.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import base64
import hashlib
import subprocess
from dataclasses import dataclass

COMMENT = "-m comment --comment"
NEW = "-m conntrack --ctstate NEW"
# chain: (table, parent, match before the jump)
Jump = tuple[str, str, str]
PROXY_JUMPS: tuple[tuple[str, str, str], ...] = (
    (
        "filter",
        "INPUT",
        f'{NEW} {COMMENT} "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL',
    ),
    ("filter", "INPUT", f'{COMMENT} "kubernetes health check service ports" -j KUBE-NODEPORTS'),
    (
        "filter",
        "INPUT",
        f'{NEW} {COMMENT} "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES',
    ),
    (
        "filter",
        "FORWARD",
        f'{NEW} {COMMENT} "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL',
    ),
    ("filter", "FORWARD", f'{COMMENT} "kubernetes forwarding rules" -j KUBE-FORWARD'),
    ("filter", "FORWARD", f'{NEW} {COMMENT} "kubernetes service portals" -j KUBE-SERVICES'),
    (
        "filter",
        "FORWARD",
        f'{NEW} {COMMENT} "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES',
    ),
    (
        "filter",
        "OUTPUT",
        f'{NEW} {COMMENT} "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL',
    ),
    ("filter", "OUTPUT", f'{NEW} {COMMENT} "kubernetes service portals" -j KUBE-SERVICES'),
    ("nat", "PREROUTING", f'{COMMENT} "kubernetes service portals" -j KUBE-SERVICES'),
    ("nat", "OUTPUT", f'{COMMENT} "kubernetes service portals" -j KUBE-SERVICES'),
    ("nat", "POSTROUTING", f'{COMMENT} "kubernetes postrouting rules" -j KUBE-POSTROUTING'),
)
KUBELET_JUMPS: tuple[tuple[str, str, str], ...] = (
    ("filter", "INPUT", "-j KUBE-FIREWALL"),
    ("filter", "OUTPUT", "-j KUBE-FIREWALL"),
)
FLANNEL_JUMPS: tuple[tuple[str, str, str], ...] = (
    ("filter", "FORWARD", f'{COMMENT} "flanneld forward" -j FLANNEL-FWD'),
    ("nat", "POSTROUTING", f'{COMMENT} "flanneld masq" -j FLANNEL-POSTRTG'),
)
PROXY_CHAINS = {
    "mangle": ("KUBE-PROXY-CANARY",),
    "filter": (
        "KUBE-PROXY-CANARY",
        "KUBE-SERVICES",
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-NODEPORTS",
        "KUBE-FORWARD",
        "KUBE-PROXY-FIREWALL",
    ),
    "nat": (
        "KUBE-PROXY-CANARY",
        "KUBE-SERVICES",
        "KUBE-NODEPORTS",
        "KUBE-POSTROUTING",
        "KUBE-MARK-MASQ",
    ),
}


@dataclass(frozen=True)
class Service:
    """
    A port of a Service.

    + name: `kube-system/kube-dns:dns`
    + address, port, protocol: where it is reached
    + backends: `10.244.0.2:53`
    """

    name: str
    address: str
    port: int
    protocol: str
    backends: tuple[str, ...]


def _run(argv: list[str], text: str = "") -> bool:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode and text:
        print(f"{argv[0]}: {done.stderr.strip()}", flush=True)
    return done.returncode == 0


def has_chain(table: str, chain: str) -> bool:
    """Whether a chain is there."""
    return _run(["iptables", "-w", "-t", table, "-n", "-L", chain, "1"])


def _words(rule: str) -> list[str]:
    parts = rule.split('"')
    return [
        word for index, part in enumerate(parts) for word in ([part] if index % 2 else part.split())
    ]


def jumps(wanted: tuple[tuple[str, str, str], ...]) -> None:
    """Add the jumps that are missing, at the end of their chain."""
    for table, chain, rule in wanted:
        base = ["iptables", "-w", "-t", table]
        if not _run([*base, "-C", chain, *_words(rule)]):
            _run([*base, "-A", chain, *_words(rule)])


def _chain(kind: str, text: str) -> str:
    digest = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"KUBE-{kind}-{digest[:16]}"


def _service(one: Service, pods: str) -> tuple[list[str], list[str]]:
    own = _chain("SVC", f"{one.name}{one.protocol}")
    where = f'-d {one.address}/32 -p {one.protocol} {COMMENT} "{one.name} cluster IP" -m {one.protocol} --dport {one.port}'
    chains, rules = [own], [f"-A KUBE-SERVICES {where} -j {own}"]
    if pods:
        rules.append(f"-A {own} ! -s {pods} {where} -j KUBE-MARK-MASQ")
    for index, backend in enumerate(one.backends):
        end = _chain("SEP", f"{one.name}{one.protocol}{backend}")
        left = len(one.backends) - index
        chance = f"-m statistic --mode random --probability {1 / left:.11f} " if left > 1 else ""
        chains.append(end)
        rules += [
            f'-A {own} {COMMENT} "{one.name} -> {backend}" {chance}-j {end}',
            f'-A {end} -s {backend.partition(":")[0]}/32 {COMMENT} "{one.name}" -j KUBE-MARK-MASQ',
            f'-A {end} -p {one.protocol} {COMMENT} "{one.name}" -m {one.protocol} -j DNAT --to-destination {backend}',
        ]
    return chains, rules


def proxy_text(services: list[Service], pods: str) -> str:
    """What kube-proxy gives to `iptables-restore --noflush`."""
    chains, rules = list(PROXY_CHAINS["nat"]), []
    for one in services:
        more, own = _service(one, pods)
        chains += more
        rules += own
    last = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
    rules += [
        f'-A KUBE-SERVICES {COMMENT} "{last}" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
        f'-A KUBE-POSTROUTING {COMMENT} "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ]
    filter_rules = [
        f'-A KUBE-FORWARD {COMMENT} "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT',
        f'-A KUBE-FORWARD {COMMENT} "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ]
    return (
        _restore("mangle", PROXY_CHAINS["mangle"], [])
        + _restore("filter", PROXY_CHAINS["filter"], filter_rules)
        + _restore("nat", tuple(chains), rules)
    )


def _restore(table: str, chains: tuple[str, ...], rules: list[str]) -> str:
    declared = "".join(f":{chain} - [0:0]\n" for chain in chains)
    return f"*{table}\n{declared}" + "".join(f"{rule}\n" for rule in rules) + "COMMIT\n"


def flannel_text(network: str, subnet: str) -> str:
    """What flannel's two chains hold."""
    masq, forward = f'{COMMENT} "flanneld masq"', f'{COMMENT} "flanneld forward"'
    nat = [
        f"-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 {masq} -j RETURN",
        f"-A FLANNEL-POSTRTG -s {subnet} -d {network} {masq} -j RETURN",
        f"-A FLANNEL-POSTRTG -s {network} -d {subnet} {masq} -j RETURN",
        f"-A FLANNEL-POSTRTG ! -s {network} -d {subnet} {masq} -j RETURN",
        f"-A FLANNEL-POSTRTG -s {network} ! -d 224.0.0.0/4 {masq} -j MASQUERADE --random-fully",
        f"-A FLANNEL-POSTRTG ! -s {network} -d {network} {masq} -j MASQUERADE --random-fully",
    ]
    accept = [
        f"-A FLANNEL-FWD -s {network} {forward} -j ACCEPT",
        f"-A FLANNEL-FWD -d {network} {forward} -j ACCEPT",
    ]
    return _restore("filter", ("FLANNEL-FWD",), accept) + _restore("nat", ("FLANNEL-POSTRTG",), nat)


def proxy(services: list[Service], pods: str) -> None:
    """kube-proxy's full sync."""
    if _run(["iptables-restore", "-w", "--noflush"], proxy_text(services, pods)):
        jumps(PROXY_JUMPS)


def flannel(network: str, subnet: str) -> None:
    """flannel's look at its rules: what is missing comes back, what is there is left alone."""
    checks = (
        (
            "nat",
            f'-A FLANNEL-POSTRTG ! -s {network} -d {network} {COMMENT} "flanneld masq" -j MASQUERADE --random-fully',
        ),
        ("filter", f'-A FLANNEL-FWD -d {network} {COMMENT} "flanneld forward" -j ACCEPT'),
    )
    for table, rule in checks:
        if not _run(["iptables", "-w", "-t", table, "-C", *_words(rule)[1:]]):
            _run(["iptables-restore", "-w", "--noflush"], flannel_text(network, subnet))
            break
    jumps(FLANNEL_JUMPS)


def kubelet() -> None:
    """The kubelet's own chains, when its canary is gone."""
    if has_chain("mangle", "KUBE-KUBELET-CANARY"):
        return
    drop = '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP'
    text = _restore("mangle", ("KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT"), []) + _restore(
        "nat", ("KUBE-KUBELET-CANARY",), []
    )
    text += _restore(
        "filter", ("KUBE-KUBELET-CANARY", "KUBE-FIREWALL"), [f"-A KUBE-FIREWALL {drop}"]
    )
    if _run(["iptables-restore", "-w", "--noflush"], text):
        jumps(KUBELET_JUMPS)
