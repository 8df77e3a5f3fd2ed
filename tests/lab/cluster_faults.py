"""Faults that are injected into a finished cluster, and that `make verify` has to find.

A batch is injected at once; none of its faults hides another one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.api import Lab
from tests.lab.runs import ok


@dataclass(frozen=True)
class Fault:
    """
    + at: the node where it is injected, as root; or "here", this computer's directory
    + fails: the checks that fail, as pytest names them
    + code: of the message
    + values: a part of the message
    + do, undo: shell commands
    + settings: for the checks
    """

    at: str
    fails: frozenset[str]
    code: str
    values: str
    do: str
    undo: str
    settings: Mapping[str, object] = field(default_factory=dict)


def on(
    at: str, fails: str, code: str, values: str, do: str, undo: str, **settings: object
) -> Fault:
    """
    Make a fault.

    + fails: the tests without `test_`; `name/node3` for one elsewhere than `at`
    """
    names = set()
    for word in fails.split():
        name, _, node = word.partition("/")
        where = node or at
        names.add(f"test_{name}" + ("" if where == "here" else f"[{where}]"))
    return Fault(at, frozenset(names), code, values, do, undo, settings)


def edited(
    at: str,
    fails: str,
    code: str,
    values: str,
    file: str,
    change: str,
    then: str = "true",
    done: str = "true",
    undone: str = "true",
) -> Fault:
    """
    Make a fault that changes a file.

    + change: shell; "$f" is the file
    + then: what applies the file, also after it has been restored
    + done, undone: what waits until it is applied
    """
    kept = f"/root/kept{file.replace('/', '-')}"
    do = f"f={file}; cp -a $f {kept}; {change}; {then}; {done}"
    return on(at, fails, code, values, do, f"mv -fT {kept} {file} && {then} && {undone}")


def until(command: str) -> str:
    """Shell command that waits until this one succeeds."""
    return f"until {command}; do sleep 0.3; done"


def known(what: str) -> str:
    """Shell command that waits until the cluster knows this of the node."""
    return until(f"kubectl --kubeconfig=/etc/kubernetes/kubelet.conf get node {what}")


@contextmanager
def injected(lab: Lab, batch: Sequence[Fault]) -> Iterator[None]:
    """Inject a batch, on all nodes at once, and undo it afterwards in the reverse order."""
    try:
        _everywhere(lab, [(each.at, each.do) for each in batch])
        yield
    finally:
        # A command that fails does not keep the others from being undone.
        undone = [(each.at, f"( {each.undo or ':'}\n) || failed=yes") for each in reversed(batch)]
        ends = [(at, '[ -z "$failed" ]') for at in {each.at for each in batch}]
        _everywhere(lab, [*undone, *ends])


def _everywhere(lab: Lab, commands: Sequence[tuple[str, str]]) -> None:
    def run(at: str) -> None:
        script = "".join(f"{command}\n" for where, command in commands if where == at)
        if at == "here":
            ok(lab.run(["sh", "-exc", script]))
        else:
            ok(lab.console(at, ["sh", "-exc", script]))

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, dict.fromkeys(at for at, _ in commands)))


# Replaces a certificate by one that expires in five days.
SHORT = (
    'rm "$f"; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 5 '
    '-subj /CN=short -keyout /dev/null -out "$f" 2>/dev/null'
)
PROXY = "kubectl proxy --kubeconfig=/etc/kubernetes/admin.conf --port=8099"
SSHD = "/etc/ssh/sshd_config.d/00-other.conf"
# sshd's answer to a client without a key.
PASSWORDS = (
    "ssh -o PreferredAuthentications=none -o StrictHostKeyChecking=no "
    "-o UserKnownHostsFile=/dev/null 127.0.0.1 2>&1 | grep -q 'denied.*password'"
)
KUBECONFIG = ".cluster/kubeconfig"
# The gateway has 0; of a worker's routes the other one is the other worker's, whoever joined first.
PODS_OF_NODE3 = r"^10\.244\.[12]\.0/24"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"

FIRST = (
    on(
        "node1",
        "package_archive/node2",
        "VER025",
        "http",
        "iptables -I FORWARD -s 192.168.2.12 -p tcp -j REJECT --reject-with tcp-reset",
        "iptables -D FORWARD -s 192.168.2.12 -p tcp -j REJECT --reject-with tcp-reset",
    ),
    on(
        "node2",
        "dns",
        "VER024",
        "the host of",
        "iptables -I OUTPUT -p udp --dport 53 -j REJECT",
        "iptables -D OUTPUT -p udp --dport 53 -j REJECT",
    ),
    edited(
        "node2",
        "authorized_keys",
        "VER006",
        "mode 644",
        "/home/pi/.ssh/authorized_keys",
        "chmod 644 $f",
    ),
    edited(
        "node2", "host_name", "VER010", "other after a reboot", "/etc/hostname", "echo other > $f"
    ),
    on(
        "node3",
        "addresses",
        "VER012",
        "192.168.2.99 besides 192.168.2.13",
        "ip address add 192.168.2.99/24 dev eth0 valid_lft 900 preferred_lft 900",
        "ip address delete 192.168.2.99/24 dev eth0",
    ),
    edited(
        "node2",
        "swap_is_off",
        "VER014",
        "/dev/sda2",
        "/etc/fstab",
        "echo '/dev/sda2 none swap sw 0 0' >> $f",
    ),
    edited(
        "node2",
        "kernel_modules",
        "VER015",
        "at boot: br_netfilter",
        "/etc/modules-load.d/bramble.conf",
        "sed -i 's/^br_netfilter/# &/' $f",
    ),
    on(
        "node2",
        "kernel_settings",
        "VER016",
        "now: net.bridge.bridge-nf-call-ip6tables = 0",
        "sysctl -q -w net.bridge.bridge-nf-call-ip6tables=0",
        "sysctl -q -w net.bridge.bridge-nf-call-ip6tables=1",
    ),
    on(
        "node2",
        "kernel_settings_at_boot",
        "VER016",
        "after a reboot: net.ipv4.ip_forward = 0",
        "echo net.ipv4.ip_forward=0 > /etc/sysctl.d/99-other.conf",
        "rm /etc/sysctl.d/99-other.conf",
    ),
    on(
        "node2",
        "containerd",
        "VER041",
        "containerd ",
        "systemctl disable -q containerd",
        "systemctl enable -q containerd",
    ),
    edited(
        "node2",
        "control_groups",
        "VER044",
        "SystemdCgroup",
        "/etc/containerd/config.toml",
        "sed -i 's/SystemdCgroup = true/SystemdCgroup = false/' $f",
    ),
    on(
        "node2",
        "packages_are_held",
        "VER050",
        "kubectl",
        "apt-mark -qq unhold kubectl",
        "apt-mark -qq hold kubectl",
    ),
    edited(
        "node3",
        "versions",
        "VER052",
        "kubeadm is 1.36.1-1.1; it is 1.36.",
        "/var/lib/dpkg/status",
        "sed -i '/^Package: kubeadm$/,/^$/s/^Version: .*/Version: 1.36.1-1.1/' $f",
    ),
    on(
        "node2",
        "kubelet",
        "VER041",
        "the kubelet ",
        "systemctl disable -q kubelet",
        "systemctl enable -q kubelet",
    ),
    on(
        "node1",
        "node_is_ready/node2",
        "VER055",
        "kubectl uncordon node2",
        f"{KUBECTL} cordon node2",
        f"{KUBECTL} uncordon node2",
    ),
    edited(
        "node1",
        "certificates",
        "VER058",
        "front-proxy-client (4 days)",
        "/etc/kubernetes/pki/front-proxy-client.crt",
        SHORT,
    ),
    edited(
        "node2",
        "certificate_of_the_kubelet",
        "VER060",
        "in 4 days",
        "/var/lib/kubelet/pki/kubelet-client-current.pem",
        SHORT,
    ),
    on(
        "node2",
        "routes_to_pods",
        "VER064",
        "the pods of node3",
        "ip route show dev flannel.1 > /root/routes; "
        f"ip route delete \"$(grep -oE '{PODS_OF_NODE3}' /root/routes)\" dev flannel.1",
        f"grep -E '{PODS_OF_NODE3}' /root/routes | "
        "xargs -I+ sh -c 'ip route replace + dev flannel.1'",
    ),
    on(
        "node1",
        "log_of_etcd",
        "VER093",
        "/var/lib/etcd/member/wal/0.wal.broken",
        "touch /var/lib/etcd/member/wal/0.wal.broken",
        "rm /var/lib/etcd/member/wal/0.wal.broken",
    ),
    on(  # the settings ask for a timer that was not made
        "node1",
        "scheduled_backups",
        "VER100",
        "the timer of scheduled backups",
        "true",
        "true",
        backup_schedule="daily 03:00",
    ),
    on(
        "node1",
        "no_join_token_is_left",
        "VER065",
        "abcdef",
        "kubeadm token create abcdef.0123456789abcdef",
        "kubeadm token delete abcdef",
    ),
    edited(
        "node2",
        "names_of_the_nodes",
        "VER020",
        "node3 resolves to 192.168.2.33; expected 192.168.2.13",
        "/etc/hosts",
        "sed -i 's/192.168.2.13/192.168.2.33/' $f",
    ),
    edited(
        "node2",
        "nameservers",
        "VER023",
        "192.168.1.1, 9.9.9.9; expected 8.8.8.8, 8.8.4.4, 192.168.1.1",
        "/etc/resolv.conf",
        "echo nameserver 9.9.9.9 >> $f",
    ),
    on(
        "node1",
        "rules_live",
        "VER027",
        "in FORWARD jumps to BRAMBLE-FORWARD",
        "iptables -D FORWARD -j BRAMBLE-FORWARD",
        "iptables -I FORWARD -j BRAMBLE-FORWARD",
    ),
    on(
        "node1",
        "rules_on_disk",
        "VER041",
        "cluster-ip-rules.service",
        "systemctl disable -q cluster-ip-rules",
        "systemctl enable -q cluster-ip-rules",
    ),
    on(
        "here",
        "kubeconfig",
        "VER083",
        "leads to https://192.168.1.32:6444",
        f"sed -i.kept 's/192.168.1.32:6443/192.168.1.32:6444/' {KUBECONFIG}",
        f"mv {KUBECONFIG}.kept {KUBECONFIG}",
    ),
    on(
        "node1",
        "kubectl_proxy/here",
        "VER088",
        "runs on node1",
        f"systemd-run -q --unit=loose {PROXY}; " + until("ss -Hltn | grep -q ':8099 '"),
        "systemctl stop loose",
    ),
    edited(
        "node3",
        "node_address",
        "VER056",
        "at 192.168.2.99; expected 192.168.2.13",
        "/var/lib/kubelet/kubeadm-flags.env",
        "sed -i s/192.168.2.13/192.168.2.99/ $f",
        then="systemctl restart kubelet",
        done=known("node3 -o wide | grep -q 192.168.2.99"),
        undone=known("node3 -o wide | grep -q 192.168.2.13"),
    ),
)

SECOND = (
    on(
        "node2",
        "default_route",
        "VER022",
        "192.168.2.13 on eth0; expected 192.168.2.11 on eth0",
        "ip route replace default via 192.168.2.13",
        "ip route replace default via 192.168.2.11",
    ),
    on(
        "node2",
        "flannel routes_to_pods",
        "VER062",
        "flannel.1",
        "ip route show dev flannel.1 > /root/routes; ip link set flannel.1 down",
        "ip link set flannel.1 up; "
        "xargs -I+ sh -c 'ip route replace + dev flannel.1' < /root/routes",
    ),
    # The kubelet needs it.
    edited(
        "node2",
        "containerd_serves_the_kubelet control_groups node_is_ready",
        "VER043",
        "not loaded",
        "/etc/containerd/config.toml",
        "sed -i '1i disabled_plugins = [\"io.containerd.grpc.v1.cri\"]' $f",
        then="systemctl restart containerd",
        done=known("node2 | grep -q ' NotReady '"),
        undone=known("node2 | grep -q ' Ready '"),
    ),
    on(
        "node1",
        "rules_on_disk",
        "VER026",
        "/etc/cluster_ip_rules.fw lacks -s 192.168.2.0/24 -o wlan0 -j MASQUERADE",
        "sed -i.kept /MASQUERADE/d /etc/cluster_ip_rules.fw",
        "mv /etc/cluster_ip_rules.fw.kept /etc/cluster_ip_rules.fw",
    ),
    on(
        "node1",
        "passwords",
        "VER009",
        "accepts password at its next start",
        f"echo PasswordAuthentication yes > {SSHD}",
        f"rm {SSHD}",
        password_login=False,
    ),
    on(
        "node2",
        "passwords",
        "VER009",
        "accepts password now",
        f"echo PasswordAuthentication yes > {SSHD}; systemctl reload ssh; {until(PASSWORDS)}",
        f"rm {SSHD}; systemctl reload ssh; {until(f'! {PASSWORDS}')}",
        password_login=False,
    ),
    on("here", "kubectl_proxy", "VER089", ":8080/version", "", "", kubectl_proxy=True),
    on(
        "here",
        "shared_downloads/node1 shared_downloads/node2",
        "VER092",
        "that node1 keeps",
        "",
        "",
        share_downloads=True,
    ),
    on(
        "node3",
        "answers",
        "VER005",
        "pi may not use sudo",
        "chmod 600 /etc/sudoers.d/*; sed -i s/NOPASSWD:// /etc/sudoers.d/90-cloud-init-users",
        "sed -i 's/ALL=(ALL)/& NOPASSWD:/' /etc/sudoers.d/90-cloud-init-users",
    ),
)

# A kubectl that answers for pods; those on node3 resolve nothing.
FAKE = r"""#!/bin/sh
case "$*" in
*"exec on-node3 "*nslookup*) echo "Server: 10.96.0.10
Address: 10.96.0.10:53

** server can't find it: NXDOMAIN" ;;
*"exec on-node3 "*) echo "wget: bad address" ;;
*" exec "*nslookup*) echo "Address: 10.96.0.1" ;;
*" exec "*wget*) for last; do :; done; last=${last##*/on-}; echo "${last%% *}" ;;
*) exec /usr/bin/kubectl "$@" ;;
esac
"""
PODS = (
    on(
        "node1",
        "dns_in_pods/node3 services_across_nodes/node3",
        "VER071",
        "a pod on node3 does not resolve names of the cluster: ** server can't find it: NXDOMAIN",
        f"cat > /usr/local/bin/kubectl << 'END'\n{FAKE}END\nchmod 755 /usr/local/bin/kubectl",
        "rm /usr/local/bin/kubectl",
    ),
)

REBOOT = (
    on(
        "node3",
        "it_comes_back/node3-rebooted",
        "VER095",
        "does not reboot",
        "systemctl mask -q reboot.target",
        "systemctl unmask -q reboot.target",
    ),
)

BATCHES = (FIRST, SECOND, PODS, REBOOT)
