"""What can be wrong with a node and be made on a virtual one, and what preflight says of it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """
    + make: how it is made, as root
    + status, words: what is said of it
    """

    make: str
    status: str
    words: tuple[str, ...]


def says(path: str, text: str) -> str:
    """A file has another content: what it says is of this machine, or would cut the node off."""
    lie = f"/run/lie{path.replace('/', '-')}"
    return f"printf %s {shlex.quote(text)} > {lie}; chmod 755 {lie}; mount --bind {lie} {path}"


def answers(path: str, script: str) -> str:
    """A program answers otherwise; $REAL is the true one."""
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
'{"who": "ann on desk, process 7", "command": "pyinfra inventory.py x.py", "began": "noon"}' \
> /run/bramble/run.lock; systemd-run -q flock /run/bramble/run.lock sleep infinity"""

FAULTS: dict[str, dict[str, Fault]] = {
    "node1": {
        "other runs": Fault(
            OTHER_RUN,
            "warning",
            ("`pyinfra inventory.py x.py` by ann on desk, process 7, since noon", "until it has"),
        ),
        "memory": Fault(
            says("/proc/meminfo", "MemTotal: 928256 kB\nMemAvailable: 500000 kB\n"),
            "failure",
            ("906 MB, and kubeadm wants 1700 MB of a control plane, and will refuse", '"Mem"]'),
        ),
        "processors": Fault(
            answers("/usr/bin/nproc", "echo 1"),
            "failure",
            ("1, and kubeadm wants 2 of a control plane", '"NumCPU"]', "group_data/all.py"),
        ),
        "SD card": Fault(
            answers("/usr/bin/dd", "echo 32768 bytes copied, 1.44 s, 23 kB/s"),
            "warning",
            ("on the disk after 180 ms", "etcd loses its leader", "class A1 or A2"),
        ),
        "networks": Fault(
            "ip link add docker0 type bridge; ip address add 10.244.0.1/16 dev docker0",
            "failure",
            ("docker0 is on 10.244.0.0/16", "choose another pod_network"),
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
                "on node1 `-A PREROUTING -i eth0 -p tcp -m tcp --dport 6443 -j DROP` "
                "(iptables, table raw, chain PREROUTING) drops 6443/tcp from node2 (192.168.2.12)",
                "let it pass: `sudo iptables -t raw -I PREROUTING -i eth0 -s 192.168.2.0/24 ",
            ),
        ),
        "ports": Fault(
            "systemd-run -q systemd-socket-activate --accept -l 6443 /bin/true; "
            "until ss -Hltn | grep -q ':6443 '; do sleep 0.1; done",
            "failure",
            ("6443 is taken by systemd-socket", "sudo ss -ltnp"),
        ),
        "earlier cluster": Fault(
            "mkdir -p /etc/cni/net.d; touch /etc/cni/net.d/10-flannel.conflist",
            "warning",
            ("an earlier cluster has left", "`sudo rm /etc/cni/net.d/10-flannel.conflist`"),
        ),
        "package servers": Fault(
            "iptables -I OUTPUT -p tcp -m multiport --dports 3142,8036,80,443 -j REJECT",
            "failure",
            ("can't be reached", "`ip route`", "apt's proxy"),
        ),
        "registries": Fault(
            "true",  # the rule above, and --data, which says that there are some
            "warning",
            ("registry.k8s.io can't be reached", "registry_mirrors or image_archives"),
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
            ("Debian 11 is too old", "write Raspberry Pi OS Lite (64-bit) or Debian 13"),
        ),
        "memory": Fault(
            says("/proc/meminfo", "MemTotal: 428256 kB\nMemAvailable: 300000 kB\n"),
            "warning",
            ("418 MB", "leave little of it to pods"),
        ),
        "firewall": Fault(
            """nft 'table inet own { chain input { type filter hook input priority 0;
            iif lo accept; tcp dport 22 accept; ct state established accept; drop; }; }'""",
            "warning",
            (
                "on node2 `drop` (nft, table inet own, chain input) drops 10250/tcp from node1",
                'let it pass: `sudo nft \'insert rule inet own input iifname "eth0" ip saddr ',
            ),
        ),
        "disk": Fault(
            SMALL_DISK, "failure", ("disk is full", "700 MB are wanted", "apt-get clean")
        ),
        "memory cgroup": Fault(
            f"mkdir -p /boot/firmware; echo a > /boot/firmware/cmdline.txt; {NO_MEMORY_CGROUP}",
            "warning",
            ("adds cgroup_enable=memory to /boot/firmware/cmdline.txt", "reboots this node, once"),
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
            ("node3, as node3: the run calls this one node2", "copy"),
        ),
        "hardware addresses": Fault(
            "true", "failure", ("its eth0 has the hardware address", "as node3's eth0")
        ),
        "machine-id": Fault(
            "true", "failure", ("on node3", "systemd-machine-id-setup", "(NOD004)")
        ),
        "same machine": Fault(
            NO_BOOT_ID, "failure", ("node2 and node3 are one machine", "inventory.py")
        ),
    },
    "node3": {
        "same machine": Fault(
            NO_BOOT_ID, "failure", ("node3 and node2 are one machine", "inventory.py")
        ),
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
                "on node3 the policy of INPUT (iptables, table filter) drops the answer to 6443",
                "let it pass: `sudo iptables -I INPUT ",
            ),
        ),
        "earlier cluster": Fault(
            "touch /usr/local/bin/k3s", "failure", ("k3s, a Kubernetes", "k3s-uninstall.sh")
        ),
        "control plane": Fault(
            "iptables -I OUTPUT -p tcp -d 192.168.2.11 --dport 22 -j DROP",
            "failure",
            ("node1 (192.168.2.11) can't be reached from here: no answer", "cables"),
        ),
        "disk": Fault(
            "mount --bind /etc /etc; mount -o remount,ro,bind /etc",
            "failure",
            ("/etc can't be written", "take a new card"),
        ),
    },
}
