"""`python -m settings`: the settings are checked, and said whose they are. No node is touched."""

from __future__ import annotations

import sys

import settings


def main() -> int:
    """Status 1, and the mistakes, when they are not right."""
    try:
        print(settings.target(settings.load()), flush=True)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
