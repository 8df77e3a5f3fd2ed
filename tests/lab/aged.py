"""Certificates on a node get another end, as time would bring it near; their keys stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509

from lab.api import Lab
from tests.lab.runs import ok

PKI = "/etc/kubernetes/pki"
KUBELET_CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
KUBELET_SERVING = "/var/lib/kubelet/pki/kubelet.crt"

# For the node's Python: an authority of the cluster signs each certificate again. Arguments: days,
# and the files; a kubeconfig has its certificate inside.
_AGE = r"""
import base64, re, sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
PKI = Path("/etc/kubernetes/pki")
days, *files = sys.argv[1:]
end = datetime.now(UTC) + timedelta(days=int(days), hours=1)
keys = {}
for name in ("ca", "etcd/ca", "front-proxy-ca"):
    subject = x509.load_pem_x509_certificate((PKI / f"{name}.crt").read_bytes()).subject
    keys[subject] = serialization.load_pem_private_key((PKI / f"{name}.key").read_bytes(), None)
def aged(pem):
    old = x509.load_pem_x509_certificate(pem)
    key = keys.get(old.issuer)
    if key is None:
        from cryptography.hazmat.primitives.asymmetric import ec
        key = ec.generate_private_key(ec.SECP256R1())
    new = x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer)
    new = new.public_key(old.public_key()).serial_number(x509.random_serial_number())
    new = new.not_valid_before(end - timedelta(days=365)).not_valid_after(end)
    for each in old.extensions:
        new = new.add_extension(each.value, each.critical)
    return new.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
for file in files:
    text = Path(file).read_bytes()
    if file.endswith((".conf", "config")):
        line = rb"(client-certificate-data: )(\S+)"
        new = re.sub(line, lambda m: m[1] + base64.b64encode(aged(base64.b64decode(m[2]))), text)
    else:
        certificate = rb"-----BEGIN CERT.*?END CERTIFICATE-----\n"
        new = re.sub(certificate, lambda m: aged(m[0]), text, flags=re.DOTALL)
    assert new != text, file
    Path(file).write_bytes(new)
"""


def age(lab: Lab, node: str, days: int, files: Sequence[str]) -> None:
    """Let certificates be valid for so many days more; negative: they have expired."""
    ok(lab.console(node, ["python3", "-c", _AGE, str(days), *files]))


def age_worker(lab: Lab, node: str, days: int, control_plane: str = "node1") -> None:
    """As ``age``, for a worker's kubelet: the authority's key is on the control plane."""
    text = ok(lab.console(node, ["cat", KUBELET_CLIENT]))
    kept = "/root/of-a-worker.pem"
    ok(lab.console(control_plane, ["sh", "-c", 'printf "%s\\n" "$1" > "$2"', "sh", text, kept]))
    age(lab, control_plane, days, [kept])
    text = ok(lab.console(control_plane, ["sh", "-c", 'cat "$1"; rm "$1"', "sh", kept]))
    write = 'printf "%s\\n" "$1" > "$(readlink -f "$2")"'
    ok(lab.console(node, ["sh", "-c", write, "sh", text, KUBELET_CLIENT]))


def all_of_control_plane(lab: Lab, node: str) -> list[str]:
    """All files with certificates of kubeadm and of the kubelet, without the authorities."""
    find = (
        f"ls {PKI}/*.crt {PKI}/etcd/*.crt 2>/dev/null | grep -v 'ca.crt$';"
        "grep -l client-certificate-data /etc/kubernetes/*.conf"
    )
    return [*ok(lab.console(node, ["sh", "-c", find])).split(), KUBELET_CLIENT]


def days_left(lab: Lab, node: str, file: str) -> int:
    """For how many days the certificate in a file is valid."""
    read = (
        "if grep -q client-certificate-data \"$1\"; then sed -n 's/^ *client-certificate-data: //p'"
        ' "$1" | base64 -d; else sed -n "/BEGIN CERT/,/END CERT/p" "$1"; fi'
    )
    pem = ok(lab.console(node, ["sh", "-c", read, "sh", file]))
    end = x509.load_pem_x509_certificate(f"{pem}\n".encode()).not_valid_after_utc
    return (end - datetime.now(UTC)).days
