"""
Hands that edit a node: for each kind of resource that is managed, how a person would spoil it.

What is managed is told by the operations themselves; what stands here is only how to spoil it. A
resource that nothing here fits makes the test fail.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from facts.sshd import PATH as SSHD
from lab.api import Lab
from tests.lab.clusters import kubectl
from tests.lab.runs import ok

Managed = tuple[str, str]  # a node, and a resource on it

# The kernel is this machine's: its modules are not a node's to take out. (A case of
# modules.loaded has that.)
NOT_HERE = re.compile("module .*")


@dataclass(frozen=True)
class Hand:
    """
    One way to spoil resources.

    + resources: a pattern for what it spoils
    + command: for the node's shell, as root; ``$1`` and so on are the pattern's groups. Empty: by
      kubectl, below
    + batch: which resources can be spoilt together without one hiding the other
    + node: where alone it is done; "": everywhere
    + also: what goes with it and is named as well
    """

    resources: str
    command: str
    batch: int = 1
    node: str = ""
    also: str = ""


_LIVE_DNS = """f=/etc/NetworkManager/conf.d/90-bramble-dns.conf; o=org.freedesktop.NetworkManager
mode() { busctl get-property $o /org/freedesktop/NetworkManager/DnsManager $o.DnsManager Mode; }
before=$(mode); mv $f /root/kept; systemctl reload NetworkManager
until [ "$(mode)" != "$before" ]; do sleep 0.2; done; mv /root/kept $f"""

HANDS = [
    Hand("file (.*/.ssh/authorized_keys)", "chmod 640 $1"),
    Hand("directory (.*)", "chmod 755 $1"),
    Hand("file (/etc/hosts)", "sed -i '/^192.168.2.12/d' $1"),
    Hand("file (/etc/hostname)", "echo another > $1"),
    Hand("file (/etc/dhcp/dhclient.conf)", "sed -i 's/^timeout 20/timeout 90/' $1"),
    Hand("file (/etc/dhcpcd.enter-hook)", "sed -i 's/^skip_hooks/skip_hocks/' $1"),
    Hand("file (/etc/containerd/config.toml)", "sed -i 's/(SystemdCgroup = )true/\\1false/' -E $1"),
    Hand("file (/etc/network/interfaces.d/.*)", "echo '    mtu 1400' >> $1"),
    Hand("file (/etc/resolv.conf)", "echo 'options ndots:9' >> $1"),
    # A copy of an administrator's that is not today's: what somebody has added would be left.
    Hand("file (.*/.kube/config)", "sed -Ei 's/(client-key-data: ).*/\\1AAAA/' $1"),
    Hand("file (.*)", "echo '# tampered' >> $1"),
    # A name that needs no name server: sudo looks it up, each time.
    Hand("setting hostname", "hostname localhost"),
    # (An interface that is brought up has NetworkManager read its settings again.)
    Hand("setting NetworkManager's dns", _LIVE_DNS, 2, "node2", "file /etc/resolv.conf"),
    # What another file says of it a run can't mend, and says so.
    Hand(
        "setting passwords over SSH",
        f"sed -i 's/ no$/ yes/' {SSHD}; systemctl reload ssh",
        2,
        also=f"file {SSHD}",
    ),
    Hand("setting no swap", "echo '/swapfile none swap sw 0 0' >> /etc/fstab"),
    Hand("sysctl (.*)", "sysctl -qw $1=0"),
    Hand("rules (.*)-\\*", "iptables -D FORWARD -j $1-FORWARD"),
    # The stand-in's control plane ends with its node's containerd; the real one's does not.
    Hand("unit (containerd.service|kubelet.service)", "systemctl disable -q $1", node="node1"),
    Hand("unit (containerd.service)", "systemctl disable -q --now $1", 2, "node2"),
    Hand("unit (.*)", "systemctl disable -q --now $1"),
    Hand("hold (.*)", "apt-mark unhold $1"),
    Hand(
        "package (containerd)",
        "dpkg -r --force-depends $1",
        node="node2",
        also="unit containerd.service",
    ),
    Hand("package (kubernetes-cni|kubectl)", "dpkg -r --force-depends $1", 2, "node2", "hold $1"),
    Hand(
        "package (kubelet|kubeadm)",
        "dpkg -r --force-depends $1",
        2,
        "node2",
        "hold $1|unit kubelet.service",
    ),
    Hand("image (.*)", "ctr -n k8s.io images rm $1", 2, "node1"),
    Hand("interface (.*)", "sed -i '/^$1=/d' /run/network/ifstate*", 2, "node1"),
    Hand("object (?:(.*)/)?(.*)/(.*)", "", 2),
    Hand("label (.*) (.*)", "", 2),
    Hand("taint (.*)", "", 2),
    Hand("context (.*)", "", 2),
]


@dataclass
class Plan:
    """
    What is done in one batch.

    + spoilt: what must be named afterwards, and nothing but that
    + scripts: by node, what its root types
    + words: what the operator gives to kubectl
    """

    spoilt: set[Managed]
    scripts: dict[str, list[str]]
    words: list[list[str]]


def plans(managed: Iterable[Managed]) -> dict[int, Plan]:
    """A plan for each batch; every managed resource is spoilt somewhere in one of them."""
    all_of_them = set(managed)
    found: dict[int, Plan] = defaultdict(lambda: Plan(set(), defaultdict(list), []))
    touched = set()
    for node, resource in sorted(all_of_them):
        if NOT_HERE.fullmatch(resource):
            touched.add(resource)
            continue
        hand, match = _hand(node, resource)
        if hand is None or match is None:
            continue
        touched.add(resource)
        plan = found[hand.batch]
        plan.spoilt.add((node, resource))
        if hand.also:
            also = re.compile(_filled(hand.also, match))
            plan.spoilt |= {(n, t) for n, t in all_of_them if n == node and also.fullmatch(t)}
        if hand.command:
            plan.scripts[node].append(_filled(hand.command, match))
        else:
            plan.words.append(_words(resource, match))
    untouched = {resource for _, resource in all_of_them} - touched
    assert not untouched, f"nobody knows how to spoil them, or if it is seen: {untouched}"
    return dict(found)


def spoil(lab: Lab, plan: Plan) -> None:
    """Do it."""

    def one(node: str) -> None:
        script = "set -e\n" + "\n".join(plan.scripts[node])
        ok(lab.ssh(node, "sudo sh", stdin=script))

    for words in sorted(plan.words, key=lambda words: words[0] == "config"):  # the way in: last
        kubectl(lab, *words)
    with ThreadPoolExecutor() as pool:
        list(pool.map(one, plan.scripts))


def _hand(node: str, resource: str) -> tuple[Hand, re.Match[str]] | tuple[None, None]:
    """The first that fits; None where it is spoilt on another node alone."""
    for hand in HANDS:
        match = re.fullmatch(hand.resources, resource)
        if match and hand.node in ("", node):
            return hand, match
    return None, None


def _filled(text: str, match: re.Match[str]) -> str:
    for number, group in enumerate(match.groups(), 1):
        text = text.replace(f"${number}", group)
    return text


def _words(resource: str, match: re.Match[str]) -> list[str]:
    """What kubectl is told."""
    match resource.split(" ", 1)[0], *match.groups():
        case "object", namespace, kind, name:
            place = ["-n", namespace] if namespace else []
            return [*place, "label", kind, name, "k8s-app=another", "--overwrite"]
        case "label", node, label:
            return ["label", "node", node, f"{label}-"]
        case "taint", node:
            return ["taint", "node", node, "node-role.kubernetes.io/control-plane-"]
        case "context", context:
            return ["config", "set-cluster", context, "--server=https://192.0.2.1:6443"]
    raise AssertionError(resource)
