"""
Write a node's SD card, or an image file of it. Runs on the operator's computer, not in cluster.py:

    pyinfra @local deploys/sdcard.py --data node=node1 --data device=/dev/sdX
"""

from functools import partial

from pyinfra import inventory

import settings
from operations import sdcard
from settings import first_boot, ssh_config
from settings.card_request import asked
from settings.cluster_folder import folder

cluster = settings.of(inventory)
request = asked(cluster, settings.options())
node = request.node
image = cluster.card_image
ssh_config.write(cluster)  # for `ssh -F` after the first boot

sdcard.card(
    name=f"SD card of {node.name}",
    node=node.name,
    image=image.title,
    source=image.source,
    checksum=image.checksum,
    size=image.size,
    boot_files=partial(first_boot.boot_files, cluster, node, image.dialect),
    command_line=partial(first_boot.cmdline, cluster, node),
    when_written=partial(first_boot.pin, cluster, node),
    folder=str(folder(cluster.project) / "downloads"),
    device=request.device,
    file=request.file,
    yes=request.yes,
    any_disk=request.any_disk,
    remarks=first_boot.remarks(cluster, node),
    _sudo=False,  # the operator owns the files; raw block writes use sudo themselves
)
