"""The image of the cards."""

from __future__ import annotations

from collections.abc import Iterator

from settings import images
from settings.checks.draft import Draft
from settings.errors import Problem


def checksum(draft: Draft) -> Iterator[Problem]:
    cluster = draft.cluster
    if images.is_url(cluster.image) and cluster.image_checksum is None:
        yield draft.problem(
            "image_checksum", "None: an image from the internet needs one, the publisher's"
        )
