"""
One interface brought up, or given back, by the node itself: the last step of a guarded change.
"""

from __future__ import annotations

from pyinfra.api import QuoteString

from operations.guard import Step

LEASE_S = 45  # how long a DHCP server, or a radio and then a DHCP server, has for its answer
_NETWORKING = [
    f"/etc/systemd/system/{target}.target.wants/networking.service"
    for target in ("multi-user", "network-online")
]

# Nothing is touched before ifupdown has understood the new files, and nobody else has the address.
# Then: down by the definition by which it came up (standard input), NetworkManager and dhcpcd let
# go, what they left is cleared (a second address would stay for ever), up, and a look whether it is
# as wanted. The last line of what it says is the reason of a failure; the guard goes back then.
# NetworkManager takes an interface that the files named at its start only after another start; it
# leaves the others up meanwhile.
_BRING_UP = r"""export LC_ALL=C;
interface=$1; method=$2; address=$3; gateway=$4; radio=$5; patience=$6;
before=$(mktemp); log=$(mktemp); trap 'rm -f "$before" "$log"' EXIT; cat > "$before";
said() { grep -v 'failed to bring up' "$log" | tail -n 1; };
manages() { systemctl is-active --quiet NetworkManager; };
fail() { echo "$1"; exit 1; };
now() { ip -4 -o address show dev "$interface" scope global |
sed -n 's/.* inet \([^ ]*\).*/\1/p' | grep -v '^169\.254\.'; };
if [ -n "$method" ]; then
ifquery "$interface" > "$log" 2>&1 || fail "ifupdown does not understand $interface: $(said)";
if [ -n "$address" ] && ! now | grep -q "^${address%/*}/"; then
ping -c 1 -W 1 -q "${address%/*}" > /dev/null 2>&1;
other=$(ip -4 neigh show to "${address%/*}" dev "$interface" | grep -o '[^ ]*:[^ ]*:[^ ]*');
[ -z "$other" ] || fail "another machine ($other) has ${address%/*} already";
fi;
systemctl is-enabled --quiet networking || systemctl enable --quiet networking;
[ -z "$radio" ] || rfkill unblock wifi; # Raspberry Pi OS keeps it off until it knows the country
fi;
if ifquery --state "$interface" > /dev/null 2>&1; then ifdown --force -i "$before" "$interface"; fi;
if [ -n "$method" ] && manages; then
systemctl reload NetworkManager; nmcli connection reload;
nmcli device set "$interface" managed no;
fi;
if systemctl is-active --quiet dhcpcd; then systemctl restart dhcpcd; fi;
ip -4 address flush dev "$interface" scope global;
if [ -z "$method" ]; then
if manages; then nmcli device set "$interface" managed yes; systemctl restart NetworkManager; fi;
exit 0;
fi;
ifup --force --verbose "$interface" > "$log" 2>&1; status=$?; cat "$log";
[ $status = 0 ] || fail "ifup $interface failed: $(said)";
wanted() {
found=$(now);
case $method in
static) echo "$found" | grep -qxF "$address" || return;
[ -z "$gateway" ] || ip -4 route show default dev "$interface" | grep -qF "via $gateway ";;
dhcp) [ -n "$found" ];;
esac; };
n=0; until wanted; do
n=$((n+1)); [ $n -lt "$patience" ] || break; sleep 1;
done;
wanted || case $method in
static) fail "$interface came up without its address $address${gateway:+ or gateway $gateway}";;
*) fail "$interface got no address by DHCP in $patience s: is its network there, its key right?";;
esac"""


def bring_up(
    interface: str,
    before: str,
    method: str = "",
    address: str = "",
    gateway: str = "",
    radio: bool = False,
    reach: str | None = None,
) -> Step:
    """
    Bring an interface to what its files say by then.

    + interface: its name
    + before: an interfaces file with the definition by which it came up, without secrets
    + method: as in that file; empty: it goes back to whoever has it then
    + address: with prefix
    + gateway: that its default route has
    + radio: whether it is for Wi-Fi
    + reach: the address at which the node answers afterwards; None: the same as now
    """

    patience = LEASE_S if method == "dhcp" else 5
    words = [interface, method, address, gateway, "yes" if radio else "", str(patience)]
    return Step(
        "sh",
        "-c",
        QuoteString(_BRING_UP),
        "up",
        *map(QuoteString, words),
        what=interface,
        paths=_NETWORKING,
        interface=interface,
        gateway=gateway if method == "static" else None,
        reach=reach,
        _stdin=before,
    )
