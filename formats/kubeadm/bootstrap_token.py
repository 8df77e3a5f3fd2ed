"""
Bootstrap tokens: a Secret of type bootstrap.kubernetes.io/token in kube-system.

The Secret is made by kubectl from standard input: ``kubeadm token create`` takes a token only as
an argument, which every user of the node can read in /proc.
"""

from __future__ import annotations

import json
import re
import string
from base64 import b64encode

ALPHABET = string.ascii_lowercase + string.digits
DESCRIPTION = "bramble: workers that join now"
# Replaced on the node by the base64 of an RFC 3339 time of the control plane's clock.
EXPIRES = "@EXPIRES@"
_FORM = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")


def secret_name(token: str) -> str:
    """Name the token's Secret by the part before the dot, which is not secret."""
    return f"bootstrap-token-{_parts(token)[0]}"


def secret_text(token: str) -> str:
    """Write the Secret as one line of JSON, with ``EXPIRES`` to be filled in."""
    identity, secret = _parts(token)
    data = {
        "token-id": identity,
        "token-secret": secret,
        "description": DESCRIPTION,
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }
    encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_name(token), "namespace": "kube-system"},
            "type": "bootstrap.kubernetes.io/token",
            "data": {**encoded, "expiration": EXPIRES},
        }
    )


def described_tokens(listed: str, description: str) -> list[str]:
    """
    Return the names of the Secrets of tokens that have a description.

    + listed: a line for each Secret: its name, and its description in base64
    """
    rows = [line.partition(" ") for line in listed.splitlines()]
    wanted = b64encode(description.encode()).decode()
    return [name for name, _, encoded in rows if encoded == wanted]


def _parts(token: str) -> tuple[str, str]:
    match = _FORM.fullmatch(token)
    if match is None:
        raise ValueError("a bootstrap token is six characters, a dot, sixteen characters of a-z0-9")
    return match[1], match[2]
