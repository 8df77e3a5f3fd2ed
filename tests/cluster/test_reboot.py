"""The reboot itself, with --reboot; all other checks run again after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from settings import Node
from tests.cluster.findings import Wrong


def test_it_comes_back(
    node: Node,
    rebooting: dict[str, float | Wrong],
    show: Callable[[str], None],
) -> None:
    """reboot"""
    took = rebooting.get(node.name)
    if took is None:
        pytest.skip(f"no connection to {node.name}")
    if isinstance(took, Wrong):
        raise took
    show(f"{took:.0f} s")
