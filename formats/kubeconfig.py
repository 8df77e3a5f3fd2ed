"""kubeconfig files (clientcmd's v1 Config): add and remove bramble's entries, keep all others."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.tokens import KeyToken

from formats.unreadable import MALFORMED, Unreadable, reading
from messages import formats as messages

_DATA = ("certificate-authority-data", "client-certificate-data", "client-key-data")
_LISTS = ("clusters", "contexts", "users")
# Words that are not text in YAML 1.1, which kubectl reads.
_WORDS = re.compile("yes|no|on|off|true|false|null", re.IGNORECASE)


@dataclass(frozen=True)
class Access:
    """
    Access to a cluster: a context with its cluster and user, all of one name.

    Without certificates it is that of a plain HTTP proxy, which has no user.
    """

    name: str
    server: str
    ca_data: str = ""  # base64 of PEM, as in the file
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
    Read the file as plain data, every value as text; an empty file is an empty Config.

    + raises ``Unreadable``: it is not a kubeconfig, or kubectl could read it differently
    """
    return _config(_root(text))


@lru_cache(maxsize=8)  # ruamel.yaml is slow, and several operations read the same file
def _root(text: str) -> Node | None:
    try:
        root: Node | None = YAML().compose(text)
        # The mark of a key is empty, but for one behind a question mark.
        for token in YAML().scan(text) if "?" in text else ():
            if isinstance(token, KeyToken) and token.end_mark.index > token.start_mark.index:
                where = f"line {token.start_mark.line + 1}"
                raise Unreadable(f"a key behind a question mark ({where})")
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1})" if mark else ""
        if isinstance(error, ComposerError) and "single document" in str(error):
            raise Unreadable("several YAML documents, of which kubectl reads one") from error
        raise Unreadable(f"not YAML: {error.problem or error.context}{where}") from error
    except YAMLError as error:
        raise Unreadable(f"not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise Unreadable("YAML that is nested too deeply") from error
    return None if root is None or _is_null(root) else root


def _config(root: Node | None) -> dict[str, Any]:
    with reading("YAML that refers to itself"):
        document = {} if root is None else _plain(root)
    if not isinstance(document, dict) or document.get("kind") not in (None, "Config"):
        raise Unreadable("its kind is not Config")
    if "<<" in document:
        raise Unreadable(messages.KUBECONFIG_MERGE())
    for key in _LISTS:
        if document.get(key) is None:
            document[key] = []
        entries = document[key]
        if not (
            isinstance(entries, list)
            and all(isinstance(entry, dict) and "name" in entry for entry in entries)
        ):
            raise Unreadable(f"{key} is not a list of named entries")
    return document


def _without_null(text: str) -> str:
    """Remove the word, such as ``null``, of an empty document."""
    node = YAML().compose(text)
    return text if node is None else text[: node.start_mark.index] + text[node.end_mark.index :]


def _plain(node: Node, known: dict[int, Any] | None = None) -> Any:
    """
    Make plain data of a node.

    + known: that of nodes which aliases name again, by ID: without it a small text grows huge
    """
    known = {} if known is None else known
    if id(node) not in known:
        known[id(node)] = _made(node, known)
    return known[id(node)]


def _made(node: Node, known: dict[int, Any]) -> Any:
    if isinstance(node, SequenceNode):
        return [_plain(item, known) for item in node.value]
    if not isinstance(node, MappingNode):
        return None if _is_null(node) else node.value
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode) or key.value in found:
            where = f"line {key.start_mark.line + 1}"
            raise Unreadable(f"a key that is there twice, or is not a text ({where})")
        found[key.value] = _plain(value, known)
    return found


def _is_null(node: Node) -> bool:
    return (
        isinstance(node, ScalarNode)
        and not node.style
        and node.value in ("", "~", "null", "Null", "NULL")
    )


def access(admin_conf: str, name: str, server: str) -> Access:
    """
    Read the credentials of a kubeconfig made by kubeadm, for another server address.

    + raises ``Unreadable``: its current context does not embed them
    """
    config = parse(admin_conf)
    with reading("a current context without a cluster and a user"):
        context = _named(config, "contexts", config.get("current-context"))["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"]
        found = {**cluster, **user}
    for key in _DATA:
        if not isinstance(found.get(key), str):
            raise Unreadable(f"no {key}")
    return Access(name, server, *(found[key] for key in _DATA))


def merged(text: str, way: Access) -> str:
    """
    Put the entries into the text; every other byte stays.

    ``current-context`` is set only when it is empty.

    + raises ``Unreadable``: the form of the YAML does not allow it
    """
    return _Edit(text, way.name, way.entries()).text()


def without(text: str, name: str) -> str:
    """Remove the context, cluster and user of that name from the text."""
    return _Edit(text, name, dict.fromkeys(_LISTS)).text()


class _Edit:
    """
    A change of the entries of one name in a text.

    It is made at the positions that the YAML parser gives for each value. The result is parsed
    again and compared with the intended data.

    + entries: the desired entry of each list; None: no entry
    """

    def __init__(self, text: str, name: str, entries: Mapping[str, dict[str, Any] | None]) -> None:
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.before = text if not text or text.endswith("\n") else text + self.newline
        self.name = name
        self.entries = entries
        # Start and end of the replaced part, and the new text.
        self.changes: list[tuple[int, int, str]] = []
        self.new_keys: list[tuple[str, str, str]] = []

    def text(self) -> str:
        root = _root(self.before)
        now = _config(root)
        desired = self._desired(now)
        if desired == now:
            return self.before
        if root is None:
            self.before = _without_null(self.before)
            made = self.before + self.newline.join(["apiVersion: v1", "kind: Config", ""])
            return _Edit(made, self.name, self.entries).text()
        for key in _LISTS:
            if desired[key] != now[key]:
                self._list(root, key)
        if desired.get("current-context") != now.get("current-context"):
            self._put(root, "current-context", desired["current-context"])
        self._add_keys(root)
        made, at = "", 0
        for start, end, new in sorted(self.changes, key=lambda change: change[:2]):
            made += self.before[at:start] + new
            at = end
        made += self.before[at:]
        try:
            if parse(made) == desired:
                return made
        except Unreadable:
            pass
        raise Unreadable(messages.KUBECONFIG_FORM())

    def _desired(self, now: Mapping[str, Any]) -> dict[str, Any]:
        """Make the same change in plain data."""
        self._check_others(now)
        desired = dict(now)
        for key in _LISTS:
            entry = self.entries[key]
            places = [i for i, item in enumerate(now[key]) if item["name"] == self.name]
            if key == "contexts" and entry and len(places) == 1:
                there = now[key][places[0]]
                # What a person has added, such as a namespace, stays.
                if isinstance(there.get("context"), dict) and _points_alike(there, entry):
                    entry = there
            at = places[0] if places else len(now[key])
            others = [
                [item for item in part if item["name"] != self.name]
                for part in (now[key][:at], now[key][at:])
            ]
            desired[key] = [*others[0], *([entry] if entry else []), *others[1]]
        current = now.get("current-context")
        if self.entries["contexts"] and not current:
            desired["current-context"] = self.name
        elif not self.entries["contexts"] and current == self.name:
            desired["current-context"] = ""
        return desired

    def _check_others(self, now: Mapping[str, Any]) -> None:
        """Raise ``Unreadable`` if a context of another name uses what would be replaced."""
        for kind, key in (("cluster", "clusters"), ("user", "users")):
            there = [item for item in now[key] if item["name"] == self.name]
            if not there or there == [self.entries[key]]:
                continue
            for item in now["contexts"]:
                uses = item["context"].get(kind) if isinstance(item.get("context"), dict) else None
                if item["name"] != self.name and uses == self.name:
                    raise Unreadable(
                        messages.KUBECONFIG_IN_USE(
                            context=repr(item["name"]), kind=kind, name=repr(self.name)
                        )
                    )

    def _list(self, root: Node, key: str) -> None:
        node, entry = _value(root, key), self.entries[key]
        items = node.value if isinstance(node, SequenceNode) else []
        if node is None or not items:
            self._put(root, key, [entry])
            return
        own = [item for item in items if _plain(item)["name"] == self.name]
        new = self._text(node, entry)
        for item in own:
            is_first = not entry and all(other in own for other in items[: items.index(item)])
            self.changes.append((*self._span(node, item, bool(new), is_first), new))
            new = ""
        if new:
            end = self._end(items[-1]) if _is_flow(node) else self._line_end(items[-1])
            self.changes.append((end, end, f", {new}" if _is_flow(node) else new))
        elif len(own) == len(items) and not entry and not _is_flow(node):
            colon = self.before.rindex(":", 0, node.start_mark.index) + 1
            self.changes.append((colon, colon, " []"))

    def _span(self, node: Node, item: Node, stays: bool, is_first: bool) -> tuple[int, int]:
        """
        Find start and end of an item of a list.

        With an item that is removed goes a separator: the one behind it if all items before it are
        removed too, otherwise the one before it.
        """
        if not _is_flow(node):
            dash = self.before.rindex("-", 0, item.start_mark.index + 1)
            return self.before.rfind("\n", 0, dash) + 1, self._line_end(item)
        start, end = item.start_mark.index, item.end_mark.index
        at = node.value.index(item)
        if is_first and at + 1 < len(node.value):
            end = node.value[at + 1].start_mark.index
        elif not stays and not is_first:
            start = node.value[at - 1].end_mark.index
        return start, end

    def _put(self, root: Node, key: str, value: Any) -> None:
        """Set a value of the root that was empty or missing."""
        node = _value(root, key)
        inline, below = f" {json.dumps(value)}", ""
        if isinstance(value, list) and not _is_flow(root):
            inline, below = "", self._text(root, value[0])
        if node is None:
            self.new_keys.append((key, inline, below))
        else:
            end = self._end(node)
            start = len(self.before[: min(node.start_mark.index, end)].rstrip(" "))
            self.changes.append((start, end, inline))
            if below:
                after = self._line_end(node)
                self.changes.append((after, after, below))

    def _add_keys(self, root: Node) -> None:
        if _is_flow(root):
            end = self._end(root.value[-1][1]) if root.value else root.start_mark.index + 1
            words = [f'"{key}":{inline}' for key, inline, _ in self.new_keys]
            text = ", ".join([*([""] if root.value else []), *words])
        else:
            end = self._line_end(root)
            pad = " " * root.start_mark.column
            text = "".join(
                f"{pad}{key}:{inline}{self.newline}{below}" for key, inline, below in self.new_keys
            )
        self.changes.append((end, end, text))

    def _line_end(self, node: Node) -> int:
        """Find where the line behind a value begins."""
        while isinstance(node, MappingNode | SequenceNode) and not _is_flow(node):
            node = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
        end = self._end(node)
        if self.before[end - 1] == "\n":
            return end
        return self.before.find("\n", end) + 1 or len(self.before)

    def _end(self, node: Node) -> int:
        end: int = node.end_mark.index
        if end > node.start_mark.index:
            return end
        # For a missing value the parser gives the position of what follows.
        lines = self.before[:end].splitlines(keepends=True)
        while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
            end -= len(lines.pop())
        return self.before.rindex(":", 0, end) + 1

    def _text(self, node: Node, entry: Mapping[str, Any] | None) -> str:
        """Write an entry of a list as kubectl does, or as JSON in a list in brackets."""
        if _is_flow(node):
            return json.dumps(entry) if entry else ""
        pad = " " * node.start_mark.column
        lines = _block(entry or {}, f"{pad}  ")
        if lines:
            lines[0] = f"{pad}- {lines[0].strip()}"
        return "".join(line + self.newline for line in lines)


def _points_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two contexts have the same cluster and user."""
    return all(
        one["context"].get(kind) == other["context"].get(kind) for kind in ("cluster", "user")
    )


def _is_flow(node: Node) -> bool:
    return isinstance(node, MappingNode | SequenceNode) and bool(node.flow_style)


def _block(value: Mapping[str, Any], pad: str) -> list[str]:
    lines = []
    for key, item in sorted(value.items()):
        if isinstance(item, Mapping):
            lines += [f"{pad}{key}:", *_block(item, f"{pad}  ")]
        else:
            lines.append(f"{pad}{key}: {_scalar(item)}")
    return lines


def _scalar(value: object) -> str:
    """Write a text, without quotes where every reader takes it for this text."""
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9+/=._-]{2,}|https?://[A-Za-z0-9.:-]+", text)
    return text if plain and not _WORDS.fullmatch(text) else json.dumps(text)


def _value(root: Node, key: str) -> Node | None:
    return next((value for word, value in root.value if word.value == key), None)


def holds(config: Mapping[str, Any], name: str) -> bool:
    """Tell whether there is a context of that name."""
    return any(entry["name"] == name for entry in config.get("contexts") or [])


def content(text: str, name: str) -> str:
    """
    Compute a fingerprint of the context, cluster and user of that name; "" without the context.

    + raises ``Unreadable``
    """
    config = parse(text)
    if not holds(config, name):
        return ""
    named = {key: [each for each in config[key] if each["name"] == name] for key in _LISTS}
    return sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:32]


def same(config: Mapping[str, Any], way: Access, fingerprints: Mapping[str, str] | None) -> bool:
    """
    Tell whether the config has these entries already.

    + way: name and server; certificates are compared by their fingerprints
    + fingerprints: of ``ca`` and ``cert``, from ``fingerprint``; None: no certificates are allowed
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
    except MALFORMED:
        return False


def certificate(config: Mapping[str, Any], name: str) -> str:
    """Return the client certificate (PEM) of the context of that name; "" without one."""
    try:
        context = _named(config, "contexts", name)["context"]
        user = _named(config, "users", context.get("user"))["user"]
        return b64decode(user["client-certificate-data"], validate=True).decode()
    except (*MALFORMED, ValueError):
        return ""


def authority(config: Mapping[str, Any], name: str) -> str:
    """Return the CA certificate (PEM) of the cluster of that name; "" without one."""
    try:
        cluster = _named(config, "clusters", name)["cluster"]
        return b64decode(cluster["certificate-authority-data"], validate=True).decode()
    except (*MALFORMED, ValueError):
        return ""


def fingerprint(data: str) -> str:
    """Compute the sha256 of base64 data; an empty text when it is not base64."""
    try:
        return sha256(b64decode(data, validate=True)).hexdigest()
    except ValueError:
        return ""


def _named(config: Mapping[str, Any], key: str, name: object) -> dict[str, Any]:
    for entry in config.get(key) or []:
        if entry["name"] == name:
            return dict(entry)
    raise Unreadable(f"no {name!r} in {key}")
