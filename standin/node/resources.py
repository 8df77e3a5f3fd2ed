"""
The resources that the stand-in API server has, and their discovery documents.

Source: the Kubernetes API reference; discovery in its classic form, and of OpenAPI v3 only what
kubectl asks it for: whether a kind's PATCH knows `fieldValidation` and `dryRun`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .common import VERSION, Obj, template


@dataclass(frozen=True)
class Resource:
    """One resource: of `apps/v1`, `daemonsets`, `DaemonSet`, in a namespace, `ds`, `status`."""

    api_version: str
    plural: str
    kind: str
    namespaced: bool
    short: str
    sub: tuple[str, ...]

    @property
    def group(self) -> str:
        """Its API group, "" for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def key(self) -> str:
        """How it is stored and named in messages: `nodes`, `daemonsets.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def prefix(self) -> str:
        """Its path's beginning."""
        return f"/{'apis' if self.group else 'api'}/{self.api_version}"


RBAC = "rbac.authorization.k8s.io"
RESOURCES = [
    Resource(version, name, one["kind"], "n" in one, one.get("short", ""), one.get("sub", ()))
    for version, several in template("resources")[0].items()
    for name, one in several.items()
]
BY_PATH = {(one.api_version, one.plural): one for one in RESOURCES}
BY_KEY = {one.key: one for one in RESOURCES}
BY_KIND = {(one.api_version, one.kind): one for one in RESOURCES}
GROUP_VERSIONS = sorted({one.api_version for one in RESOURCES if one.group})
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def path_of(content: Obj) -> str:
    """Return the path of an object's collection."""
    resource = BY_KIND[(content["apiVersion"], content["kind"])]
    namespace = content["metadata"].get("namespace")
    where = f"/namespaces/{namespace}" if resource.namespaced else ""
    return f"{resource.prefix}{where}/{resource.plural}"


def version(running: str = VERSION) -> Obj:
    """Return the document of /version; running: `v1.36.4+stand-in`."""
    major, minor = running[1:].split(".")[:2]
    numbers = {"major": major, "minor": minor, "gitVersion": running}
    return numbers | {"gitCommit": "stand-in", "gitTreeState": "clean", "platform": "linux"}


def _resource_list(api_version: str) -> Obj:
    listed: list[Obj] = []
    for one in RESOURCES:
        if one.api_version != api_version:
            continue
        about = {"namespaced": one.namespaced, "kind": one.kind}
        own = about | {"name": one.plural, "singularName": one.kind.lower()}
        listed.append(own | {"verbs": VERBS, "shortNames": [one.short] if one.short else []})
        for sub in one.sub:
            entry = about | {"name": f"{one.plural}/{sub}", "singularName": "", "verbs": ["get"]}
            if sub == "eviction":
                entry |= {"group": "policy", "version": "v1", "kind": "Eviction"}
            listed.append(entry | {"verbs": ["create"] if sub == "eviction" else ["get", "patch"]})
    about = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version}
    return about | {"resources": listed}


def _openapi(name: str) -> Obj:
    """Return the OpenAPI document of `api/v1`, `apis/apps/v1`: one PATCH a kind."""
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [{"name": one, "in": "query", "schema": {"type": "string"}} for one in names]
    paths: Obj = {}
    for one in RESOURCES:
        if one.prefix == f"/{name}":
            scope = "/namespaces/{namespace}" if one.namespaced else ""
            number = one.api_version.rpartition("/")[2]
            kind = {"group": one.group, "version": number, "kind": one.kind}
            about = {"parameters": parameters, "x-kubernetes-group-version-kind": kind}
            patch = about | {"responses": {}, "x-kubernetes-action": "patch"}
            paths[f"{one.prefix}{scope}/{one.plural}/{{name}}"] = {"patch": patch}
    info = {"title": "stand-in", "version": VERSION}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}


def document(path: str, running: str) -> Obj | None:
    """Return what stands at a path outside the resources, None when nothing does."""
    groups = []
    for own in GROUP_VERSIONS:  # each group has one version
        name, _, number = own.partition("/")
        version_of = {"groupVersion": own, "version": number}
        about = {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [version_of]}
        groups.append(about | {"preferredVersion": version_of})
    names = ["api/v1", *(f"apis/{one}" for one in GROUP_VERSIONS)]
    own = path.strip("/")
    if own in names:
        return _resource_list(own.partition("/")[2])
    if own.removeprefix("openapi/v3/") in names:
        return _openapi(own.removeprefix("openapi/v3/"))
    urls = {one: {"serverRelativeURL": f"/openapi/v3/{one}?hash=stand-in"} for one in names}
    return {
        "version": version(running),
        "api": {"kind": "APIVersions", "versions": ["v1"]},
        "apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        "openapi/v3": {"paths": urls},
    }.get(own)
