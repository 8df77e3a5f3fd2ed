"""A cluster as the operator sees it: by kubectl on the laptop, and by what a run has changed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.api import Lab
from tests.lab.runs import ok


def kubeconfig(lab: Lab) -> Path:
    """The one that `kubectl` has where the operator is."""
    return lab.desk / ".cluster" / "kubeconfig"


def kubectl(lab: Lab, *arguments: str) -> str:
    return ok(lab.run(["kubectl", "--context=bramble", "--request-timeout=20s", *arguments]))


def nodes(lab: Lab) -> dict[str, dict[str, Any]]:
    """The nodes' objects, by name; none while the API server does not answer."""
    done = lab.run(["kubectl", "--context=bramble", "get", "nodes", "-o", "json"])
    return {item["metadata"]["name"]: item for item in json.loads(done.stdout)["items"]}


def ready(lab: Lab) -> set[str]:
    """The nodes that are Ready, and have said so themselves since they were last started."""
    found = set()
    for name, node in nodes(lab).items():
        started = ok(lab.console(name, ["cat", "/proc/sys/kernel/random/boot_id"]))
        conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
        if conditions["Ready"] == "True" and node["status"]["nodeInfo"]["bootID"] == started:
            found.add(name)
    return found


def no_token_is_left(lab: Lab) -> None:
    selector = "--field-selector=type=bootstrap.kubernetes.io/token"
    assert kubectl(lab, "get", "secrets", "--all-namespaces", selector, "-o", "name") == ""
    assert ok(lab.ssh("node1", "sudo kubeadm token list")) == ""


@contextmanager
def tokens_made(lab: Lab) -> Iterator[list[str]]:
    """The tokens that are made meanwhile: their Secrets, from the API server to who watches it."""
    command = ["kubectl", "--context=bramble", "-n", "kube-system", "get", "secrets"]
    watching = subprocess.Popen(
        lab.operator_command([*command, "--watch-only", "--output-watch-events"]),
        env=lab.operator_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    tokens: list[str] = []
    try:
        yield tokens
    finally:
        watching.terminate()
        output, _ = watching.communicate(timeout=20)
        tokens += re.findall(r"(?m)^ADDED +(bootstrap-token-\S+)", output)


def work_of(changed: Sequence[str]) -> dict[str, list[str]]:
    """What `changes` says, by node."""
    found: dict[str, list[str]] = {}
    for line in changed:
        what, hosts = line.rsplit(": ", 1)
        for host in re.findall(r"'(\w+)'", hosts):
            found.setdefault(host, []).append(what.split(" | ")[-1])
    return found


def rules_of_all_are_there(lab: Lab) -> None:
    """On the head: ours, flannel's and kube-proxy's."""
    rules = ok(lab.ssh("node1", "sudo iptables-save"))
    for whose in ("BRAMBLE", "FLANNEL", "KUBE"):
        for chain in ("FORWARD", "POSTROUTING"):
            assert re.search(rf"(?m)^-A {chain} .*-j {whose}-", rules), (whose, chain)
