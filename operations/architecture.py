"""
The machine that a node's programs are made for.
"""

from __future__ import annotations

from pyinfra import host

from facts.architecture import Architecture, ArchitectureState
from operations.base import Commands, HostFailure, operation, read

# What pkgs.k8s.io has packages for.
SUPPORTED = ("arm64", "amd64", "ppc64el", "s390x")
_64_BIT_KERNELS = ("aarch64", "x86_64")


@operation()
def supported() -> Commands:
    """
    Kubernetes has packages for this node: a 64-bit Debian, or one of its kin.

    **Example:**

    .. code:: python

        architecture.supported(name="The system is a 64-bit one")
    """

    state = read(Architecture)
    check(state)
    host.noop(f"its architecture is {state.userland}")
    yield from ()


def check(state: ArchitectureState) -> None:
    """``HostFailure`` where there is no Kubernetes for it."""
    if not state.userland:
        raise HostFailure("it has no dpkg: Debian, Raspberry Pi OS or Ubuntu are wanted here")
    if state.userland not in SUPPORTED:
        kernel = " on a 64-bit kernel" if state.kernel in _64_BIT_KERNELS else ""
        raise HostFailure(
            f"its system is of architecture {state.userland}{kernel}, for which there is no "
            "Kubernetes: write a 64-bit image to its card (Raspberry Pi OS Lite, 64-bit)"
        )
