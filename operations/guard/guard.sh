# Rollback guard, on the node: a network change that is rolled back unless it is confirmed.
# Run by sh as root, sent along with each change. docs/network-guard.md describes it.
#
# /var/lib/bramble/guard/pending    the state before a change that is not confirmed yet
#                       /restoring  the same, while it is rolled back
#                       /previous   the state before the last confirmed change: for deploys/undo.py
#                       /access     the same of a change of keys or sshd, for a moment
# /run/bramble/guard                the change in progress; removed by the confirmation
#             /guard.confirmed      id of the last confirmed change since boot
#
# State changes are atomic renames: the loser of a race (timer or operator) finds no directory.
# Reasons are lines `CODE|name=value…`: a message and its values (messages/network.py), or a text.

export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
kept=/var/lib/bramble/guard
run=/run/bramble/guard
unit=/etc/systemd/system/bramble-guard.service
wants=/etc/systemd/system/sysinit.target.wants/bramble-guard.service

here=$(dirname -- "$0")
. "$here/state.sh"

die() { echo "$1" >&2; exit 1; }

# --- begin ---------------------------------------------------------------------------------------

# SECONDS FOLDER new|previous: save the state, set the timer, start the change in FOLDER outside of
# any session. The third argument names the state whose abilities are expected afterwards.
begin() {
    mkdir -p -m 755 "${kept%/*}" && mkdir -p -m 700 "$kept" || die "NET025|path=/var"
    exec 9> "$run.lock"
    flock -n 9 || die "NET024"
    for at in pending restoring; do
        [ ! -d "$kept/$at" ] || die "NET020|change=$(cat "$kept/$at/what")"
    done
    rm -rf "$kept/new" "$kept/gone" "$kept/access"
    mkdir "$kept/new" "$kept/new/old" &&
        (cd "$2" && cp guard.sh state.sh id what address paths interfaces prefixes reload \
            default-routes entries network "$kept/new/") && save "$kept/new" ||
        die "NET025|path=/var"
    [ ! -s "$2/network" ] || observe > "$kept/new/before"
    cp "$kept/${3:-new}/before" "$kept/new/expected" 2> /dev/null
    write_unit "$kept/new" || die "cannot write $unit"
    rm -rf "$run"
    cp -r "$2" "$run" || { rm -rf "$run"; die "NET025|path=/run"; }
    id=$(cat "$run/id")
    sync -f "$kept" "$unit"
    mv -T "$kept/new" "$kept/pending" && sync "$kept" || die "cannot write $kept/pending"
    # KillMode: what ifup leaves running (dhclient, wpa_supplicant) must outlive this service. It
    # also keeps the unit's name in use: hence the random id in it.
    systemd-run --quiet --collect --unit="bramble-guard-$id" --on-active="$1s" \
        --description="Roll back the change of $(cat "$2/what") unless it is confirmed" \
        --timer-property=AccuracySec=100ms --property=KillMode=process \
        --property=Restart=on-failure --property=RestartSec=2 \
        --property=StartLimitIntervalSec=1h --property=StartLimitBurst=3 -- sh "$run/guard.sh" rollback &&
        systemctl is-active --quiet "bramble-guard-$id.timer" ||
        { cancel; die "cannot start the rollback timer; nothing was changed"; }
    systemd-run --quiet --collect --unit="bramble-change-$id" --property=KillMode=process \
        --description="The change of $(cat "$2/what")" -- sh "$run/guard.sh" apply ||
        { cancel; die "cannot start the change; nothing was changed"; }
}

cancel() {
    systemctl stop "bramble-guard-$(cat "$run/id").timer"
    mv -T "$kept/pending" "$kept/gone" && rm -rf "$kept/gone" "$run" "$unit" "$wants"
}

# FOLDER: the unit has to run before anything that reads what it restores.
write_unit() {
    services=$(sed -n 's,^/etc/systemd/system/\([^/]*\.service\)$,\1,p' "$1/paths" | tr '\n' ' ')
    mkdir -p -m 755 "${wants%/*}"
    cat > "$unit" << .
# Written by bramble, removed when the change is confirmed or rolled back.
[Unit]
Description=Roll back an unconfirmed change of the network
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
ExecStart=-/bin/sh $kept/pending/guard.sh boot
ExecStart=-/bin/sh $kept/restoring/guard.sh boot
ExecStart=/bin/sh -c 'test -d $kept/restoring || rm -f $unit $wants'
.
    chmod 644 "$unit" && ln -sfT "$unit" "$wants"
}

# --- apply ---------------------------------------------------------------------------------------

apply() {
    sleep 0.3 # let the session that started it hear so before the connection is cut
    sh "$run/apply.sh" < /dev/null > "$run/log" 2>&1
    status=$?
    cat "$run/log"
    if [ "$status" = 0 ]; then
        echo applied > "$run/new" && mv "$run/new" "$run/result"
    else
        rollback_now "$(grep . "$run/log" | tail -n 1)"
    fi
}

# REASON: does not wait for the timer.
rollback_now() {
    echo "${1:-a command failed without output}" > "$run/reason"
    systemctl start --no-block "bramble-guard-$(cat "$run/id").service"
}

# --- confirm -------------------------------------------------------------------------------------

# Confirms the change if the node can do all that it could before, and all that the change asks for.
confirm() {
    exec 2> /dev/null
    if [ -s "$kept/pending/network" ]; then
        reason=$(failed_check)
        [ -z "$reason" ] || { rollback_now "$reason"; echo "$reason"; return; }
    fi
    sync -f "$kept" /etc
    rm -rf "$kept/gone" "$kept/access"
    # Access-only changes (keys, sshd) are not kept for undo.
    to=access
    [ ! -s "$kept/pending/network" ] || { to=previous; mv -T "$kept/previous" "$kept/gone"; }
    mv -T "$kept/pending" "$kept/$to" || {
        [ "$to" = access ] || mv -T "$kept/gone" "$kept/previous"
        echo late
        return
    }
    sync "$kept"
    mv "$run/id" "$run.confirmed"
    systemctl stop "bramble-guard-$(cat "$run.confirmed").timer"
    rm -rf "$unit" "$wants" "$kept/gone" "$kept/access" "$run"
    echo confirmed
}

# Prints what the network can do, a line each.
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
# Asks for the node's own package archive: a name that it needs.
resolves() {
    name=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null |
        sed -nE 's,^(deb |URIs:).*https?://([^/: ]*[a-z])[:/ ].*,\2,p' | head -n 1)
    timeout 3 getent ahostsv4 "${name:-deb.debian.org}" > /dev/null
}

# Prints why the change cannot be confirmed; nothing if it can.
failed_check() {
    expected=$kept/pending/expected
    desired=$kept/pending/default-routes
    while read -r interface gateway; do
        [ -n "$gateway" ] || continue
        ip -4 route show default dev "$interface" | grep -qF "via $gateway " ||
            { echo "NET027|interface=$interface|gateway=$gateway"; return; }
    done < "$desired"
    for gateway in $(gateways); do
        grep -qxF "mute $gateway" "$expected" || answers "$gateway" || answers "$gateway" ||
            { echo "NET026|gateway=$gateway"; return; }
    done
    # Losing the default route is allowed only if the change removes every interface that had one.
    keeps=$(grep ' .' "$desired")
    for had in $(sed -n 's/^default //p' "$expected"); do
        grep -qx "$had " "$desired" || keeps=yes
    done
    [ -n "$keeps" ] || return
    [ -n "$(ip -4 route show default)" ] || { echo NET028; return; }
    grep -qx names "$expected" || return
    for again in 1 2 3; do
        ! resolves || return
        sleep 1
    done
    echo NET029
}

# --- roll back -----------------------------------------------------------------------------------

# now|boot: takes over the pending change, or continues a rollback that a power cut interrupted.
rollback() {
    mv -T "$kept/pending" "$kept/restoring" 2> /dev/null || [ -d "$kept/restoring" ] || return 0
    if [ "$1" = boot ]; then
        mkdir -p "$run" && cp "$kept/restoring/id" "$run/"
        echo NET063 > "$run/reason"
    else
        systemctl kill --signal=KILL "bramble-change-$(cat "$run/id").service" 2> /dev/null
        systemctl stop "bramble-change-$(cat "$run/id").service" 2> /dev/null
    fi
    restore "$kept/restoring" "$1" || return
    [ -d "$kept/previous" ] || mv -T "$kept/gone" "$kept/previous" 2> /dev/null
    exec 9> "$run.lock"
    flock 9 # no other change may begin during the cleanup
    sync -f "$kept" /etc
    # The unit goes last: after a power cut, the next boot finishes this.
    mv -T "$kept/restoring" "$kept/gone" && rm -rf "$unit" "$wants" "$kept/gone"
    find "$run" -type f ! -name id ! -name reason -delete # they may hold a secret
    [ "$1" = boot ] || systemctl stop --no-block "bramble-guard-$(cat "$run/id").timer"
}

case $1 in
    begin | apply | confirm) "$@" ;;
    rollback) rollback now ;;
    boot) rollback boot ;;
    restore) restore "$2" now ;;
esac
exit
