"""
Download files to this computer: pinned by checksum, kept for later runs, resumed after a break.

A file gets its final name only when it is complete and its checksum is right; until then it is
``….part``.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests

from messages import Said, sdcard
from workstation import files

CONNECT_S = 10
READ_S = 30
_BLOCK = 1024 * 1024
_CHUNK = 64 * 1024  # at most this much is lost with a connection
_TEXT_LIMIT = 8 * 1024 * 1024

# Called with the bytes done, and the total (None: unknown).
OnProgress = Callable[[int, int | None], None]


class DownloadError(Exception):
    """
    The file is not available, or its checksum is wrong.

    + said: the message for the person
    """

    def __init__(self, said: Said) -> None:
        super().__init__(said)
        self.said = said


def fetch_text(url: str, checksum: str, folder: str) -> str:
    """
    Return the text at a URL.

    + url: ``https://…``, or a path on this computer (a mirror's copy)
    + checksum: sha256, in hexadecimal
    + folder: where it is kept, so that the next run needs no internet

    Raises ``DownloadError``.
    """
    if "://" not in url:
        content = _read(url)
        _check_sum(url, sha256(content).hexdigest(), checksum)
    else:
        content = fetch(url, checksum, folder, limit=_TEXT_LIMIT).read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DownloadError(sdcard.NOT_TEXT(url=url)) from error


def fetch(
    url: str,
    checksum: str,
    folder: str,
    on_progress: OnProgress = lambda done, total: None,
    limit: int | None = None,
) -> Path:
    """
    Download a file of any size, unless a copy with the given checksum is kept already.

    + url: ``https://…``
    + checksum: sha256, in hexadecimal
    + folder: where it is kept, so that the next run needs no internet
    + on_progress: called after each block
    + limit: in bytes; a larger file is refused

    A download that broke off is resumed when the server supports ranges and confirms that the file
    is unchanged. Raises ``DownloadError``.
    """
    place = _place(url, checksum, folder)
    if copy := kept_copy(url, checksum, folder):
        return copy
    part = place.with_name(f"{place.name}.part")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opened(part) as file:
            resumed = _download(url, file, on_progress, limit)
            if resumed and _sum(part) != _plain(checksum):
                file.truncate(0)  # the two parts may be of different files
                _download(url, file, on_progress, limit)
            try:
                _check_sum(url, _sum(part), checksum)
            except DownloadError:
                file.truncate(0)
                raise
            os.fsync(file.fileno())
            os.replace(part, place)
    except OSError as error:
        raise DownloadError(
            sdcard.DOWNLOAD_NOT_WRITTEN(path=part, reason=error.strerror)
        ) from error
    return place


def kept_copy(url: str, checksum: str, folder: str) -> Path | None:
    """Return the copy that an earlier run has kept; None without one, or if it was changed."""
    place = _place(url, checksum, folder)
    return place if place.is_file() and _sum(place) == _plain(checksum) else None


def published_checksum(url: str, folder: str) -> str:
    """
    Return the checksum in a publisher's ``.sha256`` file: its first word.

    + url: of that file
    + folder: where it is kept: the checksum that was given first stays valid

    Raises ``DownloadError``.
    """
    place = published_place(url, folder)
    if place.is_file():
        found = _first_checksum(_read_text(place))
        if found is None:
            raise DownloadError(sdcard.KEPT_NO_CHECKSUM(place=place))
        return found
    found = _first_checksum(_fetch_small(url))
    if found is None:
        raise DownloadError(sdcard.NO_CHECKSUM(url=url))
    files.replace(str(place), f"{found}\n", backup=False)
    return found


def _first_checksum(text: str) -> str | None:
    words = text.split()
    return words[0].lower() if words and re.fullmatch(r"[0-9A-Fa-f]{64}", words[0]) else None


def published_place(url: str, folder: str) -> Path:
    """Return where the checksum published at that URL is kept; its name is unique to the URL."""
    name = Path(urlsplit(url).path).name
    return Path(folder) / f"{sha256(url.encode()).hexdigest()[:16]}-{name}"


def file_checksum(path: Path, on_progress: OnProgress = lambda done, total: None) -> str:
    """Return the sha256 of a file on this computer. Raises ``DownloadError``."""
    with _readable(str(path)):
        return _sum(path, on_progress)


def _download(url: str, file: BinaryIO, on_progress: OnProgress, limit: int | None) -> bool:
    """
    Download into the file; retry after a break as long as each attempt brings something new.

    + returns: whether the file still holds what an earlier run had left
    """
    had = file.seek(0, os.SEEK_END)
    resumed = had > 0
    while True:
        try:
            resumed &= _request(url, file, on_progress, limit)
            file.flush()
            return resumed
        except requests.RequestException as error:
            now = file.seek(0, os.SEEK_END)
            if now <= had or isinstance(error, requests.HTTPError):
                kept = f"; {now / 1e6:.0f} MB are kept for the next run" if now > 1e6 else ""
                raise _failed(url, error, kept) from error
            had = now


def _request(url: str, file: BinaryIO, on_progress: OnProgress, limit: int | None) -> bool:
    """Request what is missing; return whether the server continued from what was there."""
    tag = _tag(Path(file.name))
    have = file.seek(0, os.SEEK_END)
    headers = {"Accept-Encoding": "identity"}  # the checksum is that of the file as it is stored
    if have and tag.exists():
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text()}
    with requests.get(url, headers=headers, timeout=(CONNECT_S, READ_S), stream=True) as answer:
        if answer.status_code == 416:
            file.truncate(0)  # the server's file is shorter than what was downloaded before
            return _request(url, file, on_progress, limit)
        answer.raise_for_status()
        continues = answer.status_code == 206 and answer.headers.get(
            "Content-Range", ""
        ).startswith(f"bytes {have}-")
        if not continues:
            have = 0
            file.truncate(0)
            file.seek(0)
            _save_tag(tag, answer)
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        for chunk in answer.iter_content(_CHUNK):
            file.write(chunk)
            have += len(chunk)
            on_progress(have, total)
            if limit is not None and have > limit:
                file.truncate(0)
                raise DownloadError(
                    sdcard.DOWNLOAD_TOO_LARGE(url=url, limit=f"{limit / 1e6:.0f} MB")
                )
    return continues


def _save_tag(tag: Path, answer: requests.Response) -> None:
    """Save the validator of this version of the file (RFC 9110, 13.1.5: If-Range)."""
    validator = answer.headers.get("ETag", "")
    if not validator or validator.startswith("W/"):
        validator = answer.headers.get("Last-Modified", "")
    if validator:
        tag.write_text(validator)
    else:
        tag.unlink(missing_ok=True)


def _failed(url: str, error: requests.RequestException, kept: str = "") -> DownloadError:
    return DownloadError(sdcard.DOWNLOAD_FAILED(url=url, reason=f"{failure_reason(error)}{kept}"))


def failure_reason(error: requests.RequestException) -> str:
    """Describe why a request failed by its innermost cause: requests wraps it four times."""
    if isinstance(error, requests.HTTPError):
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was closed in the middle"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not trusted"
    cause: BaseException = error
    while True:
        inner = getattr(cause, "reason", None) or (cause.args[0] if cause.args else None)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    return re.sub(r"\[Errno \d+\] ", "", str(cause).rsplit(": ", 1)[-1])


@contextmanager
def _opened(part: Path) -> Iterator[BinaryIO]:
    """Open the partial file, locked against other runs."""
    with open(part, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DownloadError(sdcard.DOWNLOAD_RUNNING(path=part)) from None
        try:
            yield file
        finally:
            file.flush()
            if not part.exists() or not part.stat().st_size:
                part.unlink(missing_ok=True)
                _tag(part).unlink(missing_ok=True)


def _fetch_small(url: str) -> str:
    try:
        with requests.get(url, timeout=(CONNECT_S, READ_S), stream=True) as answer:
            answer.raise_for_status()
            return next(answer.iter_content(4096), b"").decode(errors="replace")
    except requests.RequestException as error:
        raise _failed(url, error) from error


def _check_sum(source: str, found: str, checksum: str) -> None:
    expected = _plain(checksum)
    if found != expected:
        raise DownloadError(
            sdcard.WRONG_CHECKSUM(source=source, found=found, expected=expected or "(none)")
        )


def _place(url: str, checksum: str, folder: str) -> Path:
    return Path(folder) / f"{_plain(checksum)[:16]}-{Path(urlsplit(url).path).name}"


def _tag(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _plain(checksum: str) -> str:
    return checksum.lower().removeprefix("sha256:")


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DownloadError(sdcard.LOCAL_FILE(path=path, reason=error.strerror)) from error


def _read(path: str) -> bytes:
    with _readable(path):
        return Path(path).expanduser().read_bytes()


def _read_text(path: Path) -> str:
    return _read(str(path)).decode(errors="replace")


def _sum(path: Path, on_progress: OnProgress = lambda done, total: None) -> str:
    digest = sha256()
    total = path.stat().st_size
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            on_progress(file.tell(), total)
    return digest.hexdigest()
