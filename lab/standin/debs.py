"""
Debian packages, built without debhelper: control fields, files, maintainer scripts.

Formats: deb(5), deb-control(5). A package of Debian's can be given a new version without unpacking
it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = b"!<arch>\n"


@dataclass
class Package:
    """
    One package.

    + fields: of its control file, in order, Package and Version among them
    + files: absolute path → (content, mode)
    + directories: empty ones
    + scripts: postinst, prerm, … → text
    + conffiles: paths that the administrator may change
    """

    fields: dict[str, str]
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """`kubeadm_1.36.4-1.1_amd64.deb`"""
        return (
            "_".join(self.fields[name] for name in ("Package", "Version", "Architecture")) + ".deb"
        )


def _tar(entries: dict[str, tuple[bytes, int] | None]) -> bytes:
    """A reproducible tar.gz; None is a directory."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, content in sorted(entries.items()):
            entry = tarfile.TarInfo(f".{path}" + ("/" if content is None else ""))
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(content[0]), content[1]
                archive.addfile(entry, io.BytesIO(content[0]))
    return gzip.compress(raw.getvalue(), 6, mtime=0)


def _ar(members: dict[str, bytes]) -> bytes:
    out = MAGIC
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) % 2)
    return out


def members(data: bytes) -> dict[str, bytes]:
    """The members of an ar archive."""
    if not data.startswith(MAGIC):
        raise ValueError("not an ar archive")
    found, position = {}, len(MAGIC)
    while position < len(data):
        header = data[position : position + 60].decode()
        size = int(header[48:58])
        found[header[:16].strip().rstrip("/")] = data[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
    return found


def control(fields: Mapping[str, str]) -> str:
    """A control paragraph."""
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def build(package: Package) -> bytes:
    """The .deb."""
    tree: dict[str, tuple[bytes, int] | None] = dict(package.files)
    for path in (*package.files, *(f"{one}/." for one in package.directories)):
        for parent in Path(path).parents:
            if str(parent) != "/":
                tree.setdefault(str(parent), None)
    tree |= dict.fromkeys(package.directories)
    size = sum(len(content) for content, _ in package.files.values()) // 1024 + len(tree)
    sums = "".join(
        f"{hashlib.md5(content).hexdigest()}  {path.lstrip('/')}\n"
        for path, (content, _) in sorted(package.files.items())
        if path not in package.conffiles
    )
    meta: dict[str, tuple[bytes, int] | None] = {
        "/control": (control(package.fields | {"Installed-Size": str(size)}).encode(), 0o644),
        "/md5sums": (sums.encode(), 0o644),
    }
    if package.conffiles:
        meta["/conffiles"] = ("".join(f"{one}\n" for one in package.conffiles).encode(), 0o644)
    meta |= {f"/{name}": (text.encode(), 0o755) for name, text in package.scripts.items()}
    return _ar({"debian-binary": b"2.0\n", "control.tar.gz": _tar(meta), "data.tar.gz": _tar(tree)})


def relabel(deb: bytes, fields: Mapping[str, str]) -> bytes:
    """
    A package of somebody else's with other control fields; its files as they are, still compressed.
    """
    found = members(deb)
    data = next(name for name in found if name.startswith("data.tar"))
    meta: dict[str, tuple[bytes, int] | None] = {"/control": (control(fields).encode(), 0o644)}
    return _ar({"debian-binary": b"2.0\n", "control.tar.gz": _tar(meta), data: found[data]})
