"""kubeadm token: create, delete; and how cluster-info is signed for a token."""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import re

from . import config as settings
from .addons import SECRETS, token_secret
from .client import ApiError, Unreachable, admin
from .common import Fatal, filled, quote, say, text


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(content: str, token_id: str, token_secret: str) -> str:
    """Return the detached JWS (HS256, RFC 7515) of cluster-info for one token."""
    fields = {"alg": "HS256", "kid": token_id}
    header = _base64url(json.dumps(fields, separators=(",", ":")).encode())
    signed = f"{header}.{_base64url(content.encode())}".encode()
    digest = hmac.new(token_secret.encode(), signed, hashlib.sha256).digest()
    return f"{header}..{_base64url(digest)}"


def create(options: argparse.Namespace) -> None:
    """kubeadm token create: the token is an argument, or random."""
    token = options.words[0] if options.words else settings.new_token()
    settings.check_token(token)
    entry = filled({"token": token, "ttl": options.ttl}, settings.defaults()["token"])
    try:
        admin().request("POST", SECRETS, token_secret(entry))
    except (ApiError, Unreachable) as error:
        raise Fatal(f"unable to create Secret: {error}") from None
    say(token)


def delete(options: argparse.Namespace) -> None:
    """kubeadm token delete: by id or by the whole token."""
    for one in options.words:
        if not re.fullmatch(r"[a-z0-9]{6}(\.[a-z0-9]{16})?", one):
            raise Fatal(text("bad-token-or-id"))
        name = one[:6]
        try:
            admin().request("DELETE", f"{SECRETS}/bootstrap-token-{name}")
        except (ApiError, Unreachable) as error:
            raise Fatal(f"failed to delete bootstrap token {quote(name)}: {error}") from None
        say(f"bootstrap token {quote(name)} deleted")
