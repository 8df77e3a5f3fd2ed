"""The command line of the lab: `python -m lab COMMAND`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.table import Table

import settings
from lab import host
from lab.api import Lab
from lab.demo import demo, python_command
from lab.errors import LabError
from lab.plan import Plan
from messages import lab as messages

out = Console(highlight=False, soft_wrap=True)

CABLE = "{interface} of the gateway is a virtual cable: the lab has neither Wi-Fi nor Pi firmware"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="Virtual Raspberry Pis on this machine, on a network of their own.",
        epilog="The lab is made from inventory.py and group_data/ in the working directory.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="build, connect and boot the nodes that are missing")
    up.add_argument("--workers", type=int, metavar="N", help="default: those in inventory.py")
    commands.add_parser("demo", help="bring the lab up, deploy the cluster, show it")
    commands.add_parser("down", help="stop everything; also removes what a crash left")
    commands.add_parser("status", help="show the nodes and their states")
    shell = commands.add_parser("shell", help="open a shell on a node, over ssh")
    shell.add_argument("node")
    run = commands.add_parser("run", help="run a command as the operator: run -- COMMAND")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    for name, text in (
        ("reboot", "reboot a node and wait for it"),
        ("power-off", "cut the power of a node"),
        ("power-on", "switch it on again"),
    ):
        commands.add_parser(name, help=text).add_argument("node")
    fresh = commands.add_parser("fresh", help="boot a node from a new card")
    fresh.add_argument("node")
    fresh.add_argument(
        "--card", type=Path, metavar="IMAGE", help="use the boot partition of this image"
    )
    for name, text in (("cut", "disconnect a network cable"), ("mend", "connect it again")):
        link = commands.add_parser(name, help=text)
        link.add_argument("node")
        link.add_argument("interface", nargs="?", help="default: all of the node")
    return parser


class _Progress:
    """Finished steps as lines, above a spinner with the current one."""

    def __init__(self, spinner: Status) -> None:
        self.spinner = spinner

    def say(self, line: str) -> None:
        out.print(f"  {line}")


@contextlib.contextmanager
def _progress(doing: str) -> Iterator[_Progress]:
    with out.status(doing) as spinner:
        yield _Progress(spinner)


def _table(lab: Lab) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("node", "role", "cluster address", "uplink address", "state"):
        table.add_column(column)
    for row in lab.status():
        state: str = row.status.state
        if state == "running":
            state += f" (up in {row.status.seconds} s)"
        if row.cut:
            state += f", cut: {', '.join(row.cut)}"
        if row.plan.spare:
            state += ", spare"
        uplink = row.plan.reserved if len(row.plan.ports) > 1 else None
        table.add_row(
            row.plan.name, row.plan.role.replace("_", " "), row.plan.address, uplink or "-", state
        )
    return table


def _up(lab: Lab, workers: int | None = None) -> Plan:
    """Bring the lab up and show its nodes."""
    with _progress("starting the lab") as progress:
        lab.say = progress.say
        plan = lab.up(workers)
    for node in plan.nodes:
        for port in node.ports:
            if port.bridge == "lan":
                out.print(f"  {CABLE.format(interface=port.interface)}")
    spare = [node for node in plan.nodes if node.spare]
    if spare:
        names = ", ".join(f"{node.name} ({node.address})" for node in spare)
        out.print(f"  spare nodes: {names}: add them to inventory.py to use them")
    out.print()
    out.print(_table(lab))
    return plan


def _suggest_next(plan: Plan) -> None:
    last = [node for node in plan.nodes if not node.spare][-1]
    python = python_command()
    out.print("\nNext:")
    out.print(f"  {python} -m lab run -- pyinfra inventory.py deploys/cluster.py")
    out.print(f"  {python} -m lab shell {last.name}")
    out.print(f"  {python} -m lab down")


def _foreground(lab: Lab, argv: Sequence[str]) -> int:
    """Run a command as the operator, on this terminal; return its exit status."""
    done = subprocess.run(
        lab.operator_command(argv),
        env=lab.operator_environment(),
        cwd=lab.project,
        check=False,
    )
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _run_command(lab: Lab, argv: Sequence[str]) -> int:
    command = list(argv[1:] if argv[:1] == ["--"] else argv)
    if not command:
        raise LabError(messages.NO_COMMAND())
    if not shutil.which(command[0], path=lab.operator_environment()["PATH"]):
        raise LabError(messages.COMMAND(command=command[0]))
    return _foreground(lab, command)


def _dispatch(lab: Lab, arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "up":
            _suggest_next(_up(lab, arguments.workers))
        case "demo":
            _up(lab)
            return demo(lab, out, lambda argv: _foreground(lab, argv))
        case "down":
            with _progress("stopping the lab"):
                lab.down()
            out.print(f"lab {lab.name} is down")
        case "status":
            out.print(_table(lab))
        case "shell":
            return _foreground(lab, lab.ssh_command(arguments.node))
        case "run":
            return _run_command(lab, arguments.argv)
        case "fresh":
            with _progress(f"fresh {arguments.node}"):
                lab.fresh(arguments.node, arguments.card)
            out.print(_table(lab))
        case "cut" | "mend":
            getattr(lab, arguments.command)(arguments.node, arguments.interface)
            out.print(_table(lab))
        case _:
            with _progress(f"{arguments.command} {arguments.node}"):
                getattr(lab, arguments.command.replace("-", "_"))(arguments.node)
            out.print(_table(lab))
    return 0


def main() -> int:
    """Run a command as root; an error is one line on standard error, and exit status 1."""
    arguments = _parser().parse_args()
    try:
        host.require_root(sys.argv[1:])
        return _dispatch(Lab(Path.cwd()), arguments)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("lab: interrupted. Run `python -m lab down` to clean up.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os._exit(1)
    return 1


if __name__ == "__main__":
    sys.exit(main())
