"""Write the documentation's page of all messages: ``python -m messages > docs/messages.md``."""

from __future__ import annotations

import re

from messages import Message, catalogue

_HEAD = """\
# Messages

Each message that bramble prints about a problem ends in a code. This page is generated from the
code (`python -m messages`): what a message means, and what to do. What stands in `<angle brackets>`
differs from case to case.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for title, messages in catalogue().items():
        parts.append(f"\n## {title}\n")
        parts += [_entry(message) for message in messages]
    return "".join(parts)


def _entry(message: Message) -> str:
    parts = [f"### {message.code}", f"`{_places(message.problem)}`", message.meaning]
    parts.append(message.remedy and f"**What to do:** {_places(message.remedy)}")
    return "".join(f"\n{part}\n" for part in parts if part)


def _places(template: str) -> str:
    braces = template.replace("{{", "\0").replace("}}", "\1")
    return re.sub(r"\{(\w+)[^}]*\}", r"<\1>", braces).replace("\0", "{").replace("\1", "}")


if __name__ == "__main__":
    print(page(), end="")
