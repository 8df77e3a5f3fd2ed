"""
What preflight finds in rules, against the kernel of this machine.

Rule sets are made up at random and loaded in a network namespace; packets are sent through it. What
"passes" has to pass, what "is dropped" has to be dropped, until the remedy has been followed.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest

from formats.iptables import parse_save
from formats.nftables import parse_ruleset
from lab import host
from lab.errors import LabError
from operations.preflight.firewall import evaluate, iptables_rules, nft_rules
from operations.preflight.firewall.chains import BaseChain, Stage, walk
from operations.preflight.firewall.flows import Site
from operations.preflight.firewall.packets import Packet, network_span
from tests import needs
from tests.lab.firewall_rulesets import CLUSTER, FIREWALLD, OPEN_TABLE, OWN_TABLE, UFW

RULESETS = 20  # of each kind
NODE, PEER, POD, GATEWAY = "192.168.2.11", "192.168.2.12", "10.244.1.5", "10.244.1.1"
FIRST, LAST = -500, 500  # priorities before and behind all others
WILD = '"eth*"'

CONTROL_PLANE = Site(
    name="node1",
    address=NODE,
    interface="eth0",
    cluster="192.168.2.0/24",
    pods="10.244.0.0/16",
    services="10.96.0.0/12",
    control_planes={"node1": NODE},
    peers={"node2": PEER},
    hardware={"node2": "dc:a6:32:00:00:02"},
    uplink="wlan0",
    nameservers=["8.8.8.8"],
)
WORKER = replace(CONTROL_PLANE, name="node3", control_planes={"node2": PEER}, uplink=None)
# What dice seldom bring: rules that come before connections are looked up, and what follows them.
CORNERS = {
    "iptables": [
        f"*{table}\n:{chain} {policy}\n{rules}\nCOMMIT\n"
        for table, chain, policy, rules in (
            ("raw", "PREROUTING", "ACCEPT", "-A PREROUTING -m conntrack --ctstate INVALID -j DROP"),
            ("raw", "OUTPUT", "DROP", "-A OUTPUT -m state --state NEW,ESTABLISHED -j ACCEPT"),
            ("mangle", "PREROUTING", "DROP", "-A PREROUTING -m state --state NEW -j ACCEPT"),
            (
                "raw",
                "PREROUTING",
                "ACCEPT",
                "-A PREROUTING -j CT --notrack\nCOMMIT\n*filter\n:INPUT ACCEPT\n"
                "-A INPUT -m state --state NEW,ESTABLISHED,INVALID -j ACCEPT\n-A INPUT -j DROP",
            ),
        )
    ],
    "nft": [
        f"table inet made {{ chain a {{ type filter hook {hook}; {rules}; }}; }}\n"
        for hook, rules in (
            ("prerouting priority raw", "ct state invalid drop"),
            ("output priority raw; policy drop", "ct state new,established accept"),
            ("prerouting priority mangle; policy drop", "ct state new accept"),
        )
    ],
}
READERS = {"iptables": "iptables-restore", "nft": "nft -f -"}
KINDS = pytest.mark.parametrize("kind", ["iptables", "nft"])

# Notes what comes and what leaves, by the port of the sender, which is another one for each packet.
# Asking for a connection's state has all of them looked up.
PROBE = f"""table inet probe {{
set came {{ type inet_service; flags dynamic; size 65535; }}
set left {{ type inet_service; flags dynamic; size 65535; }}
chain a {{ type filter hook prerouting priority {FIRST}; add @came {{ th sport }}; }}
chain b {{ type filter hook output priority {FIRST}; add @came {{ th sport }}; }}
chain c {{ type filter hook input priority {LAST}; ct state new; add @left {{ th sport }}; }}
chain d {{ type filter hook postrouting priority {LAST}; add @left {{ th sport }}; }}
}}"""

# Sends and receives what it is told to on its standard input.
AGENT = """
import socket, sys
kept = {}
print("ready", flush=True)
for line in sys.stdin:
    kind, sport, address, dport = line.split()
    try:
        s = kept.pop(sport, None) or socket.socket(
            socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        if s.getsockname()[1] == 0:
            s.bind(("", int(sport)))
        s.settimeout(0 if kind == "tcp" else 20)
        if kind == "tcp":
            s.connect_ex((address, int(dport)))
        elif kind == "receive":
            s.recvfrom(9)
        elif kind != "open":
            s.sendto(b"x", (address, int(dport)))
        if kind in ("open", "receive", "keep"):
            kept[sport] = s
        else:
            s.close()
        print("done", flush=True)
    except OSError as error:
        print(error, flush=True)
"""


@dataclass(frozen=True)
class Case:
    """
    A packet to send.

    + hook: the one that decides on it
    + send: sends it
    """

    hook: str
    packet: Packet
    send: Callable[[], str] = field(repr=False)

    @property
    def sport(self) -> int:
        assert self.packet.sport
        return self.packet.sport[0]

    @property
    def stages(self) -> list[Stage]:
        arriving = replace(self.packet, out_interface="")
        if self.hook == "output":
            return [Stage("output", self.packet), Stage("postrouting", self.packet)]
        if self.hook == "input":
            return [Stage("prerouting", arriving), Stage("input", arriving)]
        leaving = replace(self.packet, in_interface=None)
        ways = [Stage("prerouting", arriving), Stage("forward", self.packet)]
        return [*ways, Stage("postrouting", leaving)]


class Room:
    """A node between a peer and a pod, each of them a network namespace."""

    def __init__(self, stack: ExitStack) -> None:
        self.agents = {name: self._agent(stack) for name in ("node", "peer", "pod")}
        self.sport = 33000
        for device, other, own, far in (
            ("eth0", "peer", NODE, PEER),
            ("cni0", "pod", GATEWAY, POD),
        ):
            there = f"netns {self.agents[other].pid}"
            host.run(["nsenter", f"--net=/proc/{self.agents['node'].pid}/ns/net", "ip", "link",
                      *f"add {device} type veth peer name eth0 {there}".split()])  # fmt: skip
            for where, name, address in (("node", device, own), (other, "eth0", far)):
                self.run(where, f"ip address add {address}/24 dev {name}")
                self.run(where, f"ip link set {name} up")
                self.run(where, "ip link set lo up")
        self.run("peer", f"ip route add default via {NODE}")
        self.run("pod", f"ip route add default via {GATEWAY}")
        self.run("node", "tee /proc/sys/net/ipv4/ip_forward", "1")
        self.run("node", "nft -f -", PROBE)
        links = json.loads(self.run("peer", "ip -j link show eth0"))
        self.hardware = {"peer": links[0]["address"]}
        for name in self.agents:  # so that no packet waits for an address of hardware
            self.tell(name, "udp", 5, PEER if name == "node" else NODE, 5)

    def _agent(self, stack: ExitStack) -> subprocess.Popen[str]:
        agent = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-c", AGENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(agent.wait)
        stack.callback(agent.terminate)
        assert agent.stdout is not None
        assert agent.stdout.readline() == "ready\n"
        return agent

    def run(self, where: str, command: str, stdin: str = "") -> str:
        """Run a program in one of the namespaces."""
        inside = ["nsenter", f"--net=/proc/{self.agents[where].pid}/ns/net"]
        return host.run([*inside, *command.split()], stdin=stdin).stdout

    def shell(self, where: str, script: str) -> None:
        """Have a shell do what a person would type there."""
        host.run(["nsenter", f"--net=/proc/{self.agents[where].pid}/ns/net", "sh", "-ec", script])

    def tell(self, name: str, *words: object) -> str:
        """Have one of them send or receive something; what came of it."""
        agent = self.agents[name]
        assert agent.stdin is not None
        assert agent.stdout is not None
        agent.stdin.write(" ".join(map(str, words)) + "\n")
        agent.stdin.flush()
        return agent.stdout.readline().strip()

    def noted(self) -> dict[str, set[int]]:
        """The senders' ports of what came and of what left."""
        listed = json.loads(self.run("node", "nft -j list table inet probe"))["nftables"]
        sets = [each["set"] for each in listed if "set" in each]
        return {each["name"]: set(each.get("elem", [])) for each in sets}

    def forget(self) -> None:
        """From now on packets are noted anew."""
        self.run("node", "nft -f -", "flush set inet probe came\nflush set inet probe left\n")

    def empty(self) -> None:
        """Take all rules away but the probe."""
        for family, table in self.tables():
            if table != "probe":
                self.run("node", f"nft delete table {family} {table}")

    def tables(self) -> list[tuple[str, str]]:
        listed = json.loads(self.run("node", "nft -j list tables"))["nftables"]
        tables = (each["table"] for each in listed if "table" in each)
        return [(each["family"], each["name"]) for each in tables]

    def cases(self, dice: random.Random) -> Iterator[Case]:
        """Packets of all kinds, ready to be sent."""
        ways = (
            ("input", "peer", NODE, PEER, "eth0", ""),
            ("output", "node", PEER, NODE, "", "eth0"),
            ("forward", "pod", PEER, POD, "cni0", "eth0"),
        )
        for hook, sender, address, source, coming, going in ways:
            for protocol, established in (("tcp", False), ("udp", False), ("udp", True)):
                self.sport += 1
                sport, dport = self.sport, dice.choice([6443, 10250, 8472, 53])
                packet = Packet(
                    protocol,
                    network_span(source),
                    network_span(address),
                    (sport, sport),
                    (dport, dport),
                    in_interface=coming,
                    out_interface=going,
                    state="ESTABLISHED" if established else "NEW",
                    flags=frozenset({"syn"}) if protocol == "tcp" else frozenset(),
                    hardware=self.hardware.get(sender),
                    from_here=sender == "node",
                    to_here=address == NODE,
                )
                if established:
                    receiver = "node" if address == NODE else "peer"
                    assert self.tell(receiver, "open", dport, address, 1) == "done"
                    assert self.tell(sender, "keep", sport, address, dport) == "done"
                    assert self.tell(receiver, "receive", dport, address, 1) == "done"
                    assert self.tell(receiver, "udp", dport, source, sport) == "done"
                    assert self.tell(sender, "receive", sport, address, dport) == "done"

                def send(
                    sender: str = sender,
                    words: tuple[object, ...] = (protocol, sport, address, dport),
                ) -> str:
                    return self.tell(sender, *words)

                yield Case(hook, packet, send)


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    needs.here("nft", "iptables-restore", "unshare", "nsenter", "ip")
    with ExitStack() as stack:
        yield Room(stack)


def pick(dice: random.Random, *options: str) -> str:
    return dice.choice(options)


def iptables_match(dice: random.Random, chain: str) -> str:
    """One match of iptables, such as people write them."""
    no = pick(dice, "", "", "! ")
    kinds = [
        f"{no}-s {pick(dice, '192.168.2.0/24', '192.168.2.12', '10.0.0.0/8', '10.244.1.5')}",
        f"{no}-d {pick(dice, '192.168.2.0/24', '192.168.2.11', '10.0.0.0/8')}",
        f"{no}-p {pick(dice, 'tcp', 'udp', 'igmp', 'icmp')}",
        f"-p tcp -m tcp {no}--dport {pick(dice, '6443', '1:9999', '10250', '10000:', '22')}",
        f"-p udp -m udp {no}--dport {pick(dice, '8472', '53', ':8472')}",
        f"-p udp -m udp {no}--sport {pick(dice, '53', '32768:60999', '1024')}",
        f"-p {pick(dice, 'tcp', 'udp')} -m multiport {no}"
        f"--{pick(dice, 'dports', 'ports', 'sports')} {pick(dice, '22,6443', '53,8000:9000')}",
        f"-m conntrack {no}--ctstate {pick(dice, 'NEW', 'RELATED,ESTABLISHED', 'INVALID')}",
        f"-m state --state {pick(dice, 'NEW,RELATED', 'ESTABLISHED', 'INVALID')}",
        f"-m iprange {no}--src-range {pick(dice, '192.168.2.2-192.168.2.30', '10.0.0.1-10.0.0.9')}",
        f"-m mark {no}--mark {pick(dice, '0x1', '0x0', '0x4000/0x4000')}",
        f"-m addrtype {no}--dst-type {pick(dice, 'LOCAL', 'BROADCAST,MULTICAST', 'UNICAST')}",
        f"-m addrtype {no}--src-type {pick(dice, 'LOCAL', 'UNICAST')}",
        f"-p tcp -m tcp {pick(dice, '--syn', '! --syn', '--tcp-flags ALL NONE')}",
        '-m comment --comment "-j DROP"',
        "-m limit --limit 1/hour --limit-burst 1",
        "-m length --length 20:1500",
        "",
    ]
    if chain in ("PREROUTING", "INPUT", "FORWARD"):
        kinds.append(f"{no}-i {pick(dice, 'eth0', 'eth+', 'cni0', 'lo')}")
        kinds.append(f"-m mac {no}--mac-source 02:00:00:00:00:01")
        kinds.append(f"-m pkttype --pkt-type {pick(dice, 'broadcast', 'unicast')}")
    if chain in ("FORWARD", "OUTPUT", "POSTROUTING"):
        kinds.append(f"{no}-o {pick(dice, 'eth0', 'eth+', 'cni0')}")
    return dice.choice(kinds)


def options(words: str) -> set[str]:
    """Those that may be there once."""
    return {word for word in words.split() if word[0] == "-"} - {"-m"}


def iptables_ruleset(dice: random.Random) -> str:
    """A file for iptables-restore."""
    lines = []
    for table, chains in (
        ("raw", ("PREROUTING", "OUTPUT")),
        ("mangle", ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")),
        ("nat", ("PREROUTING", "POSTROUTING")),
        ("filter", ("INPUT", "FORWARD", "OUTPUT")),
    ):
        if table != "filter" and dice.random() < 0.6:
            continue
        policies = ("ACCEPT", "ACCEPT", "DROP") if table != "nat" else ("ACCEPT",)
        lines += [f"*{table}", *(f":{chain} {dice.choice(policies)}" for chain in chains)]
        own = ["one", "two"]
        lines += [f":{chain} -" for chain in own]
        for chain in (*chains, *own):
            for _ in range(dice.randrange(4)):
                targets = ["-j ACCEPT", "-j RETURN", "-j MARK --set-xmark 0x4000/0x4000", ""]
                targets += ["-j DROP", "-j DROP"] if table != "nat" else []
                targets += ["-j REJECT"] if table == "filter" else []
                if table == "raw":
                    targets.append("-j CT --notrack")
                if chain in chains:
                    targets += [f"-{how} {name}" for how in "jg" for name in own]
                elif chain == "one":
                    targets.append("-j two")
                if table == "nat" and chain == "POSTROUTING":
                    targets.append("-j MASQUERADE")
                matches = iptables_match(dice, chain)
                more = iptables_match(dice, chain)
                if not options(matches) & options(more) and dice.random() < 0.5:
                    matches += f" {more}"
                lines.append(f"-A {chain} {matches} {dice.choice(targets)}")
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def nft_match(dice: random.Random) -> str:
    """One match of nft, such as people write them."""
    no = pick(dice, "", "", "!= ")
    return pick(
        dice,
        f"ip saddr {no}{pick(dice, '192.168.2.0/24', '192.168.2.12', '10.0.0.0/8', '@known')}",
        f"ip daddr {no}{{ 192.168.2.11, 10.1.0.0/16, 192.168.2.40-192.168.2.50 }}",
        f"ip protocol {no}{pick(dice, 'tcp', 'igmp')}",
        f"meta l4proto {no}{pick(dice, 'udp', '{ tcp, udp }', 'icmp')}",
        f"tcp dport {no}{pick(dice, '6443', '{ 22, 6000-7000 }', '22')}",
        f"udp dport {no}{pick(dice, '8472', '{ 53, 8000-9000 }')}",
        f"udp sport {no}{pick(dice, '53', '32768-60999')}",
        f"meta l4proto {{ tcp, udp }} th dport {no}{pick(dice, '53', '10250', '{ 53, 6443 }')}",
        f"tcp dport {pick(dice, '>', '<', '>=', '<=')} 6443",
        f"iifname {no}{pick(dice, 'eth0', WILD, '{ eth0, lo }', 'cni0')}",
        f"oifname {no}{pick(dice, 'eth0', WILD, 'cni0')}",
        f"iif {no}{pick(dice, 'eth0', 'cni0', 'lo')}",
        f"ct state {pick(dice, 'new', 'established,related', 'invalid', '!= new')}",
        f"ct state {{ {pick(dice, 'new, invalid', 'established')} }}",
        f"iifname . tcp dport {no}{{ eth0 . 6443, eth0 . 10000-11000, cni0 . 53 }}",
        f"ip saddr . meta l4proto {no}{{ 192.168.2.12 . tcp, 10.244.1.5 . udp }}",
        f"meta mark {no}{pick(dice, '0x1', '0x0')}",
        "meta mark & 0xff == 0x1",
        f"tcp flags {pick(dice, '& (fin|syn|rst|ack) == syn', '! ack', 'syn,ack', '& syn == 0')}",
        f"fib daddr type {no}{pick(dice, 'local', '{ broadcast, multicast }')}",
        f"fib saddr type {no}local",
        f"ether saddr {no}02:00:00:00:00:01",
        f"meta nfproto {no}{pick(dice, 'ipv4', 'ipv6')}",
        "ip6 saddr != ::1",
        "icmp type != echo-request",
        "meta pkttype { broadcast, multicast }",
        "limit rate 1/hour burst 1 packets",
        "counter",
        f"ip length {no}20-1500",
        "ip ttl > 200",
        "meta mark set 0x1",
        "",
    )


def nft_ruleset(dice: random.Random) -> str:
    """A file for nft."""
    lines = [
        "table inet made {",
        "set known { type ipv4_addr; flags interval; elements = { 192.168.2.8/29, 10.244.1.5 } }",
        "chain two {}",
        "chain one {}",
        "map ways { type ifname : verdict; elements = { eth0 : jump one, cni0 : accept } }",
    ]
    bases = [
        (
            f"{hook}{place}",
            f"type filter hook {hook} priority {priority};"
            f" policy {dice.choice(('accept', 'accept', 'drop'))};",
        )
        for hook in ("prerouting", "input", "forward", "output", "postrouting")
        for place, priority in enumerate((-300, -10, 10))
        if dice.random() < 0.4
    ]
    for chain, opening in (("two", ""), ("one", ""), *bases):
        lines.append(f"chain {chain} {{ {opening}")
        for _ in range(dice.randrange(4)):
            ends = ["accept", "drop", "drop", "return", "continue", "counter", "notrack"]
            ends += [
                "meta l4proto tcp reject",
                "reject with tcp reset",
                "tcp dport vmap { 22 : drop, 6443-7000 : accept }",
            ]
            ends += ["ct state vmap { established : accept, related : accept, invalid : drop }"]
            if chain != "two":
                ends += ["jump two", "goto two", "meta l4proto vmap { tcp : jump two, udp : drop }"]
            if chain not in ("one", "two"):
                ends += ["jump one", "goto one", "iifname vmap @ways"]
            if chain not in ("prerouting0", "output0"):
                ends.remove("notrack")
            if chain.startswith("postrouting") or chain in ("one", "two"):
                ends = [end for end in ends if "reject" not in end]
            matches = " ".join(nft_match(dice) for _ in range(dice.choice((0, 1, 1, 2))))
            lines.append(f"{matches} {dice.choice(ends)}")
        lines.append("}")
    return "\n".join([*lines, "}"]) + "\n"


def load(room: Room, kind: str, dice: random.Random, text: str = "") -> tuple[str, list[BaseChain]]:
    """
    Load rules on the node, and read them back.

    + text: empty: made up; others where the program refuses them
    """
    make = iptables_ruleset if kind == "iptables" else nft_ruleset
    for _ in range(99):
        tried = text or make(dice)
        try:
            room.run("node", READERS[kind], tried)
        except LabError:
            continue
        return tried, listed(room, kind)
    raise AssertionError(f"no rules that {kind} takes")


def listed(room: Room, kind: str) -> list[BaseChain]:
    """The rules that the node has now."""
    if kind == "iptables":
        saved = parse_save(room.run("node", "iptables-save"))
        return list(iptables_rules.base_chains("iptables", saved))
    ruleset = room.run("node", "nft -j list ruleset")
    tables = parse_ruleset(ruleset, room.run("node", "nft -a list ruleset"))
    return list(nft_rules.base_chains(tables))


@pytest.mark.parametrize(
    ("kind", "text", "site", "dropped", "remedy"),
    [
        (
            "iptables",
            UFW,
            CONTROL_PLANE,
            ("policy of INPUT", "6443/tcp from node2"),
            "sudo ufw prepend allow in on",
        ),
        (
            "nft",
            FIREWALLD,
            CONTROL_PLANE,
            ("`reject with icmpx", "inet firewalld"),
            "sudo firewall-cmd",
        ),
        ("iptables", CLUSTER, CONTROL_PLANE, (), ""),
        (
            "nft",
            OWN_TABLE,
            CONTROL_PLANE,
            ("`drop`", "inet own", "chain input", "8472/udp"),
            "sudo nft 'insert",
        ),
        ("nft", OPEN_TABLE, WORKER, (), ""),
    ],
    ids=["ufw", "firewalld", "a cluster", "drops at the end", "lets pass"],
)
def test_what_programs_and_people_leave(
    room: Room, kind: str, text: str, site: Site, dropped: tuple[str, ...], remedy: str
) -> None:
    room.run("node", READERS[kind], text)
    findings = evaluate(listed(room, kind), site)
    room.empty()
    assert [words for words in dropped if words not in findings.dropped] == [], findings
    assert bool(findings.dropped) == bool(dropped), findings
    assert findings.unsure == ""
    assert findings.command.startswith(remedy)


@KINDS
def test_the_kernel_does_what_is_judged(room: Room, kind: str) -> None:
    dice = random.Random(kind)
    answers: Counter[str] = Counter()
    wrong: list[str] = []
    for given in [*CORNERS[kind], *[""] * RULESETS]:
        cases = list(room.cases(dice))
        text, chains = load(room, kind, dice, given)
        room.forget()
        said = [case.send() for case in cases]
        noted = room.noted()
        for case in cases:
            assert case.sport in noted["came"], f"it never came ({said}): {case}\n{text}"
            outcome = walk(chains, case.stages)
            judged = "dropped" if outcome.drops else "unsure" if outcome.doubts else "passes"
            happened = "passes" if case.sport in noted["left"] else "dropped"
            if judged not in (happened, "unsure"):
                wrong.append(f"{judged}, but {happened}: {case}\n{outcome.drops}\n{text}")
            answers[judged] += 1
        room.empty()
    assert not wrong, f"{len(wrong)} wrong, the first:\n{wrong[0]}"
    total = sum(answers.values())
    assert answers["passes"] > total / 5, answers
    assert answers["dropped"] > total / 5, answers
    assert answers["unsure"] < total / 3, answers


@KINDS
def test_the_remedy_is_a_command_after_which_nothing_is_dropped(room: Room, kind: str) -> None:
    dice = random.Random(f"remedy {kind}")
    remedies = 0
    for _ in range(RULESETS):
        text, chains = load(room, kind, dice)
        for site in (CONTROL_PLANE, WORKER):
            before = evaluate(chains, site)
            if before.dropped:
                remedies += 1
                room.shell("node", f'sudo() {{ "$@"; }}; {before.command}')
                after = evaluate(listed(room, kind), site)
                assert not after.dropped, f"{before}\n{after.dropped}\n{text}"
        room.empty()
    assert remedies > RULESETS / 2
