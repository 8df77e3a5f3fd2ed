"""Recorded answers of a real Kubernetes 1.36, and the stand-in's: what may differ is taken out."""

from __future__ import annotations

import re
from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"
# What depends on the node that it was recorded on: its control groups and its containerd.
OF_THE_NODE = re.compile(
    r"\t\[WARNING |\[preflight\] The system verification failed|(KERNEL_VERSION|OS|CGROUPS_\w+): "
)
# What differs from one cluster to the next, in this order.
VALUES = (
    (r"[EIW]\d{4} [\d:.]+ +\d+ (\S+?):\d+\]", r"LOG \1]"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"[A-Z][a-z]{2} \d\d, \d{4} \d\d:\d\d UTC", "TIME"),
    (r"\d{4}(-\d\d){5}|(?<=manifests)\d{6,}", "TIME"),
    (r"sha256:[0-9a-f]{64}", "sha256:HASH"),
    (r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b", "TOKEN"),
    (r"\+stand-in", ""),
    (r"\bv?1\.36\.\d+", "VERSION"),
    (r"\b(10\.98\.0|192\.168\.2|127\.\d+\.\d+)\.\d+:\d{4,5}\b", "ADDRESS:PORT"),
    (r"\b(10\.98\.0|192\.168\.2|127\.\d+\.\d+)\.\d+\b", "ADDRESS"),
    (r"member [0-9a-f]{13,16}\b", "member NUMBER"),
    (r'"residualTime": \d+', '"residualTime": SECONDS'),
    (r"after [\d.]+(µs|ms|s)", "after DURATION"),
    (r"\b\d+(s|m|m\d+s|h)(?= |$)", "AGE"),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-RANDOM"),
    (r"-[a-f0-9]{8,10}(?=-RANDOM)", "-HASH"),
    (r"timeout reached: \d+s", "timeout reached: AGE"),
    (r"cannot delete (?=cannot delete)", ""),  # said twice by Debian's kubectl, 1.32
    (r" +", " "),
)


def normal(text: str) -> str:
    """Return an answer without what may differ, and without empty lines."""
    for pattern, value in VALUES:
        text = re.sub(pattern, value, text, flags=re.MULTILINE)
    lines = (line.rstrip() for line in text.splitlines() if not OF_THE_NODE.match(line))
    return "\n".join(line for line in lines if line)


def recorded(name: str) -> list[tuple[str, str, int]]:
    """Return the commands of a recording with their answer, stdout and stderr, and status."""
    text = (RECORDED / f"{name}.txt").read_text()
    found = re.findall(r"(?m)^# (.*)\n((?:(?!= ).*\n)*)= (\d+)$", text)
    return [(command, normal(answer), int(status)) for command, answer, status in found]
