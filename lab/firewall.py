"""
What may leave the lab, as nft rules: in the router's namespace, and one table on the host.

Pod, service and cluster addresses follow the default route when a node's own rules are not there
yet, and out in the world somebody may answer. So the router rejects every address that is private
or otherwise not of the public internet (IANA's special-purpose registry), and lets out only what a
cluster needs.
"""

from __future__ import annotations

import re

from lab import host
from lab.errors import LabError

# The special-purpose ranges of RFC 6890 that a real network may route somewhere. (The ranges for
# documentation are not among them: they are nobody's private network.)
NOT_PUBLIC = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)


def router_rules(lan: str, host_address: str) -> str:
    """
    The router's rules: masquerading, and the fence on everything that goes out by `uplink`.

    + lan: the network behind the router
    + host_address: the host's end of the uplink, where its resolver is to be asked
    """
    return f"""
table inet lab {{
    chain fence {{
        meta nfproto ipv6 drop
        ct state established,related accept
        ip daddr {host_address} meta l4proto {{ tcp, udp }} th dport 53 accept
        ip daddr {{ {", ".join(NOT_PUBLIC)} }} counter reject with icmp type admin-prohibited
        meta l4proto {{ tcp, udp }} th dport {{ 53, 80, 443 }} accept
        counter reject with icmp type admin-prohibited
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        oifname "uplink" tcp flags syn tcp option maxseg size set rt mtu
        oifname "uplink" jump fence
        iifname "uplink" ct state {{ new, invalid, untracked }} drop
    }}
    chain output {{
        type filter hook output priority filter; policy accept;
        oifname "uplink" jump fence
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "uplink" ct state {{ new, invalid, untracked }} drop
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {lan} oifname "uplink" masquerade
    }}
}}
"""


def _table(lab: str) -> str:
    return "bramble_lab_" + re.sub(r"\W", "_", lab)


def _iptables_rules(lab: str, link: str) -> list[list[str]]:
    note = ["-m", "comment", "--comment", f"bramble-lab {lab}"]
    back = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
    return [
        ["FORWARD", "-i", link, *note, "-j", "ACCEPT"],
        ["FORWARD", "-o", link, *back, *note, "-j", "ACCEPT"],
    ]


def open_host(lab: str, link: str, transfer: str, resolver: str | None) -> None:
    """
    Let the router's packets through the host: masqueraded, in a table of the lab's own.

    The resolver is asked at the host's end of the link. At home it is often 192.168.1.1, and that
    address is in the lab another machine.

    Where iptables has a FORWARD chain that may drop them (Docker's, ufw's), two rules go on top.

    + link: the host's interface towards the router
    + transfer: the network on it
    + resolver: the host's own name server
    """
    asked = f'iifname "{link}" ip daddr {transfer} meta l4proto {{ tcp, udp }} th dport 53'
    host.run(
        ["nft", "-f", "-"],
        stdin=f"""
table ip {_table(lab)} {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        {f"{asked} dnat to {resolver}" if resolver else ""}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {transfer} oifname != "{link}" masquerade
    }}
}}
""",
    )
    if _has_forward_rules():
        for rule in reversed(_iptables_rules(lab, link)):
            host.run(["iptables", "-w", "-I", *rule])


def _has_forward_rules() -> bool:
    try:
        done = host.run(["iptables", "-w", "-S", "FORWARD"], check=False)
    except LabError:
        return False  # no iptables, no rules of it
    return done.returncode == 0 and done.stdout.split() != ["-P", "FORWARD", "ACCEPT"]


def close_host(lab: str, link: str) -> None:
    """Take back what `open_host` did, as far as it is there."""
    family_and_table = ["ip", _table(lab)]
    if host.run(["nft", "list", "table", *family_and_table], check=False).returncode == 0:
        host.run(["nft", "delete", "table", *family_and_table])
    if _has_forward_rules():
        for rule in _iptables_rules(lab, link):
            while host.run(["iptables", "-w", "-D", *rule], check=False).returncode == 0:
                pass
