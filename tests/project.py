"""The project's code, for tests that run it in a directory of their own."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def behind_a_router(folder: Path) -> None:
    """Give all nodes of the repository's inventory a router of their own: topology "router"."""
    inventory = folder / "inventory.py"
    text = inventory.read_text().replace(', "uplink_address": "192.168.1.32"', "")
    assert text != inventory.read_text()
    inventory.write_text(text)
    with (folder / "group_data/all.py").open("a") as file:
        file.write('topology = "router"\n')


def link_code(folder: Path) -> None:
    """Link config.py, the deploys, and all packages into a directory."""
    for path in REPOSITORY.iterdir():
        if path.name in ("config.py", "deploys") or (path / "__init__.py").exists():
            (folder / path.name).symlink_to(path)
