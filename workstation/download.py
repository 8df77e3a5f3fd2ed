"""
Files from the internet, fetched by the computer that pyinfra runs on: pinned, and kept.

A file bears its final name only when it is whole and has its checksum; until then it is ``….part``,
which a later run goes on with.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests

CONNECT_S = 10
READ_S = 30
_BLOCK = 1024 * 1024
_CHUNK = 64 * 1024  # what a broken connection may cost
_TEXT_LIMIT = 8 * 1024 * 1024

# Told how many bytes are there, and how many there will be where that is known.
Watch = Callable[[int, int | None], None]


class DownloadError(Exception):
    """The file can't be had, or is not the one that was pinned; the message is for the person."""


class OtherFile(DownloadError):
    """It is not the one that was pinned."""


def pinned(url: str, checksum: str, folder: str) -> str:
    """
    The text at ``url``, which must have the given checksum.

    + url: ``https://…``, or a path on this computer (a mirror's copy)
    + checksum: sha256, in hexadecimal
    + folder: where it is kept, so that the next run needs no internet

    Raises ``DownloadError``.
    """

    if "://" not in url:
        content = _read(url)
        _same(url, sha256(content).hexdigest(), checksum)
    else:
        content = fetched(url, checksum, folder, limit=_TEXT_LIMIT).read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DownloadError(f"{url} is not text") from error


def fetched(
    url: str,
    checksum: str,
    folder: str,
    watch: Watch = lambda done, total: None,
    limit: int | None = None,
) -> Path:
    """
    The file at ``url``, of any size: a copy that is kept, and has the given checksum.

    + url: ``https://…``
    + checksum: sha256, in hexadecimal
    + folder: where it is kept, so that the next run needs no internet
    + watch: told of each block that came
    + limit: bytes; a larger file is refused

    What came before a break is not fetched again, when the server can go on from there and says
    that the file is still the same. Raises ``DownloadError``.
    """

    place = _place(url, checksum, folder)
    if there := kept(url, checksum, folder):
        return there
    part = place.with_name(f"{place.name}.part")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opened(part) as file:
            went_on = _fetch(url, file, watch, limit)
            if went_on and _sum(part) != _plain(checksum):
                file.truncate(0)  # the two halves are not of one file
                _fetch(url, file, watch, limit)
            try:
                _same(url, _sum(part), checksum)
            except DownloadError:
                file.truncate(0)
                raise
            os.fsync(file.fileno())
            os.replace(part, place)
    except OSError as error:
        raise DownloadError(f"{part} can't be written: {error.strerror}") from error
    return place


def kept(url: str, checksum: str, folder: str) -> Path | None:
    """The copy that an earlier run has kept; None when there is none, or it was changed."""
    place = _place(url, checksum, folder)
    return place if place.is_file() and _sum(place) == _plain(checksum) else None


def published_checksum(url: str, folder: str) -> str:
    """
    The checksum that a publisher has put beside a file: the first word of a ``.sha256`` file.

    + url: of that file
    + folder: where it is kept: what was once said of that file goes on to hold
    """

    place = published_place(url, folder)
    if place.is_file():
        found = _first_checksum(_file_text(place))
        if found is None:
            raise DownloadError(f"{place} holds no sha256 checksum. Remove it: it is fetched again")
        return found
    found = _first_checksum(_small(url))
    if found is None:
        raise DownloadError(f"{url} holds no sha256 checksum")
    _keep(place, f"{found}\n".encode())
    return found


def _first_checksum(text: str) -> str | None:
    words = text.split()
    return words[0].lower() if words and re.fullmatch(r"[0-9A-Fa-f]{64}", words[0]) else None


def _file_text(path: Path) -> str:
    """The text of a file on this computer. Raises ``DownloadError``."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DownloadError(f"{path} can't be read: {error.strerror}") from error


def published_place(url: str, folder: str) -> Path:
    """Where what was once published at that URL is kept; of each URL by itself."""
    name = Path(urlsplit(url).path).name
    return Path(folder) / f"{sha256(url.encode()).hexdigest()[:16]}-{name}"


def file_sum(path: Path, watch: Watch = lambda done, total: None) -> str:
    """The sha256 of a file on this computer. Raises ``DownloadError``."""
    try:
        return _sum(path, watch)
    except OSError as error:
        raise DownloadError(f"{path} can't be read: {error.strerror}") from error


def _fetch(url: str, file: BinaryIO, watch: Watch, limit: int | None) -> bool:
    """
    Fetch into the file, and again from where the connection breaks, as long as that leads on.

    + returns: whether what an earlier run had left is part of it now
    """
    had = file.seek(0, os.SEEK_END)
    went_on = had > 0
    while True:
        try:
            went_on &= _request(url, file, watch, limit)
            file.flush()
            return went_on
        except requests.RequestException as error:
            now = file.seek(0, os.SEEK_END)
            if now <= had or isinstance(error, requests.HTTPError):
                later = f"; {now / 1e6:.0f} MB of it are kept for the next run" if now > 1e6 else ""
                raise _refused(url, error, later) from error
            had = now


def _request(url: str, file: BinaryIO, watch: Watch, limit: int | None) -> bool:
    """One request, for what is missing; whether the server went on from what was there."""
    tag = _tag(Path(file.name))
    have = file.seek(0, os.SEEK_END)
    headers = {"Accept-Encoding": "identity"}  # the checksum is that of the file as it is stored
    if have and tag.exists():
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text()}
    with requests.get(url, headers=headers, timeout=(CONNECT_S, READ_S), stream=True) as answer:
        if answer.status_code == 416:
            file.truncate(0)  # it is shorter now than what was fetched before
            return _request(url, file, watch, limit)
        answer.raise_for_status()
        goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        if not goes_on:
            have = 0
            file.truncate(0)
            file.seek(0)
            _remember(tag, answer)
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        for chunk in answer.iter_content(_CHUNK):
            file.write(chunk)
            have += len(chunk)
            watch(have, total)
            if limit is not None and have > limit:
                file.truncate(0)
                raise DownloadError(f"{url} is far too large for what it should be")
    return goes_on


def _remember(tag: Path, answer: requests.Response) -> None:
    """Keep what tells this version of the file from others (RFC 9110, 13.1.5: If-Range)."""
    validator = answer.headers.get("ETag", "")
    if not validator or validator.startswith("W/"):
        validator = answer.headers.get("Last-Modified", "")
    if validator:
        tag.write_text(validator)
    else:
        tag.unlink(missing_ok=True)


def _refused(url: str, error: requests.RequestException, later: str = "") -> DownloadError:
    if isinstance(error, requests.HTTPError):
        reason = f"{error.response.status_code} {error.response.reason}"
    elif isinstance(error, requests.exceptions.ChunkedEncodingError):
        reason = "the connection broke off in the middle"
    else:
        reason = _cause(error)
    return DownloadError(f"{url} can't be fetched: {reason}{later}")


@contextmanager
def _opened(part: Path) -> Iterator[BinaryIO]:
    """The file that is not whole yet, for this run alone."""
    with open(part, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DownloadError(f"another run is fetching {part}: wait for its end") from None
        try:
            yield file
        finally:
            file.flush()
            if not part.exists() or not part.stat().st_size:
                part.unlink(missing_ok=True)
                _tag(part).unlink(missing_ok=True)


def _small(url: str) -> str:
    try:
        with requests.get(url, timeout=(CONNECT_S, READ_S), stream=True) as answer:
            answer.raise_for_status()
            return next(answer.iter_content(4096), b"").decode(errors="replace")
    except requests.RequestException as error:
        raise _refused(url, error) from error


def _same(url: str, found: str, checksum: str) -> None:
    if found != _plain(checksum):
        raise OtherFile(
            f"{url} has the checksum {found}, not {_plain(checksum) or '(none is set)'}: it is not "
            "the file that was pinned; nothing of it is used"
        )


def _place(url: str, checksum: str, folder: str) -> Path:
    return Path(folder) / f"{_plain(checksum)[:16]}-{Path(urlsplit(url).path).name}"


def _tag(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _plain(checksum: str) -> str:
    return checksum.lower().removeprefix("sha256:")


def _read(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise DownloadError(f"{path} can't be read: {error.strerror}") from error


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(name, path)


def _cause(error: BaseException) -> str:
    """The innermost cause: requests wraps a plain «Name or service not known» four times."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or (reason.args[0] if reason.args else None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return str(reason).rsplit(": ", 1)[-1]


def _sum(path: Path, watch: Watch = lambda done, total: None) -> str:
    digest = sha256()
    total = path.stat().st_size
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            watch(file.tell(), total)
    return digest.hexdigest()
