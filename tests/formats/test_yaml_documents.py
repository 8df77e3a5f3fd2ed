"""YAML that Kubernetes reads as it was meant."""

from __future__ import annotations

import pytest
import yaml

from formats import yaml_documents


@pytest.mark.parametrize(
    "text",
    [
        *("y", "N", "yes", "on", "true", "null", "~", "12e34", "1_2e3", ".5", "12", "1_000"),
        *("0o17", "0X1F", "0b1", "0B1", "-0x1f", "12:30:45", "2026-02-30"),
    ],
)
def test_a_text_that_another_reader_takes_for_something_else_is_in_quotes(text: str) -> None:
    made = yaml_documents.dump({"value": text})
    assert made == f"value: '{text}'\n"
    assert yaml.safe_load(made) == {"value": text}


@pytest.mark.parametrize("text", ["node1", "192.168.2.11", "yy", "0x", "v1.36.3", "10m", "1e", "_"])
def test_other_texts_are_not(text: str) -> None:
    assert yaml_documents.dump({"value": text}) == f"value: {text}\n"
