"""Whether the API server is well, and etcd with it."""

from __future__ import annotations

import re

from facts.base import WholeFact
from facts.kubectl import ADMIN_CONF, OWN_SERVER

# /readyz passes without etcd.
_SCRIPT = f"""{OWN_SERVER}
kubectl --kubeconfig={ADMIN_CONF} ${{server:+"$server"}} --request-timeout=10s get --raw /livez \
2>&1 </dev/null | tr '\\n' ' '; echo"""


class Livez(WholeFact[str]):
    """Ask a control plane's own API server whether it is well: "", or what is not."""

    script = (_SCRIPT,)

    def parse(self, said: str) -> str:
        said = said.strip()
        failing = re.findall(r"\[-\]([\w/-]+)", said)
        return "" if said == "ok" else ", ".join(failing) or said or "no answer"
