"""The archive of a backup: its name, manifest, checksums, and which are kept."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from formats import backup
from formats.backup import FILES, KEYS, MANIFEST, SNAPSHOT, Digest, Manifest
from formats.kubernetes_version import Release
from formats.unreadable import Unreadable
from messages import codes

TAKEN = datetime(2026, 11, 30, 3, 15, tzinfo=UTC)
CONTENTS = {
    SNAPSHOT: b"snapshot" * 300_000,
    **{f"{FILES}{key}": f"content of {key}".encode() for key in KEYS},
    f"{FILES}audit/policy.yaml": b"",
}


def manifest(**changes: Any) -> Manifest:
    values = {
        "cluster": "bramble",
        "ca": "ab" * 32,
        "endpoint": "kubernetes-api:6443",
        "node": "node1",
        "address": "192.168.2.11",
        "kubernetes": Release(1, 36, 3),
        "etcd": "registry.k8s.io/etcd:3.6.8-0",
        "containerd": "1.7.24",
        "taken": TAKEN,
        "objects": 506,
        "revision": 892,
        "members": {
            name: Digest(sha256(content).hexdigest(), len(content))
            for name, content in CONTENTS.items()
        },
        "proved": True,
    }
    return Manifest(**{**values, **changes})


def data_of(made: Manifest) -> dict[str, Any]:
    """What a manifest says, without its checksum."""
    data: dict[str, Any] = json.loads(backup.render(made))
    del data["sum"]
    return data


def packed(contents: dict[str, bytes], text: str | None = None) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        text = backup.render(manifest()) if text is None else text
        for name, content in {MANIFEST: text.encode(), **contents}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def headers(archive: bytes) -> list[int]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return [member.offset for member in tar]


def refused(archive: bytes) -> list[str]:
    with pytest.raises(Unreadable) as caught:
        backup.verify(io.BytesIO(archive))
    return codes(str(caught.value))


def test_what_is_written_is_read_again() -> None:
    assert backup.parse(backup.render(manifest())) == manifest()
    beside = backup.beside(manifest(), Digest("cd" * 32, 7))
    assert backup.parse(backup.render(beside)) == beside


def test_an_archive_is_read_whole() -> None:
    archive = io.BytesIO(packed(CONTENTS))
    found: dict[str, bytes] = {}
    for name, piece in backup.unpacked(archive):
        found[name] = found.get(name, b"") + piece
    assert found == CONTENTS
    archive.seek(0)
    assert backup.verify(archive) == manifest()


def test_an_archive_of_gnu_tar_is_read(tmp_path: Any) -> None:
    import subprocess

    for name, content in {**CONTENTS, MANIFEST: backup.render(manifest()).encode()}.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    names = [MANIFEST, *CONTENTS]
    subprocess.run(["tar", "-C", tmp_path / "in", "-cf", tmp_path / "x.tar", *names], check=True)
    with (tmp_path / "x.tar").open("rb") as file:
        assert backup.verify(file) == manifest()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.995])
def test_a_truncated_archive_is_refused(share: float) -> None:
    whole = packed(CONTENTS).rstrip(b"\0")
    assert refused(whole[: int(len(whole) * share)]) == ["BAK001"]


def test_every_flipped_bit_is_seen_wherever_it_is() -> None:
    """In the manifest, between the members, behind them; of every third byte one bit."""
    small = {SNAPSHOT: b"small", f"{FILES}pki/ca.key": b"x" * 600}
    small = {**CONTENTS, **small}
    members = {name: backup.digest(io.BytesIO(content)) for name, content in small.items()}
    whole = packed(small, backup.render(manifest(members=members)))
    assert backup.verify(io.BytesIO(whole)) == manifest(members=members)
    unseen = []
    # The field of a header's checksum is a number between blanks.
    blanks = {at + each for at in headers(whole) for each in (148, 155)}
    for at in set(range(0, len(whole), 3)) - blanks:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        try:
            backup.verify(io.BytesIO(flipped))
            unseen.append(at)
        except Unreadable:
            continue
    assert unseen == []


@pytest.mark.parametrize("lost", [1, 512, 1000, 1024, 10240])
def test_an_archive_whose_very_end_is_missing_is_refused(lost: int) -> None:
    assert refused(packed(CONTENTS)[:-lost]) == ["BAK001"]


def test_every_flipped_bit_of_a_member_is_seen() -> None:
    small = {**CONTENTS, SNAPSHOT: b"small"}
    members = {name: backup.digest(io.BytesIO(content)) for name, content in small.items()}
    text = backup.render(manifest(members=members))
    whole = packed(small, text)
    for name, content in small.items():
        if content:
            at = whole.index(content, whole.index(name.encode(), len(text) + 512))
            flipped = bytearray(whole)
            flipped[at] ^= 1
            assert refused(bytes(flipped)) == ["BAK001"], name


@pytest.mark.parametrize(
    "contents",
    [
        {name: content for name, content in CONTENTS.items() if name != f"{FILES}pki/sa.key"},
        {**CONTENTS, f"{FILES}more": b""},
        {**CONTENTS, "../../etc/passwd": b"x"},
        {**CONTENTS, SNAPSHOT: b"other"},
    ],
)
def test_an_archive_with_other_members_than_its_manifest_is_refused(
    contents: dict[str, bytes],
) -> None:
    assert refused(packed(contents)) == ["BAK001"]


@pytest.mark.parametrize("junk", [b"", b"\0" * 10240, b"age-encryption.org/v1\n", b"x" * 5000])
def test_what_is_no_archive_is_refused(junk: bytes) -> None:
    assert refused(junk) == ["BAK001"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ca", "AB" * 32),
        ("cluster", ""),
        ("cluster", "a\nb"),
        ("kubernetes", "new"),
        ("taken", "yesterday"),
        ("objects", -1),
        ("objects", True),
        ("revision", "9"),
        ("members", {}),
        ("members", []),
        ("format", "1"),
    ],
)
def test_a_damaged_manifest_is_refused(field: str, value: object) -> None:
    data = data_of(manifest())
    assert backup.parse(backup.sealed(json.dumps(data))) == manifest()
    with pytest.raises(Unreadable):
        backup.parse(backup.sealed(json.dumps({**data, field: value})))
    del data[field]
    with pytest.raises(Unreadable):
        backup.parse(backup.sealed(json.dumps(data)))


@pytest.mark.parametrize(
    "name", ["kubernetes/../x", "kubernetes//x", "/etc/x", "kubernetes/", "x", "kubernetes/a/../b"]
)
def test_no_member_leaves_its_folder(name: str) -> None:
    data = data_of(manifest())
    data["members"][name] = data["members"][SNAPSHOT]
    with pytest.raises(Unreadable):
        backup.parse(backup.sealed(json.dumps(data)))


def test_an_older_bramble_refuses_a_newer_format() -> None:
    with pytest.raises(Unreadable) as caught:
        backup.parse(json.dumps({"format": backup.FORMAT + 1, "something": "else"}))
    assert codes(str(caught.value)) == ["BAK002"]


def test_names() -> None:
    assert backup.file_name("bramble", TAKEN) == "bramble-20261130T031500Z.tar"
    assert manifest(cluster="me@home:/x").name == "me_home__x-20261130T031500Z.tar"
    assert not backup.file_name("..", TAKEN).startswith(".")
    found = backup.parse_name("my-cluster-20261130T031500Z.tar.age")
    assert found == backup.Name("my-cluster", TAKEN, True)
    for other in (
        "bramble-20261130T031500Z.tar.age.json",
        ".bramble-20261130T031500Z.tar.x1y2",
        "bramble-20261330T031500Z.tar",
        "bramble.tar",
        "../bramble-20261130T031500Z.tar",
    ):
        assert backup.parse_name(other) is None, other


@pytest.mark.parametrize(
    ("days", "newest", "weekly", "kept"),
    [
        ([], 3, 3, []),
        ([0], 1, 0, [0]),
        ([0, 1], 0, 0, [0]),
        (range(5), 3, 0, range(3)),
        # 30 November 2026 is a Monday: the newest of the weeks before it are Sundays.
        (range(30), 2, 3, [0, 1, 8]),
        (range(30), 1, 4, [0, 1, 8, 15]),
        ([0, 100, 200, 300], 1, 3, [0, 100, 200]),
    ],
)
def test_which_are_kept(days: Any, newest: int, weekly: int, kept: Any) -> None:
    taken = {day: TAKEN - timedelta(days=day) for day in days}
    gone = backup.surplus(list(taken.values()), newest, weekly)
    assert [day for day, when in taken.items() if when not in gone] == list(kept)


def test_day_by_day_each_past_week_keeps_its_newest() -> None:
    left: set[datetime] = set()
    for day in range(60):
        left.add(TAKEN + timedelta(days=day))
        left -= backup.surplus(left, newest=2, weekly=4)
    assert [when.strftime("%a") for when in sorted(left)] == ["Sun", "Sun", "Sun", "Wed", "Thu"]
