"""
What every stand-in shares: where files are, which version this is, Go's way of printing things.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Obj = dict[str, Any]

VERSION_FILE = Path(__file__).parent / "VERSION"
# The package's version, "1.36.4"; the file is written when the .deb is built.
NUMBER = VERSION_FILE.read_text().strip() if VERSION_FILE.is_file() else "1.36.4"
MAJOR, MINOR, PATCH = (int(part) for part in NUMBER.split("."))
# Build metadata (semver.org, item 10): visible, and ignored by whoever compares versions.
VERSION = f"v{NUMBER}+stand-in"

CRI_SOCKET = "unix:///var/run/containerd/containerd.sock"
TOKEN = re.compile(r"\A([a-z0-9]{6})\.([a-z0-9]{16})\Z")
SYSTEM = "kube-system"


class Fatal(Exception):
    """Ends the command with status 1, after `error: ` and this text on stderr."""


def root(path: str) -> Path:
    """Where `path` really is: below $STANDIN_ROOT in tests, itself on a node."""
    return Path(os.environ.get("STANDIN_ROOT", "/")) / path.lstrip("/")


def say(text: str = "") -> None:
    """A line on stdout, at once: whoever drives kubeadm shows progress from it."""
    print(text, flush=True)


def klog(level: str, place: str, text: str) -> None:
    """
    A line of Kubernetes' logging library on stderr: `W1123 07:15:54.334241    3960 file.go:100] …`
    """
    stamp = datetime.now().strftime("%m%d %H:%M:%S.%f")
    print(
        f"{level}{stamp} {threading.get_native_id():7d} {place}] {text}",
        file=sys.stderr,
        flush=True,
    )


def write(path: str | Path, text: str | bytes, mode: int = 0o644) -> None:
    """Write a file below the root, as Go's os.WriteFile does: in place, mode for new files only."""
    where = root(str(path)) if isinstance(path, str) else path
    where.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode() if isinstance(text, str) else text
    with os.fdopen(os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file so that a power cut leaves either the old or the new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def quote(text: str) -> str:
    """Go's %q, for the texts that occur here."""
    return json.dumps(text, ensure_ascii=False)


def now() -> datetime:
    """The time, in whole seconds, as Kubernetes stores it."""
    return datetime.now(UTC).replace(microsecond=0)


def stamp(moment: datetime | None = None, micro: bool = False) -> str:
    """RFC 3339 as in the API: `2026-11-23T07:12:04Z`, or with microseconds (Lease)."""
    moment = moment or datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """The reverse of `stamp`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def duration(text: str) -> timedelta:
    """Go's time.ParseDuration: `24h0m0s`, `15s`, `0`; Fatal with Go's message otherwise."""
    if text == "0":
        return timedelta()
    parts = re.findall(r"(\d+(?:\.\d*)?)(ms|us|µs|ns|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.lstrip("+-"):
        if re.fullmatch(r"[\d.]+", text):
            raise Fatal(f"time: missing unit in duration {quote(text)}")
        raise Fatal(f"time: invalid duration {quote(text)}")
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


def go_duration(seconds: float) -> str:
    """Go's Duration.String(): 240 → `4m0s`, 0.0011 → `1.1ms`."""
    if seconds == 0:
        return "0s"
    if seconds < 1e-3:
        return f"{round(seconds * 1e6, 3):g}µs"
    if seconds < 1:
        return f"{round(seconds * 1e3, 6):g}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{int(hours)}h" if hours else ""
    text += f"{int(minutes)}m" if hours or minutes else ""
    return text + f"{round(rest, 9):g}s"


def human(seconds: float) -> str:
    """
    kubectl's short age: `59m`, `23h`, `364d`, `9y` (apimachinery's duration.ShortHumanDuration).
    """
    if seconds < 0:
        return "<invalid>"
    for limit, size, unit in (
        (60, 1, "s"),
        (3600, 60, "m"),
        (86400, 3600, "h"),
        (31536000, 86400, "d"),
    ):
        if seconds < limit:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds // 31536000)}y"


def run_main(main: Callable[[list[str]], None], arguments: list[str]) -> int:
    """Call a command's main; errors as kubeadm prints them."""
    try:
        main(arguments)
    except Fatal as error:
        print(f"error: {error}", file=sys.stderr)
        print("To see the stack trace of this error execute with --v=5 or higher", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    return 0
