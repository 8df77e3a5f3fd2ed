"""The API server's metrics, in the Prometheus text format."""

from __future__ import annotations

import re
from collections.abc import Iterable

from formats.unreadable import Unreadable

DEPRECATED = "apiserver_requested_deprecated_apis"
_SAMPLE = re.compile(rf"{DEPRECATED}\{{(.*)\}} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def removed_apis(lines: Iterable[str], minor: int) -> list[str]:
    """
    Return the APIs that were requested and that a minor of Kubernetes 1 no longer has.

    + lines: samples of ``DEPRECATED``, which counts since the start of the API server
    + returns: each such as "widgets of example.io/v1beta1 (removed in 1.37)", sorted
    + raises ``Unreadable``
    """
    found = []
    for line in lines:
        sample = _SAMPLE.fullmatch(line.strip())
        if sample is None:
            raise Unreadable(f"not a sample of {DEPRECATED}: {line!r}")
        label = dict(_LABEL.findall(sample[1]))
        removed = label.get("removed_release", "")
        # Empty: deprecated, and to stay.
        if not re.fullmatch(r"1\.\d+", removed) or float(sample[2]) == 0:
            continue
        if int(removed.removeprefix("1.")) <= minor:
            version = "/".join(filter(None, (label.get("group"), label.get("version"))))
            found.append(f"{label.get('resource')} of {version} (removed in {removed})")
    return sorted(set(found))
