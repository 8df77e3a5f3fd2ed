"""
What happens by itself in a cluster: node lifecycle, pod networks, bootstrap tokens, signing
requests.

Source: kubernetes.io, "Nodes", "Bootstrap tokens", "Certificate Signing Requests"; times are the
defaults.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import ipaddress
import json
import time
import traceback
from collections.abc import Callable
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from . import pki, rbac, workloads
from .common import SYSTEM, Obj, moment, now, stamp
from .resources import BY_KEY, RBAC
from .store import Conflict, Store

NODES, SECRETS, MAPS, LEASES = (
    BY_KEY[one] for one in ("nodes", "secrets", "configmaps", "leases.coordination.k8s.io")
)
CSRS = BY_KEY["certificatesigningrequests.certificates.k8s.io"]
NAMESPACES, SERVICES, ACCOUNTS = BY_KEY["namespaces"], BY_KEY["services"], BY_KEY["serviceaccounts"]
# A node whose lease is older than this is Unknown (node-monitor-grace-period).
GRACE = 50
PERIOD = 1.0
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def ensure(store: Store, key: str, content: Obj) -> None:
    """Make an object unless it is there."""
    resource = BY_KEY[key]
    content = {"apiVersion": resource.api_version, "kind": resource.kind} | content
    with contextlib.suppress(Conflict):
        store.create(resource, content)


def bootstrap(store: Store, flags: dict[str, str]) -> None:
    """What an API server makes at its start: namespaces, default roles, its own Service."""
    for name in ("default", "kube-node-lease", "kube-public", SYSTEM):
        meta = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
        ensure(
            store,
            "namespaces",
            {
                "metadata": meta,
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    for name, rules in rbac.DEFAULT_ROLES.items():
        ensure(
            store,
            f"clusterroles.{RBAC}",
            {"metadata": {"name": name, "labels": labels}, "rules": rules},
        )
    for name, (role, group) in rbac.DEFAULT_BINDINGS.items():
        kind = "User" if group == "system:kube-controller-manager" else "Group"
        ensure(
            store,
            f"clusterrolebindings.{RBAC}",
            {
                "metadata": {"name": name, "labels": labels},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": RBAC, "kind": kind, "name": group}],
            },
        )
    network = ipaddress.ip_network(flags["service-cluster-ip-range"].split(",")[0])
    ports = [
        {"name": "https", "port": 443, "protocol": "TCP", "targetPort": int(flags["secure-port"])}
    ]
    ensure(
        store,
        "services",
        {
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "type": "ClusterIP",
                "clusterIP": str(network[1]),
                "clusterIPs": [str(network[1])],
                "ports": ports,
            },
        },
    )
    endpoints(store, flags)
    for name in ("node", "cluster"):
        value = 2000001000 if name == "node" else 2000000000
        ensure(
            store,
            "priorityclasses.scheduling.k8s.io",
            {"metadata": {"name": f"system-{name}-critical"}, "value": value},
        )


def endpoints(store: Store, flags: dict[str, str]) -> None:
    """Where the Service `kubernetes` leads: this API server's advertised address."""
    ports = [{"name": "https", "port": int(flags["secure-port"]), "protocol": "TCP"}]
    subsets = [{"addresses": [{"ip": flags["advertise-address"]}], "ports": ports}]
    ensure(store, "endpoints", {"metadata": {"name": "kubernetes", "namespace": "default"}})
    found = store.get(BY_KEY["endpoints"], "default", "kubernetes")
    if found is not None and found.get("subsets") != subsets:
        store.update(BY_KEY["endpoints"], found | {"subsets": subsets})


def run(store: Store, flags: dict[str, str], manager: dict[str, str]) -> None:
    """All controllers, once a second, for ever. One that fails is shown and tried again."""
    started = time.monotonic()
    steps: list[Callable[[], None]] = [
        lambda: accounts(store),
        lambda: tokens(store),
        lambda: requests(store, manager),
        # After a start nodes get their time to report, as under the real controller manager.
        lambda: nodes(store, manager, time.monotonic() - started),
        lambda: workloads.run(store),
    ]
    while True:
        for step in steps:
            try:
                step()
            except Conflict:
                continue
            except Exception:
                traceback.print_exc()
        time.sleep(PERIOD)


def accounts(store: Store) -> None:
    """The default ServiceAccount of each namespace."""
    for one in store.listed(NAMESPACES)[0]:
        name = one["metadata"]["name"]
        if store.get(ACCOUNTS, name, "default") is None:
            ensure(store, "serviceaccounts", {"metadata": {"name": "default", "namespace": name}})


def encode(data: bytes) -> str:
    """base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(content: str, token_id: str, token_secret: str) -> str:
    """The detached JWS (HS256) of cluster-info for one token."""
    header = encode(json.dumps({"alg": "HS256", "kid": token_id}, separators=(",", ":")).encode())
    signed = f"{header}.{encode(content.encode())}".encode()
    return f"{header}..{encode(hmac.new(token_secret.encode(), signed, hashlib.sha256).digest())}"


def tokens(store: Store) -> None:
    """Delete expired bootstrap tokens; sign cluster-info for the others."""
    wanted: dict[str, str] = {}
    info = store.get(MAPS, "kube-public", "cluster-info")
    for secret in store.listed(SECRETS, SYSTEM)[0]:
        if secret.get("type") != "bootstrap.kubernetes.io/token":
            continue
        if rbac.expired(secret):
            store.delete(SECRETS, SYSTEM, secret["metadata"]["name"])
        elif info and rbac.secret_text(secret, "usage-bootstrap-signing") == "true":
            name = rbac.secret_text(secret, "token-id")
            wanted[f"jws-kubeconfig-{name}"] = signature(
                info["data"]["kubeconfig"], name, rbac.secret_text(secret, "token-secret")
            )
    if info and info["data"] != wanted | {"kubeconfig": info["data"]["kubeconfig"]}:
        info["data"] = wanted | {"kubeconfig": info["data"]["kubeconfig"]}
        store.update(MAPS, info)


def requests(store: Store, manager: dict[str, str]) -> None:
    """Approve and sign the kubelets' client certificates; delete what is old."""
    for one in store.listed(CSRS)[0]:
        status = one.setdefault("status", {})
        if now() - moment(one["metadata"]["creationTimestamp"]) > timedelta(hours=1):
            store.delete(CSRS, "", one["metadata"]["name"])
            continue
        if (
            status.get("certificate")
            or one["spec"]["signerName"] != "kubernetes.io/kube-apiserver-client-kubelet"
        ):
            continue
        verb = (
            "selfnodeclient" if one["spec"]["username"].startswith("system:node:") else "nodeclient"
        )
        asker = rbac.User(one["spec"]["username"], one["spec"]["groups"])
        if not rbac.allowed(
            store, asker, rbac.Question("create", CSRS.group, f"{CSRS.plural}/{verb}")
        ):
            continue
        wanted = x509.load_pem_x509_csr(base64.b64decode(one["spec"]["request"]))
        names = wanted.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        key = wanted.public_key()
        assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
        folder, _, file = manager["cluster-signing-cert-file"].removesuffix(".crt").rpartition("/")
        authority = pki.load_pair(folder, file)
        certificate = authority.sign(
            str(names[0].value), ["system:nodes"], (pki.CLIENT,), key, timedelta(days=365)
        )
        status["conditions"] = [
            {
                "type": "Approved",
                "status": "True",
                "reason": "AutoApproved",
                "message": "Auto approving kubelet client certificate after SubjectAccessReview.",
                "lastUpdateTime": stamp(),
                "lastTransitionTime": stamp(),
            }
        ]
        status["certificate"] = base64.b64encode(pki.certificate_pem(certificate)).decode()
        store.update(CSRS, one)


def nodes(store: Store, manager: dict[str, str], running: float) -> None:
    """Pod networks, silent nodes, and the taints that follow from a node's condition."""
    listed = store.listed(NODES)[0]
    used = {one["spec"].get("podCIDR") for one in listed if "spec" in one}
    for node in listed:
        spec = node.setdefault("spec", {})
        if not spec.get("podCIDR") and manager.get("allocate-node-cidrs") == "true":
            size = int(manager.get("node-cidr-mask-size", "24"))
            networks = ipaddress.ip_network(manager["cluster-cidr"].split(",")[0]).subnets(
                new_prefix=size
            )
            free = next((str(one) for one in networks if str(one) not in used), None)
            if free:
                spec |= {"podCIDR": free, "podCIDRs": [free]}
                used.add(free)
        lease = store.get(LEASES, "kube-node-lease", node["metadata"]["name"])
        seen = (
            moment(lease["spec"]["renewTime"])
            if lease
            else moment(node["metadata"]["creationTimestamp"])
        )
        if running > GRACE and (now() - seen).total_seconds() > GRACE:
            _unknown(node)
        _taint(node)
        store.update(NODES, node)


def _unknown(node: Obj) -> None:
    for one in node.get("status", {}).get("conditions", []):
        if one["type"] != "NetworkUnavailable" and one["status"] != "Unknown":
            one |= {
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": stamp(),
            }


def _taint(node: Obj) -> None:
    ready = next(
        (
            one["status"]
            for one in node.get("status", {}).get("conditions", [])
            if one["type"] == "Ready"
        ),
        "False",
    )
    key = {"True": "", "Unknown": UNREACHABLE}.get(ready, NOT_READY)
    ours = (NOT_READY, UNREACHABLE, "node.kubernetes.io/unschedulable")
    old = node["spec"].get("taints") or []
    kept = [one for one in old if one["key"] not in ours]
    wanted = [(key, effect) for effect in ("NoSchedule", "NoExecute")] if key else []
    if node["spec"].get("unschedulable"):
        wanted.append(("node.kubernetes.io/unschedulable", "NoSchedule"))
    known = {(one["key"], one["effect"]): one for one in old}
    kept += [
        known.get(one, {"key": one[0], "effect": one[1], "timeAdded": stamp()}) for one in wanted
    ]
    if kept:
        node["spec"]["taints"] = kept
    else:
        node["spec"].pop("taints", None)
