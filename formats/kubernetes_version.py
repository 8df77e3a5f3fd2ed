"""
Versions of Kubernetes: as people ask for them ("1.36", "1.36.4"), and in packages ("1.36.4-1.1").

https://kubernetes.io/releases/version-skew-policy/ and Debian policy 5.6.12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from formats.unreadable import Unreadable
from messages.settings import INVALID, NOT_ALLOWED

_NUMBER = r"(0|[1-9][0-9]{0,3})"
_DESIRED = re.compile(rf"{_NUMBER}\.{_NUMBER}(?:\.{_NUMBER})?")
# The first minor whose kubeadm reads kubeadm.k8s.io/v1beta4.
OLDEST_MINOR = 31

_PACKAGED = re.compile(r"(?:\d+:)?(\d+)\.(\d+)\.(\d+)(?:-(.+))?")
_REPORTED = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:[-+].+)?")


@dataclass(frozen=True, order=True)
class Release:
    """One release, such as 1.36.4."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def minors_to(self, later: Release) -> list[str]:
        """The minors on the way to a later release, both ends included: ["1.36", "1.37"]."""
        return [f"{self.major}.{minor}" for minor in range(self.minor, later.minor + 1)]


@dataclass(frozen=True)
class DesiredVersion:
    """A desired version: a minor with any patch, or, with ``patch``, one release."""

    major: int
    minor: int
    patch: int | None = None

    def __str__(self) -> str:
        minor = f"{self.major}.{self.minor}"
        return minor if self.patch is None else f"{minor}.{self.patch}"

    def fits(self, release: Release) -> bool:
        """Tell whether a release is of the desired version."""
        same_minor = (self.major, self.minor) == (release.major, release.minor)
        return same_minor and self.patch in (None, release.patch)

    def is_older_than(self, release: Release) -> bool:
        """Tell whether the desired version is a downgrade from that release."""
        return not self.fits(release) and (
            (self.major, self.minor, self.patch or 0)
            < (release.major, release.minor, release.patch)
        )


def parse_desired(text: str) -> DesiredVersion:
    """
    Read a version as a person writes it.

    + text: "1.36" or "1.36.4"
    + raises ``ValueError``: it is anything else
    """
    match = _DESIRED.fullmatch(text)
    if match is None:
        bare = text.strip().lower().removeprefix("v").removesuffix(".x").removesuffix(".*")
        near = bare if _DESIRED.fullmatch(bare) else "one such as 1.36 or 1.36.4"
        raise ValueError(INVALID(value=repr(text), kind="a version of Kubernetes", instead=near))
    major, minor, patch = match.groups()
    return DesiredVersion(int(major), int(minor), None if patch is None else int(patch))


def check_desired(text: str) -> None:
    """Raise ``ValueError`` for a version that does not exist, or that bramble can't install."""
    desired = parse_desired(text)
    if desired.major != 1 or desired.minor < OLDEST_MINOR:
        reason = "bramble installs 1.31 and later" if desired.major == 1 else "it does not exist"
        raise ValueError(NOT_ALLOWED(value=repr(text), reason=reason, instead="1.36"))


def parse_package(version: str) -> Release | None:
    """
    Read the release in a package's version; None where there is none.

    + version: such as "1.36.4-1.1"
    """
    match = _PACKAGED.fullmatch(version)
    return None if match is None else Release(int(match[1]), int(match[2]), int(match[3]))


def parse_reported(version: str) -> Release:
    """
    Read the release that a part of Kubernetes reports.

    + version: such as "v1.36.4", also an image's tag
    + raises ``Unreadable``: it is anything else
    """
    match = _REPORTED.fullmatch(version)
    if match is None:
        raise Unreadable(f"{version!r} is not a version")
    return Release(int(match[1]), int(match[2]), int(match[3]))


def newest(desired: DesiredVersion, versions: list[str]) -> str | None:
    """
    Choose the package version to install; None when none fits.

    + desired: the desired version
    + versions: the packages' versions, the newest build of a release first
    """
    fitting = [
        (release, -at, version)
        for at, version in enumerate(versions)
        if (release := parse_package(version)) is not None and desired.fits(release)
    ]
    return max(fitting)[2] if fitting else None
