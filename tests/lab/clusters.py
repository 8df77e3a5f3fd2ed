"""The state of a cluster: by kubectl, and by the changes of a run."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

from lab.api import Lab
from lab.waiting import until
from tests.lab.runs import ok

# An inventory: the gateway is the control plane, and it has one worker.
TWO_NODES = """control_plane = [
    ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})
]
workers = [("node2", {"address": "192.168.2.12"})]
"""


def kubeconfig(lab: Lab) -> Path:
    """The operator's kubeconfig."""
    return lab.project / ".cluster" / "kubeconfig"


def kubectl(lab: Lab, *arguments: str) -> str:
    return ok(lab.run(["kubectl", "--context=bramble", "--request-timeout=120s", *arguments]))


def nodes(lab: Lab) -> dict[str, dict[str, Any]]:
    """The Node objects by name; none while the API server does not answer."""
    done = lab.run(["kubectl", "--context=bramble", "get", "nodes", "-o", "json"])
    items = [] if done.returncode else json.loads(done.stdout)["items"]
    return {item["metadata"]["name"]: item for item in items}


def ready(lab: Lab) -> set[str]:
    """The nodes that have become Ready since their last boot."""
    found = set()
    for name, node in nodes(lab).items():
        started = ok(lab.console(name, ["cat", "/proc/sys/kernel/random/boot_id"]))
        conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
        if conditions["Ready"] == "True" and node["status"]["nodeInfo"]["bootID"] == started:
            found.add(name)
    return found


def all_are_ready(lab: Lab, *names: str) -> None:
    """Wait until these nodes, and no others, are Ready, and their pods reach each other."""
    assert until(lambda: ready(lab) == set(names), pause=1), nodes(lab)
    for name in names:
        assert until(partial(_pods_reach_others, lab, name, len(names) - 1)), name


def _pods_reach_others(lab: Lab, name: str, others: int) -> bool:
    """Whether kube-proxy's rules are on a node, and flannel's routes to the others."""
    script = """rules=$(iptables-save)
for chain in KUBE-FIREWALL KUBE-SERVICES KUBE-POSTROUTING; do
case $rules in *"-j $chain"*) ;; *) exit 1;; esac; done
[ "$(ip route show dev flannel.1 | wc -l)" -ge "$1" ]"""
    return lab.console(name, ["sh", "-c", script, "sh", str(others)]).returncode == 0


def no_token_is_left(lab: Lab) -> None:
    selector = "--field-selector=type=bootstrap.kubernetes.io/token"
    assert kubectl(lab, "get", "secrets", "--all-namespaces", selector, "-o", "name") == ""


@contextmanager
def tokens_made(lab: Lab) -> Iterator[list[str]]:
    """Record the bootstrap tokens that are made meanwhile, by watching their Secrets."""
    command = ["kubectl", "--context=bramble", "-n", "kube-system", "get", "secrets", "-v=6"]
    mark = ["-n", "kube-system", "secret", f"watched-{token_hex(4)}"]
    tokens: list[str] = []
    with tempfile.NamedTemporaryFile("w+") as seen, tempfile.NamedTemporaryFile("w+") as log:
        watching = subprocess.Popen(
            lab.operator_command([*command, "--watch-only", "--output-watch-events"]),
            env=lab.operator_environment(),
            stdout=seen,
            stderr=log,
        )
        try:
            assert until(lambda: "watch=true" in Path(log.name).read_text()), "nobody watches"
            yield tokens
            # When this one is seen, all earlier ones were.
            kubectl(lab, "create", *mark[:3], "generic", mark[3])
            assert until(lambda: f" {mark[3]} " in Path(seen.name).read_text()), mark
            kubectl(lab, "delete", *mark)
        finally:
            watching.terminate()
            watching.wait()
        tokens += re.findall(r"(?m)^ADDED +(bootstrap-token-\S+)", Path(seen.name).read_text())


def work_of(changed: Sequence[str]) -> dict[str, list[str]]:
    """The result of `changes` by node."""
    found: dict[str, list[str]] = {}
    for line in changed:
        what, hosts = line.rsplit(": ", 1)
        for host in re.findall(r"'(\w+)'", hosts):
            found.setdefault(host, []).append(what.split(" | ")[-1])
    return found


def rules_of_all_are_there(lab: Lab) -> None:
    """Check the rules on the control plane: bramble's, flannel's and kube-proxy's."""
    rules = ok(lab.ssh("node1", "sudo iptables-save"))
    for whose in ("BRAMBLE", "FLANNEL", "KUBE"):
        for chain in ("FORWARD", "POSTROUTING"):
            assert re.search(rf"(?m)^-A {chain} .*-j {whose}-", rules), (whose, chain)
