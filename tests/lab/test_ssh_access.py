"""SSH without passwords, from a board that knows nothing but a password."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab.api import Lab
from tests.lab.runs import ok, pyinfra

SSH_ACCESS = ["deploys/ssh_access.py"]
# As on an image that somebody flashed by hand: a password, and no key of ours.
THEIRS = """# of someone else
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEX1f9IUEyz8kNuLa9CsQnI2VsVbQQGwj2ebtl3hUmBm them
"""
PASSWORD_ONLY = f"""
echo pi:raspberry | chpasswd
echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/10-password.conf
printf '%s' '{THEIRS}' > /home/pi/.ssh/authorized_keys
chmod 666 /home/pi/.ssh/authorized_keys
chmod 755 /home/pi/.ssh
systemctl reload ssh
"""


@pytest.fixture(scope="module")
def board(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    lab = new_lab("key")
    lab.up(workers=0)
    done = lab.console("node1", ["sh", "-ec", PASSWORD_ONLY])
    assert done.returncode == 0, done.stderr
    yield lab
    lab.down()


def test_the_operators_key_is_made_for_the_operator_alone(board: Lab) -> None:
    folder = board.desk / ".cluster"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "id_ed25519").stat().st_mode & 0o777 == 0o600


def test_the_first_contact_by_password_brings_the_key(board: Lab) -> None:
    assert board.ssh("node1", "true").returncode != 0, "the key opens it already"
    refused = pyinfra(board, "-y", "--limit", "node1", deploys=SSH_ACCESS)
    assert refused.status != 0
    run = pyinfra(
        board, "-y", "--limit", "node1", "--ssh-password", "raspberry", deploys=SSH_ACCESS
    )
    assert run.status == 0, run.output
    lines = ok(board.ssh("node1", "cat .ssh/authorized_keys")).splitlines()
    assert lines[:2] == THEIRS.splitlines()
    key = (board.desk / ".cluster" / "id_ed25519.pub").read_text().split()
    assert lines[2].split()[:2] == key[:2]
    modes = ok(board.ssh("node1", "stat -c '%a %U:%G' .ssh .ssh/authorized_keys")).splitlines()
    assert modes == ["700 pi:pi", "600 pi:pi"]


def test_a_second_run_by_key_changes_nothing(board: Lab) -> None:
    run = pyinfra(board, "-y", "--limit", "node1", deploys=SSH_ACCESS)
    assert run.status == 0, run.output
    assert run.left_alone("node1")
