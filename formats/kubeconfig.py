"""
kubeconfig files (clientcmd's v1 Config): entries of ours put in and taken out, all others kept.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import yaml

_LISTS = ("clusters", "users", "contexts")


@dataclass(frozen=True)
class Access:
    """
    A way into a cluster: a context with its cluster and user, all three of one name.

    Without certificates it is a plain HTTP proxy's: no user at all.
    """

    name: str
    server: str
    ca_data: str = ""  # base64 of PEM, as it stands in the file
    cert_data: str = ""
    key_data: str = field(default="", repr=False)

    def entries(self) -> dict[str, dict[str, Any] | None]:
        cluster: dict[str, Any] = {"server": self.server}
        if self.ca_data:
            cluster["certificate-authority-data"] = self.ca_data
        context = {"cluster": self.name}
        user = None
        if self.key_data:
            context["user"] = self.name
            user = {
                "client-certificate-data": self.cert_data,
                "client-key-data": self.key_data,
            }
        return {
            "clusters": {"name": self.name, "cluster": cluster},
            "users": {"name": self.name, "user": user} if user else None,
            "contexts": {"name": self.name, "context": context},
        }


def parse(text: str) -> dict[str, Any]:
    """
    The file as plain data; an empty one is an empty Config.

    Raises ``ValueError`` in one line when it is not a kubeconfig.
    """

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ValueError(f"it is not YAML{where}") from error
    if document is None:
        return {"apiVersion": "v1", "kind": "Config"}
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise ValueError("it is not a kubeconfig (kind: Config)")
    for key in _LISTS:
        entries = document.get(key)
        if entries is not None and not (
            isinstance(entries, list)
            and all(isinstance(entry, dict) and "name" in entry for entry in entries)
        ):
            raise ValueError(f"its {key} are not a list of named entries")
    return document


def access(admin_conf: str, name: str, server: str) -> Access:
    """
    The credentials of a kubeadm-made kubeconfig (its current context), for another server address.

    Raises ``ValueError`` when they are not embedded in it.
    """

    config = parse(admin_conf)
    context = _named(config, "contexts", config.get("current-context"))["context"]
    cluster = _named(config, "clusters", context.get("cluster"))["cluster"]
    user = _named(config, "users", context.get("user"))["user"]
    try:
        return Access(
            name,
            server,
            cluster["certificate-authority-data"],
            user["client-certificate-data"],
            user["client-key-data"],
        )
    except KeyError as missing:
        raise ValueError(f"it does not hold {missing.args[0]}") from missing


def merged(config: Mapping[str, Any], way: Access) -> dict[str, Any]:
    """
    The config with this way in it; every other entry and key as it was.

    ``current-context`` is set only where none is: whoever has another cluster keeps it.
    """

    made = _stripped(config, way.name)
    for key, entry in way.entries().items():
        made[key] = [*(made.get(key) or []), *([entry] if entry else [])]
    if not made.get("current-context"):
        made["current-context"] = way.name
    return made


def without(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The config without the context, cluster and user of that name."""
    made = _stripped(config, name)
    if made.get("current-context") == name:
        made["current-context"] = ""
    return made


def _stripped(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    made = deepcopy(dict(config))
    made.setdefault("apiVersion", "v1")
    made.setdefault("kind", "Config")
    for key in _LISTS:
        if made.get(key):
            made[key] = [entry for entry in made[key] if entry["name"] != name]
    return made


def holds(config: Mapping[str, Any], name: str) -> bool:
    """Whether a context of that name is there."""
    return any(entry["name"] == name for entry in config.get("contexts") or [])


def same(config: Mapping[str, Any], way: Access, fingerprints: Mapping[str, str] | None) -> bool:
    """
    Whether this way is in the config already.

    + way: its name and server; certificates are compared by their fingerprints instead
    + fingerprints: of ``ca`` and ``cert``, by ``fingerprint``; None: no certificates shall be there
    """

    try:
        cluster = _named(config, "clusters", way.name)["cluster"]
        context = _named(config, "contexts", way.name)["context"]
        if cluster.get("server") != way.server or context.get("cluster") != way.name:
            return False
        if fingerprints is None:
            return "user" not in context and "certificate-authority-data" not in cluster
        user = _named(config, "users", context.get("user"))["user"]
        return bool(user.get("client-key-data")) and fingerprints == {
            "ca": fingerprint(cluster.get("certificate-authority-data", "")),
            "cert": fingerprint(user.get("client-certificate-data", "")),
        }
    except (ValueError, AttributeError, TypeError, KeyError):
        return False


def fingerprint(data: str) -> str:
    """sha256 of what base64 text holds; of nothing, when it is no base64."""
    try:
        return sha256(b64decode(data, validate=True)).hexdigest()
    except ValueError:
        return ""


def text(config: Mapping[str, Any]) -> str:
    """The config as kubectl would write it: block style, keys in their order."""
    return yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=False)


def _named(config: Mapping[str, Any], key: str, name: object) -> dict[str, Any]:
    for entry in config.get(key) or []:
        if entry["name"] == name:
            return dict(entry)
    raise ValueError(f"its {key} lack {name!r}")
