"""
Where Debian packages come from: read from this machine's own apt configuration.

No mirror's name stands in this project. What the host's apt uses for its own Debian release, the
nodes use for theirs. Formats: sources.list(5), both the one-line and the deb822 style.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"

# Anything that names a Debian release as a suite: code names and the moving aliases.
DEBIAN_SUITES = (
    *("buster", "bullseye", "bookworm", "trixie", "forky", "sid"),
    *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
)
DEFAULT_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Source:
    """
    One line of sources.list.

    + uri: the archive, without a slash at the end
    + suite: as apt writes it (`bookworm`, `bookworm-security`)
    + keyring: the file that apt trusts for it, None when it says nothing
    """

    uri: str
    suite: str
    keyring: Path | None = None


@dataclass(frozen=True)
class Mirror:
    """
    What a node's packages are fetched from.

    + sources: for the node's release; empty means that mmdebstrap's own default is used
    + keyring: the archive's keys on this machine
    """

    sources: tuple[Source, ...]
    keyring: Path

    def lines(self) -> list[str]:
        """The sources as mmdebstrap and sources.list take them."""
        return [f"deb {source.uri} {source.suite} main" for source in self.sources]


def parse_one_line(text: str) -> list[Source]:
    """The sources of a `*.list` file; `deb-src` and commented lines are not among them."""
    found = []
    for line in text.splitlines():
        match = re.match(
            r"\s*deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)", line
        )
        if not match:
            continue
        signed = re.search(r"signed-by=(/\S+)", match["options"] or "")
        keyring = Path(signed[1].split(",")[0]) if signed else None
        found.append(Source(match["uri"].rstrip("/"), match["suite"], keyring))
    return found


def parse_deb822(text: str) -> list[Source]:
    """The sources of a `*.sources` file: every URI with every suite of each enabled stanza."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
        fields = {
            name.lower(): value.split()
            for name, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", lines, re.MULTILINE)
        }
        if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
            continue
        signed = fields.get("signed-by", [])
        keyring = Path(signed[0]) if signed and signed[0].startswith("/") else None
        for uri in fields.get("uris", []):
            found += [Source(uri.rstrip("/"), suite, keyring) for suite in fields.get("suites", [])]
    return found


def read_sources(root: Path = Path("/etc/apt")) -> list[Source]:
    """Everything the host's apt fetches from, in the order in which apt reads it."""
    files = [root / "sources.list", *sorted((root / "sources.list.d").glob("*"))]
    found: list[Source] = []
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(errors="replace")
        if file.suffix == ".sources":
            found += parse_deb822(text)
        elif file.suffix == ".list":
            found += parse_one_line(text)
    return found


def choose(host_sources: list[Source]) -> Mirror:
    """
    The node's sources, from the host's: the same archives, with the node's release.

    A host that is no Debian has no such archive in its configuration: then it is the one that
    `LAB_DEBIAN_MIRROR=URI` in the environment names, or mmdebstrap's default.
    """
    asked = os.environ.get("LAB_DEBIAN_MIRROR")
    if asked:
        return Mirror((Source(asked.rstrip("/"), SUITE),), DEFAULT_KEYRING)
    sources: dict[str, Source] = {}
    for source in host_sources:
        release, _, pocket = source.suite.partition("-")
        if release not in DEBIAN_SUITES or pocket not in ("", "updates", "security"):
            continue
        if not re.match(r"https?://", source.uri):
            continue
        suite = f"{SUITE}-{pocket}" if pocket else SUITE
        sources.setdefault(suite, Source(source.uri, suite, source.keyring))
    if SUITE not in sources:
        return Mirror((), DEFAULT_KEYRING)
    # The release first: mmdebstrap takes its essential packages from there.
    ordered = sorted(sources.values(), key=lambda source: source.suite)
    return Mirror(tuple(ordered), sources[SUITE].keyring or DEFAULT_KEYRING)
