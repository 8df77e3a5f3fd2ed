"""Read which container images containerd has for Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of

_SCRIPT = """dpkg --print-architecture 2>/dev/null || echo;
if i=$(ctr -n k8s.io images ls -q 2>/dev/null); then echo answers;
elif command -v ctr >/dev/null || [ -d /var/lib/containerd/io.containerd.content.v1.content ];
then echo stopped; else echo absent; fi; [ -z "$i" ] || echo "$i\""""


@dataclass(frozen=True)
class ImagesState(State):
    """
    + architecture: the node's, in dpkg's terms: "arm64"
    + containerd: "answers", "stopped" (its images can't be listed), or "absent" (it has none)
    + names: the full names in its namespace ``k8s.io``; none while containerd does not run
    """

    architecture: str
    containerd: str
    names: list[str]


class Images(WholeFact[ImagesState]):
    """Read the images that the kubelet finds on a node: an ``ImagesState``."""

    script = (_SCRIPT,)

    def parse(self, architecture: str, containerd: str, *names: str) -> ImagesState:
        return ImagesState(
            architecture, one_of(containerd, "answers", "stopped", "absent"), list(names)
        )
