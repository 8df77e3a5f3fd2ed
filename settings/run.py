"""The settings of one run of pyinfra: read and built once, and kept on pyinfra's ``State``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from messages import settings as messages
from settings import known_hosts, overrides, removal, sources, ssh_config
from settings.build import build
from settings.model import Cluster, Node
from settings.problems import SettingsError

if TYPE_CHECKING:
    from pyinfra.api.inventory import Inventory

_ATTRIBUTE = "bramble_settings"


@dataclass
class Kept:
    """
    What was read in this run.

    + options: what `--data` gives to the running deploy alone
    + cluster: once it is built
    + whole: see ``overrides.is_whole_run``
    + restored: see ``restored``
    """

    options: Mapping[str, str] = field(default_factory=dict)
    removal: removal.Removal | None = None
    sources: sources.Sources | None = None
    cluster: Cluster | None = None
    whole: bool = False
    restored: Node | None = None


def check_files() -> None:
    """
    Check the command line, inventory and group_data/ before pyinfra runs these files.

    Called by config.py. Mistakes end the program with their messages and exit status 1.
    """
    with ending_the_program():
        overrides.check_deploys()
        inventory = overrides.inventory()
        if overrides.needs_inventory():
            _build(inventory)
        elif Path(inventory).exists():
            sources.read(Path.cwd(), inventory, {})


def prepare(inventory: str) -> None:
    """
    Check all settings and make .cluster/ ready before pyinfra's first connection.

    Mistakes end the program with their messages and exit status 1. Nothing happens while the
    settings are read from the inventory file.

    + inventory: the inventory file, which calls this with its ``__file__``
    """
    if sources.reading.get():
        return
    with ending_the_program():
        read, cluster = _build(inventory)
        overrides.check_limits(read.names)
        kept = _kept()
        removal.check_replaced(cluster, kept.options)
        if overrides.is_restore():
            removal.check_restored(cluster, kept.options)
        if overrides.is_removal():
            kept.removal = removal.requested(cluster, kept.options, inventory)
        known_hosts.unite(cluster)
        ssh_config.write(cluster)


def _build(inventory: str) -> tuple[sources.Sources, Cluster]:
    """Read the files and build the cluster, unless this run has done so."""
    kept = _kept()
    if kept.sources is None or kept.cluster is None or kept.sources.inventory != inventory:
        kept.options, kept.whole = overrides.options(), overrides.is_whole_run()
        kept.sources = sources.read(Path.cwd(), inventory, overrides.given())
        kept.cluster = build(kept.sources)
    return kept.sources, kept.cluster


def of(inventory: Inventory) -> Cluster:
    """
    The cluster of this run: that of the files, with what ``--data`` overrides.

    + inventory: pyinfra's; its overrides count where neither config.py nor the inventory file has
      called this module
    + raises ``SettingsError``
    """
    kept = _kept()
    if kept.cluster is None:
        # pyinfra's own options (--ssh-user …) are among its overrides: they are no settings.
        given = {
            name: value
            for name, value in inventory.get_override_data().items()
            if not name.startswith("ssh_") and name not in kept.options
        }
        kept.cluster = build(sources.read(Path.cwd(), "inventory.py", given))
    return kept.cluster


def restored(cluster: Cluster) -> Node:
    """
    The control plane that is restored: that of ``--data node=NAME``, else the first that this run
    could connect to.
    """
    from pyinfra.context import ctx_state

    kept = _kept()
    if kept.restored is None:
        gone = {each.name for each in ctx_state.get().failed_hosts}
        here = (node for node in cluster.control_plane if node.name not in gone)
        named = kept.options.get("node")
        first = cluster.first_control_plane
        kept.restored = cluster.node(named) if named else next(here, first)
    return kept.restored


def is_whole() -> bool:
    """Whether this run is for all nodes, with all deploys and the settings as they are written."""
    return _kept().whole


def requested_removal() -> removal.Removal:
    """The node that ``deploys/remove.py`` is to remove."""
    found = _kept().removal
    assert found is not None, "the inventory file does not call settings.prepare"
    return found


def options() -> Mapping[str, str]:
    """What ``--data`` gives to the running deploy alone, such as ``node`` of deploys/remove.py."""
    return _kept().options


def _kept() -> Kept:
    """What this run keeps; outside of pyinfra, nothing."""
    from pyinfra.context import ctx_state  # not needed by commands that only read the settings

    state = ctx_state.get()
    kept = getattr(state, _ATTRIBUTE, None)
    if not isinstance(kept, Kept):
        kept = Kept()
        if state is not None:
            setattr(state, _ATTRIBUTE, kept)
    return kept


@contextmanager
def ending_the_program() -> Iterator[None]:
    """End the program with the mistakes and exit status 1."""
    try:
        yield
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(
            messages.FOLDER_UNUSABLE(path=error.filename, reason=error.strerror)
        ) from None
