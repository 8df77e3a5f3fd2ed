"""
What all files here need: pyinfra, which patches sockets and threads when it starts (it has to,
before ssl is imported), and of its fakes what they lack.
"""

from __future__ import annotations

import pyinfra_cli  # noqa: F401
from pyinfra_testing.util import FakeFact, FakeHost


def _of_fact(fact: FakeFact, key: str) -> object:
    """A fact without arguments is read by attribute, as one with arguments is."""
    return getattr(fact.data, key) if hasattr(fact.data, key) else fact[key]


FakeFact.__getattr__ = _of_fact
FakeHost.log = FakeHost.log_styled = lambda *args, **kwargs: None
