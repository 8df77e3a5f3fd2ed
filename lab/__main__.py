"""`python -m lab COMMAND`: the lab, for people."""

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

out = Console(highlight=False, soft_wrap=True)

CABLE = (
    "the gateway's {interface} is a cable in disguise: the lab has no radio, and no Pi's firmware"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="Virtual Raspberry Pis on this machine, on a network of their own.",
        epilog="The lab is made from inventory.py and group_data/ in the working directory.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="build, connect and boot what is not there yet")
    up.add_argument("--workers", type=int, metavar="N", help="default: those in inventory.py")
    commands.add_parser("demo", help="up, the whole deploy, and what it has come to")
    commands.add_parser("down", help="end everything; also clears what a crash left")
    commands.add_parser("status", help="the nodes and their states")
    shell = commands.add_parser("shell", help="a shell on a node, over ssh")
    shell.add_argument("node")
    run = commands.add_parser("run", help="a command where the operator is: run -- COMMAND")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    for name, text in (
        ("reboot", "reboot a node, and wait for it"),
        ("power-off", "pull a node's plug"),
        ("power-on", "put it in again"),
    ):
        commands.add_parser(name, help=text).add_argument("node")
    fresh = commands.add_parser("fresh", help="a node as fresh from the card: another first boot")
    fresh.add_argument("node")
    fresh.add_argument(
        "--card", type=Path, metavar="IMAGE", help="start from this image's boot partition"
    )
    for name, text in (("cut", "pull a network cable"), ("mend", "plug it in again")):
        link = commands.add_parser(name, help=text)
        link.add_argument("node")
        link.add_argument("interface", nargs="?", help="default: all of the node's")
    return parser


class _Progress:
    """What is being done now turns below the lines of what is done."""

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
    """Bring the lab up and show what it is."""
    with _progress("bringing the lab up") as progress:
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


def _say_what_next(plan: Plan) -> None:
    last = [node for node in plan.nodes if not node.spare][-1]
    python = python_command()
    out.print("\nNext:")
    out.print(f"  {python} -m lab run -- pyinfra inventory.py deploys/cluster.py")
    out.print(f"  {python} -m lab shell {last.name}")
    out.print(f"  {python} -m lab down")


def _foreground(lab: Lab, argv: Sequence[str]) -> int:
    """Run a command where the operator is, on this terminal; gives its exit status."""
    done = subprocess.run(
        lab.operator_command(argv),
        env=lab.operator_environment(),
        cwd=lab.desk,
        check=False,
    )
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _run_command(lab: Lab, argv: Sequence[str]) -> int:
    command = list(argv[1:] if argv[:1] == ["--"] else argv)
    if not command:
        raise LabError("run what? For example: python -m lab run -- ping -c 1 192.168.1.1")
    if not shutil.which(command[0], path=lab.operator_environment()["PATH"]):
        raise LabError(f"there is no command {command[0]} on this machine")
    return _foreground(lab, command)


def _dispatch(lab: Lab, arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "up":
            _say_what_next(_up(lab, arguments.workers))
        case "demo":
            _up(lab)
            return demo(lab, out, lambda argv: _foreground(lab, argv))
        case "down":
            with _progress("taking the lab down"):
                lab.down()
            out.print(f"the lab ({lab.name}) is down")
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
    """Parse, become root, do it; mistakes are one line on standard error and status 1."""
    arguments = _parser().parse_args()
    try:
        host.require_root(sys.argv[1:])
        return _dispatch(Lab(Path.cwd()), arguments)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("lab: interrupted; `python -m lab down` clears up", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os._exit(1)
    return 1


if __name__ == "__main__":
    sys.exit(main())
