"""Bring one interface up, or release it: the last step of a guarded change."""

from __future__ import annotations

from pyinfra.api import QuoteString

from operations.guard import Step

LEASE_S = 45  # time for an answer of the DHCP server, Wi-Fi association included
_NETWORKING = [
    f"/etc/systemd/system/{target}.target.wants/networking.service"
    for target in ("multi-user", "network-online")
]

# First checks that ifupdown understands the new files and that nobody else has the address. Then:
# down by the definition it came up with (standard input); NetworkManager and dhcpcd release it;
# clear what they left (a second address would stay); up; check the result. The last line of its
# output is the reason of a failure, upon which the guard rolls back (guard.sh has its form).
# NetworkManager manages an interface that the files named when it started only after a restart,
# which leaves the other interfaces up.
_BRING_UP = r"""export LC_ALL=C;
interface=$1; method=$2; address=$3; gateway=$4; radio=$5; patience=$6;
before=$(mktemp); log=$(mktemp); trap 'rm -f "$before" "$log"' EXIT; cat > "$before";
said() { grep -v 'failed to bring up' "$log" | tail -n 1; };
networkmanager() { systemctl is-active --quiet NetworkManager; };
fail() { echo "$1"; exit 1; };
now() { ip -4 -o address show dev "$interface" scope global |
sed -n 's/.* inet \([^ ]*\).*/\1/p' | grep -v '^169\.254\.'; };
if [ -n "$method" ]; then
ifquery "$interface" > "$log" 2>&1 || fail "ifupdown rejects its files: $(said)";
if [ -n "$address" ] && ! now | grep -q "^${address%/*}/"; then
ping -c 1 -W 1 -q "${address%/*}" > /dev/null 2>&1;
other=$(ip -4 neigh show to "${address%/*}" dev "$interface" | grep -o '[^ ]*:[^ ]*:[^ ]*');
[ -z "$other" ] || fail "NET061|address=${address%/*}|machine=$other";
fi;
other=$(ip -4 route show default | grep -v -e " dev $interface " -e ' metric ' |
sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1);
[ -z "$gateway" ] || [ -z "$other" ] ||
fail "NET066|interface=$interface|other=$other";
systemctl is-enabled --quiet networking || systemctl enable --quiet networking;
# Raspberry Pi OS blocks it until a country is set, and NetworkManager again whenever it starts.
if [ -n "$radio" ]; then rfkill unblock wifi; if networkmanager; then nmcli radio wifi on; fi; fi;
fi;
if ifquery --state "$interface" > /dev/null 2>&1; then ifdown --force -i "$before" "$interface"; fi;
if [ -n "$method" ] && networkmanager; then
systemctl reload NetworkManager; nmcli connection reload;
nmcli device set "$interface" managed no;
fi;
for client in dhclient udhcpc; do # whose definition was removed while it ran
pid=/run/$client.$interface.pid; [ ! -s "$pid" ] || kill "$(cat "$pid")" 2> /dev/null; rm -f "$pid";
done;
flush() { ip -4 address flush dev "$interface" scope global; };
[ -n "$method" ] || flush;
if systemctl is-active --quiet dhcpcd; then systemctl restart dhcpcd;
elif [ -e "/run/dhcpcd/$interface.pid" ] || [ -e "/run/dhcpcd/$interface-4.pid" ]; then
dhcpcd -x "$interface"; fi;
[ -z "$method" ] || flush;
if [ -z "$method" ]; then
if ifquery "$interface" > /dev/null 2>&1; then timeout 40 ifup --force "$interface"; back=no; fi;
if networkmanager; then
nmcli device set "$interface" managed "${back:-yes}"; systemctl restart NetworkManager;
nm-online -q -s -t 15; # before the confirmation, so that it sees what NetworkManager does
fi;
exit 0;
fi;
ifup --force --verbose "$interface" > "$log" 2>&1; status=$?; cat "$log";
[ $status = 0 ] || fail "ifup $interface failed: $(said)";
is_up() {
found=$(now);
case $method in
static) echo "$found" | grep -qxF "$address" || return;
[ -z "$gateway" ] || ip -4 route show default dev "$interface" | grep -qF "via $gateway ";;
dhcp) [ -n "$found" ];;
esac; };
n=0; until is_up; do
n=$((n+1)); [ $n -lt "$patience" ] || break; sleep 1;
done;
is_up || case $method in
static) fail "$interface came up without its address $address${gateway:+ or gateway $gateway}";;
*) fail "NET065|interface=$interface|patience=$patience";;
esac"""


# The kernel refuses a second default route of the same metric, so that the interface which replaces
# this one would not come up.
_GIVE_WAY = 'while ip -4 route delete default dev "$1" 2> /dev/null; do :; done'


def give_way(interface: str) -> Step:
    """
    Remove an interface's default route, before other interfaces come up.

    + interface: one that is released by the same change, which saves its routes
    """
    words = ("sh", "-c", QuoteString(_GIVE_WAY), "give-way", QuoteString(interface))
    return Step(*words, what=interface)


def bring_up(
    interface: str,
    before: str,
    method: str = "",
    address: str = "",
    gateway: str = "",
    radio: bool = False,
    new_address: str | None = None,
) -> Step:
    """
    Bring an interface up as its files say by then.

    + interface: its name
    + before: an interfaces file with the definition it came up with, without secrets
    + method: as in its file; "": release it to whoever had it
    + address: with prefix length
    + gateway: of its default route
    + radio: whether it is for Wi-Fi
    + new_address: address of the node afterwards; None: unchanged
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
        new_address=new_address,
        _stdin=before,
    )
