"""
One interface as this project writes it: a few typed settings -> a short stanza in today's form.

Source: interfaces(5) of ifupdown 0.8.44.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Literal

from formats.interfaces.meaning import problems
from formats.interfaces.syntax import File, Iface, Option, Selection
from formats.interfaces.tree import resolve

Method = Literal["static", "dhcp", "manual"]
Start = Literal["auto", "allow-hotplug", "both"]


@dataclass(frozen=True)
class Interface:
    """
    What an interface shall be.

    ``start``: ``auto`` is brought up at boot; ``allow-hotplug`` when the kernel announces the
    adapter, which needs udev; ``both`` at boot, or later when the adapter was not there in time
    (a USB adapter, such as the Ethernet of a Raspberry Pi 3). ``wpa_conf`` is the path of a file
    for wpa_supplicant: unlike ``wpa-psk``, it keeps the key out of wpa_cli's argument list.
    """

    name: str
    method: Method
    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None
    start: Start = "auto"
    wpa_conf: str | None = None
    post_up: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """Why this can't be, each reason in one line; empty when it can."""
        found = []
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", self.name):
            found.append(f"{self.name!r} is no name that an interface can have")
        if self.method != "static" and (self.address or self.gateway):
            found.append(f"method {self.method} takes neither address nor gateway")
        for command in self.post_up:
            if command != command.strip() or not command or "\n" in command or command[-1] == "\\":
                found.append(f"post_up {command!r} is no single command line")
        return found or problems(resolve(self.stanza()))

    def stanza(self) -> Iface:
        """The ``iface`` stanza alone."""
        options = (
            ("address", str(self.address or "")),
            ("gateway", str(self.gateway or "")),
            ("wpa-conf", self.wpa_conf or ""),
            *(("post-up", command) for command in self.post_up),
        )
        body = tuple(Option(name, value) for name, value in options if value)
        return Iface(self.name, "inet", self.method, body=body)

    def file(self) -> File:
        """The stanza, and the lines that bring the interface up."""
        words = ("auto", "allow-hotplug") if self.start == "both" else (self.start,)
        return File((*(Selection(word, (self.name,)) for word in words), self.stanza()))
