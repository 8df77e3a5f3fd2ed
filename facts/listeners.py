"""The TCP ports on which something listens."""

from __future__ import annotations

import re

from facts.base import UnexpectedLine, WholeFact

_PROGRAM = re.compile(r'users:\(\("([^"]+)"')


class Listeners(WholeFact[dict[str, str]]):
    """
    Ports and programs: ``{"6443": "kube-apiserver"}``; "" for an unknown program.

    Ports of the loopback count as well: kubeadm requires those of the control plane there.
    """

    script = ("ss -Hltnp || echo ss failed",)

    def parse(self, *lines: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in lines:
            words = line.split()
            if len(words) < 5 or words[0] != "LISTEN":
                raise UnexpectedLine(line)
            program = _PROGRAM.search(line)
            found.setdefault(words[3].rpartition(":")[2], program[1] if program else "")
        return found
