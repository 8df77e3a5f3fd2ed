"""The key of pyinfra's own connection is found, so that it can't be taken out unawares."""

from types import SimpleNamespace
from typing import Any

import pytest
from paramiko import ECDSAKey

from formats.authorized_keys import Key, parse
from messages import Said
from operations.authorized_keys import _check_lockout, _connection_key
from operations.base import HostFailure

KEY = ECDSAKey.generate()


def connected(private_key: Any, user: str = "pi") -> Any:
    handler = SimpleNamespace(private_key=private_key)
    transport = SimpleNamespace(auth_handler=handler, get_username=lambda: user)
    client = SimpleNamespace(get_transport=lambda: transport)
    return SimpleNamespace(connector=SimpleNamespace(client=client))


def test_the_key_that_logged_in_is_known() -> None:
    found = _connection_key(connected(KEY), "pi")
    assert found == Key("ecdsa-sha2-nistp256", KEY.get_base64())


def test_the_key_of_another_user_may_go() -> None:
    assert _connection_key(connected(KEY), "ann") is None


def test_there_is_none_after_a_login_by_password() -> None:
    assert _connection_key(connected(None), "pi") is None


def test_there_is_none_without_ssh() -> None:
    assert _connection_key(SimpleNamespace(connector=SimpleNamespace()), "pi") is None  # type: ignore[arg-type]


def lockout(after: str) -> Said | None:
    """What is said of the key in use, after a change of the file."""
    line = f"ecdsa-sha2-nistp256 {KEY.get_base64()} operator\n"
    in_use = Key("ecdsa-sha2-nistp256", KEY.get_base64())
    try:
        _check_lockout("pi", parse(line), parse(after.format(line=line)), in_use)
    except HostFailure as error:
        said = error.args[0]
        assert isinstance(said, Said)
        assert "operator (ecdsa-sha2-nistp256 …" in str(said.values["key"])
        return said
    return None


@pytest.mark.parametrize(
    ("after", "code"),
    [
        ("", "SSH008"),
        ("# a comment\n", "SSH008"),
        ('command="date" {line}', "SSH009"),
        ("no-pty {line}", None),
        ("# a comment\n{line}", None),
    ],
)
def test_the_key_in_use_is_neither_removed_nor_bound_to_one_command(
    after: str, code: str | None
) -> None:
    said = lockout(after)
    assert (said.message.code if said else None) == code
