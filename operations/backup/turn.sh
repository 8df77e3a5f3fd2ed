# Decide whether it is this control plane's turn to back up the cluster: its API server is well (which
# includes etcd), and that of none before it. Run by systemd, before archive.sh.
#
# Arguments: the address of this control plane; those of the ones before it.

own=$1
shift
is_well() { curl -sfk -m 10 -o /dev/null "https://$1:6443/livez"; }
# Until all have started, after a power cut.
i=0
until is_well "$own"; do
    i=$((i + 1))
    [ $i -lt 60 ] || { echo "skipped: the API server of this node is not well" >&2; exit 1; }
    sleep 10
done
i=0
while [ $i -lt 6 ]; do
    for each in "$@"; do
        ! is_well "$each" || { echo "skipped: $each makes this backup" >&2; exit 1; }
    done
    [ $# -gt 0 ] || exit 0
    i=$((i + 1))
    sleep 10
done
