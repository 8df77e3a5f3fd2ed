"""
The packet-filter rules that kube-proxy, flannel and the kubelet keep on a node.

They come back in the same moments as the real ones, as recorded: flannel looks at its rules every
few seconds; kube-proxy at its canary chain in the mangle table, the kubelet at its own.
"""

from __future__ import annotations

import shlex
import string
import subprocess

from .common import TEMPLATES, template


def _run(argv: list[str], text: str = "") -> bool:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode and text:
        print(f"{argv[0]}: {done.stderr.strip()}", flush=True)
    return done.returncode == 0


def has_chain(table: str, chain: str) -> bool:
    """Whether a chain is there."""
    return _run(["iptables", "-w", "-t", table, "-n", "-L", chain, "1"])


def _restore(component: str, **values: str) -> None:
    """Load a component's chains."""
    text = (TEMPLATES / f"{component}.rules").read_text()
    _run(["iptables-restore", "-w", "--noflush"], string.Template(text).substitute(values))


def _has(rule: str, do: str = "-C") -> bool:
    """Whether a rule is there; do: `-A` adds it."""
    table, chain, *words = shlex.split(rule)
    return _run(["iptables", "-w", "-t", table, do, chain, *words])


def _jump(component: str) -> None:
    """Add the jumps that are missing, at the end of their chains."""
    for rule in template("jumps")[0][component]:
        if not _has(rule):
            _has(rule, "-A")


def proxy(pods: str, service: str, endpoint: str) -> None:
    """Do kube-proxy's full sync, for the API server's Service; endpoint: `192.168.2.11:6443`."""
    host = endpoint.partition(":")[0]
    _restore("kube-proxy", pods=pods, service=service, endpoint=endpoint, host=host)
    _jump("kube-proxy")


def flannel(network: str, subnet: str) -> None:
    """Do flannel's look at its rules: what is missing comes back, the rest is left alone."""
    masq = f'nat FLANNEL-POSTRTG ! -s {network} -d {network} -m comment --comment "flanneld masq"'
    forward = f'filter FLANNEL-FWD -d {network} -m comment --comment "flanneld forward" -j ACCEPT'
    # The last rule of each chain stands for the chain.
    if not _has(f"{masq} -j MASQUERADE --random-fully") or not _has(forward):
        _restore("flannel", network=network, subnet=subnet)
    _jump("flannel")


def kubelet() -> None:
    """Make the kubelet's own chains, when its canary is gone."""
    if not has_chain("mangle", "KUBE-KUBELET-CANARY"):
        _restore("kubelet")
        _jump("kubelet")
