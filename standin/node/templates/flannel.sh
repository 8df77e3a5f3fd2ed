# The links, routes and files of flannel on a node; what is there already stays.
if ! ip link show flannel.1 > /dev/null 2>&1; then
    ip link add flannel.1 type vxlan id 1 local "$local" dev "$device" dstport 8472 nolearning || exit
    ip link set flannel.1 mtu 1450 up
    ip address add "$base/32" dev flannel.1
fi
if ! ip link show cni0 > /dev/null 2>&1; then
    ip link add cni0 mtu 1450 type bridge
    ip address add "$gateway" dev cni0
    ip link set cni0 up
fi
ip route show dev flannel.1 | while read -r there rest; do
    case " $others " in *" $${there%/*} "*) ;; *) ip route delete $$there dev flannel.1 ;; esac
done
for other in $others; do
    ip route show "$$other/$size" dev flannel.1 | grep -q . ||
        ip route replace "$$other/$size" via "$$other" dev flannel.1 onlink
done
[ -e "$PLUGIN" ] || { mkdir -p "${PLUGIN%/*}"; printf '%s\n' '#!/bin/sh' 'exit 1' > "$PLUGIN"; chmod 755 "$PLUGIN"; }
