"""kubeadm token: create, list, delete; and how cluster-info is signed for a token."""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime

from . import config as settings
from .addons import SECRETS, secret_text, token_secret
from .client import ApiError, Unreachable, admin
from .common import TOKEN, Fatal, Obj, moment, print_json, print_table, quote, say, short_age, text

OF_TYPE = f"{SECRETS}?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"


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
    entry = settings.defaults()["token"] | {"token": token}
    entry |= {"ttl": options.ttl} if options.ttl else {}
    try:
        admin().request("POST", SECRETS, token_secret(entry))
    except (ApiError, Unreachable) as error:
        if isinstance(error, ApiError) and error.status == 409:
            raise Fatal(f"a token with id {quote(token[:6])} already exists") from None
        raise Fatal(f"unable to create Secret: {error}") from None
    say(token)


def _shown(secret: Obj) -> Obj:
    """Return a token as `token list -o json` has it."""
    value = {name: secret_text(secret, name) for name in secret["data"]}
    prefix = "usage-bootstrap-"
    usages = [name for name, one in value.items() if name.startswith(prefix) and one == "true"]
    found: Obj = {
        "token": f"{value['token-id']}.{value['token-secret']}",
        "description": value.get("description"),
        "expires": value.get("expiration"),
        "usages": sorted(name.removeprefix(prefix) for name in usages),
        "groups": [one for one in value.get("auth-extra-groups", "").split(",") if one],
    }
    return {name: one for name, one in found.items() if one}


def show(options: argparse.Namespace) -> None:
    """kubeadm token list: a table, or one JSON object after the other."""
    try:
        found = [_shown(one) for one in admin().request("GET", OF_TYPE)["items"]]
    except (ApiError, Unreachable) as error:
        raise Fatal(f"failed to list bootstrap tokens: {error}") from None
    if options.output == "json":
        for one in found:
            print_json("BootstrapToken", one)
        return
    rows = [("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")]
    for one in found:
        left, until = "<forever>", one.get("expires", "<never>")
        if "expires" in one:
            left = short_age((moment(until) - datetime.now(UTC)).total_seconds())
        usages, groups = (",".join(one.get(name, [])) or "<none>" for name in ("usages", "groups"))
        description = one.get("description", "<none>")
        rows.append((one["token"], left, until, usages, description, groups))
    if found:
        print_table(rows)


def delete(options: argparse.Namespace) -> None:
    """kubeadm token delete: by id or by the whole token."""
    client = admin()
    for one in options.words:
        match = TOKEN.match(one) or re.fullmatch(r"([a-z0-9]{6})", one)
        if match is None:
            raise Fatal(text("bad-token-or-id"))
        try:
            client.request("DELETE", f"{SECRETS}/bootstrap-token-{match[1]}")
        except (ApiError, Unreachable) as error:
            raise Fatal(f"failed to delete bootstrap token {quote(match[1])}: {error}") from None
        say(f"bootstrap token {quote(match[1])} deleted")
