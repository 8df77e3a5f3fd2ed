"""What every fact keeps to, found from the code: a new fact is held to it without a word here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import pytest
from pyinfra.api import FactBase, FactProcessError

import facts
from facts.base import WholeFact


def _all() -> list[type[FactBase[Any]]]:
    names = [module.name for module in pkgutil.iter_modules(facts.__path__)]
    modules = [importlib.import_module(f"facts.{name}") for name in names]
    return [
        cls
        for module in modules
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, FactBase) and cls.__module__ == module.__name__ and cls is not WholeFact
    ]


def test_there_are_facts() -> None:
    assert len(_all()) >= 4


@pytest.mark.parametrize("fact", _all(), ids=lambda cls: cls.__name__)
def test_what_could_not_be_read_is_none(fact: type[FactBase[Any]]) -> None:
    assert fact.default() is None


@pytest.mark.parametrize("fact", _all(), ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("output", [["-- "], ["something", "else"]], ids=["cut", "foreign"])
def test_an_answer_without_its_end_is_refused(fact: type[FactBase[Any]], output: list[str]) -> None:
    reader = fact()
    parameters = inspect.signature(fact.command).parameters.values()
    required = [p for p in parameters if p.name != "self" and p.default is p.empty]
    reader.command(*["x" for _ in required])
    with pytest.raises(FactProcessError):
        reader.process(output)
