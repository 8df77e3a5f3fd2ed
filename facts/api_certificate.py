"""Read the certificate that this node's API server serves, and what kubeadm has made it from."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of, text_of
from facts.certificates import PKI
from facts.kubeadm import CONFIG

STAGED = f"{PKI}/bramble-apiserver"  # a new certificate and its key, both complete

_SCRIPT = f"""base64 -w0 {PKI}/apiserver.crt 2>/dev/null; echo;
[ -d {STAGED} ] && echo staged || echo -; base64 -w0 {CONFIG} 2>/dev/null; echo"""


@dataclass(frozen=True)
class ApiCertificateState(State):
    """
    + certificate: of the API server (PEM); "" without one
    + is_staged: whether a new one was made, and is not in place yet
    + config: kubeadm's file on this node; "" without one
    """

    certificate: str
    is_staged: bool
    config: str


class ApiCertificate(WholeFact[ApiCertificateState]):
    """Read the API server's certificate: an ``ApiCertificateState``."""

    script = (_SCRIPT,)

    def parse(self, certificate: str, staged: str, config: str) -> ApiCertificateState:
        is_staged = one_of(staged, "staged", "-") == "staged"
        return ApiCertificateState(text_of(certificate), is_staged, text_of(config))
