"""
Parse what kubeadm prints, as recorded from 1.35 and 1.36: preflight's ``[ERROR Name]: message``
lines, and the final ``error: …``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from formats.unreadable import reading
from messages import Said
from messages import kubernetes as messages

# The gRPC answer of a containerd that has not loaded its CRI plugin.
NO_CRI = "unknown service runtime.v1.RuntimeService"
# The packages of the programs that kubeadm looks for, where they have another name.
_PACKAGES = {"ip": "iproute2", "tc": "iproute2", "nsenter": "util-linux", "touch": "coreutils"}
_PROBLEM = re.compile(r"^\s*\[(ERROR|WARNING) ([^\]]+)\]: (.*)$")
_TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")
_BEGINS = re.compile(r"^\[([a-z/-]+)\] (?!Skipping )")
# A static pod takes a minute to be replaced, so each is shown.
_COMPONENT = re.compile(r'^\[upgrade/staticpods\] Preparing for "([a-z-]+)" upgrade')
# A greeting and side effects: not shown.
_NO_PHASE = ("init", "patches", "upgrade", "upgrade/staticpods", "apiclient")
_PHASE = re.compile(r"^error: (?:error execution phase [-/a-z]+: *)?(.*)$")


@dataclass(frozen=True)
class Problem:
    """A line of preflight: its kind, the name of the check, and the message."""

    kind: Literal["ERROR", "WARNING"]
    name: str
    message: str


def problems(lines: Iterable[str]) -> list[Problem]:
    """Return the errors and warnings of preflight, in their order."""
    found = []
    for line in lines:
        match = _PROBLEM.match(line)
        if match:
            kind: Literal["ERROR", "WARNING"] = "ERROR" if match[1] == "ERROR" else "WARNING"
            found.append(Problem(kind, match[2], match[3].strip()))
    return found


def phase(line: str) -> str | None:
    """Return the phase that a line of output belongs to: "certs" of ``[certs] Generating …``."""
    if component := _COMPONENT.match(line):
        return f"upgrade of {component[1]}"
    match = _BEGINS.match(line)
    return match[1] if match and match[1] not in _NO_PHASE else None


def upgrade_plan(text: str) -> list[tuple[str, str, str, str]]:
    """
    Read ``kubeadm upgrade plan -o json``: component, node ("" for all), current and new version.

    + text: what it prints; nothing when there is nothing to upgrade
    + raises ``Unreadable``
    """
    found = []
    with reading("not the JSON of kubeadm upgrade plan"):
        for upgrade in json.loads(text)["availableUpgrades"] if text.strip() else []:
            for one in upgrade["components"]:
                versions = (one["currentVersion"], one["newVersion"])
                found.append((one["name"], one.get("nodeName", ""), *versions))
    return found


def masked(line: str) -> str:
    """Return the line with its bootstrap tokens replaced by asterisks."""
    return _TOKEN.sub("******.****************", line)


def causes(lines: Iterable[str]) -> list[Said]:
    """
    Explain why kubeadm failed: a message for each cause.

    Falls back on kubeadm's own last line.
    """
    lines = [masked(line) for line in lines]
    errors = [problem for problem in problems(lines) if problem.kind == "ERROR"]
    pulls = [problem for problem in errors if problem.name == "ImagePull"]
    found = [_preflight(problem) for problem in errors if problem.name != "ImagePull"]
    if pulls:
        found.append(_pull(pulls[0].message, len(pulls)))
    if found:
        return list(dict.fromkeys(found))
    for line in reversed(lines):
        match = _PHASE.match(line)
        if match and match[1]:
            return [_failure(match[1])]
    last = next((line for line in reversed(lines) if line.strip()), "kubeadm printed no reason")
    return [messages.KUBEADM_ERROR(problem=last)]


def _preflight(problem: Problem) -> Said:
    name, text = problem.name, problem.message
    if name.startswith("Port-"):
        return messages.PORT_TAKEN(port=name.removeprefix("Port-"))
    if name.startswith(("FileAvailable-", "DirAvailable-")):
        return messages.EARLIER_CLUSTER(problem=text)
    if name.startswith("FileExisting-"):
        program = name.removeprefix("FileExisting-")
        package = _PACKAGES.get(program, program)
        return messages.PROGRAM_MISSING(name=program, package=package)
    if name in ("NumCPU", "Mem"):
        return messages.TOO_SMALL(problem=text, check=name)
    if NO_CRI in text:
        return messages.NO_CRI()
    if name == "CRI" or (name == "ContainerRuntimeVersion" and "could not connect" in text):
        return messages.CONTAINERD_SILENT()
    if name == "FileContent--proc-sys-net-ipv4-ip_forward":
        return messages.IP_FORWARDING_OFF()
    if name == "SystemVerification" and "missing" in text and "memory" in text:
        return messages.CGROUP_OFF()
    return messages.PREFLIGHT_FAILED(check=name, problem=text)


def _pull(message: str, count: int) -> Said:
    image = re.search(r'failed to pull image "?([^\s"]+?)"?: ', message)
    # The last part of Go's nested errors is the cause.
    cause = message.rsplit(": ", 1)[-1]
    others = f" and {count - 1} more" if count > 1 else ""
    first = image[1] if image else "an image"
    return messages.IMAGE_NOT_PULLED(image=first, others=others, reason=cause)


def _failure(message: str) -> Said:
    if "could not find a JWS signature" in message:
        return messages.TOKEN_UNKNOWN()
    if "failed to request the cluster-info ConfigMap" in message:
        where = re.search(r"https://([^/\"]+)", message)
        server = where[1] if where else "the control plane"
        if "x509" in message:
            reason = message[message.index("x509") :]
            return messages.API_UNTRUSTED(server=server, reason=reason)
        return messages.API_UNREACHABLE(server=server, reason=message.rsplit(": ", 1)[-1])
    if "failed to verify JWS signature" in message:
        return messages.TOKEN_REJECTED()
    if "cluster CA found in cluster-info ConfigMap is invalid" in message:
        return messages.OTHER_AUTHORITY()
    match = re.search(r'a Node with name "([^"]+)" and status "Ready" already exists', message)
    if match:
        return messages.NODE_EXISTS(name=match[1])
    if "could not bootstrap the admin user" in message:
        return messages.API_NOT_STARTED()
    match = re.search(r'failed to pull image "([^"]+)"', message)
    if match:
        return _pull(f"failed to pull image {match[1]}: {message}", 1)
    return messages.KUBEADM_ERROR(problem=message)
