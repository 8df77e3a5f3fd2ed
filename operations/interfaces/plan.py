"""The files to write so that ifupdown alone configures an interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand

import runs
from facts.files import FileState
from facts.interfaces import InterfacesState
from facts.node_record import KEPT
from formats import dhcp_clients, marked, wifi
from formats.interfaces.desired import Interface
from formats.interfaces.meaning import meaning
from formats.interfaces.syntax import File, InterfacesError, Text, parse, render
from formats.interfaces.tree import (
    ROOT,
    Definition,
    asked,
    definitions,
    errors,
    flattened,
    holds_secret,
    is_empty,
    is_read,
    overriding_lines,
    resolve,
    started,
    without,
)
from messages import network, nodes
from operations.base import HostFailure, diff, plan_change
from operations.files import check_utf8, write_command
from operations.guard import Step
from runs import gathering

FOLDER = "/etc/network/interfaces.d"
DHCPCD = "/etc/dhcpcd.conf"
DHCLIENT = "/etc/dhcp/dhclient.conf"
CLOUD_INIT = f"{FOLDER}/50-cloud-init"
CLOUD_INIT_OFF = "/etc/cloud/cloud.cfg.d/99-bramble-network.cfg"

_STOCK = f"""# interfaces(5) file used by ifup(8) and ifdown(8)
# Include files from {FOLDER}:
source {FOLDER}/*
"""
NO_CLOUD_INIT = "network: {config: disabled}\n"
_HEADER = Text("# Written by bramble, which replaces it at its next run.\n")


@dataclass(frozen=True)
class Change:
    """A file to write, or to remove if ``after`` is None."""

    path: str
    before: str | None
    after: str | None
    mode: str = "644"
    secret: bool = False


class _Planned:
    """
    What earlier operations of this run write, by host and pass over them, then by interface.

    Until the guarded change is applied at its end, the node still has the files from before.
    """

    def __init__(self) -> None:
        self._plans: dict[tuple[str, bool, bool], dict[str, list[Change]]] = {}

    @property
    def here(self) -> dict[str, list[Change]]:
        asking = gathering.current().is_asking
        return self._plans.setdefault((host.name, state.is_executing, asking), {})


class Plan:
    """
    The changes that one interface needs, decided from one reading of the node.

    + name: the interface
    + now: the reading
    + files: those of the reading, with what other interfaces of the same change do to them
    + changes: files, in the order in which they are written
    + missing: packages to install first
    + resources: files that belong to the interface, for ``declare``
    + definition: what its own file will contain
    + stops_cloud_init: whether cloud-init's network configuration is turned off
    + before: all that ifupdown reads at present, as one file without secrets
    """

    def __init__(self, name: str, now: InterfacesState) -> None:
        self.name = name
        self.now = now
        self.own = f"{FOLDER}/{name}"
        self.definition = ""
        self.stops_cloud_init = False
        self.changes: list[Change] = []
        self.missing: list[str] = []
        self.resources: list[str] = []
        self.texts = _texts(now["files"])
        self.read, stops = asked(now["ifquery"])
        if not self.read:
            stops = [
                f"{path}, line {error.line}: {error.reason}" for path, error in errors(self.texts)
            ]
        for stop in stops:
            raise HostFailure(network.INTERFACES_FILE_INVALID(error=stop))
        self.before = flattened(self.texts, self.read).encode("utf-8", "replace").decode()
        self.files = dict(now["files"])
        for other, changes in runs.current().part(_Planned).here.items():
            for change in changes if other != name else []:
                self.files.pop(change.path, None)
                if change.after is not None:
                    known = FileState("file", change.mode, "root", "root", change.after)
                    self.files[change.path] = known
        self.texts = _texts(self.files)

    def show(self) -> None:
        """Show the changes, before the first command."""
        runs.current().part(_Planned).here[self.name] = self.changes
        if self.missing:
            plan_change(f"install {' '.join(self.missing)}")
        for change in self.changes:
            if change.before == change.after:
                plan_change(f"make {change.path} {change.mode} root:root", f"file {change.path}")
            else:
                diff(change.path, change.before, change.after, change.secret)

    def write(self) -> Iterator[Step]:
        """Return the commands, one per file."""
        runs.current().part(_Planned).here[self.name] = self.changes
        for change in self.changes:
            if change.after is None:
                command = StringCommand("rm", "-f", "--", QuoteString(change.path))
            else:
                command = write_command(change.path, change.after, change.mode, "root", "root")
            yield Step.of(command, what=self.name, paths=[change.path])

    @property
    def replaces(self) -> bool:
        """Whether its own file has a definition by others, such as the image's."""
        return not self.texts.get(self.own, _HEADER.text).startswith(_HEADER.text)

    @property
    def changes_meaning(self) -> bool:
        """Whether any content changes, not only the mode of a file."""
        return any(change.before != change.after for change in self.changes)

    def put(self, path: str, after: str | None, mode: str = "644", secret: bool = False) -> None:
        """Plan the content of a file, unless it has it already; None removes the file."""
        if after is not None:
            self.resources.append(f"file {path}")
        known = self.files.get(path)
        check_utf8(path, after or "")
        if known is None:
            if after is not None:
                self.changes.append(Change(path, None, after, mode, secret))
            return
        if known.kind != "file":
            raise HostFailure(nodes.NOT_A_FILE(path=path, kind=known.kind, desired="file"))
        desired = (after, mode, "root", "root")
        if (known.text, known.mode, known.user, known.group) != desired:
            self.changes.append(Change(path, known.text, after, mode, secret))

    # --- desired -------------------------------------------------------------------------------

    def packages(self, desired: Interface) -> None:
        """Plan ifupdown and what it needs for the method, if missing."""
        tools = self.now["tools"]
        if "ifup" not in tools:
            self.missing.append("ifupdown")
        if desired.method == "dhcp" and not {"dhclient", "udhcpc"} & set(tools):
            if self._dhcpcd_serves():  # ifupdown cannot start a second dhcpcd beside it
                self.missing.append("isc-dhcp-client")
            elif "dhcpcd" not in tools:
                self.missing.append("dhcpcd-base")
        if desired.wpa_conf and "wpa_supplicant" not in tools:
            self.missing.append("wpasupplicant")

    def define(self, desired: Interface) -> None:
        """Plan the definition in a file of its own that ifupdown reads, and nowhere else."""
        for place, effect in overriding_lines(self.name, self.texts, self.read):
            values = {"place": place, "effect": effect}
            raise HostFailure(network.INTERFACE_REDIRECTED(interface=self.name, **values))
        taken = self._taken_from_cloud_init()
        if taken:
            self._check_heirs()
        for other in self._elsewhere():
            raise HostFailure(network.DEFINED_TWICE(interface=self.name, place=other.place))
        old = self.texts.get(self.own)
        new = old if old is not None and self._says(old, desired) else None
        if new is None:
            rest = self._rest(old)
            new = render(File((_HEADER, *desired.file().items, *rest.items)))
        self.definition = new
        if not is_read(self.own, self.texts, self.read):
            root = self.texts.get(ROOT)
            end = "" if not root or root.endswith("\n") else "\n"
            line = _STOCK if root is None else f"{root}{end}{self._source}"
            self.put(ROOT, line, secret=_secret(root))
        self.put(self.own, new, "600" if holds_secret(new) else "644", secret=_secret(new))
        # Last: a power cut in between leaves two definitions rather than none.
        for path, text, mode in taken:
            self.put(path, text, mode)
        if CLOUD_INIT_OFF in self.files:
            self.put(CLOUD_INIT_OFF, NO_CLOUD_INIT)
        self.stops_cloud_init = bool(taken) or CLOUD_INIT_OFF in self.files

    def owners(self, desired: Interface) -> None:
        """Plan that NetworkManager and dhcpcd leave it alone, and DHCP does not delay the boot."""
        exists = self._networkmanager in self.files
        if "NetworkManager" in self.now["tools"] and (exists or not self._networkmanager_leaves()):
            self.put(
                self._networkmanager,
                f"# ifupdown manages {self.name}: see {self.own}\n"
                f"[keyfile]\nunmanaged-devices+=interface-name:{self.name}\n",
            )
        self._dhcp_clients(desired.method == "dhcp", deny=self._dhcpcd_serves())

    def wifi(
        self,
        ssid: str | None,
        passphrase: str | None = None,
        country: str | None = None,
        security: wifi.Security = "wpa2",
        hidden: bool = False,
    ) -> None:
        """Plan the file of wpa_supplicant; only a digest of the present one is known."""
        path = wpa_conf(self.name)
        known = self.now["keys"].get(path)
        before = known.text if known else None
        if ssid is None:
            if known:
                self.changes.append(Change(path, before, None, secret=True))
            return
        text = wifi.configuration(self.name, ssid, passphrase or "", country, security, hidden)
        self.resources.append(f"file {path}")
        digest = sha256(text.encode()).hexdigest()
        desired = (digest, "600", "root", "root")
        if known is None or (known.text, known.mode, known.user, known.group) != desired:
            before = text if before == digest else before
            self.changes.append(Change(path, before, text, "600", secret=True))

    def remove(self) -> None:
        """Plan that the definition goes, with all that came with it; what it replaced returns."""
        old, kept = self.texts.get(self.own), self.files.get(f"{KEPT}{self.own}")
        if old is not None:
            rest = self._rest(old)
            if kept is not None:
                rest = File((*parse(kept.text or "").items, *rest.items))
            if render(rest) != old:
                self._check_heirs()
                after = render(rest) if rest.items else None
                mode = kept.mode if kept else "600" if _secret(after) else "644"
                self.put(self.own, after, mode, _secret(old))
        root = self.texts.get(ROOT, "")
        if kept is None and self._source in root.splitlines(keepends=True):
            self.put(ROOT, root.replace(self._source, ""), secret=_secret(root))
        self._return_to_cloud_init()
        self.put(self._networkmanager, None)
        self._dhcp_clients(uses=False, deny=False)
        self.wifi(None)

    def _return_to_cloud_init(self) -> None:
        """Plan what cloud-init had generated, less what bramble still defines."""
        kept = self.files.get(f"{KEPT}{CLOUD_INIT}")
        if kept is None or CLOUD_INIT_OFF not in self.files:
            return
        left = parse(kept.text or "")
        for name in self._defined():
            left = without(left, name)
        after = None if is_empty(left) else render(left)
        self.put(CLOUD_INIT, after, kept.mode)
        if after == kept.text:
            self.put(CLOUD_INIT_OFF, None)

    def _dhcp_clients(self, uses: bool, deny: bool) -> None:
        """Plan the files of dhcpcd and dhclient, which all interfaces share."""
        before = self.texts.get(DHCPCD, "")
        dhcpcd = dhcp_clients.dhcpcd(before, allow=self.name)
        if deny:
            dhcpcd = dhcp_clients.dhcpcd(before, deny=self.name)
        tools = self.now["tools"]
        if uses and "dhclient" in tools:
            self._dhclient()
        elif uses and "udhcpc" not in tools and not self._dhcpcd_serves():
            dhcpcd = dhcp_clients.dhcpcd(dhcpcd, background=True)
        elif not uses and "dhcp" not in self._defined().values():
            dhcpcd = dhcp_clients.dhcpcd(dhcpcd, background=False)
            if marked.BEGIN in self.texts.get(DHCLIENT, ""):
                self._dhclient(uses=False)
        if dhcpcd != before or dhcp_clients.dhcpcd_is_managed(before):
            self.put(DHCPCD, dhcpcd or None)

    # --- observed ------------------------------------------------------------------------------

    def _check_heirs(self) -> None:
        """``HostFailure`` if another definition inherits from the one to be removed."""
        for found in definitions(self.texts, self.read):
            if found.iface.inherits == self.name and found.iface.name != self.name:
                values = {"place": found.place, "heir": found.iface.name}
                raise HostFailure(network.DEFINITION_INHERITED(interface=self.name, **values))

    def _elsewhere(self) -> list[Definition]:
        return [
            found
            for found in definitions(self.texts, self.read)
            if found.iface.name == self.name and found.family == "inet" and found.path != self.own
        ]

    def _taken_from_cloud_init(self) -> list[tuple[str, str | None, str]]:
        """Plan the file that cloud-init generated without the interface: (path, text, mode)."""
        text = self.texts.get(CLOUD_INIT)
        if text is None or "cloud-init" not in text:
            return []
        if not any(found.path == CLOUD_INIT for found in self._elsewhere()):
            return []
        left = without(parse(text), self.name)
        after = None if is_empty(left) else render(left)
        self.texts = {**self.texts, CLOUD_INIT: after or ""}
        return [
            (CLOUD_INIT, after, self.files[CLOUD_INIT].mode),
            (CLOUD_INIT_OFF, NO_CLOUD_INIT, "644"),
        ]

    def _says(self, text: str, desired: Interface) -> bool:
        here = [
            found
            for found in definitions({self.own: text}, [self.own])
            if found.iface.name == self.name and found.family == "inet"
        ]
        return (
            [meaning(found) for found in here] == [meaning(resolve(desired.stanza()))]
        ) and started(parse(text), self.name) == started(desired.file(), self.name)

    def _rest(self, text: str | None) -> File:
        """Return what others added to the own file; nothing if that is comments only."""
        try:
            left = without(parse(text or ""), self.name)
        except InterfacesError as error:
            invalid = network.INTERFACES_FILE_INVALID(
                error=f"{self.own}, line {error.line}: {error.reason}"
            )
            raise HostFailure(invalid) from None
        items = tuple(item for item in left.items if item != _HEADER)
        return File() if is_empty(left) else File(items)

    def _defined(self) -> dict[str, str]:
        """Find the other interfaces that bramble defines, with their methods."""
        own = [path for path in self.texts if path.startswith(f"{FOLDER}/") and path != self.own]
        return {
            found.iface.name: found.method
            for path in own
            if self.texts[path].startswith(_HEADER.text)
            for found in definitions({path: self.texts[path]}, [path])
            if path == f"{FOLDER}/{found.iface.name}"
        }

    @property
    def _source(self) -> str:
        return f"source {self.own}\n"

    @property
    def _networkmanager(self) -> str:
        return f"/etc/NetworkManager/conf.d/bramble-{self.name}.conf"

    def _networkmanager_leaves(self) -> bool:
        config = self.now["networkmanager"]
        unmanaged = config.get("keyfile.unmanaged-devices", "").replace(",", ";").split(";")
        if f"interface-name:{self.name}" in unmanaged:
            return True
        plugins = config.get("main.plugins", "").replace(" ", "").split(",")
        return "ifupdown" in plugins and config.get("ifupdown.managed", "false") == "false"

    def _dhcpcd_serves(self) -> bool:
        enabled, active = self.now["units"].get("dhcpcd", ["", ""])
        return enabled.startswith("enabled") or active == "active"

    def _dhclient(self, uses: bool = True) -> None:
        before = self.texts.get(DHCLIENT, "")
        try:
            after = dhcp_clients.dhclient(before) if uses else marked.others(before)
            self.put(DHCLIENT, after or None)
        except ValueError as error:
            broken = network.MARKED_LINES_BROKEN(path=DHCLIENT, problem=error)
            raise HostFailure(broken) from None


def wpa_conf(name: str) -> str:
    """Return the path of an interface's Wi-Fi configuration."""
    return f"/etc/wpa_supplicant/bramble-{name}.conf"


def _texts(files: dict[str, FileState]) -> dict[str, str]:
    return {path: file.text for path, file in files.items() if file.text is not None}


def _secret(text: str | None) -> bool:
    return text is not None and holds_secret(text)
