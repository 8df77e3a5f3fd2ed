#!/bin/sh
# The end of a board's first boot. cloud-init runs it at the end of every boot, so that a first boot
# that was cut off before it has its end at the next one; it removes itself when all is done.
set -eu

boot=/boot/firmware # as Raspberry Pi OS has it; HypriotOS has it in /boot
[ -f $boot/user-data ] || boot=/boot

# The radio stays off until it knows its country. Raspberry Pi OS turns it on by itself, except where
# YAML needs quotes around the country ('NO').
if grep -qs '^ *regulatory-domain:' $boot/network-config; then
    rfkill unblock wifi || true
    nmcli radio wifi on || true
fi

# The operator's known_hosts has the card's host key. Raspberry Pi OS makes keys too, at the same time
# as cloud-init writes this one: whichever came last is there.
if grep -qs '^ssh_keys:' $boot/user-data; then
    key=/etc/ssh/ssh_host_ed25519_key
    public=$(sed -n 's/^  ed25519_public: //p' $boot/user-data | cut -d ' ' -f 1,2)
    found=$(ssh-keygen -y -f $key 2>/dev/null | cut -d ' ' -f 1,2) || found=
    if [ "$found" != "$public" ]; then
        (umask 077 && sed -n '/^ *-----BEGIN /,/^ *-----END /s/^ *//p' $boot/user-data >$key.card)
        mv $key.card $key
        echo "$public" >$key.pub
        systemctl try-restart ssh
    fi
fi

# Raspberry Pi OS comes with the SSH server off.
systemctl -q is-enabled ssh || systemctl enable --now ssh

# Raspberry Pi OS asked for a user's name on its screen: it has one, and its screen shows a login.
if [ -f $boot/user-data ] && command -v cancel-rename >/dev/null; then
    cancel-rename "$(sed -n 's/^- name: //p' $boot/user-data)" || true
fi

# Every user of the board can read the boot partition, and so can each computer that the card is put
# into: the private key and the Wi-Fi key leave it.
if grep -qs '^ssh_keys:' $boot/user-data; then
    awk '
        NR == 1 { print; print "# The first boot is done: the keys that were here are gone."; next }
        /^[a-z_]+:/ { secret = /^(ssh_keys|write_files):/ }
        /^ssh_deletekeys:/ { $0 = "ssh_deletekeys: false" }
        !secret
    ' $boot/user-data >$boot/user-data.new
    sync
    mv $boot/user-data.new $boot/user-data
fi
if [ -f $boot/network-config ]; then
    sed -E "s/^( *password: ).*/\\1was-here-until-the-first-boot/" \
        $boot/network-config >$boot/network-config.new
    sync
    mv $boot/network-config.new $boot/network-config
fi
sync

rm -f "$0"
