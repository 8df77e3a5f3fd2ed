"""
Faults for each kind of resource that operations declare, and that drift has to find.

A declared resource that no fault here changes makes the test fail.
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

Declared = tuple[str, str]  # a node, and a resource on it

# Nodes of a lab share this machine's kernel, so no module is unloaded. (A case of modules.loaded
# covers it.) An SSH key and the resolver are kept in files, which are resources of their own.
NOT_HERE = re.compile("module .*|(key|resolver) .*")


@dataclass(frozen=True)
class Fault:
    """
    One way to change resources.

    + resources: a pattern for what it changes
    + command: for root's shell; ``$1`` and so on are the pattern's groups. Empty: see ``_kubectl``
    + batch: its number; faults of one batch do not hide each other
    + node: the only one where it is injected; "": everywhere
    + also: a pattern for what changes with it
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

FAULTS = [
    Fault("file (.*/.ssh/authorized_keys)", "chmod 640 $1"),
    Fault("directory (.*)", "chmod 755 $1"),
    Fault("file (/etc/hosts)", "sed -i '/^192.168.2.12/d' $1"),
    Fault("file (/etc/hostname)", "echo another > $1"),
    Fault("file (/etc/dhcp/dhclient.conf)", "sed -i 's/^timeout 20/timeout 90/' $1"),
    Fault("file (/etc/dhcpcd.enter-hook)", "sed -i 's/^skip_hooks/skip_hocks/' $1"),
    Fault(
        "file (/etc/containerd/config.toml)", "sed -i 's/(SystemdCgroup = )true/\\1false/' -E $1"
    ),
    Fault("file (/etc/network/interfaces.d/.*)", "echo '    mtu 1400' >> $1"),
    Fault("file (/etc/resolv.conf)", "echo 'options ndots:9' >> $1"),
    # A copy of an administrator's that is not today's: what somebody has added would be left.
    Fault("kubeconfig (.*)", "sed -Ei 's/(client-key-data: ).*/\\1AAAA/' $1"),
    Fault("file (.*)", "echo '# injected' >> $1"),
    # A name that needs no nameserver, as sudo resolves it each time.
    Fault("setting hostname", "hostname localhost"),
    # (An interface that is brought up has NetworkManager read its settings again.)
    Fault("setting NetworkManager's dns", _LIVE_DNS, 2, "node2", "file /etc/resolv.conf"),
    # A run cannot change what another file sets, and says so.
    Fault(
        "setting SSH password logins",
        f"sed -i 's/ no$/ yes/' {SSHD}; systemctl reload ssh",
        2,
        also=f"file {SSHD}",
    ),
    Fault("setting no swap", "echo '/swapfile none swap sw 0 0' >> /etc/fstab"),
    Fault("sysctl (.*)", "sysctl -qw $1=0"),
    Fault("rules (.*)-\\*", "iptables -D FORWARD -j $1-FORWARD"),
    # The stand-in's control plane ends with its node's containerd; the real one's does not.
    Fault("unit (containerd.service|kubelet.service)", "systemctl disable -q $1", node="node1"),
    Fault("unit (containerd.service)", "systemctl disable -q --now $1", 2, "node2"),
    Fault("unit (.*)", "systemctl disable -q --now $1"),
    Fault("hold (.*)", "apt-mark unhold $1"),
    Fault(
        "package (containerd)",
        "dpkg -r --force-depends $1",
        node="node2",
        also="unit containerd.service",
    ),
    Fault("package (kubernetes-cni|kubectl)", "dpkg -r --force-depends $1", 2, "node2", "hold $1"),
    Fault(
        "package (kubelet|kubeadm)",
        "dpkg -r --force-depends $1",
        2,
        "node2",
        "hold $1|unit kubelet.service",
    ),
    Fault("image (.*)", "ctr -n k8s.io images rm $1", 2, "node1"),
    Fault("interface (.*)", "sed -i '/^$1=/d' /run/network/ifstate*", 2, "node1"),
    Fault("object (?:(.*)/)?(.*)/(.*)", "", 2),
    Fault("label (.*) (.*)", "", 2),
    Fault("taint (.*)", "", 2),
    Fault("context (.*)", "", 2),
]


@dataclass
class Batch:
    """
    Faults that are injected together.

    + changed: what drift has to name, and nothing else
    + scripts: commands of root, by node
    + kubectl: arguments of kubectl, a list a command
    """

    changed: set[Declared]
    scripts: dict[str, list[str]]
    kubectl: list[list[str]]


def batches(declared: Iterable[Declared]) -> dict[int, Batch]:
    """Plan the batches, so that each declared resource is changed somewhere."""
    all_of_them = set(declared)
    found: dict[int, Batch] = defaultdict(lambda: Batch(set(), defaultdict(list), []))
    touched = set()
    for node, resource in sorted(all_of_them):
        if NOT_HERE.fullmatch(resource):
            touched.add(resource)
            continue
        fault, match = _fault(node, resource)
        if fault is None or match is None:
            continue
        touched.add(resource)
        batch = found[fault.batch]
        batch.changed.add((node, resource))
        if fault.also:
            also = re.compile(_filled(fault.also, match))
            batch.changed |= {(n, t) for n, t in all_of_them if n == node and also.fullmatch(t)}
        if fault.command:
            batch.scripts[node].append(_filled(fault.command, match))
        else:
            batch.kubectl.append(_kubectl(resource, match))
    untouched = {resource for _, resource in all_of_them} - touched
    assert not untouched, f"no fault changes them: {untouched}"
    return dict(found)


def inject(lab: Lab, batch: Batch) -> None:
    """Inject the faults of a batch."""

    def one(node: str) -> None:
        script = "set -e\n" + "\n".join(batch.scripts[node])
        ok(lab.ssh(node, "sudo sh", stdin=script))

    for arguments in sorted(batch.kubectl, key=lambda each: each[0] == "config"):  # access: last
        kubectl(lab, *arguments)
    with ThreadPoolExecutor() as pool:
        list(pool.map(one, batch.scripts))


def _fault(node: str, resource: str) -> tuple[Fault, re.Match[str]] | tuple[None, None]:
    """The first that matches; None if it is injected on another node only."""
    for fault in FAULTS:
        match = re.fullmatch(fault.resources, resource)
        if match and fault.node in ("", node):
            return fault, match
    return None, None


def _filled(text: str, match: re.Match[str]) -> str:
    for number, group in enumerate(match.groups(), 1):
        text = text.replace(f"${number}", group)
    return text


def _kubectl(resource: str, match: re.Match[str]) -> list[str]:
    """Arguments of kubectl."""
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
