"""
Files from the internet, fetched by the computer that pyinfra runs on: pinned, and kept.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import requests

CONNECT_S = 10
READ_S = 30
_LIMIT = 8 * 1024 * 1024  # what is fetched here are texts


class DownloadError(Exception):
    """The file can't be had, or is not the one that was pinned; the message is for the person."""


def pinned(url: str, checksum: str, folder: str) -> str:
    """
    The text at ``url``, which must have the given checksum.

    + url: ``https://…``, or a path on this computer (a mirror's copy)
    + checksum: sha256, in hexadecimal
    + folder: where it is kept, so that the next run needs no internet

    Raises ``DownloadError``.
    """

    checksum = checksum.lower().removeprefix("sha256:")
    kept = Path(folder) / f"{checksum[:16]}-{Path(urlsplit(url).path).name}"
    if kept.is_file() and _sum(content := kept.read_bytes()) == checksum:
        return content.decode()
    content = _read(url) if "://" not in url else _fetch(url)
    if _sum(content) != checksum:
        raise DownloadError(
            f"{url} has the checksum {_sum(content)}, not {checksum or '(none is set)'}: it is not "
            "the file that was pinned; nothing of it is used"
        )
    try:
        _keep(kept, content)
        return content.decode()
    except OSError as error:
        raise DownloadError(f"{kept} can't be written: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DownloadError(f"{url} is not text") from error


def _fetch(url: str) -> bytes:
    try:
        with requests.get(url, timeout=(CONNECT_S, READ_S), stream=True) as answer:
            answer.raise_for_status()
            content = b""
            for chunk in answer.iter_content(65536):
                content += chunk
                if len(content) > _LIMIT:
                    raise DownloadError(f"{url} is far too large for what it should be")
            return content
    except requests.HTTPError as error:
        code, reason = error.response.status_code, error.response.reason
        raise DownloadError(f"{url} can't be fetched: {code} {reason}") from error
    except requests.RequestException as error:
        raise DownloadError(f"{url} can't be fetched: {_cause(error)}") from error


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


def _sum(content: bytes) -> str:
    return sha256(content).hexdigest()
