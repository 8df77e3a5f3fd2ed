"""
Versions of Kubernetes: as people ask for them ("1.36", "1.36.4"), and in packages ("1.36.4-1.1").

https://kubernetes.io/releases/version-skew-policy/ and Debian policy 5.6.12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"(0|[1-9][0-9]{0,3})"
_WANTED = re.compile(rf"{_NUMBER}\.{_NUMBER}(?:\.{_NUMBER})?")
# kubeadm.k8s.io/v1beta4 came with it.
OLDEST_MINOR = 31

_PACKAGED = re.compile(r"(?:\d+:)?(\d+)\.(\d+)\.(\d+)(?:-(.+))?")


@dataclass(frozen=True, order=True)
class Release:
    """One release, such as 1.36.4."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True)
class Wanted:
    """What was asked for: a minor, any patch of which will do, or (``patch``) just one release."""

    major: int
    minor: int
    patch: int | None = None

    def __str__(self) -> str:
        minor = f"{self.major}.{self.minor}"
        return minor if self.patch is None else f"{minor}.{self.patch}"

    def fits(self, release: Release) -> bool:
        """Whether a release is what was asked for."""
        same_minor = (self.major, self.minor) == (release.major, release.minor)
        return same_minor and self.patch in (None, release.patch)

    def is_older_than(self, release: Release) -> bool:
        """Whether going from that release to what was asked for is a step back."""
        return not self.fits(release) and (
            (self.major, self.minor, self.patch or 0)
            < (release.major, release.minor, release.patch)
        )


def parse_wanted(text: str) -> Wanted:
    """
    A version as a person writes it.

    + text: "1.36" or "1.36.4"; ``ValueError`` for anything else
    """
    match = _WANTED.fullmatch(text)
    if match is None:
        bare = text.strip().lower().removeprefix("v").removesuffix(".x").removesuffix(".*")
        near = f": did you mean {bare}?" if _WANTED.fullmatch(bare) else ""
        raise ValueError(
            f"{text!r} is not a version of Kubernetes: write it as 1.36 or 1.36.4{near}"
        )
    major, minor, patch = match.groups()
    return Wanted(int(major), int(minor), None if patch is None else int(patch))


def check_wanted(text: str) -> None:
    """``ValueError`` for a version that bramble can't install, or that there can't be."""
    wanted = parse_wanted(text)
    if wanted.major != 1:
        raise ValueError(f"{text!r} does not exist, Kubernetes has releases 1.x: write 1.36")
    if wanted.minor < OLDEST_MINOR:
        raise ValueError(
            f"{text!r} is too old: kubeadm reads its configuration (v1beta4) from "
            f"1.{OLDEST_MINOR} on: write 1.36"
        )


def parse_package(version: str) -> Release | None:
    """
    The release in a package's version; None where there is none.

    + version: such as "1.36.4-1.1"
    """
    match = _PACKAGED.fullmatch(version)
    return None if match is None else Release(int(match[1]), int(match[2]), int(match[3]))


def newest(wanted: Wanted, versions: list[str]) -> str | None:
    """
    The package version to install, or None when none fits.

    + wanted: what was asked for
    + versions: what there is, as packages carry it, the newest build of a release first
    """
    fitting = [
        (release, -at, version)
        for at, version in enumerate(versions)
        if (release := parse_package(version)) is not None and wanted.fits(release)
    ]
    return max(fitting)[2] if fitting else None
