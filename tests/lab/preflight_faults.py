"""Faults that can be injected into a virtual node, and what preflight finds of each."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """
    + make: shell commands that inject it, run as root
    + status, words: the result: first the code of its message, where that is preflight's own
    """

    make: str
    status: str
    words: tuple[str, ...]


def says(path: str, text: str) -> str:
    """Replace what a file says, whose true content is this machine's or keeps a node reachable."""
    lie = f"/run/lie{path.replace('/', '-')}"
    return f"printf %s {shlex.quote(text)} > {lie}; chmod 755 {lie}; mount --bind {lie} {path}"


def answers(path: str, script: str) -> str:
    """Replace a program by a script; $REAL is the true one."""
    real = f"/run/real{path.replace('/', '-')}"
    return f"cp {path} {real}; " + says(path, f"#!/bin/sh\nREAL={real}; {script}\n")


NO_MEMORY_CGROUP = """if [ -s /sys/fs/cgroup/cgroup.controllers ]; then
sed s/memory// /sys/fs/cgroup/cgroup.controllers > /run/controllers
mount --bind /run/controllers /sys/fs/cgroup/cgroup.controllers
else umount -l /sys/fs/cgroup/memory; fi"""
# Then it is this machine's, for every node.
NO_BOOT_ID = "umount -l /proc/sys/kernel/random/boot_id"
SMALL_DISK = """mount -t tmpfs -o size=40m tmpfs /mnt; mkdir /mnt/var /mnt/.var
mount -t overlay overlay -o lowerdir=/var,upperdir=/mnt/var,workdir=/mnt/.var /var"""

# As a run writes it that changes the node.
OTHER_RUN = """mkdir -p -m 700 /run/bramble; printf '%s\\n' 0a 1 "$(date +%s)" \
'{"who": "ann on pc1, process 7", "command": "pyinfra inventory.py x.py", "began": "noon"}' \
> /run/bramble/run.lock; systemd-run -q flock /run/bramble/run.lock sleep infinity"""

FAULTS: dict[str, dict[str, Fault]] = {
    "node1": {
        "other runs": Fault(
            OTHER_RUN,
            "warning",
            ("PRE004", "`pyinfra inventory.py x.py` by ann on pc1, process 7, since noon"),
        ),
        "memory": Fault(
            says("/proc/meminfo", "MemTotal: 928256 kB\nMemAvailable: 500000 kB\n"),
            "failure",
            ("PRE022", "906 MB", "1700 MB", '"Mem"]'),
        ),
        # What answers there is this node, which does not have the address.
        "control plane address": Fault(
            "ip route add local 192.168.2.10 dev lo", "failure", ("PRE078", "192.168.2.10")
        ),
        "processors": Fault(
            answers("/usr/bin/nproc", "echo 1"),
            "failure",
            ("PRE025", "1 processor", "requires 2", '"NumCPU"]', "group_data/all.py"),
        ),
        "SD card": Fault(
            answers("/usr/bin/dd", "echo 32768 bytes copied, 1.44 s, 23 kB/s"),
            "warning",
            ("PRE031", "180 ms", "etcd"),
        ),
        "networks": Fault(
            "ip link add docker0 type bridge; ip address add 10.244.0.1/16 dev docker0",
            "failure",
            ("PRE051", "docker0 is on 10.244.0.0/16", "another pod_network"),
        ),
        "iptables": Fault(
            "iptables-legacy -A INPUT -s 10.9.9.9 -j DROP",
            "failure",
            ("iptables-legacy", "(NET052)"),
        ),
        "firewall": Fault(
            "iptables -t raw -A PREROUTING -i eth0 -p tcp --dport 6443 -j DROP",
            "warning",
            (
                "PRE060",
                "on node1 `-A PREROUTING -i eth0 -p tcp -m tcp --dport 6443 -j DROP` "
                "(iptables, table raw, chain PREROUTING) drops 6443/tcp from node2 (192.168.2.12)",
                "Allow it: `sudo iptables -t raw -I PREROUTING -i eth0 -s 192.168.2.0/24 ",
            ),
        ),
        "ports": Fault(
            "systemd-run -q systemd-socket-activate --accept -l 6443 /bin/true; "
            "until ss -Hltn | grep -q ':6443 '; do sleep 0.1; done",
            "failure",
            ("PRE072", "6443 (systemd-socket"),
        ),
        "earlier cluster": Fault(
            "mkdir -p /etc/cni/net.d; touch /etc/cni/net.d/10-flannel.conflist",
            "warning",
            ("PRE076", "`sudo rm /etc/cni/net.d/10-flannel.conflist`"),
        ),
        "package servers": Fault(
            "iptables -I OUTPUT -p tcp -m multiport --dports 3142,8036,80,443 -j REJECT",
            "failure",
            ("PRE054",),
        ),
        "registries": Fault(
            "true",  # the rule above, and --data, which says that there are some
            "warning",
            ("PRE055", "registry.k8s.io ("),
        ),
    },
    "node2": {
        "architecture": Fault(
            answers("/usr/bin/dpkg", '[ "$1" = --print-architecture ] && echo armhf'),
            "failure",
            ("architecture armhf on a 64-bit kernel", "(NOD002)"),
        ),
        "system": Fault(
            says("/etc/os-release", 'ID=debian\nVERSION_ID=11\nPRETTY_NAME="Debian 11"\n'),
            "failure",
            ("PRE021", "Debian 11 ", "Raspberry Pi OS Lite (64-bit) or Debian 13"),
        ),
        "memory": Fault(
            says("/proc/meminfo", "MemTotal: 428256 kB\nMemAvailable: 300000 kB\n"),
            "warning",
            ("PRE024", "418 MB"),
        ),
        "firewall": Fault(
            """nft 'table inet own { chain input { type filter hook input priority 0;
            iif lo accept; tcp dport 22 accept; ct state established accept; drop; }; }'""",
            "warning",
            (
                "PRE060",
                "on node2 `drop` (nft, table inet own, chain input) drops 10250/tcp from node1",
                'Allow it: `sudo nft \'insert rule inet own input iifname "eth0" ip saddr ',
            ),
        ),
        "disk": Fault(SMALL_DISK, "failure", ("(KUB052)", "700 MB", "apt-get clean")),
        "memory cgroup": Fault(
            f"mkdir -p /boot/firmware; echo a > /boot/firmware/cmdline.txt; {NO_MEMORY_CGROUP}",
            "warning",
            ("PRE040", "adds cgroup_enable=memory to /boot/firmware/cmdline.txt"),
        ),
        "swap": Fault(
            says("/proc/swaps", "Filename Type\n/dev/zram0 partition 1 0 100\n")
            + "; echo '/swapfile none swap sw 0 0' >> /etc/fstab",
            "warning",
            ("on (/dev/zram0)", "(NOD013)"),
        ),
        "clock": Fault(
            answers("/usr/bin/date", 'exec $REAL -d "-2 hours" "$@"'),
            "(warning|failure)",  # where NTP keeps this machine's clock right, it is believed
            ("behind this computer's",),  # 2 hours, or 119 minutes on a slow machine
        ),
        "host name": Fault(
            "hostname node3; echo 127.0.1.1 node3 >> /etc/hosts",
            "warning",
            ("PRE011", "hostname node3 ", "to node2;"),
        ),
        "hardware addresses": Fault(
            "true", "failure", ("PRE012", "eth0 has the hardware address", "eth0 of node3")
        ),
        "machine-id": Fault(
            "true", "failure", ("on node3", "systemd-machine-id-setup", "(NOD004)")
        ),
        "same machine": Fault(NO_BOOT_ID, "failure", ("PRE010", "node2 and node3 ")),
    },
    "node3": {
        "same machine": Fault(NO_BOOT_ID, "failure", ("PRE010", "node3 and node2 ")),
        "memory cgroup": Fault(NO_MEMORY_CGROUP, "failure", ("cgroup_enable=memory", "(NOD020)")),
        "swap": Fault(
            says("/proc/swaps", "Filename Type\n/swapfile file 1 0 -2\n")
            + "; "
            + says(
                "/proc/meminfo",
                "MemTotal: 928256 kB\nMemAvailable: 102400 kB\n"
                "SwapTotal: 819200 kB\nSwapFree: 409600 kB\n",
            ),
            "failure",
            ("400 MB", "100 MB", "(NOD010)"),
        ),
        "interfaces": Fault(
            "echo 'iface eth0 inet dhcp' > /etc/network/interfaces.d/mine.bak",
            "failure",
            ("/etc/network/interfaces.d/mine.bak", "(NET009)"),
        ),
        "resolv.conf": Fault(
            "mv /etc/resolv.conf /run/kept; ln -s /run/kept /etc/resolv.conf",
            "failure",
            ("link to /run/kept", "(NET032)"),
        ),
        "firewall": Fault(
            "iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -p tcp --dport 22 -j ACCEPT; "
            "iptables -P INPUT DROP",
            "warning",
            (
                "PRE060",
                "on node3 the policy of INPUT (iptables, table filter) drops the answer to 6443",
                "Allow it: `sudo iptables -I INPUT ",
            ),
        ),
        "earlier cluster": Fault(
            "touch /usr/local/bin/k3s", "failure", ("PRE073", "k3s,", "k3s-uninstall.sh")
        ),
        "control plane": Fault(
            "iptables -I OUTPUT -p tcp -d 192.168.2.11 --dport 22 -j DROP",
            "failure",
            ("PRE052", "node1 (192.168.2.11)", "no answer"),
        ),
        "disk": Fault(
            "mount --bind /etc /etc; mount -o remount,ro,bind /etc",
            "failure",
            ("PRE027", "/etc "),
        ),
    },
}
