"""The join token's Secret, as the API server wants it."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest

from formats.kubeadm.bootstrap_token import EXPIRES, secret_name, secret_text

TOKEN = "abcdef.0123456789abcdef"


def test_secret_has_what_kubeadm_writes_into_one() -> None:
    made = json.loads(secret_text(TOKEN))
    assert made["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    assert made["type"] == "bootstrap.kubernetes.io/token"
    assert made["data"].pop("expiration") == EXPIRES
    plain = {key: b64decode(value).decode() for key, value in made["data"].items()}
    assert plain.pop("description").startswith("bramble")
    assert plain == {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }
    assert "\n" not in secret_text(TOKEN)


def test_the_name_tells_no_secret() -> None:
    assert secret_name(TOKEN) == "bootstrap-token-abcdef"


@pytest.mark.parametrize("token", ["badtoken", "ABCDEF.0123456789abcdef", TOKEN + "x", ""])
def test_what_is_no_token_is_refused_without_being_repeated(token: str) -> None:
    with pytest.raises(ValueError, match="six characters") as error:
        secret_text(token)
    assert not token or token not in str(error.value)
