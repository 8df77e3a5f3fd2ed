"""Network interfaces, configured by ifupdown's interfaces files."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, TypeVar

from pyinfra import host
from pyinfra.api import HiddenValue

from facts.interfaces import InterfacesFiles, InterfacesState
from facts.node_record import KEPT
from formats.interfaces.desired import Interface, Method, Start
from formats.node_record import Entry, fingerprint
from formats.wifi import Security
from messages import network
from operations import guard
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    plan_change,
    read,
)
from operations.interfaces.ifup import bring_up, give_way
from operations.interfaces.plan import (
    CLOUD_INIT,
    CLOUD_INIT_OFF,
    FOLDER,
    NO_CLOUD_INIT,
    Plan,
    wpa_conf,
)
from operations.node_record import ChangedSince
from operations.packages import apt

T = TypeVar("T")


@guard.operation
def interface(
    interface: str,
    method: Method = "static",
    address: str | None = None,
    gateway: str | None = None,
    start: Start = "auto",
    wifi_ssid: str | None = None,
    wifi_psk: HiddenValue | str | None = None,
    wifi_country: str | None = None,
    wifi_security: Security = "wpa2",
    wifi_hidden: bool = False,
    post_up: list[str] | None = None,
    present: bool = True,
    new_address: str | None = None,
) -> Commands:
    """
    Define an interface in ``/etc/network/interfaces.d/NAME``, and bring it up.

    + interface: its name, such as ``eth0``
    + method: ``static``, ``dhcp``, or ``manual`` (up, without an address)
    + address: for ``static``: IPv4 with prefix length, such as ``192.168.2.11/24``
    + gateway: for ``static``: next hop of the default route; None: no default route
    + start: ``auto`` at boot; ``allow-hotplug`` when the adapter appears; ``both``
    + wifi_ssid: name of the Wi-Fi network
    + wifi_psk: its passphrase (8 to 63 printable ASCII characters) or key (64 hexadecimal digits),
      as a ``HiddenValue``; only the derived key is written (for WPA3 the passphrase itself), to a
      file that only root can read
    + wifi_country: ISO 3166 code, two capital letters
    + wifi_security: ``wpa2``, or ``wpa3`` (SAE)
    + wifi_hidden: whether the network does not announce its name
    + post_up: commands that ifupdown runs once the interface is up, in order; if one fails, the
      interface counts as failed
    + present: False removes the definition, returns what it replaced, and the interface to
      NetworkManager; after all other interfaces of the change have come up
    + new_address: address of the node afterwards, if it changes

    The interface is brought up only if its definition changed, or if it does not match it (after a
    power cut). NetworkManager and dhcpcd are configured to leave it alone; ifupdown and a DHCP
    client are installed if missing. It is a guarded change: see ``guard``.

    Definitions by others stay. The host fails if another file defines the same interface, except
    for the file that cloud-init generates: the definition is removed there, and cloud-init's
    network configuration is turned off.
    """
    desired = None
    if present:
        conf = wpa_conf(interface) if wifi_ssid else None
        desired = make_definition(interface, method, address, gateway, start, conf, post_up or [])
    psk = wifi_psk.unmask() if isinstance(wifi_psk, HiddenValue) else wifi_psk

    def make(desired: Interface) -> tuple[Plan, str | None]:
        now = read(InterfacesFiles)
        check_confirmed(now)
        plan = Plan(interface, now)
        check_exists(interface, now)
        plan.packages(desired)
        plan.wifi(wifi_ssid, psk, wifi_country, wifi_security, wifi_hidden)
        plan.define(desired)
        plan.owners(desired)
        if plan.changes_meaning:
            return plan, "its definition changes"
        return plan, _difference(now, desired)

    if desired is None:
        yield from _release(interface, read(InterfacesFiles))
        return
    plan, reason = make(desired)
    kept = [plan.own] if plan.replaces else []
    definition = fingerprint(plan.definition)
    declare_recorded(f"interface {interface}", definition, keeps=kept, together=True)
    if plan.stops_cloud_init:
        off = fingerprint("644", "root", "root", NO_CLOUD_INIT)
        kept = [CLOUD_INIT] if f"{KEPT}{CLOUD_INIT}" not in plan.files else []
        declare_recorded(f"file {CLOUD_INIT_OFF}", off, keeps=kept, path=CLOUD_INIT_OFF)
    declare(*plan.resources)
    if not plan.changes and not plan.missing and not reason:
        host.noop(f"{interface} is up to date")
        return
    plan.show()
    if reason:
        # If the definition changes, that file is the resource that changes.
        resources = [] if plan.changes_meaning else [f"interface {interface}"]
        plan_change(f"bring up {interface}: {reason}", *resources)
    if plan.missing:
        yield from apt.install(plan.missing)
        plan, reason = make(desired)  # packages bring files of their own
    yield from plan.write()
    if reason:
        yield bring_up(interface, plan.before, **_settings(desired), new_address=new_address)


def remove(resource: str, entry: Entry) -> Commands:
    """
    Remove a recorded interface's definition, and return what it replaced; for ``removals``.

    + resource: "interface NAME"
    + entry: what the record says of it
    + raises ``ChangedSince``
    """
    name = resource.partition(" ")[2]
    now = read(InterfacesFiles)
    path = f"{FOLDER}/{name}"
    own = now["files"].get(path)
    if own is not None and not entry.holds(fingerprint(own.text or "")):
        raise ChangedSince(f"rm {path}")
    yield from _release(name, now)


def _release(name: str, now: InterfacesState) -> Commands:
    check_confirmed(now)
    plan = Plan(name, now)
    plan.remove()
    if not plan.changes:
        host.noop(f"{name} is up to date")
        return
    plan.show()
    plan_change(f"release {name}: its definition is removed", f"interface {name}")
    yield from plan.write()
    yield give_way(name)
    yield bring_up(name, plan.before)


def make_definition(
    name: str,
    method: Method,
    address: str | None,
    gateway: str | None,
    start: Start = "auto",
    conf: str | None = None,
    post_up: Sequence[str] = (),
) -> Interface:
    """Turn the arguments into a definition."""
    at = IPv4Interface(address) if address else None
    via = IPv4Address(gateway) if gateway else None
    return Interface(name, method, at, via, start, conf, tuple(post_up))


def _settings(desired: Interface) -> dict[str, Any]:
    """Return what ``bring_up`` needs to bring it up and to check it."""
    return {
        "method": desired.method,
        "address": str(desired.address or ""),
        "gateway": str(desired.gateway or ""),
        "radio": desired.wpa_conf is not None,
    }


def check_confirmed(now: InterfacesState) -> None:
    """``HostFailure`` while an earlier change of the network is rolled back."""
    if now["pending"]:
        raise HostFailure(network.CHANGE_PENDING(change=now["pending"]))


def check_exists(name: str, now: InterfacesState) -> None:
    """``HostFailure`` if there is no such interface, or it belongs to a bridge or a bond."""
    if name in now["links"]:
        if master := now["links"][name].master:
            raise HostFailure(network.INTERFACE_IS_PORT(interface=name, master=master))
        return
    found = [known for known in now["links"] if known != "lo"]
    suggestion = ", ".join(get_close_matches(name, found, 1)) or "one that exists"
    values = {"found": ", ".join(found) or "none", "suggestion": suggestion}
    raise HostFailure(network.NO_INTERFACE(interface=name, **values))


def _difference(now: InterfacesState, desired: Interface) -> str | None:
    """Describe how the interface differs from its definition; None if it does not."""
    link = now["links"][desired.name]
    gateway = str(desired.gateway or "")
    if desired.name not in now["up"]:
        return "ifupdown has not brought it up"
    if link.nm_state not in ("", "unmanaged"):
        return f"NetworkManager manages it ({link.nm_state})"
    if not now["units"].get("networking", [""])[0].startswith("enabled"):
        return "networking.service is not enabled, so it would stay down after a boot"
    if desired.method == "dhcp" and not link.addresses:
        return "it has no address"
    if desired.method == "static":
        if str(desired.address) not in link.addresses:
            return f"it has {', '.join(link.addresses) or 'no address'}, not {desired.address}"
        if link.leased:
            return f"it also has a leased address: {', '.join(link.leased)}"
        if [*link.gateways] != ([gateway] if gateway else []):
            found = ", ".join(link.gateways) or "none"
            return f"its default route is {found}, not {gateway or 'none'}"
    return None
