"""kubeadm token: create, list, delete, generate."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from . import addons, kubeconfig, pki, rbac
from . import config as settings
from .client import ApiError, Client, Unreachable, admin
from .common import SYSTEM, TOKEN, Fatal, Obj, human, moment, quote, say
from .validate import TOKEN_PATTERN

ID_PATTERN = r'"\\A([a-z0-9]{6})\\z"'
SECRETS = f"/api/v1/namespaces/{SYSTEM}/secrets"


def _client(path: str) -> Client:
    if not path:
        return admin()
    try:
        return Client.from_document(kubeconfig.load(path))
    except Fatal as error:
        raise Fatal(f"failed to load admin kubeconfig: {error}") from None


def create(arguments: list[str], flags: dict[str, str]) -> None:
    """
    Make a token and print it, or the join command. With --config the token is in the file's
    bootstrapTokens, which may be /dev/stdin: so it need not be an argument.
    """
    token = arguments[0] if arguments else ""
    if token and not TOKEN.match(token):
        raise Fatal(f"the bootstrap token {quote(token)} was not of the form {TOKEN_PATTERN}")
    mixed = [name for name in ("description", "groups", "ttl", "usages") if name in flags]
    if "config" in flags and mixed:
        raise Fatal(f"can not mix '--config' with arguments [{' '.join(mixed)}]")
    client = _client(flags.get("kubeconfig", ""))
    if "config" in flags:
        found = settings.load_init(flags["config"], token or addons.new_token())
        entries: list[Obj] = found.init["bootstrapTokens"]
        for entry in entries:
            entry["token"] = entry["token"] or addons.new_token()
    else:
        entries = [
            {
                "token": token or addons.new_token(),
                "ttl": flags.get("ttl", "24h0m0s"),
                "description": flags.get("description", ""),
                "usages": flags.get("usages", "signing,authentication").split(","),
                "groups": flags.get("groups", addons.DEFAULT_NODE_TOKEN).split(","),
            }
        ]
    try:
        addons.create_tokens(client, entries)
    except (ApiError, Unreachable) as error:
        raise Fatal(f"unable to create Secret: {error}") from None
    own = entries[0]["token"]
    if "print-join-command" not in flags:
        say(own)
        return
    cluster, _, _, _ = kubeconfig.current(
        kubeconfig.load(flags.get("kubeconfig") or "/etc/kubernetes/admin.conf")
    )
    digest = pki.public_key_hash(
        pki.load_certificate(kubeconfig.data(cluster, "certificate-authority"))
    )
    say(
        f"kubeadm join {cluster['server'].removeprefix('https://')} --token {own} --discovery-token-ca-cert-hash {digest} "
    )


def _secrets(client: Client) -> list[Obj]:
    try:
        listed = client.request(
            "GET", f"{SECRETS}?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"
        )
    except (ApiError, Unreachable) as error:
        raise Fatal(f"failed to list bootstrap tokens: {error}") from None
    return list(listed["items"])


def _one(secret: Obj) -> Obj:
    value = {name: rbac.secret_text(secret, name) for name in secret["data"]}
    shown: Obj = {
        "kind": "BootstrapToken",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "token": f"{value['token-id']}.{value['token-secret']}",
    }
    if value.get("description"):
        shown["description"] = value["description"]
    if value.get("expiration"):
        shown["expires"] = value["expiration"]
    usages = sorted(
        name.removeprefix("usage-bootstrap-")
        for name, one in value.items()
        if name.startswith("usage-bootstrap-") and one == "true"
    )
    groups = [one for one in value.get("auth-extra-groups", "").split(",") if one]
    return shown | ({"usages": usages} if usages else {}) | ({"groups": groups} if groups else {})


def listing(flags: dict[str, str]) -> None:
    """A table, or one JSON object after the other."""
    found = [_one(secret) for secret in _secrets(_client(flags.get("kubeconfig", "")))]
    if flags.get("output", "text") == "json":
        for one in found:
            say(json.dumps(one, indent=4))
        return
    if not found:
        return
    say(f"{'TOKEN':<26}{'TTL':<12}{'EXPIRES':<23}{'USAGES':<25}{'DESCRIPTION':<59}EXTRA GROUPS")
    for one in found:
        left = "<forever>"
        if "expires" in one:
            left = human((moment(one["expires"]) - datetime.now(UTC)).total_seconds())
        usages = f"{','.join(one.get('usages', [])) or '<none>':<22}"
        description = f"{one.get('description') or '<none>':<56}"
        say(
            f"{one['token']}   {left:<9}   {one.get('expires', '<never>')}   {usages}   {description}   {','.join(one.get('groups', [])) or '<none>'}"
        )


def delete(arguments: list[str], flags: dict[str, str]) -> None:
    """By id or by the whole token."""
    if not arguments:
        raise Fatal(
            f"missing argument; 'token delete' is missing token of form {TOKEN_PATTERN} or {ID_PATTERN}"
        )
    client = _client(flags.get("kubeconfig", ""))
    for one in arguments:
        match = TOKEN.match(one) or re.fullmatch(r"([a-z0-9]{6})", one)
        if match is None:
            raise Fatal(f"given token didn't match pattern {TOKEN_PATTERN} or {ID_PATTERN}")
        try:
            client.request("DELETE", f"{SECRETS}/bootstrap-token-{match[1]}")
        except (ApiError, Unreachable) as error:
            raise Fatal(f"failed to delete bootstrap token {quote(match[1])}: {error}") from None
        say(f"bootstrap token {quote(match[1])} deleted")
