"""kubeconfig: ours put in and taken out, everybody else's kept."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formats.kubeconfig import (
    Access,
    access,
    fingerprint,
    holds,
    merged,
    parse,
    same,
    without,
)
from formats.unreadable import Unreadable
from tests.said import saying


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
OTHERS = """\
# Mine, edited by hand.
apiVersion: v1
kind: Config
preferences: {colors: true}   # as I like it
clusters:
- name: work   # the big one
  cluster:
    server: https://work:6443
    since: 2024-01-01
    at: 12:30:45
    octal: 0o17
    tags: &tags [a, "b"]
# who I am
users:
    - name: me
      user:
          exec: {command: login, args: *tags}
          note: |
              two
              lines

contexts:
- context:
    cluster: work
    user: me
    namespace: n
  name: work
current-context: work
extensions:
- name: e
  extension: {a: 1}
"""
names = st.sampled_from(["a", "b", "bramble", "rpi", "1", "yes", "null", "a b"])


def entries(kind: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    inner = st.dictionaries(
        st.sampled_from(["server", "x", "date"]),
        st.text(max_size=8) | st.dates() | st.integers() | st.booleans() | st.none(),
        max_size=2,
    )
    entry = st.builds(lambda name, value: {"name": name, kind: value}, names, inner)
    return st.lists(entry, max_size=3)


configs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "clusters": entries("cluster"),
        "users": st.none() | entries("user"),
        "contexts": entries("context"),
        "current-context": names | st.just(""),
        "preferences": st.just({}),
    },
)


def kept(before: str, after: str) -> bool:
    """Whether every line of the one is in the other, in its order."""
    lines = iter(after.splitlines())
    return all(line in lines for line in before.splitlines())


def test_what_is_nested_too_deeply_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="nested"):
        parse(f"kind: Config\nx: {'[' * 2000}{']' * 2000}\n")


def test_aliases_of_aliases_cost_no_more_than_they_are() -> None:
    """A text of 500 bytes would stand for 9 ** 12 values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 13)]
    assert parse("kind: Config\n" + "\n".join(lines))["a0"] == ["x"]


def test_credentials_are_taken_from_kubeadms_file_for_an_address_that_is_reached() -> None:
    assert access(ADMIN_CONF, "bramble", "https://192.168.1.32:6443") == WAY


def test_a_kubeconfig_that_points_to_files_is_not_kubeadms() -> None:
    with pytest.raises(ValueError, match="client-key-data"):
        access(ADMIN_CONF.replace("client-key-data", "client-key"), "bramble", "x")


def test_every_byte_of_others_is_kept_and_their_context_stays_the_current_one() -> None:
    made = merged(OTHERS, WAY)
    assert kept(OTHERS, made)
    assert without(made, "bramble") == OTHERS
    assert parse(made)["current-context"] == "work"
    assert [entry["name"] for entry in yaml.safe_load(made)["users"]] == ["me", "bramble"]
    assert made.index("    tags:") < made.index("name: bramble") < made.index("# who I am")


@pytest.mark.parametrize(
    "text",
    [
        OTHERS.replace("\n", "\r\n"),
        "\ufeff" + OTHERS,
        "---\n" + OTHERS + "...\n",
        OTHERS.replace("- name: work", "-   name: work").replace("\n  cluster:", "\n    cluster:"),
        "clusters: []\nusers:\ncontexts: ~ # none\ncurrent-context: ''\n",
        "# nothing but this\n",
        "null\n",
        "~",
        "# c\n--- null # none\n",
        "clusters: [{name: a, cluster: {}},]  # mine\nusers: []\n",
        '{"kind": "Config", "clusters": [], "users": [{"name": "bramble"}, {"name": "b"}]}\n',
        "{}",
        "---\n",
        "current-context:\n# the end\n",
        "  kind: Config\n  clusters:\n  - name: a\n    cluster: {}\n",
        "users:\n- name: a\n  user:\n    token: |\n      x\n\n# c\nkind: Config\n",
    ],
)
def test_whatever_way_a_file_is_written_it_goes_on_that_way(text: str) -> None:
    made = merged(text, WAY)
    changed = ("clusters: [", "users:", "contexts: ~", "current-context:", "null", "~", "--- null")
    lines = [line for line in text.splitlines() if not line.startswith((*changed, "{"))]
    assert kept("\n".join(lines), made.replace("\r\n", "\n"))
    assert ("\r" in text) == ("\r" in made)
    assert "\r\n" not in text or "\n" not in made.replace("\r\n", "")
    assert merged(made, WAY) == made
    assert holds(parse(made), "bramble")
    assert same(yaml.safe_load(made.removeprefix("\ufeff")), WAY, sums("CA", "CERT"))
    assert not holds(parse(without(made, "bramble")), "bramble")


def test_the_first_context_becomes_the_current_one() -> None:
    assert parse(merged("", WAY)) == {
        "apiVersion": "v1",
        "kind": "Config",
        **{key: [entry] for key, entry in WAY.entries().items()},
        "current-context": "bramble",
    }


def test_an_older_one_of_ours_is_replaced_in_its_place() -> None:
    old = merged(OTHERS, Access("bramble", "https://10.0.0.1:6443", data("old"), "", data("old")))
    assert merged(old, WAY) == merged(OTHERS, WAY)
    first = merged(merged("", WAY), Access("other", "https://10.0.0.2:6443"))
    renewed = Access("bramble", WAY.server, data("CA"), data("NEW"), data("NEW"))
    made = merged(first, renewed)
    assert [entry["name"] for entry in parse(made)["clusters"]] == ["bramble", "other"]
    assert len(made.splitlines()) == len(first.splitlines())


@pytest.mark.parametrize("letters", ["bbb", "abb", "bab", "bba", "abba", "b", "babab"])
def test_ours_in_brackets_become_one_however_many_there_are(letters: str) -> None:
    names = [{"a": "a", "b": "bramble"}[name] for name in letters]
    text = f"clusters: [{', '.join(f'{{name: {name}, cluster: {{}}}}' for name in names)}]\n"
    others = names.count("a")
    made = merged(text, WAY)
    assert [entry["name"] for entry in parse(made)["clusters"]].count("bramble") == 1
    assert len(parse(made)["clusters"]) == others + 1
    assert [entry["name"] for entry in parse(without(text, "bramble"))["clusters"]] == [
        "a"
    ] * others


def test_what_a_person_has_added_to_our_context_stays_when_certificates_are_renewed() -> None:
    mine = merged("", WAY).replace(
        "    user: bramble\n", "    user: bramble\n    namespace: x # my own\n"
    )
    renewed = Access("bramble", WAY.server, data("CA"), data("NEW"), data("NEW"))
    made = merged(mine, renewed)
    assert "    namespace: x # my own\n" in made
    assert same(parse(made), renewed, sums("CA", "NEW"))


@pytest.mark.parametrize("kind", ["cluster", "user"])
def test_what_a_context_of_another_name_is_for_is_not_replaced(kind: str) -> None:
    theirs = (
        f"{kind}s:\n- name: bramble\n  {kind}:\n    x: mine\n"
        f"contexts:\n- name: work\n  context:\n    {kind}: bramble\n"
    )
    with saying("FMT052 'work'", Unreadable):
        merged(theirs, WAY)
    with saying("FMT052 'work'", Unreadable):
        without(theirs, "bramble")
    renamed = theirs.replace("name: bramble", "name: b2").replace(f"{kind}: bramble", f"{kind}: b2")
    assert kept(renamed, merged(renamed, WAY))


def test_second_time_is_the_same() -> None:
    made = parse(merged(OTHERS, WAY))
    assert same(made, Access(WAY.name, WAY.server), sums("CA", "CERT"))
    assert not same(made, Access(WAY.name, "https://other:6443"), sums("CA", "CERT"))
    assert not same(made, Access(WAY.name, WAY.server), sums("CA", "RENEWED"))
    assert not same(made, Access(WAY.name, WAY.server), sums("ANOTHER", "CERT"))
    assert not same(parse(OTHERS), Access(WAY.name, WAY.server), sums("CA", "CERT"))


def test_the_proxys_context_has_no_user_as_in_the_blog() -> None:
    made = parse(merged("", PROXY))
    assert made["clusters"] == [
        {"name": "bramble-proxy", "cluster": {"server": "http://192.168.1.32:8080"}}
    ]
    assert made["contexts"] == [{"name": "bramble-proxy", "context": {"cluster": "bramble-proxy"}}]
    assert made["users"] == []
    assert same(made, PROXY, None)
    assert not same(parse(merged(OTHERS, WAY)), Access("bramble", WAY.server), None)


def test_taking_the_current_one_out_leaves_none() -> None:
    assert parse(without(merged("", WAY), "bramble"))["current-context"] == ""


@pytest.mark.parametrize("name", ["1", "1e3", "yes", "2024-01-01", "12:30:45", "a: b", "~", "é"])
def test_a_name_is_text_for_every_reader(name: str) -> None:
    made = merged("", Access(name, "http://x:1"))
    assert yaml.safe_load(made)["contexts"][0]["name"] == name
    assert parse(made)["current-context"] == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "FMT001 not YAML: expected the node content, but found '<stream end>' (line 1)"),
        (
            "a: 1\n\tb: 2\n",
            "FMT001 not YAML: found character '\\t' that cannot start any token (line 2)",
        ),
        (
            "kind: Config\n---\nkind: Config\n",
            "FMT001 several YAML documents, of which kubectl reads one",
        ),
        (
            "kind: Config\nkind: Config\n",
            "FMT001 a key that is there twice, or is not a text (line 2)",
        ),
        (
            "clusters:\n- name: a\n  name: b\n",
            "FMT001 a key that is there twice, or is not a text (line 3)",
        ),
        ("?", "FMT001 a key behind a question mark (line 1)"),
        ("kind: Config\n? users\n", "FMT001 a key behind a question mark (line 2)"),
        ("a: &a\n  b: *a\n", "FMT001 YAML that refers to itself"),
        ("x: &x {clusters: []}\n<<: *x\n", "FMT051"),
        ("- a\n", "FMT001 its kind is not Config"),
        ("kind: Pod\n", "FMT001 its kind is not Config"),
        ("clusters: {}\n", "FMT001 clusters is not a list of named entries"),
        ("contexts:\n- cluster: a\n", "FMT001 contexts is not a list of named entries"),
    ],
)
def test_what_is_no_kubeconfig_is_refused(content: str, message: str) -> None:
    with saying(message):
        parse(content)


def test_no_key_is_shown_with_the_data() -> None:
    assert data("KEY") not in repr(WAY)


def test_fingerprint_of_what_is_no_base64_is_none() -> None:
    assert fingerprint("%%%") == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("users: &u\n- name: a\n  user: {}\nclusters: *u\n", "FMT050"),
        ("x: &a\n- name: a\n  cluster: {}\nclusters: *a\n", "FMT050"),
    ],
)
def test_a_form_that_can_not_be_changed_is_refused_with_the_remedy(
    content: str, message: str
) -> None:
    parse(content)
    with saying(message, Unreadable):
        merged(content, WAY)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs, st.booleans(), st.sampled_from([False, None, True]))
def test_merging_twice_is_merging_once_and_others_are_untouched(
    config: dict[str, Any], indented: bool, flow: bool | None
) -> None:
    dumper = _Indented if indented else yaml.SafeDumper
    before = yaml.dump(config, Dumper=dumper, sort_keys=False, default_flow_style=flow)
    made = merged(before, WAY)
    assert merged(made, WAY) == made
    after = yaml.safe_load(made)
    assert holds(after, "bramble")
    for key in ("clusters", "users", "contexts"):
        others = [entry for entry in config.get(key) or [] if entry["name"] != "bramble"]
        assert [entry for entry in after[key] if entry["name"] != "bramble"] == others
    assert not holds(parse(without(made, "bramble")), "bramble")


class _Indented(yaml.SafeDumper):
    """Lists further in than their key, as many people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)
