# The guard of a node's network, on the node: one change, which goes back unless it is confirmed.
# docs/network-guard.md tells how. For sh, as root; the laptop sends it with each change.
#
# /var/lib/bramble/guard/armed      a change that waits for its confirmation: what was before it
#                       /restoring  the same, while the node goes back
#                       /previous   what was before the last confirmed change: for deploys/undo.py
# /run/bramble/guard                the change under way; gone when it is confirmed
#             /guard.confirmed      the last one that was, since the node was started
#
# From one to the next leads a rename: who comes second (the timer, the laptop) finds nothing there.

export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
kept=/var/lib/bramble/guard
run=/run/bramble/guard
unit=/etc/systemd/system/bramble-guard.service
wants=/etc/systemd/system/sysinit.target.wants/bramble-guard.service

here=$(dirname -- "$0")
. "$here/state.sh"

die() { echo "$1" >&2; exit 1; }

# --- stage and arm -------------------------------------------------------------------------------

# SECONDS FOLDER: what stands in the folder is this change; then it is made, under no session.
arm() {
    mkdir -p -m 755 "${kept%/*}" && mkdir -p -m 700 "$kept" || die "no room in $kept?"
    exec 9> "$run.lock"
    flock -n 9 || die "another run is changing this node's network: run this again when it is done"
    for at in armed restoring; do
        [ ! -d "$kept/$at" ] || die "a change of $(cat "$kept/$at/what"), which nobody confirmed, \
is going back: run this again in a minute (or reboot the node: then it goes back at once)"
    done
    rm -rf "$kept/new" "$kept/gone"
    mkdir "$kept/new" "$kept/new/old" &&
        (cd "$2" && cp guard.sh state.sh id what former paths interfaces prefixes live wanted \
            network "$kept/new/") && keep "$kept/new" ||
        die "could not keep what is there now: is there room in $kept?"
    [ ! -s "$2/network" ] || observe > "$kept/new/before"
    cp "$kept/${3:-new}/before" "$kept/new/expected" 2> /dev/null
    write_unit "$kept/new" || die "could not write $unit"
    rm -rf "$run"
    cp -r "$2" "$run" || { rm -rf "$run"; die "there is no room in /run: see \`df -h /run\`"; }
    id=$(cat "$run/id")
    sync -f "$kept" "$unit"
    mv -T "$kept/new" "$kept/armed" && sync "$kept" || die "could not arm the guard in $kept"
    # What ifup leaves behind (dhclient, wpa_supplicant) outlives its service: hence KillMode. It
    # also keeps the unit's name from being used again: hence the random part.
    systemd-run --quiet --collect --unit="bramble-guard-$id" --on-active="$1s" \
        --description="Undoes the change of $(cat "$2/what") unless it is confirmed" \
        --timer-property=AccuracySec=100ms --property=KillMode=process \
        --property=Restart=on-failure --property=RestartSec=2 \
        --property=StartLimitIntervalSec=1h --property=StartLimitBurst=3 -- sh "$run/guard.sh" restore &&
        systemctl is-active --quiet "bramble-guard-$id.timer" ||
        { disarm; die "could not set the guard's timer: nothing was changed"; }
    systemd-run --quiet --collect --unit="bramble-change-$id" --property=KillMode=process \
        --description="The change of $(cat "$2/what")" -- sh "$run/guard.sh" apply ||
        { disarm; die "could not start the change: nothing was changed"; }
}

disarm() {
    systemctl stop "bramble-guard-$(cat "$run/id").timer"
    mv -T "$kept/armed" "$kept/gone" && rm -rf "$kept/gone" "$run" "$unit" "$wants"
}

# The restore has to come before anything that reads what it puts back.
write_unit() {
    services=$(sed -n 's,^/etc/systemd/system/\([^/]*\.service\)$,\1,p' "$1/paths" | tr '\n' ' ')
    mkdir -p -m 755 "${wants%/*}"
    cat > "$unit" << .
# Written by bramble, and removed by it within a minute: an unconfirmed change of this node's
# network goes back when the node is started again.
[Unit]
Description=Undo an unconfirmed change of the network
DefaultDependencies=no
RequiresMountsFor=$kept /etc
After=local-fs.target systemd-remount-fs.service
Wants=network-pre.target
Before=network-pre.target sysinit.target shutdown.target networking.service cloud-init-local.service
Before=NetworkManager.service systemd-resolved.service dhcpcd.service ssh.service ssh.socket
Before=$services
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=-/bin/sh $kept/armed/guard.sh boot
ExecStart=-/bin/sh $kept/restoring/guard.sh boot
ExecStart=/bin/sh -c 'test -d $kept/restoring || rm -f $unit $wants'
.
    chmod 644 "$unit" && ln -sfT "$unit" "$wants"
}

# --- apply ---------------------------------------------------------------------------------------

apply() {
    sleep 0.3 # the session that started it hears that it did before it is cut
    sh "$run/apply.sh" < /dev/null > "$run/log" 2>&1
    status=$?
    cat "$run/log"
    if [ "$status" = 0 ]; then
        echo made > "$run/new" && mv "$run/new" "$run/result"
    else
        go_back "$(grep . "$run/log" | tail -n 1)"
    fi
}

# REASON: starts the timer's work now.
go_back() {
    echo "${1:-a command failed and said nothing}" > "$run/why"
    systemctl start --no-block "bramble-guard-$(cat "$run/id").service"
}

# --- confirm -------------------------------------------------------------------------------------

# What the node could do before, and what the change wants besides, it can do now.
confirm() {
    exec 2> /dev/null
    if [ -s "$kept/armed/network" ]; then
        reason=$(objection)
        [ -z "$reason" ] || { go_back "$reason"; echo "$reason"; return; }
    fi
    sync -f "$kept" /etc
    rm -rf "$kept/gone"
    # Of a way in that nobody lost there is nothing to undo.
    to=gone
    [ ! -s "$kept/armed/network" ] || { to=previous; mv -T "$kept/previous" "$kept/gone"; }
    mv -T "$kept/armed" "$kept/$to" || {
        [ "$to" = gone ] || mv -T "$kept/gone" "$kept/previous"
        echo "the confirmation came too late"
        return
    }
    sync "$kept"
    mv "$run/id" "$run.confirmed"
    systemctl stop "bramble-guard-$(cat "$run.confirmed").timer"
    rm -rf "$unit" "$wants" "$kept/gone" "$run"
    echo confirmed
}

# Lines of what the node can do: it is asked before the change, and of each when it is to confirm.
observe() {
    ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/default \1/p' | sort -u
    for gateway in $(gateways); do
        answers "$gateway" && echo "answers $gateway" || echo "mute $gateway"
    done
    ! resolves || echo names
}

gateways() { ip -4 route show default | sed -n 's/.* via \([^ ]*\).*/\1/p' | sort -u; }
answers() {
    command -v ping > /dev/null || return 0
    ping -c 1 -W 1 -q "$1" > /dev/null 2>&1 || ip -4 neigh show to "$1" | grep -v FAILED | grep -q lladdr
}
# The node's own package archive is a name that it has to know.
resolves() {
    name=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null |
        sed -nE 's,^(deb |URIs:).*https?://([^/: ]*[a-z])[:/ ].*,\2,p' | head -n 1)
    timeout 3 getent ahostsv4 "${name:-deb.debian.org}" > /dev/null
}

objection() {
    expected=$kept/armed/expected
    while read -r interface gateway; do
        [ -n "$gateway" ] || continue
        ip -4 route show default dev "$interface" | grep -qF "via $gateway " ||
            { echo "its default route is not $gateway by $interface"; return; }
    done < "$kept/armed/wanted"
    for gateway in $(gateways); do
        grep -qxF "mute $gateway" "$expected" || answers "$gateway" || answers "$gateway" ||
            { echo "its gateway $gateway does not answer"; return; }
    done
    # Only where all that led out is to lead nowhere, and nothing else is to, the way out, and names
    # with it, may go.
    keeps=$(grep ' .' "$kept/armed/wanted")
    for had in $(sed -n 's/^default //p' "$expected"); do
        grep -qx "$had " "$kept/armed/wanted" || keeps=yes
    done
    [ -n "$keeps" ] || return
    [ -n "$(ip -4 route show default)" ] || { echo "it has no default route any more"; return; }
    grep -qx names "$expected" || return
    for again in 1 2 3; do
        ! resolves || return
        sleep 1
    done
    echo "it resolves no names any more"
}

# --- restore -------------------------------------------------------------------------------------

# now | boot: takes armed, or goes on with what a power cut left of an earlier attempt.
restore() {
    mv -T "$kept/armed" "$kept/restoring" 2> /dev/null || [ -d "$kept/restoring" ] || return 0
    if [ "$1" = boot ]; then
        mkdir -p "$run" && cp "$kept/restoring/id" "$run/"
        echo "it was restarted before it could be confirmed" > "$run/why"
    else
        systemctl kill --signal=KILL "bramble-change-$(cat "$run/id").service" 2> /dev/null
        systemctl stop "bramble-change-$(cat "$run/id").service" 2> /dev/null
    fi
    put_back "$kept/restoring" "$1" || return
    [ -d "$kept/previous" ] || mv -T "$kept/gone" "$kept/previous" 2> /dev/null
    exec 9> "$run.lock"
    flock 9 # no other change may begin while this one is cleared away
    sync -f "$kept" /etc
    # The unit last: what a power cut leaves of this, the next boot ends.
    mv -T "$kept/restoring" "$kept/gone" && rm -rf "$unit" "$wants" "$kept/gone"
    find "$run" -type f ! -name id ! -name why -delete # there may be a secret among it
    [ "$1" = boot ] || systemctl stop --no-block "bramble-guard-$(cat "$run/id").timer"
}

case $1 in
    arm | apply | confirm) "$@" ;;
    restore) restore now ;;
    boot) restore boot ;;
    put-back) put_back "$2" now ;;
esac
exit
