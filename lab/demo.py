"""`python -m lab demo`: the main job on virtual nodes, and what it has come to."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

from rich.console import Console

from lab.api import Lab

DEPLOY = ["pyinfra", "--yes", "inventory.py", "deploys/cluster.py"]

# What a person would ask a node after the deploy.
QUESTIONS = {
    "the way out": "ip route show default",
    "its resolver": "grep nameserver /etc/resolv.conf | paste -sd ' '",
    "packages": "sudo apt-get update 2>&1 | grep -E '^(Fetched|Hit|W:|E:)' | tail -n 1",
}
NODES = ["kubectl", "get", "nodes", "-o", "wide"]


def show(lab: Lab, out: Console) -> bool:
    """Ask the last node of the inventory and print its answers; False where one failed."""
    name = [node for node in lab.plan.nodes if not node.spare][-1].name
    out.print(f"\nWhat {name} says now:")
    fine = True
    for what, command in QUESTIONS.items():
        done = lab.ssh(name, command)
        fine = fine and done.returncode == 0
        out.print(f"  {what + ':':14}{done.stdout.strip() or done.stderr.strip()}")
    return fine


def demo(lab: Lab, out: Console, foreground: Callable[[list[str]], int]) -> int:
    """
    Deploy on a lab that is up, show what it did, and say what to try next; gives the exit status.

    + foreground: runs a command where the operator is, on the person's terminal
    """
    out.print(f"\nThe deploy: {' '.join(DEPLOY)}\n", style="bold")
    status = foreground(DEPLOY)
    if status:
        out.print(
            f"\nThe deploy failed: see above. The lab is still up: {python_command()} -m lab status"
        )
        return status
    fine = show(lab, out)
    out.print(f"\nWhat the cluster says to the laptop, over TLS: {' '.join(NODES)}\n")
    fine = foreground(NODES) == 0 and fine
    python = python_command()
    out.print("\nTry next:")
    out.print(f"  {python} -m lab run -- {' '.join(DEPLOY)}    a second run: nothing changes")
    out.print(f"  {python} -m lab run -- kubectl get pods -A")
    out.print(f"  {python} -m lab shell node1")
    out.print(f"  {python} -m lab down")
    return 0 if fine else 1


def python_command() -> str:
    """How a person calls the Python that runs this, from the working directory."""
    if shutil.which("python") == sys.executable:
        return "python"
    return os.path.relpath(sys.executable)
