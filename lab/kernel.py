"""
Kernel modules, as a node sees them.

The nodes run on the host's kernel. Where it has modules, nodes get the host's directory read-only.
Where it was built without, `modprobe br_netfilter` would fail although the code is in the kernel: a
generated modules.builtin (kbuild's documentation) makes modprobe answer as it should.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from lab import host

# module: its file below /lib/modules/RELEASE, and the option that builds it in.
BUILTIN = {
    "overlay": ("kernel/fs/overlayfs/overlay.ko", "CONFIG_OVERLAY_FS"),
    "veth": ("kernel/drivers/net/veth.ko", "CONFIG_VETH"),
    "vxlan": ("kernel/drivers/net/vxlan/vxlan.ko", "CONFIG_VXLAN"),
    "bridge": ("kernel/net/bridge/bridge.ko", "CONFIG_BRIDGE"),
    "br_netfilter": ("kernel/net/bridge/br_netfilter.ko", "CONFIG_BRIDGE_NETFILTER"),
    "nf_conntrack": ("kernel/net/netfilter/nf_conntrack.ko", "CONFIG_NF_CONNTRACK"),
    "nf_nat": ("kernel/net/netfilter/nf_nat.ko", "CONFIG_NF_NAT"),
    "nf_tables": ("kernel/net/netfilter/nf_tables.ko", "CONFIG_NF_TABLES"),
    "ip_set": ("kernel/net/netfilter/ipset/ip_set.ko", "CONFIG_IP_SET"),
    "ip_vs": ("kernel/net/netfilter/ipvs/ip_vs.ko", "CONFIG_IP_VS"),
    "ip_vs_rr": ("kernel/net/netfilter/ipvs/ip_vs_rr.ko", "CONFIG_IP_VS_RR"),
    "ip_vs_wrr": ("kernel/net/netfilter/ipvs/ip_vs_wrr.ko", "CONFIG_IP_VS_WRR"),
    "ip_vs_sh": ("kernel/net/netfilter/ipvs/ip_vs_sh.ko", "CONFIG_IP_VS_SH"),
    "ip_tables": ("kernel/net/ipv4/netfilter/ip_tables.ko", "CONFIG_IP_NF_IPTABLES_LEGACY"),
}

# What nodes ask modprobe for and may not load themselves.
WANTED = ("overlay", "br_netfilter", "nf_conntrack", "vxlan")


def release() -> str:
    """The running kernel's release, as `uname -r` prints it."""
    return os.uname().release


def modules_directory() -> Path | None:
    """The host's modules for this kernel, or None when it was built without."""
    path = Path("/lib/modules") / release()
    return path if path.is_dir() else None


def builtin_list() -> str:
    """The text of modules.builtin: only what the running kernel really has, from its own config."""
    try:
        config = gzip.decompress(Path("/proc/config.gz").read_bytes()).decode().splitlines()
    except OSError:
        return ""
    return "".join(f"{file}\n" for file, option in BUILTIN.values() if f"{option}=y" in config)


def load_modules() -> None:
    """Load what nodes need, on a host that has modules; what it lacks is the node's to report."""
    if modules_directory():
        host.run(["modprobe", "--all", "--quiet", *WANTED], check=False)
