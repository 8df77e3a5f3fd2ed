"""The images that a card can be written with: known by a name, or one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

from settings.fields import Text, checked, did_you_mean, url, without_password

# Which cloud-init reads the SD card's files: today's, or HypriotOS' version of 2016.
Dialect = Literal["cloud-init", "cloud-init-0.7.9"]

# The beginning of a URL with a slash too few.
_SCHEME = re.compile(r"(https?|ftp|file):|www\.", re.IGNORECASE)


@dataclass(frozen=True)
class Image:
    """An image, and how a board that starts from it is told what to be.

    Its boot partition is the first FAT one; cloud-init's files and cmdline.txt are in the topmost
    folder there.

    + title: for a person
    + source: URL, or a path on this computer
    + checksum: sha256 of the file at that place; the URL of a file that its publisher has put it
      into; None for a file on this computer that is taken as it is
    + dialect: of cloud-init's files, see `first_boot.boot_files`
    + size: unpacked, in bytes; None when that is not known beforehand
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
    # Its checksum is the one beside it, as in the recipe of 2018.
    "hypriotos": Image(
        title="HypriotOS (64-bit) of 2018-04-29",
        source=_HYPRIOT,
        checksum=f"{_HYPRIOT}.sha256",
        dialect="cloud-init-0.7.9",
    ),
}


def is_url(image: str) -> bool:
    """Whether an image of one's own is on another computer."""
    return "://" in image


def _image(text: str) -> None:
    if text in CATALOGUE or (is_url(text) and _file_url(text)):
        return
    if is_url(text):
        raise ValueError(
            f"{without_password(text)} can't be fetched: write an https:// address, or a file's "
            "path"
        )
    if not _SCHEME.match(text) and ("/" in text or "." in text):
        return
    known = " or ".join(f'"{name}"' for name in CATALOGUE)
    raise ValueError(
        f"{text!r} is neither {known} nor the path or the URL of an image"
        + did_you_mean(text, CATALOGUE)
    )


def _file_url(text: str) -> bool:
    return url(text) and "/" in text.partition("://")[2].rstrip("/")


def _checksum(value: str) -> str:
    text = re.sub(r"\s", "", value)
    text = text[7:] if text.lower().startswith("sha256:") else text
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text) or _file_url(text):
        return text
    raise ValueError(
        f"{without_password(value)} is not a SHA-256 checksum (64 hexadecimal digits), nor the "
        "URL of a file with one"
    )


ImageName = Annotated[Text, checked(_image)]
ImageChecksum = Annotated[Text, AfterValidator(_checksum)]
