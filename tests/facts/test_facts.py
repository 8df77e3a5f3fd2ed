"""Every fact against recorded output: ``cases/MODULE.FACT/WHAT_HOLDS.yaml``, one a case."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from freezegun import freeze_time
from pyinfra_testing.facts import make_fact_tests


@pytest.fixture(autouse=True)
def now() -> Iterator[None]:
    """The question is asked when the answer is read, which pyinfra-testing has at this moment."""
    with freeze_time("2025-01-01"):
        yield


for folder in sorted((Path(__file__).parent / "cases").iterdir()):
    globals()[f"Test_{folder.name.replace('.', '_')}"] = make_fact_tests(
        "facts", folder.name, folder
    )
