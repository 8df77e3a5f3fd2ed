"""A card's image, of which a virtual node can use the boot partition alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from formats import partition_table
from lab import host
from lab.errors import LabError

# cloud-init's, for whichever board; the firmware's own files are of no use to a virtual one.
SEED = ("user-data", "meta-data", "network-config")


def boot_files(image: Path) -> dict[str, str]:
    """
    The files of the image's boot partition from which cloud-init makes the board: name, text.

    + image: a card's image, as `deploys/sdcard.py` writes it
    """
    try:
        with image.open("rb") as opened:
            partitions = partition_table.parse(opened.read(partition_table.LENGTH))
        start = partition_table.boot_partition(partitions).start
    except (OSError, ValueError) as error:
        raise LabError(f"{image}: {error}") from None
    with tempfile.TemporaryDirectory() as folder:
        for name in SEED:
            # One that is not there is no mistake: HypriotOS has no network-config.
            host.run(["mcopy", "-n", "-i", f"{image}@@{start}", f"::{name}", folder], check=False)
        files = {file.name: file.read_text() for file in Path(folder).iterdir()}
    if "user-data" not in files:
        raise LabError(f"{image}: no node's card: write it with deploys/sdcard.py")
    return files
