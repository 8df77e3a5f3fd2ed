"""The Wi-Fi key and the operator's SSH key: that they can be used. They are never shown."""

from __future__ import annotations

from collections.abc import Iterator

from settings import wifi
from settings.checks.draft import Draft
from settings.errors import Problem


def wifi_key(draft: Draft) -> Iterator[Problem]:
    cluster = draft.cluster
    if cluster.topology == "nat" and cluster.wifi_ssid is not None:
        try:
            wifi.read_key(cluster.desk, cluster.wifi_psk_file)
        except ValueError as error:
            yield draft.problem("wifi_psk_file", str(error))


def wifi_country(draft: Draft) -> Iterator[Problem]:
    cluster = draft.cluster
    if cluster.topology == "nat" and cluster.wifi_ssid and cluster.wifi_country is None:
        yield draft.problem(
            "wifi_country", 'None: the radio stays off without a country, such as "US"'
        )


def private_key(draft: Draft) -> Iterator[Problem]:
    path = draft.cluster.ssh_private_key
    if path is None:
        return
    for needed in (path, path.with_name(path.name + ".pub")):
        if not (draft.cluster.desk / needed).is_file():
            yield draft.problem(
                "ssh_private_key", f"{needed} does not exist: make it with ssh-keygen, or set None"
            )
            return
