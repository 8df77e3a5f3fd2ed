"""
Network interfaces, by ifupdown's interfaces files.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from pyinfra import host
from pyinfra.api import HiddenValue

from facts.interfaces import InterfacesFiles, InterfacesState
from formats.interfaces.desired import Interface, Method, Start
from formats.wifi import Security
from operations import apt, guard
from operations.base import Commands, HostFailure, declare, plan_change, read
from operations.interfaces.ifup import bring_up
from operations.interfaces.plan import Plan, wpa_conf


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
    reach: str | None = None,
) -> Commands:
    """
    An interface's definition in ``/etc/network/interfaces.d/NAME``, and the interface as it says.

    + interface: its name, such as ``eth0``
    + method: ``static``, ``dhcp``, or ``manual`` (up, without an address)
    + address: for ``static``: IPv4 with prefix, such as ``192.168.2.11/24``
    + gateway: for ``static``: the next hop of the default route; None: no default route this way
    + start: ``auto`` at boot, ``allow-hotplug`` when the adapter is announced, ``both`` at boot or,
      for an adapter that is late, then
    + wifi_ssid: the Wi-Fi network's name
    + wifi_psk: its passphrase (8 to 63 printable ASCII characters) or key (64 hexadecimal digits),
      best as a ``HiddenValue``. Only the key made of it is written, to a file for root alone
      (of WPA3 the passphrase itself)
    + wifi_country: two capital letters; the radio may need them
    + wifi_security: ``wpa2``, or ``wpa3`` (SAE)
    + wifi_hidden: the network does not announce its name
    + post_up: commands that ifupdown runs once the interface is up, in order. One that fails makes
      the interface count as failed
    + present: False: our definition goes, and NetworkManager, if there is one, has it again
    + reach: the address at which the node answers afterwards, when that changes; None: the same

    The interface is brought up only when its definition changed, or when it is not as defined (a
    power cut came in between). NetworkManager and dhcpcd let go of it; ifupdown and a DHCP client
    are installed where they are missing. All of it goes through the guard: a node that can't be
    reached afterwards goes back to what was before.

    What others wrote stays: a definition of the same interface elsewhere is refused, save for one
    in cloud-init's own file, which is taken out of it (and cloud-init told to leave it at that).

    **Example:**

    .. code:: python

        interfaces.interface(
            name="Interface eth0",
            interface="eth0",
            address="192.168.2.12/24",
            gateway="192.168.2.11",
            start="both",
        )
    """

    wanted = None
    if present:
        conf = wpa_conf(interface) if wifi_ssid else None
        wanted = described(interface, method, address, gateway, start, conf, post_up or [])
    psk = wifi_psk.unmask() if isinstance(wifi_psk, HiddenValue) else wifi_psk

    def make() -> tuple[Plan, str | None]:
        now = read(InterfacesFiles)
        check_confirmed(now)
        plan = Plan(interface, now)
        if wanted is None:
            plan.remove()
        else:
            must_exist(interface, now)
            plan.packages(wanted)
            plan.wifi(wifi_ssid, psk, wifi_country, wifi_security, wifi_hidden)
            plan.define(wanted)
            plan.owners(wanted)
        if plan.changes_meaning:
            return plan, "its definition changes" if wanted else "its definition goes"
        return plan, _unlike(now, wanted) if wanted else None

    plan, reason = make()
    declare(f"interface {interface}", *plan.resources)
    if not plan.changes and not plan.missing and not reason:
        host.noop(f"{interface} is up to date")
        return
    plan.show()
    if reason:
        # When its definition changes, that is what changes.
        resources = [] if plan.changes_meaning else [f"interface {interface}"]
        verb = "bring up" if wanted else "give back"
        plan_change(f"{verb} {interface}: {reason}", *resources)
    if plan.missing:
        yield from apt.install(plan.missing)
        plan, reason = make()  # the packages brought files with them
    yield from plan.write()
    if reason:
        yield bring_up(interface, plan.before, **_settings(wanted), reach=reach)


def described(
    name: str,
    method: Method,
    address: str | None,
    gateway: str | None,
    start: Start = "auto",
    conf: str | None = None,
    post_up: Sequence[str] = (),
) -> Interface:
    """The arguments as one description that ifupdown can carry out; ``HostFailure`` if it can't."""
    for argument, value, known in (
        ("method", method, ("static", "dhcp", "manual")),
        ("start", start, ("auto", "allow-hotplug", "both")),
    ):
        if value not in known:
            raise HostFailure(f"{name}: {argument} {value!r} is none of {', '.join(known)}")
    if address is not None and "/" not in address:
        raise HostFailure(f"{name}: address {address} has no prefix: did you mean {address}/24?")
    try:
        at = IPv4Interface(address) if address is not None else None
    except ValueError:
        raise HostFailure(f"{name}: {address} is no IPv4 address with a prefix") from None
    try:
        via = IPv4Address(gateway) if gateway is not None else None
    except ValueError:
        raise HostFailure(f"{name}: gateway {gateway} is no IPv4 address") from None
    wanted = Interface(name, method, at, via, start, conf, tuple(post_up))
    for problem in wanted.problems():
        raise HostFailure(f"{name}: {problem}")
    return wanted


def _settings(wanted: Interface | None) -> dict[str, Any]:
    """What the node has to know to bring it up and to see that it is."""
    if wanted is None:
        return {}
    return {
        "method": wanted.method,
        "address": str(wanted.address or ""),
        "gateway": str(wanted.gateway or ""),
        "radio": wanted.wpa_conf is not None,
    }


def check_confirmed(now: InterfacesState) -> None:
    """``HostFailure`` while an earlier change of the network is on its way back."""
    if now["unconfirmed"]:
        raise HostFailure(
            f"a change of {now['unconfirmed']}, which nobody confirmed, is going back: run "
            "this again in a minute (or reboot the node: then it goes back at once)"
        )


def must_exist(name: str, now: InterfacesState) -> None:
    """``HostFailure`` where there is no such interface, or it belongs to a bridge or a bond."""
    if name in now["links"]:
        if master := now["links"][name].master:
            raise HostFailure(
                f"{name} is a port of {master}: take it out (`ip link set {name} nomaster`, and "
                "whatever put it there), or name another interface in the settings"
            )
        return
    names = [known for known in now["links"] if known != "lo"]
    close = get_close_matches(name, names, 1)
    hint = f": did you mean {close[0]}?" if close else ""
    raise HostFailure(f"there is no interface {name} here, but {', '.join(names) or 'none'}{hint}")


def _unlike(now: InterfacesState, wanted: Interface) -> str | None:
    """In which way the interface is not as its files say; None when it is."""
    link = now["links"][wanted.name]
    gateway = str(wanted.gateway or "")
    if wanted.name not in now["up"]:
        return "ifupdown has not brought it up"
    if link.nm_state not in ("", "unmanaged"):
        return f"NetworkManager has it ({link.nm_state})"
    if not now["units"].get("networking", [""])[0].startswith("enabled"):
        return "networking.service is not enabled, so it would stay down after a boot"
    if wanted.method == "dhcp" and not link.addresses:
        return "it has no address"
    if wanted.method == "static":
        if str(wanted.address) not in link.addresses:
            return f"it has {', '.join(link.addresses) or 'no address'}, not {wanted.address}"
        if link.leased:
            return f"it has a leased address too: {', '.join(link.leased)}"
        if [*link.gateways] != ([gateway] if gateway else []):
            found = ", ".join(link.gateways) or "none"
            return f"its default route is {found}, not {gateway or 'none'}"
    return None
