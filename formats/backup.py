"""
A backup of a cluster: a tar archive of ``manifest.json``, then ``etcd.db``, then ``kubernetes/…``.

Its name is ``CLUSTER-20261130T031500Z.tar``, with ``.age`` behind it when it is encrypted (see
age-encryption.org). Beside an encrypted one stands its manifest, ``NAME.json``, which holds no
secret. ``kubernetes/`` has of /etc/kubernetes what kubeadm does not make again.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from io import SEEK_END
from pathlib import PurePosixPath
from typing import IO, Any

from formats.kubernetes_version import Release, parse_package
from formats.unreadable import MALFORMED, Unreadable, reading
from messages import backups as messages

FORMAT = 1
MANIFEST = "manifest.json"
SNAPSHOT = "etcd.db"
FILES = "kubernetes/"  # what stands in /etc/kubernetes

# Without these no cluster can be made again. They are part of every backup.
KEYS = (
    "pki/ca.crt",
    "pki/ca.key",
    "pki/front-proxy-ca.crt",
    "pki/front-proxy-ca.key",
    "pki/sa.key",
    "pki/sa.pub",
    "pki/etcd/ca.crt",
    "pki/etcd/ca.key",
    "kubeadm-config.yaml",
)

_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"([A-Za-z0-9._-]+)-([0-9]{8}T[0-9]{6}Z)\.tar(\.age)?")
_DIGEST = re.compile("[0-9a-f]{64}")
_SEALED = re.compile(rb'(.*),\s*"sum": "([0-9a-f]{64})"}\n', re.DOTALL)
_CHUNK = 1 << 20
_RECORD = 10240  # bytes, of which every tar archive is a multiple
_MAX_MANIFEST = 1 << 20


@dataclass(frozen=True)
class Digest:
    """
    + sha256: of a file's content, in hexadecimal digits
    + size: in bytes
    """

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """
    What a backup is of.

    + cluster: its name, `kube_context`
    + ca: SHA-256 of its CA certificate (DER), in hexadecimal digits: no other cluster has it
    + endpoint: of the API server, such as "kubernetes-api:6443"
    + node, address: name and address of the control plane that it was taken on
    + kubernetes: version of the API server, such as "1.36.3"
    + etcd: its image with the tag
    + containerd: its version
    + taken: when the snapshot was taken (UTC)
    + objects: number of objects in the snapshot
    + revision: of etcd
    + members: of the archive, by name, in their order, without the manifest
    + proved: whether the snapshot was restored into a scratch directory
    + archive: of the encrypted archive beside which the manifest stands
    """

    cluster: str
    ca: str
    endpoint: str
    node: str
    address: str
    kubernetes: Release
    etcd: str
    containerd: str
    taken: datetime
    objects: int
    revision: int
    members: Mapping[str, Digest]
    proved: bool
    archive: Digest | None = None

    @property
    def name(self) -> str:
        """The name of the archive that is not encrypted."""
        return file_name(self.cluster, self.taken)


@dataclass(frozen=True)
class Name:
    """
    What the name of an archive says.

    + cluster: the cluster's name, as far as a file's name can have it
    + taken: when (UTC)
    + encrypted: with age
    """

    cluster: str
    taken: datetime
    encrypted: bool


def file_name(cluster: str, taken: datetime) -> str:
    """Return the name of an archive that is not encrypted; ``taken``: in UTC."""
    return f"{name_part(cluster)}-{taken.strftime(_TIME)}.tar"


def name_part(cluster: str) -> str:
    """Return the name of a cluster as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", cluster).lstrip(".") or "_"


def parse_name(name: str) -> Name | None:
    """Read the name of an archive; None for any other file's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        taken = datetime.strptime(match[2], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Name(match[1], taken, match[3] is not None)


def render(manifest: Manifest) -> str:
    """Write a manifest."""
    data = {"format": FORMAT, **asdict(manifest)}
    data["kubernetes"] = str(manifest.kubernetes)
    data["taken"] = manifest.taken.strftime(_TIME)
    return sealed(json.dumps(data, indent=1))


def sealed(data: str) -> str:
    """Add to a JSON object the checksum of its text up to the last brace."""
    body = data.rstrip().removesuffix("}").rstrip()
    return f'{body},\n"sum": "{sha256(body.encode()).hexdigest()}"}}\n'


def parse(text: str | bytes) -> Manifest:
    """
    Read a manifest.

    + raises ``Unreadable``: it is damaged, or a newer bramble wrote it
    """
    with reading(f"{MANIFEST} is damaged"):
        data = json.loads(text)
        if not isinstance(data["format"], int) or data["format"] > FORMAT:
            raise Unreadable(messages.NEWER_FORMAT(format=data["format"]))
        sealed = _SEALED.fullmatch(text if isinstance(text, bytes) else text.encode())
        if sealed is None or sha256(sealed[1]).hexdigest() != sealed[2].decode():
            raise Unreadable(messages.DAMAGED(reason=f"the checksum of {MANIFEST} differs"))
        release = parse_package(_text(data["kubernetes"]))
        members = {_member(name): _digest(each) for name, each in data["members"].items()}
        missing = [
            name for name in (SNAPSHOT, *(FILES + key for key in KEYS)) if name not in members
        ]
        if release is None or missing or next(iter(members)) != SNAPSHOT:
            raise ValueError
        return Manifest(
            cluster=_text(data["cluster"]),
            ca=_hexadecimal(data["ca"]),
            endpoint=_text(data["endpoint"]),
            node=_text(data["node"]),
            address=_text(data["address"]),
            kubernetes=release,
            etcd=_text(data["etcd"]),
            containerd=_text(data["containerd"]),
            taken=datetime.strptime(data["taken"], _TIME).replace(tzinfo=UTC),
            objects=_count(data["objects"]),
            revision=_count(data["revision"]),
            members=members,
            proved=data["proved"] is True,
            archive=_digest(data["archive"]) if data.get("archive") else None,
        )


def manifest_of(archive: IO[bytes]) -> Manifest:
    """
    Read the manifest of an archive that is not encrypted; nothing else is checked.

    + raises ``Unreadable``
    """
    with _opened(archive) as tar:
        return _manifest(tar, archive)


def verify(archive: IO[bytes]) -> Manifest:
    """
    Read a whole archive that is not encrypted, and compare all checksums.

    + archive: from its beginning
    + raises ``Unreadable``: it is truncated, damaged, or has other members than its manifest says
    """
    for _ in unpacked(archive):
        pass
    archive.seek(0)
    return manifest_of(archive)


def unpacked(archive: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """
    Return the members of an archive in pieces, each with its name; the last piece of each is empty.

    + archive: from its beginning
    + raises ``Unreadable``: as ``verify``, at the latest after the last piece of the member
    """
    with _opened(archive) as tar:
        left = dict(_manifest(tar, archive).members)
        while (member := tar.next()) is not None:
            expected = left.pop(member.name, None)
            if expected is None or not member.isreg() or member.size != expected.size:
                raise Unreadable(messages.DAMAGED(reason=f"{member.name} differs"))
            content, digest = tar.extractfile(member), sha256()
            assert content is not None, "a regular file"
            while piece := content.read(_CHUNK):
                digest.update(piece)
                yield member.name, piece
            if digest.hexdigest() != expected.sha256 or not _is_padded(archive, member):
                raise Unreadable(messages.DAMAGED(reason=f"the checksum of {member.name} differs"))
            yield member.name, b""
        if left:
            raise Unreadable(messages.DAMAGED(reason=f"{next(iter(left))} is missing"))
        archive.seek(tar.offset)
        if (rest := archive.read()).strip(b"\0") or archive.tell() % _RECORD or len(rest) < 1024:
            raise Unreadable(messages.DAMAGED(reason="its end is missing"))


def digest(archive: IO[bytes]) -> Digest:
    """Compute the checksum of a whole file."""
    found = file_digest(archive, "sha256").hexdigest()  # type: ignore[arg-type]
    return Digest(found, archive.seek(0, SEEK_END))


def beside(manifest: Manifest, archive: Digest) -> Manifest:
    """Return the manifest that stands beside an encrypted archive."""
    return replace(manifest, archive=archive)


def surplus(taken: Collection[datetime], newest: int, weekly: int) -> set[datetime]:
    """
    Decide which backups of one cluster are removed.

    + taken: when each good one was taken
    + newest: how many of the newest are kept
    + weekly: of how many weeks (ISO 8601) with a backup the newest is kept
    + returns: those that neither rule keeps; never the newest
    """
    ordered = sorted(taken, reverse=True)
    weeks: dict[tuple[int, int], datetime] = {}
    for each in ordered:
        year, week, _ = each.isocalendar()
        weeks.setdefault((year, week), each)
    kept = {*ordered[: max(newest, 1)], *list(weeks.values())[:weekly]}
    return set(ordered) - kept


class _opened:
    """The tar archive of a file; what tarfile raises becomes ``Unreadable``."""

    def __init__(self, archive: IO[bytes]) -> None:
        self.archive = archive

    def __enter__(self) -> tarfile.TarFile:
        try:
            return tarfile.open(fileobj=self.archive, mode="r:")
        except (tarfile.TarError, EOFError, *MALFORMED) as error:
            raise Unreadable(messages.DAMAGED(reason="it is not a tar archive")) from error

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (tarfile.TarError, EOFError)):
            raise Unreadable(messages.DAMAGED(reason="it is truncated")) from error


def _is_padded(archive: IO[bytes], member: tarfile.TarInfo) -> bool:
    """Whether zeros stand between the end of a member and the next one."""
    archive.seek(member.offset_data + member.size)
    return not archive.read(-member.size % tarfile.BLOCKSIZE).strip(b"\0")


def _manifest(tar: tarfile.TarFile, archive: IO[bytes]) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > _MAX_MANIFEST:
        raise Unreadable(messages.DAMAGED(reason=f"it does not begin with {MANIFEST}"))
    content = tar.extractfile(first)
    assert content is not None, "a regular file"
    text = content.read()
    if not _is_padded(archive, first):
        raise Unreadable(messages.DAMAGED(reason=f"the checksum of {MANIFEST} differs"))
    return parse(text)


def _member(name: object) -> str:
    text = _text(name)
    path = PurePosixPath(text)
    inside = text.startswith(FILES) and ".." not in path.parts and str(path) == text
    if text != SNAPSHOT and not inside:
        raise ValueError
    return text


def _digest(data: Any) -> Digest:
    return Digest(_hexadecimal(data["sha256"]), _count(data["size"]))


def _hexadecimal(value: object) -> str:
    text = _text(value)
    if not _DIGEST.fullmatch(text):
        raise ValueError
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value
