"""
What kubeadm prints, as recorded from 1.35 and 1.36: preflight's ``[ERROR Name]: message`` lines,
the final ``error: …``, and its JSON (output.kubeadm.k8s.io/v1alpha3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Literal

from formats.unreadable import reading

# gRPC's answer of a containerd that runs and has not loaded its CRI plugin.
NO_CRI = "unknown service runtime.v1.RuntimeService"
_PROBLEM = re.compile(r"^\s*\[(ERROR|WARNING) ([^\]]+)\]: (.*)$")
_TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")
_BEGINS = re.compile(r"^\[([a-z-]+)\] ")
# A greeting, a side effect, and a phase that does nothing without an option.
_NO_PHASE = ("init", "patches", "upload-certs")
_PHASE = re.compile(r"^error: (?:error execution phase [-/a-z]+: *)?(.*)$")


@dataclass(frozen=True)
class Problem:
    """A line of preflight: its kind, the check's name and what it says."""

    kind: Literal["ERROR", "WARNING"]
    name: str
    message: str


@dataclass(frozen=True)
class Token:
    """A bootstrap token as ``kubeadm token list`` shows it, without its secret half."""

    identity: str
    description: str
    expires: datetime | None


def problems(lines: Iterable[str]) -> list[Problem]:
    """The preflight checks that complained, in their order."""
    found = []
    for line in lines:
        match = _PROBLEM.match(line)
        if match:
            kind: Literal["ERROR", "WARNING"] = "ERROR" if match[1] == "ERROR" else "WARNING"
            found.append(Problem(kind, match[2], match[3].strip()))
    return found


def tokens(text: str) -> list[Token]:
    """
    ``kubeadm token list -o json``: a stream of JSON objects, not a list.

    Like its others it may come behind lines of text.
    """
    decoder = json.JSONDecoder()
    found = []
    with reading("this is not what `kubeadm token list -o json` prints"):
        text = _json(text)
        while text := text.strip():
            entry, end = decoder.raw_decode(text)
            text = text[end:]
            expires = entry.get("expires")
            found.append(
                Token(
                    entry["token"].partition(".")[0],
                    str(entry.get("description") or ""),
                    datetime.fromisoformat(expires) if expires else None,
                )
            )
    return found


def expirations(text: str) -> dict[str, datetime]:
    """``kubeadm certs check-expiration -o json``, which may print lines before its JSON."""
    with reading("this is not what `kubeadm certs check-expiration -o json` prints"):
        document = json.loads(_json(text))
        lists = (document.get(key) or [] for key in ("certificates", "certificateAuthorities"))
        return {
            str(entry["name"]): datetime.fromisoformat(entry["expirationDate"])
            for entry in chain(*lists)
            if not entry.get("missing")
        }


def _json(text: str) -> str:
    """What begins with the first line that an object begins; all of it where none does."""
    start = re.search(r"^\s*\{", text, re.MULTILINE)
    return text[start.start() :] if start else text


def phase(line: str) -> str | None:
    """The phase that a line of output belongs to: "certs" of ``[certs] Generating …``."""
    match = _BEGINS.match(line)
    return match[1] if match and match[1] not in _NO_PHASE else None


def masked(line: str) -> str:
    """The line without any bootstrap token in it."""
    return _TOKEN.sub("******.****************", line)


def explained(lines: Iterable[str]) -> list[str]:
    """
    Why kubeadm failed, for a person: one line for each cause, what to do with it.

    Falls back on kubeadm's own last line.
    """

    lines = [masked(line) for line in lines]
    errors = [problem for problem in problems(lines) if problem.kind == "ERROR"]
    pulls = [problem for problem in errors if problem.name == "ImagePull"]
    causes = [_preflight(problem) for problem in errors if problem.name != "ImagePull"]
    if pulls:
        causes.append(_pull(pulls[0].message, len(pulls)))
    if causes:
        return list(dict.fromkeys(causes))
    for line in reversed(lines):
        match = _PHASE.match(line)
        if match and match[1]:
            return [_failure(match[1])]
    return [next((line for line in reversed(lines) if line.strip()), "kubeadm said nothing")]


def _preflight(problem: Problem) -> str:
    name, message = problem.name, problem.message
    if name.startswith("Port-"):
        port = name.removeprefix("Port-")
        return f"port {port} is taken: `ss -ltnp 'sport = :{port}'` shows by what"
    if name.startswith(("FileAvailable-", "DirAvailable-")):
        return f"{message}: it is left from an earlier cluster (`kubeadm reset` removes it)"
    if name.startswith("FileExisting-"):
        return f"the program {name.removeprefix('FileExisting-')} is not installed"
    if name in ("NumCPU", "Mem"):
        return f'{message}; ignore_preflight_errors = ["{name}"] goes on all the same'
    if NO_CRI in message:
        return (
            "containerd answers, without the interface that Kubernetes asks (CRI): "
            "deploys/runtime.py says why, and starts it again"
        )
    if name == "CRI" or (name == "ContainerRuntimeVersion" and "could not connect" in message):
        return "containerd does not answer at its socket: look at `systemctl status containerd`"
    if name == "FileContent--proc-sys-net-ipv4-ip_forward":
        return "IP forwarding is off (net.ipv4.ip_forward is not 1)"
    if name.startswith("FileContent-"):
        return message
    if name == "SystemVerification" and "missing" in message and "memory" in message:
        return (
            "the memory cgroup is off: cgroup_enable=memory belongs into cmdline.txt, then a reboot"
        )
    return f"{message} [{name}]"


def _pull(message: str, count: int) -> str:
    image = re.search(r"failed to pull image \"?([^\s\":]+:[^\s\":]+)", message)
    # The last part of Go's nested errors is the cause.
    cause = message.rsplit(": ", 1)[-1]
    first = image[1] if image else "an image"
    others = f" and {count - 1} more" if count > 1 else ""
    return f"could not pull {first}{others}: {cause}"


def _failure(message: str) -> str:
    if "could not find a JWS signature" in message:
        return "the cluster does not know the join token (it may have expired): run this again"
    if "failed to request the cluster-info ConfigMap" in message:
        where = re.search(r"https://([^/\"]+)", message)
        cause = message.rsplit(": ", 1)[-1]
        server = where[1] if where else "the control plane"
        if "x509" in message:
            cause = message[message.index("x509") :]
        else:
            cause += (
                ": see that the control plane is on, its kubelet at work, and that nothing between "
                "(cable, firewall) keeps this node from it, then run this again"
            )
        return f"the API server at {server} can't be reached from here: {cause}"
    if "failed to verify JWS signature" in message:
        return "the API server that answered does not know the join token: is it another cluster?"
    if "cluster CA found in cluster-info ConfigMap is invalid" in message:
        return (
            "the API server that answered belongs to another cluster (its CA is not the control "
            "plane's)"
        )
    match = re.search(r'a Node with name "([^"]+)" and status "Ready" already exists', message)
    if match:
        return node_is_there(match[1])
    if "could not bootstrap the admin user" in message:
        return "the API server did not start in time"
    match = re.search(r'failed to pull image "([^"]+)"', message)
    if match:
        return _pull(f"failed to pull image {match[1]}: {message}", 1)
    return message


def node_is_there(name: str) -> str:
    """Why a board can't join under a name that the cluster holds for Ready."""
    return (
        f"the cluster already has a Ready node {name}, which this board no longer is: "
        f"`kubectl delete node {name}` (or wait until it is NotReady), then run this again"
    )
