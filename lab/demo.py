"""`python -m lab demo`: deploy a cluster on virtual nodes, and show it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

from rich.console import Console

from lab.api import Lab

DEPLOY = ["pyinfra", "--yes", "inventory.py", "deploys/cluster.py"]

# Commands that show a node after the deploy.
QUESTIONS = {
    "default route": "ip route show default",
    "nameservers": "grep nameserver /etc/resolv.conf | paste -sd ' '",
    "packages": "sudo apt-get update 2>&1 | grep -E '^(Fetched|Hit|W:|E:)' | tail -n 1",
}
NODES = ["kubectl", "get", "nodes", "-o", "wide"]


def show(lab: Lab, out: Console) -> bool:
    """Show the last node of the inventory; return False if a command fails."""
    name = [node for node in lab.plan.nodes if not node.spare][-1].name
    out.print(f"\n{name} now:")
    fine = True
    for what, command in QUESTIONS.items():
        done = lab.ssh(name, command)
        fine = fine and done.returncode == 0
        out.print(f"  {what + ':':15}{done.stdout.strip() or done.stderr.strip()}")
    return fine


def demo(lab: Lab, out: Console, foreground: Callable[[list[str]], int]) -> int:
    """
    Deploy on a lab that is up, show the result and what to try next; return the exit status.

    + foreground: runs a command as the operator, on the terminal
    """
    out.print(f"\nDeploy: {' '.join(DEPLOY)}\n", style="bold")
    status = foreground(DEPLOY)
    if status:
        out.print(
            f"\nThe deploy failed: see above. The lab is still up: {python_command()} -m lab status"
        )
        return status
    fine = show(lab, out)
    out.print(f"\nThe cluster from this computer, over TLS: {' '.join(NODES)}\n")
    fine = foreground(NODES) == 0 and fine
    python = python_command()
    out.print("\nTry next:")
    out.print(f"  {python} -m lab run -- {' '.join(DEPLOY)}    a second run: nothing changes")
    out.print(f"  {python} -m lab run -- kubectl get pods -A")
    out.print(f"  {python} -m lab shell node1")
    out.print(f"  {python} -m lab down")
    return 0 if fine else 1


def python_command() -> str:
    """The command that runs this Python from the working directory."""
    if shutil.which("python") == sys.executable:
        return "python"
    return os.path.relpath(sys.executable)
