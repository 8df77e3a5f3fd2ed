"""SSH access by key, starting from a board that accepts only a password."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.runs import ok, pyinfra

SSH_ACCESS = ["deploys/ssh_access.py"]
# As on an SD card that somebody flashed by hand: a password, and no admin key.
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
    assert until(lambda: takes_a_password(lab)), "sshd has not read its configuration"
    yield lab
    lab.down()


def test_the_admin_key_is_readable_by_the_operator_only(board: Lab) -> None:
    folder = board.project / ".cluster"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "id_ed25519").stat().st_mode & 0o777 == 0o600


@pytest.fixture(scope="module")
def by_key(board: Lab) -> Lab:
    """The same after the first contact."""
    assert board.ssh("node1", "true").returncode != 0, "the key opens it already"
    refused = pyinfra(board, "-y", "--limit", "node1", deploys=SSH_ACCESS)
    assert refused.status != 0
    run = pyinfra(
        board, "-y", "--limit", "node1", "--ssh-password", "raspberry", deploys=SSH_ACCESS
    )
    assert run.status == 0, run.output
    return board


def test_the_first_contact_by_password_brings_the_key(by_key: Lab) -> None:
    board = by_key
    lines = ok(board.ssh("node1", "cat .ssh/authorized_keys")).splitlines()
    assert lines[:2] == THEIRS.splitlines()
    key = (board.project / ".cluster" / "id_ed25519.pub").read_text().split()
    assert lines[2].split()[:2] == key[:2]
    modes = ok(board.ssh("node1", "stat -c '%a %U:%G' .ssh .ssh/authorized_keys")).splitlines()
    assert modes == ["700 pi:pi", "600 pi:pi"]


def test_a_second_run_by_key_changes_nothing(by_key: Lab) -> None:
    run = pyinfra(by_key, "-y", "--limit", "node1", deploys=SSH_ACCESS)
    assert run.status == 0, run.output
    assert run.left_alone("node1")


def takes_a_password(board: Lab) -> bool:
    """Whether sshd offers password logins."""
    options = ["-o", "PreferredAuthentications=none", "-o", "BatchMode=yes"]
    said = board.run(["ssh", "-F", ".cluster/ssh_config", *options, "node1", "true"]).stderr
    assert "publickey" in said, said
    return "password" in said or "keyboard-interactive" in said


def test_passwords_are_forbidden_after_a_login_by_key_and_return_with_the_setting(
    by_key: Lab,
) -> None:
    board = by_key
    assert takes_a_password(board)
    keys_only = ("-y", "--limit", "node1", "--data", "password_login=false")
    run = pyinfra(board, *keys_only, deploys=SSH_ACCESS)
    assert run.status == 0, run.output
    assert any("sshd's configuration: confirmed after" in line for line in run.lines("node1"))
    assert not takes_a_password(board)
    again = pyinfra(board, *keys_only, deploys=SSH_ACCESS)
    assert again.left_alone("node1"), again.output
    run = pyinfra(board, "-y", "--limit", "node1", deploys=SSH_ACCESS)
    assert run.status == 0, run.output
    assert takes_a_password(board)


def test_passwords_stay_if_only_a_password_opens_the_board(by_key: Lab) -> None:
    board = by_key
    keys = ok(board.ssh("node1", "cat .ssh/authorized_keys"))
    lost = "mv /home/pi/.ssh/authorized_keys /home/pi/.ssh/lost"
    assert board.console("node1", ["sh", "-c", lost]).returncode == 0
    deploy = board.project / "keys-only.py"
    deploy.write_text(
        "from operations import guard, sshd\n"
        'with guard.change("Keys only", 24):\n'
        "    sshd.passwords(allowed=False)\n"
    )
    run = pyinfra(
        board, "-y", "--limit", "node1", "--ssh-password", "raspberry", deploys=["keys-only.py"]
    )
    assert run.status != 0
    assert any(codes(line) == ["NET060"] for line in run.lines("node1")), run.output
    assert takes_a_password(board)
    ok(board.console("node1", ["mv", "/home/pi/.ssh/lost", "/home/pi/.ssh/authorized_keys"]))
    assert ok(board.ssh("node1", "cat .ssh/authorized_keys")) == keys
