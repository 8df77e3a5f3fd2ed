"""Packages and images that one node keeps for all, so that each comes through the uplink once."""

from pyinfra import host, inventory

import settings
from operations import base, shared_downloads
from settings import specifications

cluster = settings.of(inventory)
cache = cluster.download_cache

if cache is not None and cache.name == host.name:
    shared_downloads.server(name="Download cache", **specifications.shared_downloads(cluster))

base.depends_on(name="Download cache done", other=None)

if cache is not None:
    shared_downloads.client(name="apt proxy", address=str(cache.address))
