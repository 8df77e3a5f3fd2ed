"""
Who is asking, and whether it may: client certificates, bootstrap tokens, and role-based access
control.

Source: kubernetes.io, "Authenticating" and "Using RBAC Authorization". Of the built-in roles only
those that a kubeadm cluster and its users need are here.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from typing import Any

from .common import SYSTEM, TOKEN, Obj, moment, now
from .resources import BY_KEY, RBAC
from .store import Store

ROLES, BINDINGS = BY_KEY[f"roles.{RBAC}"], BY_KEY[f"rolebindings.{RBAC}"]
CLUSTER_ROLES, CLUSTER_BINDINGS = (
    BY_KEY[f"clusterroles.{RBAC}"],
    BY_KEY[f"clusterrolebindings.{RBAC}"],
)
READ = ["get", "list", "watch"]
# Open to everybody, credentials or not.
PUBLIC = frozenset(("/healthz", "/livez", "/readyz", "/version", "/version/"))


@dataclass
class User:
    """
    Who a request comes from.

    + name: `kubernetes-admin`, `system:node:node2`, `system:bootstrap:abcdef`
    + groups: such as `system:masters`
    """

    name: str
    groups: list[str] = field(default_factory=list)


ANONYMOUS = User("system:anonymous", ["system:unauthenticated"])


@dataclass
class Question:
    """
    What a request wants.

    + verb: get, list, watch, create, update, patch, delete, deletecollection
    + group, resource: `nodes/status` for a subresource; empty for a path outside the API
    + path: the request's path
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def from_certificate(certificate: Any) -> User:
    """The subject of a verified certificate (ssl's getpeercert): CN is the user, each O a group."""
    names = [one for group in certificate.get("subject", ()) for one in group]
    common = next((value for name, value in names if name == "commonName"), "")
    groups = [value for name, value in names if name == "organizationName"]
    return User(common, [*groups, "system:authenticated"])


def secret_text(secret: Obj, name: str) -> str:
    """A value of a Secret's data."""
    return base64.b64decode(secret.get("data", {}).get(name, "")).decode()


def expired(secret: Obj) -> bool:
    """Whether a bootstrap token's time is over."""
    until = secret_text(secret, "expiration")
    return bool(until) and moment(until) <= now()


def from_token(store: Store, token: str) -> User | None:
    """
    The user of a bootstrap token that exists, is meant for authentication and has not expired.
    """
    match = TOKEN.match(token)
    if not match:
        return None
    secret = store.get(BY_KEY["secrets"], SYSTEM, f"bootstrap-token-{match[1]}")
    if (
        secret is None
        or expired(secret)
        or secret_text(secret, "usage-bootstrap-authentication") != "true"
    ):
        return None
    if not hmac.compare_digest(secret_text(secret, "token-secret"), match[2]):
        return None
    extra = [one for one in secret_text(secret, "auth-extra-groups").split(",") if one]
    return User(
        f"system:bootstrap:{match[1]}", ["system:bootstrappers", *extra, "system:authenticated"]
    )


def _rule(groups: str, resources: str, verbs: list[str]) -> Obj:
    return {
        "apiGroups": groups.split(",") if groups != "" else [""],
        "resources": resources.split(),
        "verbs": verbs,
    }


_WORKLOADS = "configmaps endpoints events persistentvolumeclaims pods pods/log services serviceaccounts daemonsets deployments replicasets statefulsets jobs cronjobs ingresses networkpolicies poddisruptionbudgets"
# Name: rules. `system:nodes` stands for the node authorizer, coarsely.
DEFAULT_ROLES: dict[str, list[Obj]] = {
    "cluster-admin": [_rule("*", "*", ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
    "admin": [_rule("*", f"{_WORKLOADS} secrets roles rolebindings", ["*"])],
    "edit": [_rule("*", f"{_WORKLOADS} secrets", ["*"])],
    "view": [_rule("*", f"{_WORKLOADS} namespaces", READ)],
    "system:node": [
        _rule(
            "",
            "nodes pods services configmaps secrets endpoints namespaces persistentvolumeclaims",
            READ,
        ),
        _rule(
            "",
            "nodes nodes/status pods pods/status events",
            ["create", "update", "patch", "delete"],
        ),
        _rule("coordination.k8s.io", "leases", ["*"]),
        _rule("apps", "daemonsets", READ),
        _rule(
            "certificates.k8s.io", "certificatesigningrequests", ["create", "get", "list", "watch"]
        ),
    ],
    "system:node-bootstrapper": [
        _rule(
            "certificates.k8s.io", "certificatesigningrequests", ["create", "get", "list", "watch"]
        )
    ],
    "system:discovery": [
        {
            "nonResourceURLs": [
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/openapi/*",
                "/healthz",
                "/livez",
                "/readyz",
                "/version",
                "/version/",
            ],
            "verbs": ["get"],
        }
    ],
    "system:basic-user": [
        _rule(
            "authorization.k8s.io,authentication.k8s.io",
            "selfsubjectaccessreviews selfsubjectreviews",
            ["create"],
        )
    ],
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": [
        _rule("certificates.k8s.io", "certificatesigningrequests/nodeclient", ["create"])
    ],
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": [
        _rule("certificates.k8s.io", "certificatesigningrequests/selfnodeclient", ["create"])
    ],
    "system:kubelet-api-admin": [_rule("", "nodes nodes/proxy nodes/stats nodes/log", ["*"])],
}
DEFAULT_BINDINGS = {
    "cluster-admin": ("cluster-admin", "system:masters"),
    "system:discovery": ("system:discovery", "system:authenticated"),
    "system:basic-user": ("system:basic-user", "system:authenticated"),
    "system:nodes": ("system:node", "system:nodes"),
    "system:controllers": ("cluster-admin", "system:kube-controller-manager"),
}


def _has(allowed: list[str], wanted: str) -> bool:
    return "*" in allowed or wanted in allowed


def _allows(rule: Obj, asked: Question) -> bool:
    if not _has(rule.get("verbs", []), asked.verb):
        return False
    if not asked.resource:
        urls = rule.get("nonResourceURLs", [])
        return any(
            one == asked.path or (one.endswith("*") and asked.path.startswith(one[:-1]))
            for one in urls
        )
    names = rule.get("resourceNames", [])
    return (
        _has(rule.get("apiGroups", []), asked.group)
        and _has(rule.get("resources", []), asked.resource)
        and (not names or asked.name in names)
    )


def _concerns(binding: Obj, user: User) -> bool:
    return any(
        (one["kind"] == "User" and one["name"] == user.name)
        or (one["kind"] == "Group" and one["name"] in user.groups)
        for one in binding.get("subjects") or []
    )


def allowed(store: Store, user: User, asked: Question) -> bool:
    """Whether `user` may do what is asked."""
    if "system:masters" in user.groups or asked.path in PUBLIC:
        return True
    for binding in store.peek(CLUSTER_BINDINGS):
        if _concerns(binding, user) and _role_allows(store, binding, "", asked):
            return True
    if asked.namespace:
        for binding in store.peek(BINDINGS, asked.namespace):
            if _concerns(binding, user) and _role_allows(store, binding, asked.namespace, asked):
                return True
    return False


def _role_allows(store: Store, binding: Obj, namespace: str, asked: Question) -> bool:
    reference = binding["roleRef"]
    if reference["kind"] == "ClusterRole":
        role = store.get(CLUSTER_ROLES, "", reference["name"])
    else:
        role = store.get(ROLES, namespace, reference["name"])
    return any(_allows(rule, asked) for rule in (role or {}).get("rules") or [])


def refusal(user: User, asked: Question) -> str:
    """The API server's text for a 403."""
    if not asked.resource:
        return f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    plural = asked.resource.partition("/")[0]
    shown = f"{plural}.{asked.group}" if asked.group else plural
    own = f' "{asked.name}"' if asked.name else ""
    return f'{shown}{own} is forbidden: User "{user.name}" cannot {asked.verb} resource "{asked.resource}" in API group "{asked.group}" {where}'
