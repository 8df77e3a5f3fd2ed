"""What the head says of a user's kubeconfig: a copy of ours, ours and more, or something else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from facts.kubeconfig import AdminCredentials
from facts.kubectl import ADMIN_CONF
from formats.kubeconfig import Access, merged
from tests.formats.test_kubeconfig import ADMIN_CONF as MADE
from tests.formats.test_kubeconfig import OTHERS, data


def holds(folder: Path, users: str) -> str:
    """What is said of a user's file beside the administrator's."""
    (folder / "admin.conf").write_text(MADE)
    (folder / ".kube").mkdir(exist_ok=True)
    (folder / ".kube" / "config").write_text(users)
    (folder / "getent").write_text(f"#!/bin/sh\necho x:x:0:0::{folder}:\n")
    (folder / "getent").chmod(0o755)
    script = AdminCredentials().command("root").get_raw_value()
    done = subprocess.run(
        ["sh", "-c", f"PATH={folder}:$PATH; {script.replace(ADMIN_CONF, f'{folder}/admin.conf')}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return AdminCredentials().process(done.stdout.splitlines()).holds


THEIRS = MADE.replace(data("CA"), data("THEIRS"))
ELSEWHERE = Access("elsewhere", "https://10.0.0.1:6443", data("A"), data("B"), data("C"))


@pytest.mark.parametrize(
    ("users", "said"),
    [
        (MADE, "copy"),
        (MADE.replace(data("KEY"), data("OLD")).replace(data("CERT"), data("OLD")), "copy"),
        (MADE.replace("node1:6443", "192.168.2.11:6443"), "copy"),
        (MADE.replace("users:", "preferences: {}\nusers:"), "copy"),
        (merged(MADE, ELSEWHERE), "more"),
        (MADE.replace("    user: kub", "    namespace: web\n    user: kub"), "more"),
        (
            merged(THEIRS, Access("ours", "https://x:1", data("CA"), data("CERT"), data("KEY"))),
            "more",
        ),
        (MADE + "# mine\n", "more"),
        (merged(MADE, ELSEWHERE).replace(data("CERT"), data("OLD")), "outdated"),
        (merged(MADE, ELSEWHERE).replace(data("KEY"), data("OLD")), "outdated"),
        (merged(OTHERS, ELSEWHERE), ""),
        (THEIRS, ""),
        ("", ""),
    ],
)
def test_only_a_copy_is_taken_for_one(tmp_path: Path, users: str, said: str) -> None:
    assert holds(tmp_path, users) == said
