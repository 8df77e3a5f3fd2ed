"""Downloads: pinned, kept, and one clear line when they fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from messages import Said
from messages import sdcard as messages
from workstation.download import DownloadError, fetch_text

TEXT = "kind: Namespace\n"
SUM = sha256(TEXT.encode()).hexdigest()


def failure(url: str, checksum: str, folder: Path) -> Said:
    with pytest.raises(DownloadError) as reason:
        fetch_text(url, checksum, str(folder))
    return reason.value.said


class Handler(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        Handler.asked.append(self.path)
        found = self.path == "/kube-flannel.yml"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(TEXT.encode() if found else b"no")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_second_run_needs_no_internet(server: str, tmp_path: Path) -> None:
    url = f"{server}/kube-flannel.yml"
    assert fetch_text(url, SUM, str(tmp_path / "kept")) == TEXT
    assert fetch_text(url, SUM, str(tmp_path / "kept")) == TEXT
    assert Handler.asked == ["/kube-flannel.yml"]


def test_a_kept_file_that_was_changed_is_fetched_again(server: str, tmp_path: Path) -> None:
    url = f"{server}/kube-flannel.yml"
    fetch_text(url, SUM, str(tmp_path))
    (kept,) = tmp_path.iterdir()
    kept.write_text("evil")
    assert fetch_text(url, SUM, str(tmp_path)) == TEXT
    assert len(Handler.asked) == 2


def test_another_file_is_refused_and_not_kept(server: str, tmp_path: Path) -> None:
    url = f"{server}/kube-flannel.yml"
    said = messages.WRONG_CHECKSUM(source=url, found=SUM, expected="00")
    assert failure(url, "00", tmp_path) == said
    assert list(tmp_path.iterdir()) == []


def test_a_missing_pin_is_refused(server: str, tmp_path: Path) -> None:
    said = failure(f"{server}/kube-flannel.yml", "", tmp_path)
    assert said.message is messages.WRONG_CHECKSUM
    assert said.values["expected"] == "(none)"


def test_a_missing_url_is_reported_with_its_status(server: str, tmp_path: Path) -> None:
    url = f"{server}/other"
    assert failure(url, SUM, tmp_path) == messages.DOWNLOAD_FAILED(url=url, reason="404 Not Found")


def test_an_unreachable_mirror_is_reported_with_the_innermost_cause(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/kube-flannel.yml"
    said = messages.DOWNLOAD_FAILED(url=url, reason="Connection refused")
    assert failure(url, SUM, tmp_path) == said


def test_a_local_path_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(TEXT)
    assert fetch_text(str(tmp_path / "x.yml"), SUM, str(tmp_path / "kept")) == TEXT
    missing = str(tmp_path / "y.yml")
    said = messages.LOCAL_FILE(path=missing, reason="No such file or directory")
    assert failure(missing, "0", tmp_path / "kept") == said
