# Make a backup on the control plane: an archive as in formats/backup.py, for root alone, and its
# manifest beside it. Run by sh as root.
#
# Arguments: how many of the newest are kept; the cluster's name, as it is and as a part of a file's
# name; the node's name and address. It prints what it does ("step: …"), and at last the archive's path.
#
# A backup has its name when all of it is on the disk. What an interrupted one leaves, the next one
# removes.

set -e
umask 077
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
keep=$1 cluster=$2 part=$3 node=$4 address=$5
folder=/var/lib/bramble/backups
files=/etc/kubernetes
data=/var/lib/etcd
die() { echo "$1" >&2; exit 1; }

mkdir -p "$folder"
chmod 700 "$folder"
exec 9< "$folder"
flock -w 900 9 || die "another backup is being made on this node"
for each in "$folder"/*.json; do
    [ -e "${each%.json}" ] || rm -f "$each"
done
# The container of etcd has no shell, and sees two directories of the node: the snapshot goes
# through the data directory.
scratch=$data/bramble-snapshot
rm -rf "$scratch" "$folder"/.new.*
new=$(mktemp -d "$folder/.new.XXXXXX")
trap 'rm -rf "$scratch" "$new"' EXIT
trap 'exit 143' HUP INT TERM
mkdir "$scratch"

running=$(ctr -n k8s.io tasks ls | awk '$3 == "RUNNING" { print $1 }')
container=$(ctr -n k8s.io containers ls -q 'labels."io.kubernetes.container.name"==etcd,labels."io.cri-containerd.kind"==container' |
    grep -xF -e "$running" | head -n 1) || :
[ -n "$container" ] || die "no container of etcd runs"
count=0
etcd() {
    count=$((count + 1))
    ctr -n k8s.io tasks exec --exec-id "bramble-$$-$count" "$container" "$@" < /dev/null
}
etcdctl() {
    etcd etcdctl --endpoints https://127.0.0.1:2379 --cacert "$files/pki/etcd/ca.crt" \
        --cert "$files/pki/etcd/healthcheck-client.crt" \
        --key "$files/pki/etcd/healthcheck-client.key" --command-timeout=300s "$@"
}

taken=$(date -u +%Y%m%dT%H%M%SZ)
while [ -e "$folder/$part-$taken.tar" ]; do
    sleep 1
    taken=$(date -u +%Y%m%dT%H%M%SZ)
done
echo "step: saving the objects of the cluster"
etcdctl snapshot save "$scratch/etcd.db" > /dev/null
revision=$(etcd etcdutl snapshot status "$scratch/etcd.db" -w json |
    sed -n 's/.*"revision":\([0-9]*\).*/\1/p')
# Of this member alone: what is left of an etcd without a majority can be saved too.
objects=$(etcdctl get /registry/ --prefix --count-only --consistency=s --rev "$revision" -w fields |
    sed -n 's/^"Count" : \([0-9]*\)$/\1/p')
[ -n "$objects" ] || die "the objects of the snapshot were not counted"

# etcdutl's status says nothing about damage: only a restore compares the checksum.
echo "step: restoring them into a scratch directory, as a proof"
etcd etcdutl snapshot restore "$scratch/etcd.db" --data-dir "$scratch/restored" > /dev/null
[ -d "$scratch/restored/member" ] || die "the snapshot cannot be restored"
rm -rf "$scratch/restored"
cp "$scratch/etcd.db" "$new/etcd.db"
cmp -s "$scratch/etcd.db" "$new/etcd.db" || die "the copy of the snapshot differs"

# All files but those that kubeadm makes again.
mkdir "$new/kubernetes"
(cd "$files" && find -L . \( -path ./tmp -o -path ./pki/etcd/server.crt -o -path ./pki/etcd/server.key \
    -o -path './pki/apiserver*' -o -path './pki/front-proxy-client.*' -o -path './pki/etcd/peer.*' \
    -o -path './pki/etcd/healthcheck-client.*' -o -path ./admin.conf -o -path ./super-admin.conf \
    -o -path ./kubelet.conf -o -path ./bootstrap-kubelet.conf -o -path ./scheduler.conf \
    -o -path ./controller-manager.conf -o -path ./manifests/etcd.yaml -o -name .kubelet-keep \
    -o -path './manifests/kube-*.yaml' \) -prune -o -type f -print) | sort > "$new/files"
while read -r each; do
    mkdir -p "$new/kubernetes/${each%/*}"
    cat "$files/$each" > "$new/kubernetes/$each"
done < "$new/files"
for each in pki/ca.crt pki/ca.key pki/front-proxy-ca.crt pki/front-proxy-ca.key pki/sa.key pki/sa.pub \
    pki/etcd/ca.crt pki/etcd/ca.key kubeadm-config.yaml; do
    [ -s "$new/kubernetes/$each" ] || die "$files/$each is missing"
done

text() { printf '"%s"' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"; }
digest() { printf '{"sha256": "%s", "size": %s}' "$(sha256sum < "$1" | cut -c1-64)" "$(stat -c %s "$1")"; }
image() { sed -n 's/^ *\(- \)\{0,1\}image: *//p' "$files/manifests/$1.yaml" | tr -d "\"'" | head -n 1; }
version=$(image kube-apiserver | sed -n 's/.*:v\([0-9.]*\).*/\1/p')
endpoint=$(sed -n 's/^controlPlaneEndpoint: *//p' "$files/kubeadm-config.yaml" | tr -d "\"'")
runtime=$(containerd --version | awk '{ print $3 }')
authority=$(sed -n '/BEGIN CERT/,/END CERT/{/-----/!p;}' "$files/pki/ca.crt" | base64 -d | sha256sum | cut -c1-64)
sed 's|^\./|kubernetes/|' "$new/files" | sed '1i etcd.db' > "$new/members"
{
    printf '{"format": 1, "cluster": %s, "ca": "%s", "endpoint": %s,\n' "$(text "$cluster")" "$authority" \
        "$(text "$endpoint")"
    printf '"node": %s, "address": %s, "kubernetes": "%s", "etcd": %s,\n' "$(text "$node")" \
        "$(text "$address")" "$version" "$(text "$(image etcd)")"
    printf '"containerd": %s, "taken": "%s", "objects": %s, "revision": %s, "proved": true,\n"members": {' \
        "$(text "$runtime")" "$taken" "$objects" "$revision"
    comma=
    while read -r each; do
        printf '%s\n%s: %s' "$comma" "$(text "$each")" "$(digest "$new/$each")"
        comma=,
    done < "$new/members"
    printf '}'
} > "$new/manifest"
# The text of a manifest, with its own checksum.
sealed() { cat "$1" && printf ',\n"sum": "%s"}\n' "$(sha256sum < "$1" | cut -c1-64)"; }
sealed "$new/manifest" > "$new/manifest.json"
sed -i '1i manifest.json' "$new/members"
name=$part-$taken.tar
tar -C "$new" --no-recursion --verbatim-files-from -cf "$new/$name" -T "$new/members"
printf ',\n"archive": %s' "$(digest "$new/$name")" >> "$new/manifest"
sealed "$new/manifest" > "$new/$name.json"
sync "$new/$name" "$new/$name.json"
mv "$new/$name.json" "$folder"
mv "$new/$name" "$folder"
sync "$folder"
# The clock may have been ahead once: the one just made stays.
find "$folder" -maxdepth 1 -name '*Z.tar' ! -name "$name" -printf '%f\n' |
    sed 's/.*-\([0-9TZ]*\)\.tar$/\1 &/' | sort -r | awk -v keep="$keep" 'NR >= keep { print $2 }' |
    while read -r each; do
        rm -f "$folder/$each" "$folder/$each.json"
    done
echo "$folder/$name"
