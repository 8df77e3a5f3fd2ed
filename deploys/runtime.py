"""The container runtime: containerd, and Docker Engine on top of it if it is enabled."""

from pyinfra import host, inventory

import settings
from operations import containerd, docker, images
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)

containerd.runtime(
    name="containerd",
    pause_image=cluster.pause_image,
    kubernetes_version=cluster.kubernetes_version,
    **specifications.registries(cluster),
)

if cluster.image_archives:
    images.imported(name="Preloaded images", folder=str(cluster.image_archives))

if cluster.docker:
    docker.engine(name="Docker Engine")
