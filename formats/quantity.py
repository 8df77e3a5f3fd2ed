"""Quantities of Kubernetes: resource.Quantity of k8s.io/apimachinery."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
_FORM = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?")


def parse(text: object) -> Decimal | None:
    """Read a quantity such as "512Mi"; None for anything else."""
    found = _FORM.fullmatch(str(text))
    return Decimal(found[1]) * _UNITS[found[2] or ""] if found else None
