"""`kubectl auth can-i` and `kubectl auth whoami`: reviews that are answered and not stored."""

from __future__ import annotations

from . import rbac
from .common import Obj
from .resources import Resource
from .store import Store


def answer(store: Store, user: rbac.User, resource: Resource, content: Obj) -> Obj:
    """A SelfSubjectReview or SelfSubjectAccessReview with its status."""
    if resource.kind == "SelfSubjectReview":
        content["status"] = {"userInfo": {"username": user.name, "groups": user.groups}}
        return content
    wanted = content["spec"].get("resourceAttributes") or {}
    path = (content["spec"].get("nonResourceAttributes") or {}).get("path", "")
    asked = rbac.Question(
        wanted.get("verb", "get"),
        wanted.get("group", ""),
        wanted.get("resource", ""),
        wanted.get("namespace", ""),
        wanted.get("name", ""),
        path,
    )
    content["status"] = {"allowed": rbac.allowed(store, user, asked)}
    return content
