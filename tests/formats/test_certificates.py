"""What is read from certificates: kubeadm's hash, the names in them."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest

from formats.certificates import key_hash, names
from formats.unreadable import Unreadable
from tests.said import saying

# openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 … with subjectAltName, and
# openssl x509 -pubkey | openssl pkey -pubin -outform der | sha256sum, as kubeadm's manual has it.
PEM = """-----BEGIN CERTIFICATE-----
MIIBtDCCAVugAwIBAgIUB5sEem91Rc3FTD6f775W9iBU4Z8wCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKa3ViZXJuZXRlczAgFw0yNjExMjMxODU4NDhaGA8yMTI2MTAz
MDE4NTg0OFowFTETMBEGA1UEAwwKa3ViZXJuZXRlczBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABKRg/vcVolWhGTxZjCrxend5dWvO0CppwN7Q8leGbkafDHnAaD3O
dFmBA51Reg0SY4S+o0QSv0CL1iypj/uLid6jgYYwgYMwHQYDVR0OBBYEFD3uGjZh
iaOLL1GIX498EM+fYU1RMB8GA1UdIwQYMBaAFD3uGjZhiaOLL1GIX498EM+fYU1R
MA8GA1UdEwEB/wQFMAMBAf8wMAYDVR0RBCkwJ4IFbm9kZTGCEmt1YmVybmV0ZXMu
ZGVmYXVsdIcEwKgBIIcECmAAATAKBggqhkjOPQQDAgNHADBEAiAmF0MHbkzpoAB8
8r+CX6It0HRvON/cBo+Axo/A8hwO/wIgX8uqE965CymkLdVuDD2HR6CQKg7gqX5A
uTlhfiR+x4A=
-----END CERTIFICATE-----
"""
HASH = "sha256:b023de87814345f615d48b6b9f8be255504432aa059d0cf99efc1f698c2f1457"


def test_hash_is_the_one_of_kubeadms_manual() -> None:
    assert key_hash(PEM) == HASH


def test_names_and_addresses_are_read() -> None:
    assert names(PEM) == {"node1", "kubernetes.default", "192.168.1.32", "10.96.0.1"}


def test_what_is_no_certificate_is_an_error() -> None:
    with pytest.raises(ValueError, match="PEM"):
        key_hash("garbage")


def test_a_key_on_an_unknown_curve_is_an_error_in_one_line() -> None:
    body = b64decode("".join(PEM.splitlines()[1:-1]))
    p256 = bytes.fromhex("06082a8648ce3d030107")
    assert p256 in body
    unknown = b64encode(body.replace(p256, p256[:-1] + b"\x63")).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{unknown}\n-----END CERTIFICATE-----\n"
    with saying("FMT001 unknown type of key", Unreadable):
        key_hash(pem)
    assert "node1" in names(pem)
