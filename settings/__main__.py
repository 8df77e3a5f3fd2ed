"""Check the settings and name the target: ``python -m settings``. No node is contacted."""

from __future__ import annotations

import sys

import settings


def main() -> int:
    """Print the target, or the mistakes; returns the exit status."""
    try:
        print(settings.target(settings.load()), flush=True)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
