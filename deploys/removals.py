"""Remove what earlier settings made on the nodes and the present ones no longer have."""

from pyinfra import inventory

import settings
from operations import removals
from settings import specifications

cluster = settings.of(inventory)

removals.rest(name="Removals", **specifications.whole_run(cluster))
