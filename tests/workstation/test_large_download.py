"""Large downloads from a server that breaks off, forgets where it was, or has another file."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from messages import Said
from messages import sdcard as messages
from workstation import download

IMAGE = random.Random(1).randbytes(3_000_000)
SUM = sha256(IMAGE).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Serves one file, with the faults that a test has set."""

    protocol_version = "HTTP/1.1"
    content: bytes
    etag: str | None
    ranges: bool
    breaks: list[int]  # after how many bytes each of the next answers breaks off
    asked: list[str | None]

    def do_GET(self) -> None:
        cls = Server
        wanted = self.headers.get("Range")
        cls.asked.append(wanted)
        begin = 0
        if wanted and cls.ranges and self.headers.get("If-Range") == cls.etag:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
        if begin > len(cls.content):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if begin else 200)
        if begin:
            last, total = len(cls.content) - 1, len(cls.content)
            self.send_header("Content-Range", f"bytes {begin}-{last}/{total}")
        if cls.etag:
            self.send_header("ETag", cls.etag)
        body = cls.content[begin:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cls.breaks:
            body = body[: cls.breaks.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.content, Server.etag, Server.ranges = IMAGE, '"one"', True
    Server.breaks, Server.asked = [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/own.img.xz"
        server.shutdown()


def failure(url: str, folder: Path) -> Said:
    with pytest.raises(download.DownloadError) as reason:
        download.fetch(url, SUM, str(folder))
    return reason.value.said


def checksum_failure(url: str, folder: Path) -> Said:
    with pytest.raises(download.DownloadError) as reason:
        download.published_checksum(url, str(folder))
    return reason.value.said


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_download_is_kept_and_reports_progress(url: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    place = download.fetch(url, SUM, str(tmp_path), lambda *now: seen.append(now))
    assert place.read_bytes() == IMAGE
    assert seen[-1] == (len(IMAGE), len(IMAGE))
    assert len(seen) > 1
    assert download.fetch(url, SUM, str(tmp_path)) == place
    assert len(Server.asked) == 1
    assert names(tmp_path) == [f"{SUM[:16]}-own.img.xz"]


def test_a_broken_download_is_resumed(url: str, tmp_path: Path) -> None:
    Server.breaks = [1_048_576, 524_288]
    assert download.fetch(url, SUM, str(tmp_path)).read_bytes() == IMAGE
    assert Server.asked == [None, "bytes=1048576-", "bytes=1572864-"]


def test_a_later_run_resumes_a_broken_download(url: str, tmp_path: Path) -> None:
    Server.breaks = [1_966_080, 0]
    said = failure(url, tmp_path)
    assert said.message is messages.DOWNLOAD_FAILED
    assert "2 MB are kept for the next run" in said
    assert not download.kept_copy(url, SUM, str(tmp_path))
    assert download.fetch(url, SUM, str(tmp_path)).read_bytes() == IMAGE
    assert Server.asked == [None, "bytes=1966080-", "bytes=1966080-"]


def test_a_server_without_ranges_starts_again(url: str, tmp_path: Path) -> None:
    Server.ranges = False
    Server.breaks = [1_966_080]
    assert download.fetch(url, SUM, str(tmp_path)).read_bytes() == IMAGE
    assert Server.asked == [None, "bytes=1966080-"]


def test_a_server_that_always_breaks_off_is_given_up(url: str, tmp_path: Path) -> None:
    Server.ranges = False
    Server.breaks = [1_000_000] * 10
    assert failure(url, tmp_path).message is messages.DOWNLOAD_FAILED
    assert len(Server.asked) == 2


def test_a_file_without_an_etag_is_downloaded_from_its_beginning(url: str, tmp_path: Path) -> None:
    Server.etag = None
    Server.breaks = [1_966_080]
    assert download.fetch(url, SUM, str(tmp_path)).read_bytes() == IMAGE
    assert Server.asked == [None, None]


def test_another_version_is_downloaded_from_its_beginning(url: str, tmp_path: Path) -> None:
    Server.content, Server.etag = bytes(2_500_000), '"older"'
    Server.breaks = [1_966_080, 0]
    failure(url, tmp_path)
    Server.content, Server.etag = IMAGE, '"one"'
    assert download.fetch(url, SUM, str(tmp_path)).read_bytes() == IMAGE


def test_parts_of_different_files_are_discarded(url: str, tmp_path: Path) -> None:
    """A server that gives the same name to another version."""
    Server.content = bytes(3_000_000)
    Server.breaks = [1_966_080, 0]
    failure(url, tmp_path)
    Server.content = IMAGE
    assert download.fetch(url, SUM, str(tmp_path)).read_bytes() == IMAGE


def test_a_partial_file_longer_than_the_file_is_discarded(url: str, tmp_path: Path) -> None:
    part = tmp_path / f"{SUM[:16]}-own.img.xz.part"
    part.write_bytes(bytes(4_000_000))
    part.with_name(f"{part.name}.tag").write_text('"one"')
    assert download.fetch(url, SUM, str(tmp_path)).read_bytes() == IMAGE
    assert Server.asked == ["bytes=4000000-", None]


def test_a_file_with_a_wrong_checksum_is_not_kept(url: str, tmp_path: Path) -> None:
    Server.content = bytes(3_000_000)
    found = sha256(Server.content).hexdigest()
    said = messages.WRONG_CHECKSUM(source=url, found=found, expected=SUM)
    assert failure(url, tmp_path / "kept") == said
    assert names(tmp_path / "kept") == []


def test_a_modified_copy_is_not_used(url: str, tmp_path: Path) -> None:
    place = download.fetch(url, SUM, str(tmp_path))
    place.write_bytes(IMAGE[:-1] + b"x")
    assert download.kept_copy(url, SUM, str(tmp_path)) is None
    assert download.fetch(url, SUM, str(tmp_path)).read_bytes() == IMAGE


def test_two_runs_do_not_download_into_one_file(url: str, tmp_path: Path) -> None:
    part = tmp_path / f"{SUM[:16]}-own.img.xz.part"
    with download._opened(part):
        assert failure(url, tmp_path) == messages.DOWNLOAD_RUNNING(path=part)


def test_the_first_published_checksum_stays_valid(url: str, tmp_path: Path) -> None:
    Server.content = f"{SUM.upper()}  own.img.xz\n".encode()
    assert download.published_checksum(f"{url}.sha256", str(tmp_path)) == SUM
    Server.content = b"0" * 64
    assert download.published_checksum(f"{url}.sha256", str(tmp_path)) == SUM
    assert len(Server.asked) == 1


@pytest.mark.parametrize("text", [b"", b"\n", b"\xff\xfe", b"<html>", SUM[:63].encode()])
def test_a_damaged_kept_checksum_is_refused_with_the_remedy(
    url: str, tmp_path: Path, text: bytes
) -> None:
    place = download.published_place(f"{url}.sha256", str(tmp_path))
    place.write_bytes(text)
    said = checksum_failure(f"{url}.sha256", tmp_path)
    assert said == messages.KEPT_NO_CHECKSUM(place=place)
    place.unlink()
    Server.content = SUM.encode()
    assert download.published_checksum(f"{url}.sha256", str(tmp_path)) == SUM


def test_two_urls_with_one_file_name_have_two_checksums(url: str, tmp_path: Path) -> None:
    Server.content = SUM.encode()
    assert download.published_checksum(f"{url}.sha256", str(tmp_path)) == SUM
    other, newer = "0a" * 32, url.replace("/own", "/2026/own")
    Server.content = other.encode()
    assert download.published_checksum(f"{newer}.sha256", str(tmp_path)) == other
    assert download.published_checksum(f"{url}.sha256", str(tmp_path)) == SUM
    assert len(Server.asked) == 2
    assert download.published_place(f"{url}.sha256", str(tmp_path)).read_text() == f"{SUM}\n"


def test_a_web_page_is_no_checksum(url: str, tmp_path: Path) -> None:
    Server.content = b"<html>not found</html>"
    said = checksum_failure(f"{url}.sha256", tmp_path)
    assert said == messages.NO_CHECKSUM(url=f"{url}.sha256")
    assert names(tmp_path) == []
