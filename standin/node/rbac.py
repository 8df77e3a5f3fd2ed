"""
Who is asking, and whether it may: client certificates, bootstrap tokens, role-based access control.

Source: kubernetes.io, "Authenticating" and "Using RBAC Authorization".
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Any

from .addons import secret_text
from .common import SYSTEM, TOKEN, Obj, moment, now
from .resources import BY_KEY, RBAC
from .store import Store

ROLES, BINDINGS, CLUSTER_ROLES, CLUSTER_BINDINGS = (
    BY_KEY[f"{one}.{RBAC}"]
    for one in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
)
ACCOUNT = "system:serviceaccount:"


@dataclass
class User:
    """Who a request comes from: `system:node:node2`, with the groups that it is in."""

    name: str
    groups: list[str] = field(default_factory=list)


ANONYMOUS = User("system:anonymous", ["system:unauthenticated"])


@dataclass
class Question:
    """What a request wants; resource: `nodes/status`, empty for a path outside the API."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def from_certificate(certificate: Any) -> User:
    """Return the user of a verified certificate (ssl's getpeercert): its CN; each O is a group."""
    names = [one for group in certificate.get("subject", ()) for one in group]
    common = next((value for name, value in names if name == "commonName"), "")
    groups = [value for name, value in names if name == "organizationName"]
    return User(common, [*groups, "system:authenticated"])


def acting_as(user: User, account: str) -> User:
    """Return the service account that a node's request is made for: its pods have no tokens."""
    if account.startswith(ACCOUNT) and "system:nodes" in user.groups:
        return User(account, ["system:serviceaccounts", "system:authenticated"])
    return user


def is_expired(secret: Obj) -> bool:
    """Whether a bootstrap token's time is over."""
    until = secret_text(secret, "expiration")
    return bool(until) and moment(until) <= now()


def from_token(store: Store, token: str) -> User | None:
    """Return the user of a bootstrap token that is meant for authentication and has not expired."""
    match = TOKEN.match(token)
    if not match:
        return None
    secret = store.get(BY_KEY["secrets"], SYSTEM, f"bootstrap-token-{match[1]}") or {}
    is_meant = secret_text(secret, "usage-bootstrap-authentication") == "true"
    is_right = hmac.compare_digest(secret_text(secret, "token-secret"), match[2])
    if not is_meant or not is_right or is_expired(secret):
        return None
    extra = [one for one in secret_text(secret, "auth-extra-groups").split(",") if one]
    groups = ["system:bootstrappers", *extra, "system:authenticated"]
    return User(f"system:bootstrap:{match[1]}", groups)


def _allows(rule: Obj, asked: Question) -> bool:
    def has(part: str, wanted: str) -> bool:
        return bool({"*", wanted} & set(rule.get(part, [])))

    if not has("verbs", asked.verb):
        return False
    if not asked.resource:
        return any(
            one == asked.path or (one.endswith("*") and asked.path.startswith(one[:-1]))
            for one in rule.get("nonResourceURLs", [])
        )
    is_named = asked.name in rule.get("resourceNames", [asked.name])
    return is_named and has("apiGroups", asked.group) and has("resources", asked.resource)


def _concerns(binding: Obj, user: User) -> bool:
    for one in binding.get("subjects") or []:
        name = one["name"]
        if one["kind"] == "ServiceAccount":
            name = f"{ACCOUNT}{one['namespace']}:{name}"
        if name in (user.groups if one["kind"] == "Group" else [user.name]):
            return True
    return False


def allowed(store: Store, user: User, asked: Question) -> bool:
    """Whether a user may do what is asked."""
    if "system:masters" in user.groups:
        return True
    bindings = store.peek(CLUSTER_BINDINGS)
    bindings += store.peek(BINDINGS, asked.namespace) if asked.namespace else []
    for binding in bindings:
        if _concerns(binding, user):
            reference = binding["roleRef"]
            is_wide = reference["kind"] == "ClusterRole"
            resource, namespace = (CLUSTER_ROLES, "") if is_wide else (ROLES, asked.namespace)
            role = store.get(resource, namespace, reference["name"]) or {}
            if any(_allows(rule, asked) for rule in role.get("rules") or []):
                return True
    return False


def refusal(user: User, asked: Question) -> str:
    """Return the API server's text for a 403."""
    if not asked.resource:
        return f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    plural = asked.resource.partition("/")[0]
    shown = f"{plural}.{asked.group}" if asked.group else plural
    shown += f' "{asked.name}"' if asked.name else ""
    what = f'resource "{asked.resource}" in API group "{asked.group}" {where}'
    text = f'{shown} is forbidden: User "{user.name}" cannot {asked.verb} {what}'
    if "system:nodes" in user.groups and plural == "nodes":
        name = user.name.rpartition(":")[2]
        text += f": node '{name}' cannot read all nodes, only its own Node object"
    return text
