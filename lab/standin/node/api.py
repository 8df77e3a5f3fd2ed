"""
The API without its wire: a request in, an object, a list, a table or an error out.

Source: kubernetes.io, "Kubernetes API Concepts". Messages are the API server's own.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import secrets as random

import yaml

from . import apply as server_side
from . import patch, protobuf, rbac, reviews, tables
from .common import Obj, stamp
from .defaults import defaults, kept
from .request import Problem, Request, Target, matches, verb
from .resources import BY_KEY, REVIEWS
from .store import Conflict, Store


class Api:
    """The verbs, over a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def authorize(self, request: Request, what: Target | None) -> None:
        """Problem 401 or 403 unless the user may."""
        if what is None:
            asked = rbac.Question(request.method.lower(), path=request.path)
        else:
            resource = f"{what.resource.plural}/{what.sub}" if what.sub else what.resource.plural
            asked = rbac.Question(
                verb(request, what), what.resource.group, resource, what.namespace, what.name
            )
        if not rbac.allowed(self.store, request.user, asked):
            if request.user is rbac.ANONYMOUS:
                raise Problem(401, "Unauthorized")
            raise Problem(403, rbac.refusal(request.user, asked))

    def missing(self, what: Target) -> Problem:
        """The 404 of an object."""
        details = {"name": what.name, "group": what.resource.group, "kind": what.resource.plural}
        return Problem(404, f'{what.resource.key} "{what.name}" not found', details=details)

    def current(self, what: Target) -> Obj:
        """The object, or its 404."""
        found = self.store.get(what.resource, what.namespace, what.name)
        if found is None:
            raise self.missing(what)
        return found

    def handle(self, request: Request, what: Target) -> tuple[int, Obj]:
        """Everything but watching."""
        chosen = verb(request, what)
        if chosen in ("get", "list"):
            return 200, self.read(request, what)
        dry = bool(request.query.get("dryRun"))
        if chosen == "create":
            return self.create(request, what, dry)
        if chosen == "update":
            return 200, self.save(what, self.current(what), self.parse(request), dry)
        if chosen == "patch":
            return self.patch(request, what, dry)
        if chosen in ("delete", "deletecollection"):
            return 200, self.delete(request, what, dry)
        raise Problem(405, "the server does not allow this method on the requested resource")

    def read(self, request: Request, what: Target) -> Obj:
        """An object or a list, as a table when asked for one."""
        include = request.query.get("includeObject", "Metadata")
        if what.name:
            one = self.current(what)
            if "as=Table" in request.accept:
                return tables.table(
                    what.resource, [one], one["metadata"]["resourceVersion"], include
                )
            return one
        items, revision = self.store.listed(what.resource, what.namespace)
        items = [one for one in items if matches(one, request.query)]
        if "as=Table" in request.accept:
            return tables.table(what.resource, items, str(revision), include)
        return {
            "kind": f"{what.resource.kind}List",
            "apiVersion": what.resource.api_version,
            "metadata": {"resourceVersion": str(revision)},
            "items": items,
        }

    def parse(self, request: Request) -> Obj:
        """The body as an object."""
        if "protobuf" in request.content_type:
            try:
                return protobuf.parse(request.body)
            except ValueError:
                raise Problem(
                    415,
                    "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
                ) from None
        try:
            content = yaml.load(request.body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            raise Problem(400, f"the object provided is unrecognized: {error}") from None
        if not isinstance(content, dict):
            raise Problem(400, "the object provided is unrecognized (must be of type Object)")
        return content

    def create(self, request: Request, what: Target, dry: bool) -> tuple[int, Obj]:
        """POST to a collection or to a subresource."""
        content = self.parse(request)
        if what.sub == "eviction":
            self.current(what)
            if not dry:
                self.store.delete(what.resource, what.namespace, what.name)
            return 201, {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "code": 201,
            }
        if what.resource.plural in REVIEWS:
            return 201, reviews.answer(self.store, request.user, what.resource, content)
        self._identify(what, content)
        if what.resource.kind == "CertificateSigningRequest":
            content["spec"] |= {"username": request.user.name, "groups": request.user.groups}
        what.name = content["metadata"]["name"]
        if self.store.get(what.resource, what.namespace, what.name) is not None:
            details = {
                "name": what.name,
                "group": what.resource.group,
                "kind": what.resource.plural,
            }
            raise Problem(
                409, f'{what.resource.key} "{what.name}" already exists', "AlreadyExists", details
            )
        return 201, self.make(what, content, dry)

    def _identify(self, what: Target, content: Obj) -> None:
        resource = what.resource
        if (content.get("apiVersion"), content.get("kind")) != (
            resource.api_version,
            resource.kind,
        ):
            given = f"{content.get('kind')} in version {content.get('apiVersion')}"
            raise Problem(400, f"{given} cannot be handled as a {resource.kind}")
        meta = content.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + random.token_hex(3)[:5]
        if not meta.get("name"):
            raise Problem(
                422,
                f'{resource.kind}.{resource.group} "" is invalid: metadata.name: Required value: name or generateName is required',
            )
        if resource.namespaced:
            meta.setdefault("namespace", what.namespace)
            if meta["namespace"] != what.namespace:
                raise Problem(
                    400,
                    "the namespace of the provided object does not match the namespace sent on the request",
                )

    def make(self, what: Target, content: Obj, dry: bool) -> Obj:
        """Store a new object with the defaults that others rely on."""
        if (
            what.resource.namespaced
            and self.store.get(BY_KEY["namespaces"], "", what.namespace) is None
        ):
            raise Problem(
                404,
                f'namespaces "{what.namespace}" not found',
                details={"name": what.namespace, "kind": "namespaces"},
            )
        meta = content["metadata"]
        for name in ("resourceVersion", "uid", "creationTimestamp"):
            meta.pop(name, None)
        defaults(what.resource, content)
        if dry:
            meta["creationTimestamp"] = stamp()
            return content
        try:
            return self.store.create(what.resource, content)
        except Conflict:
            raise Problem(
                409, f'{what.resource.key} "{what.name}" already exists', "AlreadyExists"
            ) from None

    def save(self, what: Target, old: Obj, new: Obj, dry: bool) -> Obj:
        """Store a changed object: what the client may not change stays as it was."""
        changed = Problem(
            409,
            f'Operation cannot be fulfilled on {what.resource.key} "{what.name}": the object has been modified; please apply your changes to the latest version and try again',
        )
        meta = new.get("metadata") or {}
        if meta.get("name", what.name) != what.name:
            raise Problem(400, "the name of the object does not match the name on the URL")
        if meta.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
            raise changed
        new = kept(what.resource, what.sub, old, new)
        if dry:
            return new
        try:
            return self.store.update(what.resource, new)
        except Conflict:
            raise changed from None

    def patch(self, request: Request, what: Target, dry: bool) -> tuple[int, Obj]:
        """PATCH of all four kinds; apply may create."""
        kind = request.content_type.partition(";")[0]
        old = self.store.get(what.resource, what.namespace, what.name)
        if kind == "application/apply-patch+yaml":
            content = self.parse(request)
            self._identify(what, content)
            manager = request.query.get("fieldManager", "unknown")
            try:
                new = server_side.apply(
                    old, content, manager, request.query.get("force") == "true", what.sub
                )
            except server_side.ApplyConflict as clash:
                causes = [
                    {
                        "reason": "FieldManagerConflict",
                        "message": f'conflict with "{owner}" using {version}',
                        "field": path,
                    }
                    for path, owner, version in clash.fields
                ]
                raise Problem(409, str(clash), details={"causes": causes}) from None
            if old is None:
                return 201, self.make(what, new, dry)
            return 200, self.save(what, old, new, dry)
        if old is None:
            raise self.missing(what)
        try:
            if kind == "application/merge-patch+json":
                new = patch.json_merge(old, self.parse(request))
            elif kind == "application/json-patch+json":
                new = patch.json_patch(old, yaml.safe_load(request.body))
            else:
                new = patch.strategic(old, self.parse(request))
        except ValueError as error:
            raise Problem(
                422, f"the server rejected our request due to an error in our request: {error}"
            ) from None
        return 200, self.save(what, old, new, dry)

    def delete(self, request: Request, what: Target, dry: bool) -> Obj:
        """DELETE of one object or of a collection; a namespace takes its content along."""
        if what.name:
            found = [self.current(what)]
        else:
            found = [
                one
                for one in self.store.listed(what.resource, what.namespace)[0]
                if matches(one, request.query)
            ]
        for one in found if not dry else []:
            meta = one["metadata"]
            if what.resource.kind == "Namespace":
                for key, namespace, name in list(self.store.objects):
                    if namespace == meta["name"]:
                        self.store.delete(BY_KEY[key], namespace, name)
            self.store.delete(what.resource, meta.get("namespace", ""), meta["name"])
        if not what.name:
            return {
                "kind": f"{what.resource.kind}List",
                "apiVersion": what.resource.api_version,
                "metadata": {},
                "items": found,
            }
        details = {
            "name": what.name,
            "group": what.resource.group,
            "kind": what.resource.plural,
            "uid": found[0]["metadata"].get("uid", ""),
        }
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }
