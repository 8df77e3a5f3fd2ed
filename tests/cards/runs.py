"""`deploys/sdcard.py` run as a person runs it, and cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab.waiting import until

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*arguments: str, **data: object) -> list[str]:
    """The command line of a run, with nobody at the keyboard unless the arguments say so."""
    pairs = [word for name, value in data.items() for word in ("--data", f"{name}={value}")]
    return [sys.executable, "-m", "pyinfra", "@local", "deploys/sdcard.py", *arguments, *pairs]


def run(
    project: Path, *arguments: str, keyboard: int = subprocess.DEVNULL, **data: object
) -> subprocess.CompletedProcess[str]:
    """Run it to its end: what it ended with, and all that a person saw."""
    done = subprocess.run(
        command(*(arguments or ("-y",)), **data),
        cwd=project,
        stdin=keyboard,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout)
    assert "Traceback" not in done.stdout
    return done


def cut(project: Path, when: Callable[[], bool], **card: object) -> None:
    """
    Kill a run, and all that it has started, at that moment.

    Whoever looks for the moment comes before the run wherever both want the processor.
    """
    run = subprocess.Popen(
        ["nice", "-n", "19", *command("-y", **card)],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    came = until(lambda: when() or run.poll() is not None, pause=0.0005)
    assert run.poll() is None, "it ended before that moment"
    os.killpg(run.pid, signal.SIGKILL)
    assert came, "that moment never came"
    run.wait()


def reads_the_keyboard(pid: int) -> bool:
    """Whether the kernel has it waiting in a system call on its standard input (proc(5))."""
    call = Path(f"/proc/{pid}/syscall").read_text().split()
    return len(call) > 2 and call[1] == "0x0"


def interrupt(project: Path, question: str, *arguments: str, **card: object) -> tuple[int, str]:
    """Ctrl-C at a question: the exit status, and all that a person saw."""
    master, slave = os.openpty()
    run = subprocess.Popen(
        command(*arguments, **card),
        cwd=project,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    os.close(slave)
    assert run.stdout
    said = b""
    try:
        while question.encode() not in said:
            more = os.read(run.stdout.fileno(), 4096)
            assert more, f"it ended before that question: {said.decode()}"
            said += more
        # Just before it reads, Python would see the signal only once it has read.
        assert until(lambda: reads_the_keyboard(run.pid)), said
        run.send_signal(signal.SIGINT)
        rest, _ = run.communicate()
    finally:
        run.kill()
        os.close(master)
    return run.returncode, (said + rest).decode()
