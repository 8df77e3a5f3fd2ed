"""The container runtime: containerd, and Docker Engine on top of it where that is wanted."""

from pyinfra import host, inventory

import settings
from operations import containerd, docker, images

cluster = settings.of(inventory)
node = cluster.node(host.name)

containerd.runtime(
    name="containerd, set up for Kubernetes",
    pause_image=cluster.pause_image,
    kubernetes_version=cluster.kubernetes_version,
    mirrors=cluster.registry_mirrors,
)

if cluster.image_archives:
    images.imported(name="Images from the archives", folder=str(cluster.image_archives))

if cluster.docker:
    docker.engine(name="Docker Engine")
