"""
The resources that the stand-in API server has, and their discovery documents and OpenAPI.

Source: the Kubernetes API reference; discovery in its classic form (APIGroupList, APIResourceList),
and of OpenAPI v3 only what kubectl asks it for: whether a kind's PATCH knows `fieldValidation` and
`dryRun`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .common import MAJOR, MINOR, VERSION, Obj


@dataclass(frozen=True)
class Resource:
    """
    One resource.

    + group, version: "" and v1 for the core group
    + plural, kind: `nodes`, `Node`
    + namespaced: whether its objects are in a namespace
    + short: kubectl's short names
    + sub: subresources
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    short: tuple[str, ...] = ()
    sub: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> str:
        """`nodes` or `daemonsets.apps`: how it is stored and named in messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def prefix(self) -> str:
        """Its path's beginning."""
        return f"/apis/{self.api_version}" if self.group else "/api/v1"


RBAC = "rbac.authorization.k8s.io"
RESOURCES = (
    Resource("", "v1", "configmaps", "ConfigMap", True, ("cm",)),
    Resource("", "v1", "endpoints", "Endpoints", True, ("ep",)),
    Resource("", "v1", "events", "Event", True, ("ev",)),
    Resource("", "v1", "limitranges", "LimitRange", True, ("limits",)),
    Resource("", "v1", "namespaces", "Namespace", False, ("ns",), ("status",)),
    Resource("", "v1", "nodes", "Node", False, ("no",), ("status",)),
    Resource(
        "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, ("pvc",), ("status",)
    ),
    Resource("", "v1", "persistentvolumes", "PersistentVolume", False, ("pv",), ("status",)),
    Resource("", "v1", "pods", "Pod", True, ("po",), ("status", "eviction", "binding")),
    Resource("", "v1", "resourcequotas", "ResourceQuota", True, ("quota",), ("status",)),
    Resource("", "v1", "secrets", "Secret", True),
    Resource("", "v1", "serviceaccounts", "ServiceAccount", True, ("sa",)),
    Resource("", "v1", "services", "Service", True, ("svc",), ("status",)),
    Resource("apps", "v1", "controllerrevisions", "ControllerRevision", True),
    Resource("apps", "v1", "daemonsets", "DaemonSet", True, ("ds",), ("status",)),
    Resource("apps", "v1", "deployments", "Deployment", True, ("deploy",), ("status",)),
    Resource("apps", "v1", "replicasets", "ReplicaSet", True, ("rs",), ("status",)),
    Resource("apps", "v1", "statefulsets", "StatefulSet", True, ("sts",), ("status",)),
    Resource(
        "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False
    ),
    Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False),
    Resource("batch", "v1", "jobs", "Job", True, (), ("status",)),
    Resource("batch", "v1", "cronjobs", "CronJob", True, ("cj",), ("status",)),
    Resource(
        "certificates.k8s.io",
        "v1",
        "certificatesigningrequests",
        "CertificateSigningRequest",
        False,
        ("csr",),
        ("status", "approval"),
    ),
    Resource("coordination.k8s.io", "v1", "leases", "Lease", True),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress", True, ("ing",), ("status",)),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True, ("netpol",)),
    Resource(
        "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, ("pdb",), ("status",)
    ),
    Resource(RBAC, "v1", "clusterroles", "ClusterRole", False),
    Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False),
    Resource(RBAC, "v1", "roles", "Role", True),
    Resource(RBAC, "v1", "rolebindings", "RoleBinding", True),
    Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False, ("pc",)),
    Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False, ("sc",)),
)
BY_PATH = {(one.group, one.version, one.plural): one for one in RESOURCES}
BY_KEY = {one.key: one for one in RESOURCES}
BY_KIND = {(one.api_version, one.kind): one for one in RESOURCES}
# Only POST makes sense for these, and nothing is stored.
REVIEWS = frozenset(("selfsubjectaccessreviews", "selfsubjectreviews"))
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
EVICTION = {
    "name": "pods/eviction",
    "singularName": "",
    "namespaced": True,
    "group": "policy",
    "version": "v1",
    "kind": "Eviction",
    "verbs": ["create"],
}


def group_versions() -> list[tuple[str, str]]:
    """The API groups with their version, the core group left out."""
    return sorted({(one.group, one.version) for one in RESOURCES if one.group})


def api_versions() -> Obj:
    """GET /api."""
    return {"kind": "APIVersions", "versions": ["v1"]}


def group_list() -> Obj:
    """GET /apis."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [group(name) for name, _ in group_versions()],
    }


def group(name: str) -> Obj:
    """GET /apis/GROUP."""
    version = dict(group_versions())[name]
    one = {"groupVersion": f"{name}/{version}", "version": version}
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": [one],
        "preferredVersion": one,
    }


def resource_list(group_name: str, version: str) -> Obj:
    """GET /api/v1 or /apis/GROUP/VERSION."""
    listed: list[Obj] = []
    for one in RESOURCES:
        if (one.group, one.version) != (group_name, version):
            continue
        listed.append(
            {
                "name": one.plural,
                "singularName": one.kind.lower(),
                "namespaced": one.namespaced,
                "kind": one.kind,
                "verbs": ["create"] if one.plural in REVIEWS else VERBS,
                "shortNames": list(one.short),
            }
        )
        for sub in one.sub:
            entry = {
                "name": f"{one.plural}/{sub}",
                "singularName": "",
                "namespaced": one.namespaced,
                "kind": one.kind,
                "verbs": ["get", "patch", "update"],
            }
            listed.append(EVICTION if sub == "eviction" else entry)
    name = f"{group_name}/{version}" if group_name else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": name,
        "resources": listed,
    }


def version() -> Obj:
    """GET /version."""
    return {
        "major": str(MAJOR),
        "minor": str(MINOR),
        "emulationMajor": str(MAJOR),
        "emulationMinor": str(MINOR),
        "minCompatibilityMajor": str(MAJOR),
        "minCompatibilityMinor": str(MINOR - 1),
        "gitVersion": VERSION,
        "gitCommit": "stand-in",
        "gitTreeState": "clean",
        "buildDate": "2026-11-01T00:00:00Z",
        "goVersion": "none: stand-in",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def openapi_index() -> Obj:
    """GET /openapi/v3."""
    names = ["api/v1", *(f"apis/{name}/{version}" for name, version in group_versions())]
    return {
        "paths": {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash=stand-in"} for name in names
        }
    }


def openapi(name: str) -> Obj:
    """GET /openapi/v3/apis/apps/v1: one PATCH per kind, with its parameters."""
    parameters = [
        {"name": one, "in": "query", "schema": {"type": "string"}}
        for one in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]
    paths: Obj = {}
    for one in RESOURCES:
        if one.prefix.lstrip("/") != name or one.plural in REVIEWS:
            continue
        scope = "/namespaces/{namespace}" if one.namespaced else ""
        kind = {"group": one.group, "version": one.version, "kind": one.kind}
        paths[f"{one.prefix}{scope}/{one.plural}/{{name}}"] = {
            "patch": {
                "parameters": parameters,
                "responses": {},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": kind,
            }
        }
    return {
        "openapi": "3.0.0",
        "info": {"title": "stand-in", "version": VERSION},
        "paths": paths,
        "components": {"schemas": {}},
    }
