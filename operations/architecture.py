"""The architecture of the system: Kubernetes has packages for some only."""

from __future__ import annotations

from pyinfra import host

from facts.architecture import Architecture, ArchitectureState
from messages import nodes
from operations.base import Commands, HostFailure, operation, read

# Architectures of pkgs.k8s.io.
SUPPORTED = ("arm64", "amd64", "ppc64el", "s390x")
_64_BIT_KERNELS = ("aarch64", "x86_64")


@operation()
def supported() -> Commands:
    """Check that Kubernetes has packages for this node: a 64-bit Debian or a derivative."""
    state = read(Architecture)
    check(state)
    host.noop(f"the architecture is {state.userland}")
    yield from ()


def check(state: ArchitectureState) -> None:
    """``HostFailure`` if there is no Kubernetes for it."""
    if not state.userland:
        raise HostFailure(nodes.NO_DPKG())
    if state.userland not in SUPPORTED:
        kernel = " on a 64-bit kernel" if state.kernel in _64_BIT_KERNELS else ""
        values = {"architecture": state.userland, "kernel": kernel}
        raise HostFailure(nodes.NO_KUBERNETES_FOR(**values))
