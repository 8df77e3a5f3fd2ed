"""The documents of a kubeadm configuration file, split and decoded strictly."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import re
from typing import Any

import yaml

from . import schema, validate
from .common import Fatal, Obj, klog, quote

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


Key = tuple[str, str, str]


# An API version that is gone: the last kubeadm that could convert it.
OLD = {
    "v1alpha1": "v1.11",
    "v1alpha2": "v1.12",
    "v1alpha3": "v1.14",
    "v1beta1": "v1.15",
    "v1beta2": "v1.22",
}


def go_kind(key: Key) -> str:
    """Go's %#v of a GroupVersionKind."""
    return f'schema.GroupVersionKind{{Group:"{key[0]}", Version:"{key[1]}", Kind:"{key[2]}"}}'


def split_documents(text: str) -> list[tuple[Key, Obj]]:
    """The documents with their kinds; Fatal for broken YAML, an unknown or too old kind."""
    found: list[tuple[Key, Obj]] = []
    for part in re.split(r"(?m)^---(?:[ \t].*)?$", text):
        try:
            document = yaml.load(part, Loader=Loader)
        except yaml.MarkedYAMLError as error:
            line = (error.problem_mark.line if error.problem_mark else 0) or 1
            raise Fatal(
                "could not interpret GroupVersionKind; unmarshal error: error converting YAML to JSON: "
                f"yaml: line {line}: {error.problem}"
            ) from None
        if document is None:
            continue
        if (
            not isinstance(document, dict)
            or not document.get("kind")
            or not document.get("apiVersion")
        ):
            raise Fatal(
                "invalid configuration for GroupVersionKind /, Kind=: kind and apiVersion is mandatory "
                "information that must be specified"
            )
        group, _, version = str(document["apiVersion"]).rpartition("/")
        found.append(((group, version, str(document["kind"])), document))
    return found


def check_kinds(documents: list[tuple[Key, Obj]]) -> None:
    """Old and unknown API versions and kinds, with the real one's words."""
    unknown = []
    for key, _ in documents:
        group, version, kind = key
        spec = f"{quote(f'{group}/{version}')} (kind: {quote(kind)})"
        move = (
            "'kubeadm config migrate --old-config old-config-file --new-config new-config-file', which "
            "will write the new, similar spec using a newer API version."
        )
        if group == schema.KUBEADM_GROUP and version in OLD:
            raise Fatal(
                f"your configuration file uses an old API spec: {spec}. Please use kubeadm "
                f"{OLD[version]} instead and run {move}"
            )
        if group == schema.KUBEADM_GROUP and version == "v1beta3":
            klog(
                "W",
                "common.go:100",
                f"your configuration file uses a deprecated API spec: {spec}. Please use {move}",
            )
        elif key not in schema.KINDS:
            unknown.append(go_kind(key))
    if unknown:
        raise Fatal(
            f"unknown configuration APIs: []schema.GroupVersionKind{{{', '.join(unknown)}}}"
        )


def decode(text: str) -> dict[str, Obj]:
    """All documents of a file by kind, strictly decoded."""
    documents = split_documents(text)
    check_kinds(documents)
    found: dict[str, Obj] = {}
    for key, document in documents:
        if key[2] in found:
            raise Fatal(
                f"invalid configuration: kind {quote(key[2])} is specified twice in YAML file"
            )
        try:
            if key in schema.KINDS:
                validate.strict(document, schema.KINDS[key], key[2])
        except ValueError as error:
            raise Fatal(f"error unmarshaling configuration {go_kind(key)}: {error}") from None
        found[key[2]] = document
    return found


def read(path: str) -> str:
    """The file's text; Go's message when it can't be opened."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise Fatal(f"open {path}: no such file or directory") from None
    except OSError as error:
        raise Fatal(f"open {path}: {(error.strerror or '').lower()}") from None
