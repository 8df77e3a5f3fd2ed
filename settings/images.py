"""The images for SD cards: known by a name, or one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

from messages import settings as messages
from settings.fields import (
    Text,
    bare_hexadecimal,
    checked,
    invalid,
    nearest,
    not_a_url,
    url,
    without_password,
)

# Which cloud-init reads the SD card's files: today's, or HypriotOS' version of 2016.
Dialect = Literal["cloud-init", "cloud-init-0.7.9"]

# The beginning of a misspelled URL.
_SCHEME = re.compile(r"(https?|ftp|file):|www\.", re.IGNORECASE)


@dataclass(frozen=True)
class Image:
    """
    An image, and the cloud-init in it.

    The boot partition is the first FAT one; cloud-init's files and cmdline.txt are in its top
    folder.

    + title: for a person
    + source: URL, or a path on this computer
    + checksum: sha256 of the file at that place; or the URL of the publisher's checksum file; None
      for a file on this computer that is not checked
    + dialect: of cloud-init's files, see ``first_boot.boot_files``
    + size: unpacked, in bytes; None: unknown
    """

    title: str
    source: str
    checksum: str | None
    dialect: Dialect
    size: int | None = None


_HYPRIOT = (
    "https://github.com/DieterReuter/image-builder-rpi64/releases/download/v20180429-184538/"
    "hypriotos-rpi64-v20180429-184538.img.zip"
)

CATALOGUE = {
    "raspios": Image(
        title="Raspberry Pi OS Lite (64-bit) of 2026-09-15",
        source="https://downloads.raspberrypi.com/raspios_lite_arm64/images/"
        "raspios_lite_arm64-2026-09-15/2026-09-15-raspios-trixie-arm64-lite.img.xz",
        checksum="cdf4f3bfac35ae947b46e4e767f935453810549779ac3290e05a6754aee627e5",
        dialect="cloud-init",
        size=3_061_841_920,
    ),
    # The checksum file is the one beside it, as in the recipe of 2018.
    "hypriotos": Image(
        title="HypriotOS (64-bit) of 2018-04-29",
        source=_HYPRIOT,
        checksum=f"{_HYPRIOT}.sha256",
        dialect="cloud-init-0.7.9",
    ),
}


def is_url(image: str) -> bool:
    """Tell whether the image is a URL."""
    return "://" in image


def _image(text: str) -> None:
    if text in CATALOGUE or (is_url(text) and _file_url(text)):
        return
    if is_url(text):
        raise not_a_url(text, "an https:// URL, or the path of a file")
    if not _SCHEME.match(text) and ("/" in text or "." in text):
        return
    known = ", ".join(f'"{name}"' for name in CATALOGUE)
    kind = f"{known}, or the path or the URL of an image"
    raise invalid(text, kind, nearest(text, CATALOGUE), "one of them")


def _file_url(text: str) -> bool:
    return url(text) and "/" in text.partition("://")[2].rstrip("/")


def _checksum(value: str) -> str:
    text = bare_hexadecimal(value)
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text) or _file_url(text):
        return text
    kind = "a SHA-256 checksum (64 hexadecimal digits) or the URL of a file with one"
    said = messages.INVALID(value=without_password(value), kind=kind, instead="one of the two")
    raise ValueError(said)


ImageName = Annotated[Text, checked(_image)]
ImageChecksum = Annotated[Text, AfterValidator(_checksum)]
