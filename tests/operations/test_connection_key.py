"""The key of pyinfra's own connection is found, so that it can't be taken out unawares."""

from types import SimpleNamespace
from typing import Any

from paramiko import ECDSAKey

from formats.authorized_keys import Key
from operations.authorized_keys import _connection_key

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
