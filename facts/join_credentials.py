"""Read which credentials for joins a run has left in the cluster, without their contents."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, text_of
from facts.kubectl import ADMIN_CONF
from formats.kubeadm.bootstrap_token import DESCRIPTION, described_tokens

# On the namespace: there are certificates for a control plane that joins, which bramble uploaded.
NOTE = "bramble/certificates"

_SECRETS = r"""{range .items[*]}{.metadata.name} {.data.description}{"\n"}{end}"""
_SCRIPT = f"""k() {{ kubectl --kubeconfig={ADMIN_CONF} --request-timeout=10s "$@" 2>/dev/null \
</dev/null; }};
k get secrets -n kube-system --field-selector=type=bootstrap.kubernetes.io/token \
-o jsonpath='{_SECRETS}' | base64 -w0; echo;
k get namespace kube-system -o jsonpath='{{.metadata.annotations.{NOTE}}}'; echo"""


@dataclass(frozen=True)
class CredentialsLeft(State):
    """
    + tokens: the names of the join tokens' Secrets
    + certificates: whether the cluster's keys are uploaded for a control plane that joins
    """

    tokens: list[str]
    certificates: bool


class JoinCredentials(WholeFact[CredentialsLeft]):
    """
    Read what bramble made for joins and is still in the cluster: a ``CredentialsLeft``.

    Nothing, where the API server does not answer.
    """

    script = (_SCRIPT,)

    def parse(self, secrets: str, note: str) -> CredentialsLeft:
        return CredentialsLeft(described_tokens(text_of(secrets), DESCRIPTION), note != "")
