"""Read which pods a node's kubelet runs, without the API server."""

from __future__ import annotations

import re

from facts.base import WholeFact

# The kubelet makes a folder for each of its pods, and removes it when the pod is gone. That of a
# static pod has the hash of its manifest in place of the UID.
_NAME = re.compile(r"([a-z0-9.-]+)_([a-z0-9.-]+)_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class RunningPods(WholeFact[dict[str, str]]):
    """Read the pods of a node: ``{UID: "NAMESPACE/NAME"}``, without static ones."""

    script = ("ls -1 /var/log/pods 2>/dev/null",)

    def parse(self, *lines: str) -> dict[str, str]:
        found = filter(None, map(_NAME.fullmatch, lines))
        return {each[3]: f"{each[1]}/{each[2]}" for each in found}
