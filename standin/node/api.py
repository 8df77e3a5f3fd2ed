"""
The API without its wire: a request in, an object, a list, a table or an error out.

Source: kubernetes.io, "Kubernetes API Concepts". Messages are the API server's own.
"""

from __future__ import annotations

import contextlib
import copy
import re
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus

import yaml

from . import disruption, patch, protobuf, rbac, tables
from .common import LOADER, VERSION, Obj, filled, lookup, template, text
from .resources import BY_KEY, BY_PATH, Resource
from .store import Conflict, Store

PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<version>[^/]+/[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]+(?:/|$))(?!/(?:status|finalize)$))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?"
)
RETRIES = 5
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Problem(Exception):
    """An answer that is an error; reason: where it is not the one that goes with the status."""

    def __init__(
        self, status: int, message: str, reason: str = "", details: Obj | None = None
    ) -> None:
        self.status, self.details = status, details or {}
        phrase = HTTPStatus(status).phrase.replace(" ", "")
        self.reason = reason or ("Invalid" if status == 422 else phrase)
        super().__init__(message)

    def body(self) -> Obj:
        """Return the Status object."""
        about: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        about |= {"message": str(self), "reason": self.reason, "code": self.status}
        return about | {"details": self.details}


@dataclass
class Target:
    """What a path names."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    sub: str = ""

    @property
    def details(self) -> Obj:
        """What a Status says about it."""
        return {"name": self.name, "group": self.resource.group, "kind": self.resource.plural}


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

    @property
    def is_watch(self) -> bool:
        """Whether it asks for a stream of events."""
        return self.method == "GET" and self.query.get("watch") in ("1", "true")


def target(path: str) -> Target | None:
    """Return what a path names, None when it names no resource."""
    match = PATH.fullmatch(path)
    if match is None:
        return None
    resource = BY_PATH.get((match["core"] or match["version"], match["plural"]))
    if resource is None or (match["sub"] and match["sub"] not in resource.sub):
        return None
    return Target(resource, match["namespace"] or "", match["name"] or "", match["sub"] or "")


def verb(request: Request, what: Target) -> str:
    """Return the verb that RBAC knows it by."""
    reads = "watch" if request.is_watch else "get" if what.name else "list"
    return VERBS.get(request.method, reads)


def _label_matches(labels: Obj, term: str) -> bool:
    if match := re.fullmatch(r"\s*([^=!\s]+)\s*(==?|!=)\s*(\S*)\s*", term):
        return (labels.get(match[1]) == match[3]) != (match[2] == "!=")
    term = term.strip()
    return term[1:] not in labels if term.startswith("!") else term in labels


def matches(content: Obj, query: dict[str, str]) -> bool:
    """Whether an object fits labelSelector and fieldSelector."""
    labels = content["metadata"].get("labels") or {}
    terms = query.get("labelSelector", "").split(",")
    if not all(_label_matches(labels, term) for term in terms if term):
        return False
    for term in query.get("fieldSelector", "").split(","):
        match = re.fullmatch(r"([^=!]+)(==?|!=)(.*)", term)
        value = lookup(content, match[1]) if match else None
        plain = str(value).lower() if isinstance(value, bool) else str(value or "")
        if match and (plain == match[3]) == (match[2] == "!="):
            return False
    return True


SUCCESS: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
# What a client cannot change.
FIXED = ("name", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation")


def parse(request: Request) -> Obj:
    """Return the body as an object."""
    is_protobuf, body = "protobuf" in request.content_type, request.body
    with contextlib.suppress(ValueError, yaml.YAMLError):
        content = protobuf.parse(body) if is_protobuf else yaml.load(body, Loader=LOADER)
        if isinstance(content, dict):
            return content
    raise Problem(415, text("unknown-body"))


class Api:
    """The verbs, over a store."""

    def __init__(self, store: Store, version: str = VERSION) -> None:
        self.store, self.version = store, version
        self.deprecated: set[tuple[str, ...]] = set()

    def authorize(self, request: Request, what: Target | None) -> None:
        """Raise a Problem (403) unless the user may."""
        asked = rbac.Question(request.method.lower(), path=request.path)
        if what:
            one = what.resource
            name = f"{one.plural}/{what.sub}" if what.sub else one.plural
            place = (one.group, name, what.namespace, what.name)
            asked = rbac.Question(verb(request, what), *place)
        if not rbac.allowed(self.store, request.user, asked):
            details = what.details if what else {}
            raise Problem(403, rbac.refusal(request.user, asked), details=details)

    def _current(self, what: Target) -> Obj:
        found = self.store.get(what.resource, what.namespace, what.name)
        if found is None:
            words = f'{what.resource.key} "{what.name}" not found'
            raise Problem(404, words, details=what.details)
        return found

    def handle(self, request: Request, what: Target) -> tuple[int, Obj]:
        """Answer everything but a watch, again where another API server's change came between."""
        for _ in range(RETRIES):
            with contextlib.suppress(Conflict):
                return self._answer(request, what)
        raise Problem(409, text("modified", key=what.resource.key, name=what.name))

    def _answer(self, request: Request, what: Target) -> tuple[int, Obj]:
        match request.method:
            case "GET":
                return 200, self._read(request, what)
            case "POST":
                return self._create(request, what)
            case "PUT":
                return 200, self._save(what, self._current(what), parse(request))
            case "PATCH":
                with self.store.writing:  # a patch without a version meets no other's change
                    return self._patch(request, what)
        return 200, self._delete(request, what)

    def _read(self, request: Request, what: Target) -> Obj:
        include = request.query.get("includeObject", "Metadata")
        items, number = self.store.listed(what.resource, what.namespace)
        if what.name:
            items = [self._current(what)]
        items = [one for one in items if matches(one, request.query)]
        if "as=Table" in request.accept:
            return tables.table(what.resource, items, str(number), include)
        if what.name:
            return items[0]
        about: Obj = {"kind": f"{what.resource.kind}List", "items": items}
        about |= {"apiVersion": what.resource.api_version}
        return about | {"metadata": {"resourceVersion": str(number)}}

    def _create(self, request: Request, what: Target) -> tuple[int, Obj]:
        if what.sub == "eviction":
            if why := disruption.evict(self.store, self._current(what)):
                cause = {"reason": "DisruptionBudget", "message": why}
                raise Problem(429, text("no-eviction"), details={"causes": [cause]})
            return 201, SUCCESS | {"code": 201}
        content = parse(request)
        self._identify(what, content)
        if what.resource.kind == "CertificateSigningRequest":
            content["spec"] |= {"username": request.user.name, "groups": request.user.groups}
        return 201, self._make(what, content)

    def _identify(self, what: Target, content: Obj) -> None:
        """Name an object where it wants a generated name."""
        meta = content.setdefault("metadata", {})
        if not meta.get("name"):
            meta["name"] = meta.get("generateName", "") + secrets.token_hex(3)[:5]
        if what.resource.namespaced:
            meta["namespace"] = what.namespace
        what.name = meta["name"]

    def _make(self, what: Target, content: Obj) -> Obj:
        """Store a new object."""
        is_there = self.store.get(BY_KEY["namespaces"], "", what.namespace) is not None
        if what.resource.namespaced and not is_there:
            details = {"name": what.namespace, "kind": "namespaces"}
            raise Problem(404, f'namespaces "{what.namespace}" not found', details=details)
        for name in ("resourceVersion", "uid", "creationTimestamp"):
            content["metadata"].pop(name, None)
        content.pop("status", None)
        content = filled(content, template("defaults", name=what.name)[0].get(what.resource.kind))
        try:
            return self.store.create(what.resource, content)
        except Conflict:
            words = f'{what.resource.key} "{what.name}" already exists'
            raise Problem(409, words, "AlreadyExists", what.details) from None

    def _save(self, what: Target, old: Obj, new: Obj) -> Obj:
        """Store a changed object: what the client may not change stays as it was."""
        before, meta = old["metadata"], copy.deepcopy(new.get("metadata") or {})
        if meta.get("resourceVersion") not in (None, "", before["resourceVersion"]):
            raise Problem(409, text("modified", key=what.resource.key, name=what.name))
        meta |= {name: before[name] for name in FIXED if name in before}
        if what.sub:
            new = old | {"status": new.get("status", {})}
        else:
            about = {"apiVersion": what.resource.api_version, "kind": what.resource.kind}
            new = new | about | {"metadata": meta}
            if "status" in what.resource.sub:
                new = {name: one for name, one in new.items() if name != "status"}
                new |= {"status": old["status"]} if "status" in old else {}
                if new.get("spec") != old.get("spec") and "generation" in before:
                    meta["generation"] = before["generation"] + 1
        for name in ("labels", "annotations", "finalizers"):
            if not new["metadata"].get(name, True):
                del new["metadata"][name]
        return self.store.update(what.resource, new)

    def _patch(self, request: Request, what: Target) -> tuple[int, Obj]:
        """Merge a patch into an object; server-side apply may make it."""
        kind, content = request.content_type.partition(";")[0], parse(request)
        old = self.store.get(what.resource, what.namespace, what.name)
        if old is None and kind == "application/apply-patch+yaml":
            self._identify(what, content)
            return 201, self._make(what, content)
        is_merge = kind == "application/merge-patch+json"
        old = self._current(what)
        return 200, self._save(what, old, patch.merged(old, content, by_name=not is_merge))

    def _delete(self, request: Request, what: Target) -> Obj:
        """Delete an object; a namespace takes its content along, a pod's kubelet ends it first."""
        current, options = self._current(what), parse(request) if request.body else {}
        meta = current["metadata"]
        if what.resource.kind == "Pod":
            disruption.end(self.store, current, options.get("gracePeriodSeconds", 30))
            return current
        for key, namespace, name in list(self.store.objects):
            if what.resource.kind == "Namespace" and namespace == meta["name"]:
                self.store.delete(BY_KEY[key], namespace, name)
        self.store.delete(what.resource, what.namespace, what.name)
        return SUCCESS | {"details": what.details | {"uid": meta.get("uid", "")}}
