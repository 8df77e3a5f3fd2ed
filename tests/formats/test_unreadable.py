"""Whatever a reader of formats/ is given, it answers, or says in one line that it can't be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formats import (
    card_record,
    certificates,
    docker_archive,
    flannel,
    kubeconfig,
    manifests,
    openpgp,
    partition_table,
)
from formats.containerd import Runtime, configured
from formats.interfaces import syntax as interfaces
from formats.kubeadm import config as kubeadm
from formats.kubeadm import output as kubeadm_output
from formats.unreadable import Unreadable
from tests.formats.test_certificates import PEM
from tests.formats.test_containerd import DEBIAN, DEFAULT_3
from tests.formats.test_kubeconfig import ADMIN_CONF

FLANNEL = """apiVersion: v1
kind: ConfigMap
metadata: {name: kube-flannel-cfg, namespace: kube-flannel}
data:
  net-conf.json: '{"Network": "10.244.0.0/16"}'
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec:
  template:
    spec:
      containers: [{name: kube-flannel, args: [--ip-masq]}]
"""
CLUSTER = """kind: ClusterConfiguration
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}
controlPlaneEndpoint: node1:6443
"""
ARCHIVE = '[{"Config": "a.json", "RepoTags": ["busybox:1"], "Layers": []}]'
RECORD = json.dumps(
    dict.fromkeys(["node", "image", "checksum", "head", "rest", "written"], "x") | {"size": 4096}
)
PLAN = """{"availableUpgrades": [{"components": [
{"name": "kubelet", "nodeName": "node1", "currentVersion": "1.35.0", "newVersion": "1.36.4"}]}]}
"""
PGP = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZ0H5ABYJKwYBBAHaRw8BAQdA
-----END PGP PUBLIC KEY BLOCK-----
"""


def adapted(text: str) -> object:
    return flannel.namespace(flannel.adapted(text, "10.244.0.0/16", "eth0"))


def hosts_access(text: str) -> object:
    return kubeconfig.access(text, "bramble", "https://192.168.1.32:6443")


def put(text: str) -> object:
    return kubeconfig.merged(text, kubeconfig.Access("bramble", "https://192.168.1.32:6443"))


def explained(text: str) -> object:
    return kubeadm_output.causes(text.splitlines())


# Each reader, and a text that it reads.
READERS: list[tuple[Callable[[str], object], str]] = [
    (manifests.documents, FLANNEL),
    (adapted, FLANNEL),
    (flannel.images, FLANNEL.replace("--ip-masq]", "--ip-masq], image: 'flannel:1'")),
    (kubeadm.settled, CLUSTER),
    (explained, '[ERROR ImagePull]: failed to pull image "a:1"'),
    (hosts_access, ADMIN_CONF),
    (put, ADMIN_CONF),
    (certificates.key_hash, PEM),
    (certificates.names, PEM),
    (certificates.expires, PEM),
    (kubeadm_output.upgrade_plan, PLAN),
    (openpgp.fingerprints, PGP),
    (docker_archive.images, ARCHIVE),
    (docker_archive.architecture, '{"architecture": "arm64"}'),
    (card_record.parse, RECORD),
    (lambda text: configured(text, Runtime("pause", mirrors=True), "1.7.24"), DEBIAN),
    (lambda text: configured(text, Runtime("pause", mirrors=True), "2.1.0"), DEFAULT_3),
    (interfaces.parse, "auto eth0\niface eth0 inet dhcp\n"),
]
slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
READER = pytest.mark.parametrize(("read", "sample"), READERS)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def answers(read: Callable[[str], object], text: str) -> None:
    """It returns, or raises the one error, in one line."""
    with suppress(Unreadable):
        read(text)
        return
    with pytest.raises(Unreadable, match=r"\A.+\Z"):  # without DOTALL: one line
        read(text)


@READER
@slow
@given(text=st.text())
def test_any_text(read: Callable[[str], object], sample: str, text: str) -> None:
    answers(read, text)
    answers(read, sample + text)


@READER
@slow
@given(value=values)
def test_any_json_and_any_yaml(read: Callable[[str], object], sample: str, value: Any) -> None:
    answers(read, json.dumps(value, default=str))
    answers(read, yaml.safe_dump(value))


@READER
@slow
@given(data=st.data())
def test_a_real_text_with_a_part_cut_out_or_put_in(
    read: Callable[[str], object], sample: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(start, min(len(sample), start + 40)))
    put_in = data.draw(st.sampled_from(["", "null", "[]", "{}", "'", '"', ": ", "\n", "0", "- a"]))
    answers(read, sample[:start] + put_in + sample[end:])


def replaced(value: Any, at: int, by: Any) -> tuple[Any, int]:
    """The value with its part number ``at`` exchanged, counted in depth; and how many it has."""
    if at == 0:
        return by, 1
    count = 1
    if isinstance(value, dict):
        made: Any = {}
        for key, item in value.items():
            made[key], parts = replaced(item, at - count, by)
            count += parts
        return made, count
    if isinstance(value, list):
        made = []
        for item in value:
            new, parts = replaced(item, at - count, by)
            made.append(new)
            count += parts
        return made, count
    return value, 1


@READER
@slow
@given(data=st.data())
def test_a_real_document_with_one_part_of_another_kind(
    read: Callable[[str], object], sample: str, data: st.DataObject
) -> None:
    try:
        documents = list(yaml.safe_load_all(sample))
    except yaml.YAMLError:
        return
    by = data.draw(values)
    for index, document in enumerate(documents):
        _, parts = replaced(document, -1, None)
        at = data.draw(st.integers(0, parts - 1))
        changed = [*documents[:index], replaced(document, at, by)[0], *documents[index + 1 :]]
        answers(read, yaml.safe_dump_all(changed))
        if len(changed) == 1:
            answers(read, json.dumps(changed[0], default=str))


@pytest.mark.parametrize(("read", "sample"), READERS[:-2])
def test_the_samples_are_read(read: Callable[[str], object], sample: str) -> None:
    if sample is not PGP:
        read(sample)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (adapted, FLANNEL.replace("spec:", "spac:", 1)),
        (manifests.documents, "when: 2026-02-30\n"),
        (manifests.documents, "apiVersion: v1\nkind: [a]\nmetadata: {name: b}\n"),
    ],
)
def test_what_is_read_by_nobody_is_said_to_be(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


@slow
@given(st.binary(max_size=600), st.booleans())
def test_any_partition_table(beginning: bytes, signed: bool) -> None:
    if signed:
        beginning = beginning.ljust(510, b"\0")[:510] + b"\x55\xaa" + beginning
    with suppress(Unreadable):
        partition_table.boot_partition(partition_table.parse(beginning))
