"""
What kubeadm checks in a configuration before it touches anything; what it lets pass, passes here
too.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import ipaddress
import re
from typing import Any

from . import schema
from .common import TOKEN, Fatal, Obj, duration, quote

TOKEN_PATTERN = r'"\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z"'
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
RFC1123 = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
GO_TYPES = {"string": "string", "bool": "bool", "int32": "int32"}
PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "bool": bool, "int32": int}


def _json_type(value: Any) -> str:
    for kind, name in ((dict, "object"), (list, "array"), (bool, "bool"), (str, "string")):
        if isinstance(value, kind):
            return name
    return "number"


def _go_type(shape: schema.Schema) -> str:
    if shape is schema.ARGS:
        return "[]v1beta4.Arg"
    if isinstance(shape, list):
        return "[]" + _go_type(shape[0])
    return "v1beta4.object" if isinstance(shape, dict) else GO_TYPES[shape]


def _field(kind: str, path: str) -> str:
    parts = path.split(".")
    if parts[0] == "apiServer" and parts[-1] != "certSANs":
        return f"APIServer.apiServer.ControlPlaneComponent.{'.'.join(parts[1:])}"
    if parts[0] in ("controllerManager", "scheduler"):
        return f"ControlPlaneComponent.{path}"
    return f"{kind}.{path}"


def _walk(value: Any, shape: schema.Schema, path: str, kind: str, unknown: list[str]) -> None:
    if value is None or shape == schema.ANY:
        return
    fits = (
        isinstance(value, type(shape))
        if not isinstance(shape, str)
        else isinstance(value, PYTHON_TYPES[shape])
        and (shape == "bool" or not isinstance(value, bool))
    )
    if not fits:
        raise ValueError(
            f"json: cannot unmarshal {_json_type(value)} into Go struct field {_field(kind, path)} of "
            f"type {_go_type(shape)}"
        )
    if isinstance(shape, list):
        for index, element in enumerate(value):
            _walk(element, shape[0], f"{path}[{index}]", kind, unknown)
    elif isinstance(shape, dict):
        for name in sorted(value):
            below = f"{path}.{name}".lstrip(".")
            if name in shape:
                _walk(value[name], shape[name], below, kind, unknown)
            else:
                unknown.append(below)


def strict(document: Obj, shape: schema.Schema, kind: str) -> None:
    """Raise ValueError for a wrong type, then for unknown fields, all of them in one message."""
    unknown: list[str] = []
    _walk(document, shape, "", kind, unknown)
    if unknown:
        # The real decoder lists a struct's own unknown fields before those further down.
        unknown.sort(key=lambda path: (path.count("."), path))
        listed = ", ".join(f"unknown field {quote(path)}" for path in unknown)
        raise ValueError(f"strict decoding error: {listed}")
    tokens(document)


def tokens(document: Obj) -> None:
    """The form of each bootstrap token, which the decoder itself checks."""
    for entry in document.get("bootstrapTokens") or []:
        if entry.get("token") and not TOKEN.match(entry["token"]):
            raise ValueError(
                f"the bootstrap token {quote(entry['token'])} was not of the form {TOKEN_PATTERN}"
            )


def _raise(problems: list[str]) -> None:
    if problems:
        raise Fatal(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def _host_port(text: str) -> None:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "6443"
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise Fatal(
            f"hostport {text}: port {port} must be a valid number between 1 and 65535, inclusive"
        )
    if not _is_address(host) and not LABEL.fullmatch(host):
        raise Fatal(
            f"hostport {text}: host '{host}' must be a valid IP address or a valid RFC-1123 DNS subdomain"
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _subnets(text: str, where: str, problems: list[str]) -> None:
    for part in text.split(",") if text else []:
        try:
            ipaddress.ip_network(part, strict=False)
        except ValueError:
            problems.append(f"{where}: Invalid value: {quote(text)}: couldn't parse subnet")


def _registration(registration: Obj, problems: list[str]) -> None:
    name = registration["name"]
    if not LABEL.fullmatch(name):
        problems.append(f"nodeRegistration.name: Invalid value: {quote(name)}: {RFC1123}")
    if registration["imagePullPolicy"] not in ("Always", "IfNotPresent", "Never"):
        problems.append(
            "nodeRegistration.imagePullPolicy: Unsupported value: "
            f'{quote(registration["imagePullPolicy"])}: supported values: "Always", "IfNotPresent", "Never"'
        )


def _timeouts(document: Obj) -> None:
    for value in document["timeouts"].values():
        duration(value)


def init(init: Obj, cluster: Obj) -> None:
    """InitConfiguration and ClusterConfiguration with their defaults."""
    problems: list[str] = []
    if cluster["controlPlaneEndpoint"]:
        _host_port(cluster["controlPlaneEndpoint"])
    _registration(init["nodeRegistration"], problems)
    port = init["localAPIEndpoint"]["bindPort"]
    if not 1 <= port <= 65535:
        problems.append(
            f"localAPIEndpoint.bindPort: Invalid value: {port}: port number is not valid"
        )
    networking = cluster["networking"]
    domain = networking["dnsDomain"]
    if not LABEL.fullmatch(domain):
        problems.append(f"networking.dnsDomain: Invalid value: {quote(domain)}: {RFC1123}")
    _subnets(networking["serviceSubnet"], "networking.serviceSubnet", problems)
    _subnets(networking["podSubnet"], "networking.podSubnet", problems)
    for name in cluster["apiServer"].get("certSANs") or []:
        if not _is_address(name) and not LABEL.fullmatch(name.removeprefix("*.")):
            problems.append(
                f"apiServer.certSANs: Invalid value: {quote(name)}: altname is not a valid IP address, DNS label or a DNS label with subdomain wildcards: {RFC1123}"
            )
    gates = cluster["featureGates"]
    for gate in sorted(gates):
        if gate not in schema.FEATURE_GATES:
            shown = ",".join(f'"{name}":{str(gates[name]).lower()}' for name in sorted(gates))
            problems.append(
                f"featureGates: Invalid value: {{{shown}}}: {gate} is not a valid feature name."
            )
    if not cluster["certificatesDir"].startswith("/"):
        problems.append(
            f"certificatesDir: Invalid value: {quote(cluster['certificatesDir'])}: path is not absolute"
        )
    _timeouts(init)
    for period in ("certificateValidityPeriod", "caCertificateValidityPeriod"):
        duration(cluster[period])
    _raise(problems)


def join(join: Obj) -> None:
    """JoinConfiguration with its defaults."""
    problems: list[str] = []
    discovery = join["discovery"]
    given = discovery.get("bootstrapToken")
    if given is None and not discovery.get("file"):
        problems.append('discovery: Invalid value: "": bootstrapToken or file must be set')
    if given is not None:
        token = given.get("token", "")
        if not TOKEN.match(token):
            problems.append(
                f"discovery.bootstrapToken.token: Invalid value: {quote(token)}: the bootstrap token is invalid"
            )
        if not given.get("caCertHashes") and not given.get("unsafeSkipCAVerification"):
            problems.append(
                'discovery.bootstrapToken.caCertHashes: Invalid value: "": using token-based discovery '
                "without caCertHashes can be unsafe. Set unsafeSkipCAVerification as true in your kubeadm "
                "config file or pass --discovery-token-unsafe-skip-ca-verification flag to continue"
            )
        address = given.get("apiServerEndpoint", "")
        if not address:
            problems.append(
                "discovery.bootstrapToken.apiServerEndpoint: Required value: APIServerEndpoint is not set"
            )
        elif not re.fullmatch(r".+:\d+", address):
            problems.append(
                f"discovery.bootstrapToken.apiServerEndpoint: Invalid value: {quote(address)}: address "
                f"{address}: missing port in address"
            )
    if not TOKEN.match(discovery.get("tlsBootstrapToken", "")):
        problems.append(
            f"discovery.tlsBootstrapToken: Invalid value: {quote(discovery.get('tlsBootstrapToken', ''))}: "
            "the bootstrap token is invalid"
        )
    _registration(join["nodeRegistration"], problems)
    if not join["caCertPath"].startswith("/"):
        problems.append(
            f"caCertPath: Invalid value: {quote(join['caCertPath'])}: path is not absolute"
        )
    _timeouts(join)
    _raise(problems)
