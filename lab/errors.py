"""The one exception of the lab: its text is for the person at the keyboard."""

from __future__ import annotations


class LabError(Exception):
    """
    Something the lab cannot do, said in one line: what is wrong and what to do about it.

    **Example:**

    ```python
    raise LabError("there is no node9 in this lab: it has node1, node2, node3")
    ```
    """
