# The state of a node's network: saved into a folder, and restored from it. Sourced by guard.sh.
#
# FOLDER/paths, interfaces, prefixes  what to save: files, interfaces, prefixes of own iptables chains
#       /old/N, /old/N.at             the Nth path as it was, and the real path of its directory
#       /absent                       paths that did not exist, and missing directories above them
#       /rules                        output of iptables-save
#       /addresses.IF, routes.IF      what an interface had; up.IF, nm.IF: who had brought it up
#       /reload                       commands that make the restored files take effect

# FOLDER: save the paths, interfaces and chains that it lists.
save() {
    n=0
    while IFS= read -r path; do
        n=$((n + 1))
        folder=$(dirname -- "$path")
        realpath -m -- "$folder" > "$1/old/$n.at"
        if [ -L "$path" ] || [ -f "$path" ]; then
            cp -a -- "$path" "$1/old/$n" || return
        elif [ -d "$path" ]; then
            mkdir "$1/old/$n" && chown --reference="$path" "$1/old/$n" &&
                chmod --reference="$path" "$1/old/$n" || return
        else
            echo "$path"
            while [ ! -d "$folder" ]; do echo "$folder"; folder=$(dirname -- "$folder"); done
        fi
    done < "$1/paths" > "$1/absent"
    while read -r interface; do
        if ifquery --state "$interface" > /dev/null 2>&1; then : > "$1/up.$interface"; fi
        ! networkmanager_has "$interface" || : > "$1/nm.$interface"
        addresses "$interface" > "$1/addresses.$interface"
        routes "$interface" > "$1/routes.$interface"
    done < "$1/interfaces"
    rules > "$1/rules"
}

addresses() {
    ip -4 -o address show dev "$1" scope global 2> /dev/null | sed 's/.* inet \([^ ]*\).*/\1/' | own
}
# Without what keepalived gives to one node at a time: another one may have it by now.
own() {
    while read -r address; do
        grep -qs "^ *$address dev " /etc/keepalived/keepalived.conf || echo "$address"
    done
}
routes() { ip -4 route show dev "$1" 2> /dev/null | sed 's/ \(linkdown\|dead\)//g'; }
rules() { if command -v iptables-save > /dev/null; then iptables-save; fi; }
networkmanager() { systemctl is-active --quiet NetworkManager; }
networkmanager_has() {
    networkmanager || return
    case $(nmcli -t -f DEVICE,STATE device | sed -n "s/^$1://p") in
        '' | unmanaged | *externally*) return 1 ;;
    esac
}

# FOLDER now|boot: can be repeated. At boot only files are restored: the network is not up yet.
restore() {
    [ "$2" = boot ] || each "$1/interfaces" take_down
    n=0
    failed=
    while IFS= read -r path; do
        n=$((n + 1))
        restore_path "$path" "$1/old/$n" || failed=yes
    done < "$1/paths"
    while IFS= read -r path; do rmdir -- "$path" 2> /dev/null; done < "$1/absent"
    grep -q '^/etc/systemd/' "$1/paths" && systemctl daemon-reload
    [ "$2" != boot ] || { [ -z "$failed" ]; return; }
    while read -r prefix; do restore_rules "$prefix" "$1/rules"; done < "$1/prefixes"
    sh "$1/reload" < /dev/null
    state=$1
    if [ -s "$1/interfaces" ] && networkmanager; then
        systemctl reload NetworkManager
        nmcli connection reload
        each "$1/interfaces" give_back
        # It manages an interface that the files named when it started only after a restart.
        ! ls "$1"/nm.* > /dev/null 2>&1 || systemctl restart NetworkManager
    fi
    # It reads its configuration when it starts.
    [ ! -s "$1/interfaces" ] || ! systemctl is-active --quiet dhcpcd || systemctl restart dhcpcd
    each "$1/interfaces" bring_up
    [ -z "$failed" ]
}

each() { while read -r interface; do "$2" "$interface" < /dev/null; done < "$1"; }

# PATH SAVED: enters the directory first, since its owner may replace it with a link meanwhile.
restore_path() (
    folder=$(cat "$2.at")
    cd -P -- "$folder" 2> /dev/null || { [ ! -e "$2" ] && exit 0; mkdir -p -m 755 "$folder" && cd -P "$folder"; } ||
        exit 1
    [ "$(pwd -P)" = "$folder" ] || exit 1
    name=$(basename -- "$1")
    rm -f -- "./.$name".?????? # left by an interrupted attempt
    if [ ! -e "$2" ] && [ ! -L "$2" ]; then
        [ -d "./$name" ] || rm -f -- "./$name"
    elif [ -d "$2" ] && [ ! -L "$2" ]; then
        [ -L "./$name" ] || { chown --reference="$2" -- "./$name" && chmod --reference="$2" "./$name"; }
    else
        t=$(mktemp -u "./.$name.XXXXXX")
        cp -a -- "$2" "$t" && { [ -L "$t" ] || sync "$t"; } && mv -fT -- "$t" "./$name"
    fi
)

take_down() {
    timeout 20 ifdown --force "$1"
    [ ! -s "/run/dhclient.$1.pid" ] || kill "$(cat "/run/dhclient.$1.pid")" 2> /dev/null
    ip -4 address flush dev "$1" scope global
}
give_back() {
    if [ -e "$state/nm.$1" ]; then now=yes; else now=no; fi
    nmcli device set "$1" managed $now
}
bring_up() {
    [ ! -e "$state/up.$1" ] || timeout 40 ifup --force "$1"
    n=0
    until is_restored "$1" || [ $n = 20 ]; do
        n=$((n + 1))
        sleep 0.5
    done
    is_restored "$1" && return
    # Its manager did not bring it up: set the addresses, so that the node is reachable again.
    ip link set dev "$1" up
    own < "$state/addresses.$1" | while read -r address; do
        ip address replace "$address" brd + dev "$1"
    done
    # shellcheck disable=SC2086 # a route is several words
    while read -r route; do ip route replace $route dev "$1"; done < "$state/routes.$1"
}
is_restored() {
    addresses "$1" > "$run/addresses"
    own < "$state/addresses.$1" | grep -vxF -f "$run/addresses" && return 1
    routes "$1" | grep '^default' | sed 's/ metric.*//' > "$run/routes"
    ! grep '^default' "$state/routes.$1" | sed 's/ metric.*//' | grep -vxF -f "$run/routes"
}

# PREFIX FILE: restore own chains and the jumps to them from the output of iptables-save; other
# chains stay. Each table changes atomically.
restore_rules() {
    command -v iptables-save > /dev/null || return 0
    iptables-save > "$run/rules"
    for at in saved 1; do # where a jump cannot have its old place, it comes first
        awk -v p="$1-" -v at="$at" '
            /^\*/ { t = substr($0, 2); tables[t] = 1 }
            /^:/ && index($1, ":" p) == 1 { chain = substr($1, 2); was[FILENAME, t, chain] = 1
                if (!seen[t, chain]++) chains[t] = chains[t] " " chain }
            /^-A/ && index($2, p) == 1 && FILENAME == ARGV[1] { fill[t] = fill[t] $0 "\n" }
            /^-A/ && index($2, p) != 1 { line[FILENAME, t, $2]++
                if (index($NF, p) == 1 && ($(NF - 1) == "-j" || $(NF - 1) == "-g")) {
                    rest = substr($0, length("-A " $2) + 1)
                    if (FILENAME == ARGV[1]) {
                        k = at == "1" ? 1 : line[FILENAME, t, $2]
                        jump[t] = jump[t] "-I " $2 " " k rest "\n"
                    } else cut[t] = cut[t] "-D " $2 rest "\n" } }
            END { for (t in tables) { split(chains[t], names, " "); out = ""; gone = ""
                for (i in names) { c = names[i]
                    if ((ARGV[1], t, c) in was) out = out ":" c " - [0:0]\n"
                    else gone = gone "-F " c "\n-X " c "\n" }
                out = out cut[t] gone fill[t] jump[t]
                if (out != "") printf "*%s\n%sCOMMIT\n", t, out } }
        ' "$2" "$run/rules" > "$run/put"
        iptables-restore --wait --noflush < "$run/put" && return
    done
}
