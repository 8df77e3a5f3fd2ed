"""kubeconfig: ours put in and taken out, everybody else's kept."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.kubeconfig import (
    Access,
    access,
    fingerprint,
    holds,
    merged,
    parse,
    same,
    text,
    without,
)


def data(content: str) -> str:
    return b64encode(content.encode()).decode()


def sums(ca: str, cert: str) -> dict[str, str]:
    return {"ca": sha256(ca.encode()).hexdigest(), "cert": sha256(cert.encode()).hexdigest()}


WAY = Access("bramble", "https://192.168.1.32:6443", data("CA"), data("CERT"), data("KEY"))
PROXY = Access("bramble-proxy", "http://192.168.1.32:8080")
ADMIN_CONF = f"""\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {data("CA")}
    server: https://node1:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
users:
- name: kubernetes-admin
  user:
    client-certificate-data: {data("CERT")}
    client-key-data: {data("KEY")}
"""
OTHERS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "preferences": {"colors": True},
    "clusters": [{"name": "work", "cluster": {"server": "https://work:6443", "proxy-url": "x"}}],
    "users": [{"name": "me", "user": {"exec": {"command": "login"}}}],
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me", "namespace": "n"}}],
    "current-context": "work",
    "extensions": [{"name": "e", "extension": {"a": 1}}],
}
names = st.sampled_from(["a", "b", "bramble", "rpi"])
configs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "clusters": st.lists(st.builds(lambda n: {"name": n, "cluster": {"server": "s"}}, names)),
        "users": st.none() | st.lists(st.builds(lambda n: {"name": n, "user": {}}, names)),
        "contexts": st.lists(
            st.builds(lambda n, c: {"name": n, "context": {"cluster": c}}, names, names)
        ),
        "current-context": names | st.just(""),
        "preferences": st.just({}),
    },
)


def test_credentials_are_taken_from_kubeadms_file_for_an_address_that_is_reached() -> None:
    assert access(ADMIN_CONF, "bramble", "https://192.168.1.32:6443") == WAY


def test_a_kubeconfig_that_points_to_files_is_not_kubeadms() -> None:
    with pytest.raises(ValueError, match="client-key-data"):
        access(ADMIN_CONF.replace("client-key-data", "client-key"), "bramble", "x")


def test_others_are_kept_and_their_context_stays_the_current_one() -> None:
    made = merged(OTHERS, WAY)
    assert without(made, "bramble") == OTHERS
    assert made["current-context"] == "work"
    assert made["clusters"][0] == OTHERS["clusters"][0]


def test_the_first_context_becomes_the_current_one() -> None:
    made = merged(parse(""), WAY)
    assert made["current-context"] == "bramble"
    assert parse(text(made)) == made


def test_an_older_one_of_ours_is_replaced() -> None:
    old = merged(OTHERS, Access("bramble", "https://10.0.0.1:6443", data("old"), "", data("old")))
    made = merged(old, WAY)
    assert made == merged(OTHERS, WAY)


def test_second_time_is_the_same() -> None:
    made = merged(OTHERS, WAY)
    assert same(made, Access(WAY.name, WAY.server), sums("CA", "CERT"))
    assert not same(made, Access(WAY.name, "https://other:6443"), sums("CA", "CERT"))
    assert not same(made, Access(WAY.name, WAY.server), sums("CA", "RENEWED"))
    assert not same(made, Access(WAY.name, WAY.server), sums("ANOTHER", "CERT"))
    assert not same(OTHERS, Access(WAY.name, WAY.server), sums("CA", "CERT"))


def test_the_proxys_context_has_no_user_as_in_the_blog() -> None:
    made = merged(parse(""), PROXY)
    assert made["clusters"] == [
        {"name": "bramble-proxy", "cluster": {"server": "http://192.168.1.32:8080"}}
    ]
    assert made["contexts"] == [{"name": "bramble-proxy", "context": {"cluster": "bramble-proxy"}}]
    assert made["users"] == []
    assert same(made, PROXY, None)
    assert not same(merged(OTHERS, WAY), Access("bramble", WAY.server), None)


def test_taking_the_current_one_out_leaves_none() -> None:
    assert without(merged(parse(""), WAY), "bramble")["current-context"] == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "not YAML"),
        ("- a\n", "not a kubeconfig"),
        ("kind: Pod\n", "not a kubeconfig"),
        ("clusters: {}\n", "its clusters"),
        ("contexts:\n- cluster: a\n", "its contexts"),
    ],
)
def test_what_is_no_kubeconfig_is_refused(content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(content)


def test_no_key_is_shown_with_the_data() -> None:
    assert data("KEY") not in repr(WAY)


def test_fingerprint_of_what_is_no_base64_is_none() -> None:
    assert fingerprint("%%%") == ""


@given(configs)
def test_merging_twice_is_merging_once_and_others_are_untouched(config: dict[str, Any]) -> None:
    made = merged(config, WAY)
    assert merged(made, WAY) == made
    assert holds(made, "bramble")
    for key in ("clusters", "users", "contexts"):
        before = [entry for entry in config.get(key) or [] if entry["name"] != "bramble"]
        assert [entry for entry in made[key] if entry["name"] != "bramble"] == before
    assert parse(text(made)) == made
