"""The project's code, for tests that run it in a directory of their own."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def link_code(folder: Path) -> None:
    """Link config.py, the deploys, and all packages into a directory."""
    for path in REPOSITORY.iterdir():
        if path.name in ("config.py", "deploys") or (path / "__init__.py").exists():
            (folder / path.name).symlink_to(path)
