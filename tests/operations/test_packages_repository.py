"""The repository of Kubernetes packages: a key is fetched by this computer, and looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from facts.files import FileState
from facts.packages import KEY, MIRRORS, SOURCE, RepositoryState
from messages import Said
from messages import kubernetes as messages
from operations import packages
from operations.base import HostFailure

SAMPLE = (Path(__file__).parent.parent / "formats" / "samples" / "sample-key.asc").read_text()
FINGERPRINT = "AFFC9A91E4668A5D4D274C9CFE12C3761238F2F9"
OTHER = "DE15B14486CD377B9E876E1A234654DA9A296436"
ABSENT = FileState("absent")


class Server(ThreadingHTTPServer):
    """A repository on loopback that counts what it is asked for."""

    asked: int = 0
    text: str = SAMPLE
    status: int = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/deb/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        found = self.path == "/deb/Release.key"
        self.send_response(self.server.status if found else 404)
        self.end_headers()
        self.wfile.write(self.server.text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def regular(text: str) -> FileState:
    return FileState("file", "644", "root", "root", text)


def repository(
    url: str,
    fingerprint: str = FINGERPRINT,
    sources: tuple[str, ...] = (),
    source: str | None = None,
    key: str | None = None,
    state: Any = None,
    cache: str | None = None,
) -> tuple[list[Any], str]:
    state = state or FakeState()
    files = {
        SOURCE: ABSENT if source is None else regular(source),
        KEY: ABSENT if key is None else regular(key),
        MIRRORS: ABSENT,
    }
    now = RepositoryState(list(sources), files)
    host = create_host(state)
    operation: Any = packages.repository
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    with (
        ctx_state.use(state),
        ctx_host.use(host),
        patch.object(packages, "read", lambda fact: now),
    ):
        return list(inner(url=url, fingerprint=fingerprint, cache=cache)), host.noop_description


def failure(*arguments: Any, **keywords: Any) -> Said:
    with pytest.raises(HostFailure) as reason:
        repository(*arguments, **keywords)
    said: Said = reason.value.args[0]
    return said


def written(commands: list[Any]) -> dict[str, str]:
    return {
        path: command.connector_arguments["_stdin"]
        for command in commands
        for path in (KEY, MIRRORS, SOURCE)
        if path in command.get_raw_value()
    }


def sources_file(url: str) -> str:
    return f"Types: deb\nURIs: {url}\nSuites: /\nSigned-By: {KEY}\n"


def test_a_fresh_node_gets_the_key_and_then_the_source(server: Server) -> None:
    commands, _ = repository(server.url)
    assert list(written(commands)) == [KEY, SOURCE]
    assert written(commands) == {KEY: SAMPLE, SOURCE: sources_file(server.url)}


def test_apt_asks_the_node_that_keeps_downloads_before_the_repository(server: Server) -> None:
    files = written(repository(server.url, cache="http://192.168.2.11:5142/kubernetes/1.36/")[0])
    assert list(files) == [KEY, MIRRORS, SOURCE]
    assert files[SOURCE] == sources_file(f"mirror+file:{MIRRORS}")
    assert files[MIRRORS].split() == [
        *("http://192.168.2.11:5142/kubernetes/1.36/", "priority:1"),
        *(server.url, "priority:2"),
    ]


def test_a_url_without_its_last_slash_is_the_same(server: Server) -> None:
    assert written(repository(server.url.rstrip("/"))[0]) == written(repository(server.url)[0])


def test_a_second_run_changes_nothing(server: Server) -> None:
    commands, noop = repository(
        server.url, source=sources_file(server.url), key=SAMPLE, sources=(SOURCE,)
    )
    assert (commands, noop) == ([], f"apt has the repository {server.url}")


def test_a_key_with_a_later_expiry_replaces_the_old_copy(server: Server) -> None:
    commands, _ = repository(
        server.url, source=sources_file(server.url), key="old", sources=(SOURCE,)
    )
    assert list(written(commands)) == [KEY]


def test_all_nodes_of_a_run_share_one_download(server: Server) -> None:
    state = FakeState()
    for _ in range(5):
        repository(server.url, state=state)
    assert server.asked == 1
    repository(server.url)
    assert server.asked == 2  # for another run


def test_another_key_is_refused_before_anything_changes(server: Server) -> None:
    said = failure(server.url, OTHER)
    assert said.message is messages.OTHER_KEY
    assert (said.values["found"], said.values["expected"]) == (FINGERPRINT, OTHER)


def test_a_fingerprint_may_be_written_as_gpg_shows_it(server: Server) -> None:
    shown = "afFC 9A91 E466 8A5D 4D27  4C9C FE12 C376 1238 F2F9"
    assert written(repository(server.url, shown)[0])


def test_a_second_key_beside_the_right_one_is_refused(server: Server) -> None:
    server.text = SAMPLE * 2
    assert failure(server.url).message is messages.OTHER_KEY


def test_a_web_page_is_no_key(server: Server) -> None:
    server.text = "<html>please log in</html>"
    said = failure(server.url)
    assert said.message is messages.NO_KEY
    assert said.values["url"] == f"{server.url}Release.key"


def test_a_missing_key_is_reported_with_the_status(server: Server) -> None:
    url = f"{server.url}v1.99/"
    said = messages.KEY_NOT_FETCHED(url=f"{url}Release.key", reason="404 Not Found")
    assert failure(url) == said


def test_an_unreachable_repository_is_reported_in_one_line(server: Server) -> None:
    server.shutdown()
    server.server_close()
    said = failure(server.url)
    assert said.message is messages.KEY_NOT_FETCHED
    assert said.values["reason"] == "Connection refused"
    assert "\n" not in said


def test_another_source_of_kubernetes_packages_is_refused_by_name(server: Server) -> None:
    path = "/etc/apt/sources.list.d/kubernetes.list"
    said = failure(server.url, sources=(path, SOURCE))
    assert said == messages.OTHER_REPOSITORY(files=path)


INDEX = "Package: kubeadm\nVersion: 1.36.3-1.1\n\nPackage: kubeadm\nVersion: 1.36.4-1.1\n"


def test_a_dry_run_knows_the_release_to_come_from_the_repositorys_index() -> None:
    with patch.object(packages, "_fetch", lambda url: INDEX):
        assert packages.available_release("1.36", "http://mirror/deb/") == "1.36.4"
        assert packages.available_release("1.36.3", "http://mirror/deb/") == "1.36.3"
        assert packages.available_release("1.37", "http://mirror/deb/") is None


def test_an_unknown_release_is_not_guessed(server: Server) -> None:
    assert packages.available_release("1.36", server.url) is None  # it has a key, and no index
