"""
The host's sysctls that labs need: set by the first lab, restored by the last.

The kernel has one value for all labs, so the original values and the labs that use the new ones
are kept in the labs' common directory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from lab import host

# sysctl: the least value that labs need. The router's packets are forwarded; inotify
# instances are shared by all of root's processes, and each booted systemd uses a dozen.
NEEDED = {"net/ipv4/ip_forward": 1, "fs/inotify/max_user_instances": 1024}


class _Loan(TypedDict):
    labs: list[str]
    originals: dict[str, int]


def _record() -> Path:
    return host.home() / "borrowed.json"


def _read() -> _Loan:
    try:
        loan: _Loan = json.loads(_record().read_text())
    except (OSError, ValueError):
        return {"labs": [], "originals": {}}
    return loan


def _file(name: str) -> Path:
    return Path("/proc/sys") / name


def borrow(lab: str) -> None:
    """Raise values that are too low, and register the lab; can be repeated."""
    with host.lock("borrowed"):
        loan = _read()
        if lab not in loan["labs"]:
            loan["labs"].append(lab)
        for name, needed in NEEDED.items():
            value = int(_file(name).read_text())
            if value < needed:
                loan["originals"][name] = value
                # Saved before the change, so that a crash loses nothing.
                _record().write_text(json.dumps(loan))
                _file(name).write_text(f"{needed}\n")
        _record().write_text(json.dumps(loan))


def give_back(lab: str) -> None:
    """Unregister the lab; the last one restores the original values."""
    with host.lock("borrowed"):
        loan = _read()
        loan["labs"] = [name for name in loan["labs"] if name != lab]
        if loan["labs"]:
            _record().write_text(json.dumps(loan))
            return
        for name, original in loan["originals"].items():
            _file(name).write_text(f"{original}\n")
        _record().unlink(missing_ok=True)
