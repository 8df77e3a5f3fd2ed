"""Check the settings and name the target: ``python -m settings``. No node is contacted."""

from __future__ import annotations

import settings
from settings.run import ending_the_program

if __name__ == "__main__":
    with ending_the_program():
        print(settings.target(settings.load()), flush=True)
