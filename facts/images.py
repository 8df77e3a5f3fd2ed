"""
Container images that containerd holds for Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, FactProcessError, QuoteString, StringCommand
from typing_extensions import override

from facts.files import END

_SCRIPT = f"""dpkg --print-architecture 2>/dev/null || echo;
ctr -n k8s.io images ls -q 2>/dev/null; echo '{END}'"""


@dataclass(frozen=True)
class ImagesState:
    """
    + architecture: the node's, as dpkg says it: "arm64"
    + names: the images in its namespace ``k8s.io``, in full; none while containerd does not run
    """

    architecture: str
    names: list[str]


class Images(FactBase[ImagesState | None]):
    """
    The images that the kubelet finds on a node.
    """

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def command(self) -> StringCommand:
        return StringCommand("sh", "-c", QuoteString(_SCRIPT))

    @override
    def process(self, output: list[str]) -> ImagesState:
        lines = list(output)
        if len(lines) < 2 or lines[-1] != END:
            raise FactProcessError("the answer of the node is cut short")
        return ImagesState(lines[0], lines[1:-1])
