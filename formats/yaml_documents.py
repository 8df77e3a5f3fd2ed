"""YAML as bramble writes and reads it: keys in the order given, texts of several lines as lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from formats.unreadable import MALFORMED, Unreadable

# libyaml's, which comes with PyYAML for all usual computers, is ten times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# A number or a truth value to Kubernetes' reader of YAML, not to this one: 12e34, 0o17, y.
_OTHER = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?0([xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)|[yYnN]"
)


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block: people read it in diffs."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _OTHER.fullmatch(text.replace("_", "")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump(*documents: Mapping[str, Any]) -> str:
    """Write one document, or several with ``---`` between them."""
    return "---\n".join(
        yaml.dump(dict(each), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
        for each in documents
    )


def load_all(text: str) -> list[Any]:
    """
    Read all documents of a text.

    + raises ``Unreadable``: it is not YAML
    """
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise Unreadable(f"not YAML: {str(error).splitlines()[0]}") from error
    except MALFORMED as error:  # a scalar such as 2026-02-30, which YAML reads as a date
        raise Unreadable(f"not YAML: {error}") from error
