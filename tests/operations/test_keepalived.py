"""keepalived starts with half a configuration: what its own check says decides before that."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from operations import keepalived


@pytest.mark.parametrize(
    ("program", "accepted"),
    [
        ("exit 0", True),
        ("kill -TERM $$", True),  # 2.2, once all is checked
        ("echo 'Line 19: 192.168.2.13 is missing a value' >&2; exit 5", False),
        ("echo 'Line 19: 192.168.2.13 is missing a value' >&2; kill -TERM $$", False),
        ("exit 1", False),
    ],
)
def test_a_configuration_is_refused_with_the_words_of_keepalived(
    program: str, accepted: bool, tmp_path: Path
) -> None:
    fake = tmp_path / "keepalived"
    fake.write_text(f'#!/bin/sh\ngrep -q peers "$3" || exit 9\n{program}\n')
    fake.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", keepalived._CHECK],
        input="the peers",
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is accepted
    assert ("missing a value" in done.stderr) is ("missing" in program)
    assert [path.name for path in tmp_path.iterdir()] == ["keepalived"]


@pytest.mark.parametrize(
    ("holds", "keeps", "answer", "said"),
    [
        (False, True, "refused", None),  # nothing to move
        (True, False, "ok", None),
        (True, False, "connection refused", "connection refused"),
        (True, True, "ok", "this node keeps it"),
    ],
)
def test_the_address_moves_to_one_that_serves_or_the_node_stays(
    holds: bool, keeps: bool, answer: str, said: str | None, tmp_path: Path
) -> None:
    """ip shows the address until keepalived is restarted, and then if nobody else takes it."""
    held = tmp_path / "held"
    if holds:
        held.touch()
    for name, script in {
        "ip": f'[ "$6" = 192.168.2.10 ] && [ -e {held} ] && echo there',
        "systemctl": f"touch {tmp_path}/restarted; [ {int(keeps)} = 1 ] || rm {held}",
        "curl": f"echo {answer}",
        "sleep": "",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", keepalived._MOVE, "sh", "192.168.2.10"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (1 if said else 0), done.stderr
    assert done.stderr.strip() == (said or "")
    assert (tmp_path / "restarted").exists() is holds
