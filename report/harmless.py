"""Reporting errors must never fail a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import runs

P = ParamSpec("P")
T = TypeVar("T")


def harmless(otherwise: T) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """
    Keep any mistake in a function from the run that it is about; the end of the run reports it.

    + otherwise: what the function returns when it fails
    """

    def decorator(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                said = f"{function.__qualname__}: {type(error).__name__}: {error}"
                runs.current().reporting_errors.append(said)
                return otherwise

        return guarded

    return decorator
