"""The API server: over real HTTPS, with the certificates that init makes."""
# ruff: noqa: E501

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from lab.waiting import until
from standin.node import addons, controllers, kubeconfig, pki
from standin.node.client import ApiError, Client, Unreachable
from standin.node.common import now, stamp
from standin.node.resources import BY_KEY
from standin.node.store import Conflict
from tests.standin.conftest import ControlPlane
from tests.standin.etcd import REFUSED

MAPS = "/api/v1/namespaces/default/configmaps"
NODES = "/api/v1/nodes"
CONFIG_MAPS = BY_KEY["configmaps"]


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def one_map(**data: str) -> dict[str, Any]:
    content = config_map("one", **data)
    content["metadata"]["namespace"] = "default"
    return content


def apply(client: Client, content: dict[str, Any], manager: str, force: bool = False) -> Any:
    path = f"{MAPS}/{content['metadata']['name']}?fieldManager={manager}&force={str(force).lower()}"
    return client.request("PATCH", path, content, "application/apply-patch+yaml")


def refused(client: Client, method: str, path: str, body: Any = None) -> tuple[int, str]:
    with pytest.raises(ApiError) as error:
        client.request(method, path, body)
    return error.value.status, str(error.value)


def test_nobody_gets_in_without_credentials(control_plane: ControlPlane) -> None:
    stranger = Client(f"https://{control_plane.address}")
    assert refused(stranger, "GET", NODES) == (
        403,
        'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" at '
        "the cluster scope",
    )
    assert stranger.request("GET", "/readyz") == "ok"
    info = stranger.request("GET", "/api/v1/namespaces/kube-public/configmaps/cluster-info")
    assert "jws-kubeconfig-abcdef" in info["data"]
    wrong = Client(f"https://{control_plane.address}", user={"token": "abcdef.ffffffffffffffff"})
    assert refused(wrong, "GET", NODES) == (401, "Unauthorized")


def test_a_certificate_of_another_authority_is_not_accepted(control_plane: ControlPlane) -> None:
    other = pki.new_authority("kubernetes", "ECDSA-P256", timedelta(days=1))
    key = pki.new_key("ECDSA-P256")
    name = pki.subject("admin", "system:masters")
    forged = other.sign(name, "client", key.public_key(), timedelta(days=1), ())
    pair = {"client-certificate": pki.certificate_pem(forged), "client-key": pki.key_pem(key)}
    user = {f"{name}-data": base64.b64encode(data).decode() for name, data in pair.items()}
    client = Client(f"https://{control_plane.address}", user=user)
    with pytest.raises((ApiError, Unreachable)):
        client.request("GET", NODES)


def test_a_bootstrap_token_may_only_bootstrap(control_plane: ControlPlane) -> None:
    holder = Client(f"https://{control_plane.address}", user={"token": "abcdef.0123456789abcdef"})
    assert holder.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config") is not None
    status, message = refused(holder, "GET", "/api/v1/namespaces/kube-system/secrets")
    assert status == 403
    assert message == (
        'secrets is forbidden: User "system:bootstrap:abcdef" cannot list resource "secrets" in API '
        'group "" in the namespace "kube-system"'
    )


def test_an_expired_token_is_refused_and_removed(control_plane: ControlPlane) -> None:
    usages = ["authentication", "signing"]
    entry = {"token": "zzzzzz.0123456789abcdef", "usages": usages, "groups": [], "ttl": "1s"}
    secret = addons.token_secret(entry)
    past = stamp(now() - timedelta(seconds=1)).encode()
    secret["data"]["expiration"] = base64.b64encode(past).decode()
    control_plane.admin.put(addons.SECRETS, secret)
    holder = Client(f"https://{control_plane.address}", user={"token": "zzzzzz.0123456789abcdef"})
    assert refused(holder, "GET", NODES)[0] == 401
    controllers.tokens(control_plane.store)
    path = "/api/v1/namespaces/kube-system/secrets/bootstrap-token-zzzzzz"
    assert control_plane.admin.get(path) is None


def test_objects_are_in_etcd_where_kubernetes_has_them(control_plane: ControlPlane) -> None:
    made = control_plane.admin.request("POST", MAPS, config_map("kept", a="1"))
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}, "spec": {}}
    control_plane.admin.request("POST", NODES, node)
    for key in (
        "/registry/configmaps/default/kept",
        "/registry/minions/w1",
        "/registry/namespaces/default",
        "/registry/services/specs/default/kubernetes",
        "/registry/clusterroles/cluster-admin",
        "/registry/secrets/kube-system/bootstrap-token-abcdef",
    ):
        assert key in control_plane.etcd.names()
    again = control_plane.etcd.store()
    found = next(one for one in again.objects.values() if one["metadata"]["name"] == "kept")
    assert found == made
    control_plane.admin.request("DELETE", f"{MAPS}/kept")
    assert "/registry/configmaps/default/kept" not in control_plane.etcd.names()


def test_two_api_servers_share_an_etcd(control_plane: ControlPlane) -> None:
    """What one writes the other serves, and neither writes over a newer version."""
    made, other = (
        control_plane.store.create(CONFIG_MAPS, one_map(a="1")),
        control_plane.etcd.store(),
    )
    assert other.get(CONFIG_MAPS, "default", "one") == made
    changed = other.update(CONFIG_MAPS, made | {"data": {"a": "2"}})
    found, _ = control_plane.store.changes(
        CONFIG_MAPS, "default", int(made["metadata"]["resourceVersion"]), wait=10
    )
    assert found == [("MODIFIED", changed)]
    with pytest.raises(Conflict):
        control_plane.store.update(CONFIG_MAPS, made | {"data": {"a": "3"}})


def test_without_etcd_nothing_is_served_until_it_is_back(control_plane: ControlPlane) -> None:
    control_plane.etcd.switch(False)
    assert until(lambda: control_plane.store.problem != "", pause=0.01)
    for method, body in (("GET", None), ("POST", config_map("one"))):
        status, message = refused(control_plane.admin, method, MAPS, body)
        assert status == 500
        assert REFUSED in message
    status, message = refused(control_plane.admin, "GET", "/livez")
    assert (status, "[-]etcd failed" in message) == (500, True)
    control_plane.etcd.switch(True)
    assert until(lambda: not control_plane.store.problem, pause=0.01)
    assert control_plane.admin.request("GET", "/livez") == "ok"
    control_plane.admin.request("POST", MAPS, config_map("one"))


def test_writing_over_a_newer_version_is_a_conflict(control_plane: ControlPlane) -> None:
    old = control_plane.admin.request("POST", MAPS, config_map("one", a="1"))
    control_plane.admin.merge(f"{MAPS}/one", {"data": {"a": "2"}})
    status, message = refused(control_plane.admin, "PUT", f"{MAPS}/one", old)
    assert (status, message.split(":")[0]) == (
        409,
        'Operation cannot be fulfilled on configmaps "one"',
    )


def test_applying_the_same_again_changes_nothing(control_plane: ControlPlane) -> None:
    first = apply(control_plane.admin, config_map("one", a="1", b="2"), "bramble")
    again = apply(control_plane.admin, config_map("one", a="1", b="2"), "bramble")
    assert again == first


def test_applying_keeps_what_others_added(control_plane: ControlPlane) -> None:
    apply(control_plane.admin, config_map("one", a="1", b="2"), "bramble")
    control_plane.admin.merge(f"{MAPS}/one", {"data": {"b": "by hand", "c": "3"}})
    again = apply(control_plane.admin, config_map("one", a="1", b="2"), "bramble")
    assert again["data"] == {"a": "1", "b": "2", "c": "3"}


def test_lists_are_selected_by_labels_and_fields(control_plane: ControlPlane) -> None:
    for name, role in (("one", "control-plane"), ("two", "worker"), ("three", "worker")):
        content = config_map(name) | {"metadata": {"name": name, "labels": {"role": role}}}
        control_plane.admin.request("POST", MAPS, content)
    for query, names in {
        "labelSelector=role%3Dworker": ["three", "two"],
        "labelSelector=role%21%3Dworker": ["one"],
        "fieldSelector=metadata.name%3Dtwo": ["two"],
        "labelSelector=role%21%3Dcontrol-plane&fieldSelector=metadata.name%21%3Dtwo": ["three"],
    }.items():
        listed = control_plane.admin.request("GET", f"{MAPS}?{query}")
        assert [one["metadata"]["name"] for one in listed["items"]] == names


def test_a_node_that_falls_silent_is_unknown_and_tainted(control_plane: ControlPlane) -> None:
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}, "spec": {}}
    control_plane.admin.request("POST", NODES, node)
    control_plane.admin.merge(f"{NODES}/w1/status", {"status": {"conditions": [condition]}})
    long_ago = stamp(now() - timedelta(seconds=controllers.GRACE + 5), micro=True)
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "w1"},
        "spec": {"holderIdentity": "w1", "renewTime": long_ago},
    }
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    control_plane.admin.request("POST", path, lease)
    manager = {"cluster-cidr": "10.244.0.0/16"}
    controllers.nodes(control_plane.store, manager, running=0)
    assert control_plane.admin.get(f"{NODES}/w1")["status"]["conditions"][0]["status"] == "True"
    controllers.nodes(control_plane.store, manager, running=controllers.GRACE + 1)
    found = control_plane.admin.get(f"{NODES}/w1")
    assert found["status"]["conditions"][0]["reason"] == "NodeStatusUnknown"
    assert found["spec"]["podCIDR"] == "10.244.0.0/24"
    assert {one["key"] for one in found["spec"]["taints"]} == {controllers.UNREACHABLE}


def person(control_plane: ControlPlane, user: str, group: str) -> Client:
    """Somebody with a certificate of the cluster's authority."""
    own = pki.client_credentials(control_plane.config, user, group)
    authority = pki.certificate_pem(pki.load_pair("/etc/kubernetes/pki", "ca").certificate)
    server = f"https://{control_plane.address}"
    return Client.of(kubeconfig.document(server, "k", user, authority, own))


def test_a_certificate_has_the_rights_of_its_groups_binding(control_plane: ControlPlane) -> None:
    viewer = person(control_plane, "viewer", "people")
    assert refused(viewer, "GET", MAPS)[0] == 403
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "people-view"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "people"}],
    }
    control_plane.admin.request("POST", f"/apis/{group}/v1/clusterrolebindings", binding)
    assert viewer.request("GET", MAPS)["kind"] == "ConfigMapList"
    assert refused(viewer, "POST", MAPS, config_map("mine"))[0] == 403


@pytest.mark.parametrize("path", ["namespaces/kube-system/secrets", "secrets", "nodes"])
def test_a_kubelet_lists_neither_secrets_nor_other_nodes(
    control_plane: ControlPlane, path: str
) -> None:
    kubelet = person(control_plane, "system:node:w1", "system:nodes")
    assert refused(kubelet, "GET", f"/api/v1/{path}")[0] == 403
    assert kubelet.get(f"{NODES}/w1") is None  # it may ask, and there is none


def test_a_kubelet_acts_for_its_pods_with_their_accounts_rights(
    control_plane: ControlPlane,
) -> None:
    proxy = "system:serviceaccount:kube-system:kube-proxy"
    kubelet = person(control_plane, "system:node:w1", "system:nodes").acting_as(proxy)
    assert kubelet.request("GET", "/api/v1/services")["kind"] == "ServiceList"
    assert refused(kubelet, "GET", "/api/v1/secrets")[0] == 403
    stranger = person(control_plane, "viewer", "people").acting_as(proxy)
    assert refused(stranger, "GET", "/api/v1/services")[0] == 403
