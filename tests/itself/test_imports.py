"""What importing the project's modules does to the process that imports them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT_ALL = """
import importlib, pathlib
rooms = "formats facts messages operations remote runs workstation settings lab"
for room in rooms.split():
    for path in sorted(pathlib.Path(room).rglob("*.py")):
        if not {"standin", "image", "__main__"} & {*path.parts, path.stem}:
            importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
from gevent import monkey
print([name for name in ("socket", "threading", "ssl") if monkey.is_module_patched(name)])
"""


def test_no_module_patches_sockets_and_threads_of_who_imports_it() -> None:
    """pyinfra's command line does, which only its own process (config.py) may import."""
    command = [sys.executable, "-c", IMPORT_ALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
