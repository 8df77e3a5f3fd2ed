"""What all programs of the stand-in share: paths, versions, templates, Go's way of printing."""

from __future__ import annotations

import json
import os
import re
import string
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

Obj = dict[str, Any]

TEMPLATES = Path(__file__).parent / "templates"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TEXTS: dict[str, str] = yaml.load((TEMPLATES / "texts.yaml").read_text(), LOADER)
# Written into the package when its .deb is built.
VERSION_FILE = Path(__file__).parent / "VERSION"
NUMBER = VERSION_FILE.read_text().strip() if VERSION_FILE.is_file() else "1.36.4"
MINOR = int(NUMBER.split(".")[1])
# Build metadata (semver.org, item 10): visible, and ignored by whoever compares versions.
VERSION = f"v{NUMBER}+stand-in"

CRI_SOCKET = "unix:///var/run/containerd/containerd.sock"
TOKEN = re.compile(r"\A([a-z0-9]{6})\.([a-z0-9]{16})\Z")
SYSTEM = "kube-system"
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


class Fatal(Exception):
    """End the command with status 1, after `error: ` and this text on stderr."""


def flags_of(arguments: list[str]) -> dict[str, str]:
    """Return flags, `--name=value`, by name."""
    return {name: value for name, _, value in (one.lstrip("-").partition("=") for one in arguments)}


def root(path: str) -> Path:
    """Return where `path` is: below $STANDIN_ROOT in tests, itself on a node."""
    return Path(os.environ.get("STANDIN_ROOT", "/")) / path.lstrip("/")


def say(text: str = "") -> None:
    """Print a line on stdout, unbuffered: callers show progress from it."""
    print(text, flush=True)


def klog(level: str, place: str, text: str) -> None:
    """Print a line on stderr as klog does: `W1123 07:15:54.334241 3960 file.go:1] …`."""
    now = datetime.now().strftime("%m%d %H:%M:%S.%f")
    line = f"{level}{now} {threading.get_native_id():7d} {place}] {text}"
    print(line, file=sys.stderr, flush=True)


def write(path: str, text: str | bytes, mode: int = 0o644) -> None:
    """Write a file as Go's os.WriteFile does: in place, the mode for new files only."""
    where = root(path)
    where.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file so that a power cut leaves either the old or the new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def template(file: str, **values: str) -> list[Obj]:
    """Return the YAML documents of a template, its `${name}` filled in."""
    content = (TEMPLATES / f"{file}.yaml").read_text()
    return list(yaml.load_all(string.Template(content).substitute(values), LOADER))


def filled(given: Any, default: Any) -> Any:
    """Return what is given, with defaults where nothing is."""
    if isinstance(default, dict):
        given = given or {}
        return given | {name: filled(given.get(name), one) for name, one in default.items()}
    return default if given in (None, "") else given


def text(key: str, /, **values: object) -> str:
    """Return one of the recorded texts (templates/texts.yaml), its `{name}` filled in."""
    return TEXTS[key].format(**values)


def tell(key: str, /, **values: object) -> None:
    """Print one of the recorded texts."""
    say(text(key, **values))


def print_json(kind: str, content: Obj) -> None:
    """Print a document of kubeadm's `-o json`."""
    about = {"kind": kind, "apiVersion": "output.kubeadm.k8s.io/v1alpha3"}
    say(json.dumps(about | content, indent=4))


def quote(text: str) -> str:
    """Return a string as Go's %q does."""
    return json.dumps(text, ensure_ascii=False)


def now() -> datetime:
    """Return the time in whole seconds, as Kubernetes stores it."""
    return datetime.now(UTC).replace(microsecond=0)


def stamp(moment: datetime | None = None, micro: bool = False) -> str:
    """Return RFC 3339 as in the API: `2026-11-23T07:12:04Z`, or with microseconds (Lease)."""
    moment = moment or datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Return the time of a stamp."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def lookup(content: Obj, path: str) -> Any:
    """Return what stands at a path, `status.phase`; None when nothing does."""
    value: Any = content
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def condition(content: Obj, kind: str) -> Obj:
    """Return one of status.conditions, {} when absent."""
    listed = lookup(content, "status.conditions") or []
    return next((one for one in listed if one["type"] == kind), {})


def new_condition(content: Obj, kind: str, is_true: bool, **more: str) -> Obj:
    """Return a condition for an object's status; it keeps the time of its last change."""
    before, status = condition(content, kind), "True" if is_true else "False"
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {"type": kind, "status": status, "lastTransitionTime": since or stamp()} | more


def is_ready(content: Obj) -> bool:
    """Whether a node or a pod is Ready."""
    return bool(condition(content, "Ready").get("status") == "True")


def duration(text: str) -> timedelta:
    """Read a duration of Go's, `24h0m0s`; Fatal with Go's message when it is none."""
    if text == "0":
        return timedelta()
    parts = re.findall(r"(\d+(?:\.\d*)?)(ms|us|µs|ns|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Fatal(f"time: invalid duration {quote(text)}")
    return timedelta(seconds=sum(float(number) * UNITS[unit] for number, unit in parts))
