"""
The stanza that bramble writes for an interface, from a few typed settings.

Source: interfaces(5) of ifupdown 0.8.44.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Literal

from formats.interfaces.syntax import File, Iface, Option, Selection

Method = Literal["static", "dhcp", "manual"]
Start = Literal["auto", "allow-hotplug", "both"]


@dataclass(frozen=True)
class Interface:
    """
    The desired definition of an interface.

    + start: ``auto``: at boot; ``allow-hotplug``: when the kernel announces the adapter (needs
      udev); ``both``: at boot, or later when the adapter was not ready in time (a USB adapter, such
      as the Ethernet of a Raspberry Pi 3)
    + wpa_conf: the path of a file for wpa_supplicant: unlike ``wpa-psk``, it keeps the key out of
      wpa_cli's arguments
    """

    name: str
    method: Method
    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None
    start: Start = "auto"
    wpa_conf: str | None = None
    post_up: tuple[str, ...] = ()

    def stanza(self) -> Iface:
        """Write the ``iface`` stanza."""
        options = (
            ("address", str(self.address or "")),
            ("gateway", str(self.gateway or "")),
            ("wpa-conf", self.wpa_conf or ""),
            *(("post-up", command) for command in self.post_up),
        )
        body = tuple(Option(name, value) for name, value in options if value)
        return Iface(self.name, "inet", self.method, body=body)

    def file(self) -> File:
        """Write the stanza, and the lines that bring the interface up."""
        words = ("auto", "allow-hotplug") if self.start == "both" else (self.start,)
        return File((*(Selection(word, (self.name,)) for word in words), self.stanza()))
