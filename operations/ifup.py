"""
One interface brought up, or given back, on the node itself: what ``network_change`` runs there.
"""

from __future__ import annotations

import shlex

from pyinfra import logger
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from operations import network_change

_REMEMBER = """set -e; umask 077; mkdir -p "$(dirname "$1")"; cat > "$1.new";
if [ -e "$1" ]; then rm "$1.new"; else mv "$1.new" "$1"; fi"""

LEASE_S = 45  # how long a DHCP server, or a radio and then a DHCP server, has for its answer

# Nothing is touched before ifupdown has understood the new files. Then: down by the definition by
# which it came up, NetworkManager and dhcpcd let go, what they left is cleared (a second address
# would stay for ever), up, and a look whether it is as wanted. If it is not, it comes up again as
# it was, so that the node can be reached; its files stay, for the next run to try again.
# NetworkManager takes an interface that the files named at its start only after another start; it
# leaves the others up meanwhile.
_SCRIPT = r"""
before=/run/bramble/$interface.before; log=/run/bramble/$interface.log; down=
said() { grep -v 'failed to bring up' "$log" | tail -n 1; }
manages() { systemctl is-active --quiet NetworkManager; }
fail() {
echo "$1"
if [ -n "$down" ]; then
ifdown --force "$interface"; ip -4 address flush dev "$interface" scope global
if ifquery -i "$before" "$interface" > /dev/null 2>&1; then ifup --force -i "$before" "$interface"
elif manages; then ip link set dev "$interface" up; nmcli device set "$interface" managed yes; fi
fi
result "$interface" "$1"; exit 1; }
if [ -n "$method" ]; then
ifquery "$interface" > "$log" 2>&1 || fail "ifupdown does not understand $interface: $(said)"
systemctl is-enabled --quiet networking || systemctl enable --quiet networking
[ -z "$radio" ] || rfkill unblock wifi  # Raspberry Pi OS keeps it off until it knows the country
fi
if ifquery --state "$interface" > /dev/null 2>&1; then ifdown --force -i "$before" "$interface"; fi
down=yes
if [ -n "$method" ] && manages; then
systemctl reload NetworkManager; nmcli connection reload
nmcli device set "$interface" managed no
fi
if systemctl is-active --quiet dhcpcd; then systemctl restart dhcpcd; fi
ip -4 address flush dev "$interface" scope global
if [ -z "$method" ]; then
if manages; then nmcli device set "$interface" managed yes; systemctl restart NetworkManager; fi
rm -f "$before"; result "$interface" ok; exit
fi
ifup --force --verbose "$interface" > "$log" 2>&1; status=$?; cat "$log"
[ $status = 0 ] || fail "ifup $interface failed: $(said) (see journalctl -u 'bramble-$interface-*')"
wanted() {
found=$(ip -4 -o address show dev "$interface" scope global |
sed -n 's/.* inet \([^ ]*\).*/\1/p' | grep -v '^169\.254\.')
case $method in
static) echo "$found" | grep -qxF "$address" || return;
[ -z "$gateway" ] || ip -4 route show default dev "$interface" | grep -qF "via $gateway ";;
dhcp) [ -n "$found" ];;
esac; }
n=0; until wanted; do
n=$((n+1)); [ $n -lt "$patience" ] || break; sleep 1
done
wanted || case $method in
static) fail "$interface came up without its address $address${gateway:+ or gateway $gateway}";;
*) fail "$interface got no address by DHCP in $patience s: is its network there, its key right?";;
esac
rm -f "$before"; result "$interface" ok
"""


def remember(interface: str, definition: str) -> StringCommand:
    """
    The command that keeps, until the interface is as its new files say, how it came up.

    To be given before its files change: that it is there tells the next run that this one did not
    get to its end; then what it says already is kept.

    + interface: its name
    + definition: an interfaces file with its definition, without secrets
    """

    return StringCommand(
        "sh",
        "-c",
        QuoteString(_REMEMBER),
        "sh",
        QuoteString(f"{network_change.FOLDER}/{interface}.before"),
        _stdin=definition,
    )


def bring_up(
    state: State,
    host: Host,
    interface: str,
    wanted: dict[str, str],
    reach: str | None,
    seconds: float,
) -> bool:
    """
    Bring an interface to what its files say by now, and follow the node to where it is then.

    If that fails, the interface comes up again as it was, while its files stay as they are.

    For a ``FunctionCommand``; a failure is logged in one line.

    + interface: its name
    + wanted: ``method``, ``address`` (with prefix), ``gateway``, ``radio`` (``yes`` for Wi-Fi), as
      far as there are any; without a method the interface goes back to whoever has it then
    + reach: the address at which the node answers afterwards; None: the same as now
    + seconds: how long it may take, DHCP's own patience not counted
    """

    dhcp = wanted.get("method") == "dhcp"
    patience = LEASE_S if dhcp else 5
    variables = {
        "interface": interface,
        "method": wanted.get("method", ""),
        "address": wanted.get("address", ""),
        "gateway": wanted.get("gateway", ""),
        "radio": wanted.get("radio", ""),
        "patience": str(patience),
    }
    assignments = "".join(f"{name}={shlex.quote(text)}\n" for name, text in variables.items())
    script = "export LC_ALL=C\n" + network_change.PREPARE + assignments + _SCRIPT
    reason = network_change.apply(host, interface, script, reach, seconds + (dhcp and LEASE_S))
    if reason is not None:
        host.log_styled(reason, fg="red", log_func=logger.error)
    return reason is None
