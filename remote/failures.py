"""Failures of one node that a person can do something about."""

from __future__ import annotations


class HostFailure(Exception):
    """
    A node cannot continue; the message says why and what to do.

    Raise it anywhere in an operation: this host fails with that one line, the others continue.
    """


class RemoteFailure(HostFailure):
    """A command failed on a node, or the node did not answer."""


class GoesOn(RemoteFailure):
    """A long command is not followed any more, and continues on its node."""


class Unreachable(RemoteFailure):
    """The node did not answer: whether the command was run is not known."""
