"""
A request to the API: what it names, what it selects, and the errors that answer it.

Source: kubernetes.io, "Kubernetes API Concepts".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from . import rbac
from .common import Obj
from .resources import BY_PATH, Resource

PATH = re.compile(
    r"(?:/api/(?P<core>v1)|/apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]+(?:/|$))(?!/(?:status|finalize)$))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?"
)


REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
}


class Problem(Exception):
    """An answer that is an error; kind overrides the reason that goes with the status."""

    def __init__(
        self, status: int, message: str, reason: str = "", details: Obj | None = None
    ) -> None:
        self.status, self.details = status, details or {}
        self.reason = reason or REASONS.get(status, "InternalError")
        super().__init__(message)

    def body(self) -> Obj:
        """The Status object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "details": self.details,
            "code": self.status,
        }


@dataclass
class Target:
    """What a path names."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    sub: str = ""


@dataclass
class Request:
    """One request, decoded."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    accept: str = ""
    content_type: str = "application/json"
    body: bytes = b""
    user: rbac.User = field(default_factory=lambda: rbac.ANONYMOUS)


def target(path: str) -> Target:
    """Problem 404 when the path names no resource."""
    match = PATH.fullmatch(path)
    resource = (
        BY_PATH.get((match["group"] or "", match["core"] or match["version"], match["plural"]))
        if match
        else None
    )
    if match is None or resource is None or (match["sub"] and match["sub"] not in resource.sub):
        raise Problem(404, "the server could not find the requested resource")
    return Target(resource, match["namespace"] or "", match["name"] or "", match["sub"] or "")


def verb(request: Request, what: Target) -> str:
    """The RBAC verb."""
    if request.method == "GET":
        if "watch" in request.query and request.query["watch"] not in ("0", "false"):
            return "watch"
        return "get" if what.name else "list"
    if request.method == "DELETE":
        return "delete" if what.name else "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(
        request.method, request.method.lower()
    )


def _lookup(content: Obj, path: str) -> str:
    value: Any = content
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _label_matches(labels: Obj, term: str) -> bool:
    if match := re.fullmatch(r"\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*", term):
        wanted = [one.strip() for one in match[3].split(",")]
        inside = match[1] in labels and labels[match[1]] in wanted
        return inside if match[2] == "in" else not inside
    if match := re.fullmatch(r"\s*([^=!\s]+)\s*(==?|!=)\s*(\S*)\s*", term):
        return (labels.get(match[1]) == match[3]) != (match[2] == "!=")
    term = term.strip()
    return term[1:] not in labels if term.startswith("!") else term in labels


def matches(content: Obj, query: dict[str, str]) -> bool:
    """Whether an object fits labelSelector and fieldSelector."""
    labels = content["metadata"].get("labels") or {}
    chosen = query.get("labelSelector", "")
    if not all(_label_matches(labels, term) for term in re.split(r",(?![^(]*\))", chosen) if term):
        return False
    for term in query.get("fieldSelector", "").split(","):
        match = re.fullmatch(r"([^=!]+)(==?|!=)(.*)", term)
        if match and (_lookup(content, match[1]) == match[3]) == (match[2] == "!="):
            return False
    return True
