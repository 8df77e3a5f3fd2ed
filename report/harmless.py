"""Showing what is done may never stand in the way of doing it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_troubles: list[str] = []


def harmless(otherwise: T) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """
    Let no mistake in a function reach the run that it is about.

    + otherwise: what the function gives when it fails
    """

    def decorator(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                _troubles.append(f"{function.__qualname__}: {type(error).__name__}: {error}")
                return otherwise

        return guarded

    return decorator


def first_trouble() -> str | None:
    """What went wrong first in all that is harmless; it is a mistake of this program's."""
    return _troubles[0] if _troubles else None
