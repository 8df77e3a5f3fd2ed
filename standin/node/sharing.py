"""
The Secret kubeadm-certs: what control planes share, encrypted with the certificate key.

As kubeadm's: AES-256-GCM, the nonce before the text. A token that lives for two hours owns it.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import addons
from . import config as settings
from .addons import SECRETS
from .client import Client
from .common import SYSTEM, Fatal, Obj, klog, quote, root, tell, text, write

NAME, NONCE = "kubeadm-certs", 12
PAIRS = ("ca", "front-proxy-ca", "etcd/ca")
FILES = ("sa.key", "sa.pub", *(f"{name}.{end}" for name in PAIRS for end in ("crt", "key")))


def new_key() -> str:
    """Return a random certificate key: 64 hexadecimal digits."""
    return secrets.token_hex(32)


def check_key(key: Any, name: str) -> None:
    """Fatal in kubeadm's words when it is no key; name: `InitConfiguration.certificateKey`."""
    if not isinstance(key, str):  # a number, for want of quotes
        kind, why = f"{name[:4]}Configuration", text("numeric-key", field=name)
        klog("W", f"{kind.lower()}.go:124", text("no-schema", kind=kind, why=why))
        raise Fatal(why)
    wrong, size = re.search(r"[^0-9a-fA-F]", key), len(key)
    if wrong or size not in (0, 64):
        why = text("key-size", size=size // 2)
        if wrong:
            why = text("no-hex", code=ord(wrong[0]), char=wrong[0])
        raise Fatal(f"{name.partition('.')[2]}: Invalid value: {quote(key)}: {why}")


def _owner(client: Client) -> Obj:
    """Make the token that owns the Secret, return the reference to it."""
    entry = settings.defaults()["certificates-token"] | {"token": settings.new_token()}
    token = addons.token_secret(entry)
    meta = client.request("POST", SECRETS, token)["metadata"]
    about = {"apiVersion": "v1", "kind": "Secret", "name": meta["name"], "uid": meta["uid"]}
    return about | {"blockOwnerDeletion": True, "controller": True}


def upload(client: Client, config: settings.Config, key: str) -> None:
    """Store the Secret."""
    tell("upload-certs")
    data = {}
    for file in FILES:
        nonce, content = os.urandom(NONCE), root(f"{config.directory}/{file}").read_bytes()
        sealed = nonce + AESGCM(bytes.fromhex(key)).encrypt(nonce, content, None)
        data[file.replace("/", "-")] = base64.b64encode(sealed).decode()
    meta = {"name": NAME, "namespace": SYSTEM, "ownerReferences": [_owner(client)]}
    about = {"apiVersion": "v1", "kind": "Secret", "metadata": meta}
    client.put(SECRETS, about | {"data": data})
    addons.apply(client, "certificates-role")


def download(client: Client, config: settings.Config, key: str) -> None:
    """Write the files of the Secret; Fatal in kubeadm's words without it, or with another key."""
    tell("download-certs")
    secret = client.get(f"{SECRETS}/{NAME}")
    if secret is None:
        raise Fatal(text("no-certs"))
    sealed = {name: base64.b64decode(one) for name, one in secret["data"].items()}
    cipher = AESGCM(bytes.fromhex(key))
    try:
        found = {n: cipher.decrypt(one[:NONCE], one[NONCE:], None) for n, one in sealed.items()}
    except InvalidTag:
        raise Fatal(text("wrong-key")) from None
    tell("save-certs", folder=config.directory)
    for file in FILES:
        content = found[file.replace("/", "-")]
        write(f"{config.directory}/{file}", content, 0o600 if file.endswith("key") else 0o644)
