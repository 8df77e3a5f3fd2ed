"""
The controllers of a cluster: nodes, pod networks, bootstrap tokens, signing requests.

Each control plane has them; those of one work, whose lease says so.
Source: kubernetes.io, "Nodes", "Leases", "Bootstrap tokens", "Certificate Signing Requests"; times
are the defaults.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from . import disruption, pki, rbac, workloads
from .addons import secret_text
from .client import ApiError, Unreachable
from .common import SYSTEM, Obj, condition, lookup, moment, new_condition, now, stamp, template
from .config import CONTROL_PLANE_TAINT
from .resources import BY_KEY, BY_KIND
from .store import Conflict, Store
from .tokens import signature

NODES, SECRETS, MAPS = (BY_KEY[one] for one in ("nodes", "secrets", "configmaps"))
LEASES = BY_KEY["leases.coordination.k8s.io"]
CSRS = BY_KEY["certificatesigningrequests.certificates.k8s.io"]
SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
APPROVAL = "Auto approving kubelet client certificate after SubjectAccessReview."
GRACE = 50  # seconds after which a silent node is Unknown (node-monitor-grace-period)
PERIOD, CALM = 1.0, 5.0  # seconds between two rounds: after a change, and without one
NOT_READY, UNREACHABLE, UNSCHEDULABLE = (
    f"node.kubernetes.io/{one}" for one in ("not-ready", "unreachable", "unschedulable")
)
READY_TAINTS = {"True": [], "Unknown": [UNREACHABLE]}
LEADER = "kube-controller-manager"  # whose lease stands for the scheduler too
LIVENESS = 80.0  # seconds without an answer to the kubelet's probe, after which it is restarted
RENEWAL, TAKEOVER = 5.0, 15.0  # seconds without a change: until it is renewed, taken from another


def bootstrap(store: Store, flags: dict[str, str]) -> None:
    """Make what an API server makes at its start: namespaces, default roles, its own Service."""
    network = ipaddress.ip_network(flags["service-cluster-ip-range"])
    values = {"address": str(network[1]), "port": flags["secure-port"]}
    for one in template("bootstrap", advertised=flags["advertise-address"], **values):
        with contextlib.suppress(Conflict):
            store.create(BY_KIND[(one["apiVersion"], one["kind"])], one)
    with contextlib.suppress(Conflict):
        endpoints(store, flags["advertise-address"])


def endpoints(store: Store, own: str) -> None:
    """Have the API's Service lead to the control planes that are not silent, and to this one."""
    found, addresses = store.get(BY_KEY["endpoints"], "default", "kubernetes"), {own}
    for node in store.peek(NODES):
        is_control_plane = CONTROL_PLANE_TAINT["key"] in (node["metadata"].get("labels") or {})
        if is_control_plane and condition(node, "Ready").get("status") != "Unknown":
            listed = lookup(node, "status.addresses") or []
            addresses |= {one["address"] for one in listed if one["type"] == "InternalIP"}
    if found:
        found["subsets"][0]["addresses"] = [{"ip": one} for one in sorted(addresses)]
        store.update(BY_KEY["endpoints"], found)


@dataclass
class Election:
    """Who leads; node: whose identity is the same after a start, so that none waits for itself."""

    store: Store
    node: str
    known: str = ""  # the lease's version, and since when it is that one
    since: float = 0.0
    led: float = 0.0  # since when this one leads, 0: it does not

    def leads(self) -> bool:
        """Renew the lease, or take it over from one that has gone; whether this one leads."""
        lease = self.store.get(LEASES, SYSTEM, LEADER) or {}
        version, now = lookup(lease, "metadata.resourceVersion"), time.monotonic()
        if version != self.known:
            self.known, self.since = version, now
        holder = f"{self.node}_{uuid.uuid5(uuid.NAMESPACE_DNS, self.node)}"
        is_own = bool(lookup(lease, "spec.holderIdentity") == holder)
        if not lease or now - self.since > (RENEWAL if is_own else TAKEOVER):
            values = {"name": LEADER, "namespace": SYSTEM, "holder": holder, "seconds": "15"}
            (lease,) = template("lease", time=stamp(micro=True), **values)
            lease["metadata"]["resourceVersion"] = version
            self.store.put(LEASES, lease)
            is_own = True
        self.led = (self.led or now) if is_own else 0.0
        return is_own


def run(store: Store, manager: dict[str, str], node: str, address: str) -> None:
    """
    Run all controllers when something has changed, while they lead; what fails is tried again.

    + manager: the controller manager's flags
    + node, address: where its API server is
    """
    election, seen = Election(store, node), (-1, 0.0)
    steps: list[Callable[[], None]] = [
        lambda: tokens(store),
        lambda: requests(store, manager),
        # At first nodes get their time to report, as under the real controller manager.
        lambda: nodes(store, manager, time.monotonic() - election.led),
        lambda: endpoints(store, address),
        lambda: workloads.run(store),
        lambda: disruption.run(store),
    ]
    while True:
        known = (store.revision, time.monotonic() // CALM)
        if not store.has_leader(LIVENESS):
            print("the kubelet would end an API server that is not live: exit", flush=True)
            os._exit(1)
        leads = False
        with contextlib.suppress(Conflict, ApiError, Unreachable):
            leads = election.leads()
        for step in steps if leads and known != seen else ():
            try:
                step()
            except (Conflict, ApiError, Unreachable):
                continue
            except Exception:
                traceback.print_exc()
        seen = known
        time.sleep(PERIOD)


def tokens(store: Store) -> None:
    """Delete expired bootstrap tokens; sign cluster-info for the others."""
    info = store.get(MAPS, "kube-public", "cluster-info")
    text = info["data"]["kubeconfig"] if info else ""
    signed = {"kubeconfig": text}
    for secret in store.listed(SECRETS, SYSTEM)[0]:
        for one in secret["metadata"].get("ownerReferences", []):
            owner = store.get(SECRETS, SYSTEM, one["name"])  # kubeadm-certs has one
            if owner is None or owner["metadata"]["uid"] != one["uid"]:
                store.delete(SECRETS, SYSTEM, secret["metadata"]["name"])
        if secret.get("type") != "bootstrap.kubernetes.io/token":
            continue
        if rbac.is_expired(secret):
            store.delete(SECRETS, SYSTEM, secret["metadata"]["name"])
        elif secret_text(secret, "usage-bootstrap-signing") == "true":
            name, own = (secret_text(secret, f"token-{one}") for one in ("id", "secret"))
            signed[f"jws-kubeconfig-{name}"] = signature(text, name, own)
    if info and info["data"] != signed:
        store.update(MAPS, info | {"data": signed})


def requests(store: Store, manager: dict[str, str]) -> None:
    """Approve and sign the kubelets' client certificates; delete what is old."""
    for one in store.listed(CSRS)[0]:
        spec, status = one["spec"], one.setdefault("status", {})
        asked = rbac.Question("create", CSRS.group, f"{CSRS.plural}/nodeclient")
        is_open = "certificate" not in status and spec["signerName"] == SIGNER
        user = rbac.User(spec["username"], spec["groups"])
        if not is_open or not rbac.allowed(store, user, asked):
            continue
        request = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
        name = str(request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        key = request.public_key()
        assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
        folder, _, file = manager["cluster-signing-cert-file"].removesuffix(".crt").rpartition("/")
        authority, subject = pki.load_pair(folder, file), pki.subject(name, "system:nodes")
        made = authority.sign(subject, "client", key, timedelta(days=365), ())
        why = {"reason": "AutoApproved", "message": APPROVAL, "lastUpdateTime": stamp()}
        status["conditions"] = [new_condition(one, "Approved", True, **why)]
        status["certificate"] = base64.b64encode(pki.certificate_pem(made)).decode()
        store.update(CSRS, one)


def nodes(store: Store, manager: dict[str, str], running: float) -> None:
    """Give nodes their pod networks, find silent ones, and set the taints of their condition."""
    listed = store.listed(NODES)[0]
    used = {one.setdefault("spec", {}).get("podCIDR") for one in listed}
    for node in listed:
        spec, meta = node["spec"], node["metadata"]
        if not spec.get("podCIDR") and manager.get("cluster-cidr"):
            size = int(manager.get("node-cidr-mask-size", "24"))
            networks = ipaddress.ip_network(manager["cluster-cidr"]).subnets(new_prefix=size)
            free = next((str(one) for one in networks if str(one) not in used), None)
            if free:
                spec |= {"podCIDR": free, "podCIDRs": [free]}
                used.add(free)
        lease = store.get(LEASES, "kube-node-lease", meta["name"])
        seen = moment(lease["spec"]["renewTime"] if lease else meta["creationTimestamp"])
        if running > GRACE and (now() - seen).total_seconds() > GRACE:
            text = "Kubelet stopped posting node status."
            for one in node.get("status", {}).get("conditions", []):
                if one["type"] != "NetworkUnavailable" and one["status"] != "Unknown":
                    one |= {"status": "Unknown", "reason": "NodeStatusUnknown", "message": text}
                    one["lastTransitionTime"] = stamp()
        _taint(node)
        store.update(NODES, node)


def _taint(node: Obj) -> None:
    """Set the taints that follow from a node's condition, and keep the others."""
    spec = node["spec"]
    ready = condition(node, "Ready").get("status", "False")
    keys = READY_TAINTS.get(ready, [NOT_READY])
    wanted = [(key, effect) for key in keys for effect in ("NoSchedule", "NoExecute")]
    if spec.get("unschedulable"):
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    old = spec.pop("taints", None) or []
    known = {(one["key"], one["effect"]): one for one in old}
    taints = [one for one in old if one["key"] not in (NOT_READY, UNREACHABLE, UNSCHEDULABLE)]
    for key, effect in wanted:
        new = {"key": key, "effect": effect, "timeAdded": stamp()}
        taints.append(known.get((key, effect), new))
    if taints:
        spec["taints"] = taints
