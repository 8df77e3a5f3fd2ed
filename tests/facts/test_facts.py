"""Every fact against recorded output: ``cases/MODULE.FACT/WHAT_HOLDS.yaml``, one a case."""

from pathlib import Path

from pyinfra_testing.facts import make_fact_tests

for folder in sorted((Path(__file__).parent / "cases").iterdir()):
    globals()[f"Test_{folder.name.replace('.', '_')}"] = make_fact_tests(
        "facts", folder.name, folder
    )
