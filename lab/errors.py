"""The exception of the lab."""

from __future__ import annotations


class LabError(Exception):
    """
    Something that the lab cannot do; a message with its remedy.

    **Example:**

    ```python
    raise LabError(messages.DOWN(name="bramble"))
    ```
    """
