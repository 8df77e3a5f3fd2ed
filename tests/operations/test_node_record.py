"""The scripts that write a node's record, keep what is replaced, and restore it."""

from __future__ import annotations

import shlex
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from facts.node_record import FOLDER, Record
from operations import files, node_record

NOTHING = sha256(b"").hexdigest()


def run(script: str, folder: Path, *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["sh", "-c", script.replace(FOLDER, str(folder / "lib")), "sh", *words],
        input=stdin,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def write(folder: Path, text: str, digest: str, *words: str) -> str:
    return run(node_record._WRITE, folder, digest, *words, stdin=text)


def tree(folder: Path) -> list[str]:
    script = "cd {} && find . -printf '%p %y %m %l ' -type f -exec md5sum {{}} \\; -o -print"
    return sorted(run(script.format(folder), folder).splitlines())


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "plain").write_bytes(b"old\xff\n")
    (folder / "plain").chmod(0o640)
    (folder / "link").symlink_to("plain")
    (folder / "60-bramble.conf").write_text("bramble's own\n")
    return folder


def test_a_record_is_private_and_its_digest_is_the_next_one_to_write_over(tmp_path: Path) -> None:
    first = write(tmp_path, "one\n", NOTHING, "--")
    assert first == sha256(b"one\n").hexdigest()
    assert write(tmp_path, "two\n", first, "--") == sha256(b"two\n").hexdigest()
    path = tmp_path / "lib" / "record.json"
    assert path.read_text() == "two\n"
    modes = [oct(each.stat().st_mode & 0o777) for each in (path, path.parent)]
    assert modes == ["0o600", "0o700"]


def test_a_record_that_another_run_has_changed_is_not_overwritten(
    tmp_path: Path, etc: Path
) -> None:
    write(tmp_path, "one\n", NOTHING, "--")
    before = tree(tmp_path)
    assert write(tmp_path, "two\n", NOTHING, str(etc / "plain"), "--") == node_record._STALE
    assert tree(tmp_path) == before


def test_what_is_replaced_is_kept_and_restored_byte_for_byte(tmp_path: Path, etc: Path) -> None:
    names = ("plain", "link", "60-bramble.conf", "new/file")
    before = tree(etc)
    digest = write(tmp_path, "one\n", NOTHING, *(str(etc / name) for name in names), "--")
    kept = tmp_path / "lib" / "kept"
    there = {name for name in names if (kept / f"{etc}/{name}"[1:]).is_symlink()}
    there |= {name for name in names if (kept / f"{etc}/{name}"[1:]).is_file()}
    assert there == {"plain", "link"}
    (etc / "new").mkdir()
    for name in ("plain", "link", "new/file"):
        (etc / name).unlink(missing_ok=True)
        (etc / name).write_text("bramble's\n")
    for name in ("plain", "link"):
        run(files._RESTORE, tmp_path, str(etc / name), str(kept / f"{etc}/{name}"[1:]))
    run(files._REMOVE, tmp_path, str(etc / "new" / "file"))
    assert tree(etc) == before
    write(tmp_path, "two\n", digest, "--", *(str(etc / name) for name in names))
    assert not [each for each in kept.rglob("*") if not each.is_dir()]


def test_a_directory_that_holds_something_else_stays(tmp_path: Path, etc: Path) -> None:
    run(files._REMOVE, tmp_path, str(etc / "60-bramble.conf"))
    assert {each.name for each in etc.iterdir()} == {"plain", "link"}


def test_the_fact_reads_what_was_written(tmp_path: Path) -> None:
    record = Record()
    script = shlex.split(record.command().get_raw_value())[2]  # of sh -c
    nothing = record.process(run(script, tmp_path).splitlines())
    assert nothing.record.entries == {}
    assert (nothing.damage, nothing.digest) == ("", NOTHING)
    write(tmp_path, "{", NOTHING, "--")
    damaged = record.process(run(script, tmp_path).splitlines())
    assert damaged.record.entries == {}
    assert damaged.damage
    assert damaged.digest == sha256(b"{").hexdigest()
