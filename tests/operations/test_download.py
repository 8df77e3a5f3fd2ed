"""Downloads: pinned, kept, and one clear line when they fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from workstation.download import DownloadError, pinned

TEXT = "kind: Namespace\n"
SUM = sha256(TEXT.encode()).hexdigest()


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
    assert pinned(url, SUM, str(tmp_path / "kept")) == TEXT
    assert pinned(url, SUM, str(tmp_path / "kept")) == TEXT
    assert Handler.asked == ["/kube-flannel.yml"]


def test_a_kept_file_that_was_changed_is_fetched_again(server: str, tmp_path: Path) -> None:
    url = f"{server}/kube-flannel.yml"
    pinned(url, SUM, str(tmp_path))
    (kept,) = tmp_path.iterdir()
    kept.write_text("evil")
    assert pinned(url, SUM, str(tmp_path)) == TEXT
    assert len(Handler.asked) == 2


def test_another_file_is_refused_and_not_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"has the checksum {SUM}, not 00"):
        pinned(f"{server}/kube-flannel.yml", "00", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_pin_is_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"not \(none is set\)"):
        pinned(f"{server}/kube-flannel.yml", "", str(tmp_path))


def test_what_is_not_there_is_one_line(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="can't be fetched: 404 Not Found"):
        pinned(f"{server}/other", SUM, str(tmp_path))


def test_an_unreachable_mirror_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as error:
        pinned("http://127.0.0.1:9/kube-flannel.yml", SUM, str(tmp_path))
    assert str(error.value) == (
        "http://127.0.0.1:9/kube-flannel.yml can't be fetched: [Errno 111] Connection refused"
    )


def test_a_path_on_this_computer_will_do(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(TEXT)
    assert pinned(str(tmp_path / "x.yml"), SUM, str(tmp_path / "kept")) == TEXT
    with pytest.raises(DownloadError, match="can't be read: No such file"):
        pinned(str(tmp_path / "y.yml"), "0", str(tmp_path / "kept"))
