"""
The kubelet's client certificate: from kubelet.conf, or asked for with a bootstrap token.

Source: kubernetes.io, "TLS bootstrapping".
"""

from __future__ import annotations

import base64
import time
from datetime import datetime

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import kubeconfig
from .client import Client
from .common import Obj, replace, root

PKI = "/var/lib/kubelet/pki"
CURRENT = f"{PKI}/kubelet-client-current.pem"


def credentials(name: str, flags: dict[str, str]) -> Client:
    """The client: from kubelet.conf, or through TLS bootstrapping when there is none yet."""
    path = flags["kubeconfig"]
    if not root(path).exists():
        tls_bootstrap(name, path, kubeconfig.load(flags["bootstrap-kubeconfig"]))
    content = kubeconfig.load(path)
    _, user, _, _ = kubeconfig.current(content)
    if not root(CURRENT).exists() and user.get("client-certificate-data"):
        store_certificate(
            kubeconfig.data(user, "client-certificate"), kubeconfig.data(user, "client-key")
        )
    return Client.from_document(content)


def store_certificate(certificate: bytes, key: bytes) -> None:
    """kubelet-client-<time>.pem and the link kubelet-client-current.pem."""
    file = f"kubelet-client-{datetime.now().strftime('%Y-%m-%d-%H-%M-%S')}.pem"
    replace(root(f"{PKI}/{file}"), certificate + key)
    link = root(f"{CURRENT}.new")
    link.unlink(missing_ok=True)
    link.symlink_to(root(f"{PKI}/{file}"))
    link.rename(root(CURRENT))


def tls_bootstrap(name: str, path: str, content: Obj) -> None:
    """
    Ask for a client certificate with the bootstrap token, wait for it, write kubelet.conf.
    """
    cluster, _, cluster_name, _ = kubeconfig.current(content)
    client = Client.from_document(content)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{name}"),
        ]
    )
    wanted = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    pem = wanted.public_bytes(serialization.Encoding.PEM)
    spec = {
        "request": base64.b64encode(pem).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "usages": ["digital signature", "client auth"],
    }
    collection = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    made = client.request(
        "POST",
        collection,
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "csr-"},
            "spec": spec,
        },
    )
    while not made.get("status", {}).get("certificate"):
        time.sleep(0.2)
        made = client.request("GET", f"{collection}/{made['metadata']['name']}")
    plain = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    store_certificate(base64.b64decode(made["status"]["certificate"]), plain)
    own = {"client-certificate": CURRENT, "client-key": CURRENT}
    text = kubeconfig.document(
        cluster["server"],
        cluster_name,
        "default-auth",
        kubeconfig.data(cluster, "certificate-authority"),
        own,
    )
    replace(root(path), yaml.safe_dump(text).encode())
