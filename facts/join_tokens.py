"""Read which join tokens bramble's runs have left in the cluster, without their contents."""

from __future__ import annotations

from facts.base import WholeFact, text_of
from facts.kubectl import ADMIN_CONF
from formats.kubeadm.bootstrap_token import DESCRIPTION, described_tokens

_SECRETS = r"""{range .items[*]}{.metadata.name} {.data.description}{"\n"}{end}"""
_SCRIPT = f"""kubectl --kubeconfig={ADMIN_CONF} --request-timeout=10s get secrets -n kube-system \
--field-selector=type=bootstrap.kubernetes.io/token -o jsonpath='{_SECRETS}' 2>/dev/null \
</dev/null | base64 -w0; echo"""


class JoinTokens(WholeFact[list[str]]):
    """
    Read the names of the Secrets of the join tokens that bramble made and that are still there.

    None of them, where the API server does not answer.
    """

    script = (_SCRIPT,)

    def parse(self, secrets: str) -> list[str]:
        return described_tokens(text_of(secrets), DESCRIPTION)
