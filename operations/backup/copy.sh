# Copy the backups of this control plane to another node, as far as that one lacks them. Run by sh as
# root, after archive.sh.
#
# Arguments: that node's address; the recipient of age for whom the copies are encrypted, if any.

set -e
umask 077
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
address=$1 recipient=$2
folder=/var/lib/bramble/backups
own=/etc/bramble/backup
die() { echo "$1" >&2; exit 1; }
there() {
    ssh -F /dev/null -i "$own-key" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=20 \
        -o UserKnownHostsFile="$own-known-hosts" -o GlobalKnownHostsFile=/dev/null \
        -o StrictHostKeyChecking=yes -o ServerAliveInterval=15 -o LogLevel=ERROR \
        "bramble-backup@$address" "$@"
}
digest() { sha256sum < "$1" | cut -c1-64; }
put() {
    sum=$(digest "$2")
    there put "$1" "$sum" < "$2"
}

exec 9< "$folder"
flock -w 900 9 || die "a backup is being made on this node"
new=$(mktemp -d "$folder/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 143' HUP INT TERM
there list > "$new/there" || die "$address does not take copies of the backups"
for archive in "$folder"/*Z.tar; do
    [ -s "$archive.json" ] || continue
    name=${archive##*/}
    sent=$archive
    if [ -n "$recipient" ]; then
        name=$name.age
        sent=$new/$name
    fi
    if ! grep -qxF -e "$name" "$new/there"; then
        if [ -n "$recipient" ]; then
            age --encrypt --recipient "$recipient" --output "$sent" "$archive"
            # The manifest without its last two lines, which are about the archive and itself.
            head -n -2 "$archive.json" > "$new/manifest"
            printf '"archive": {"sha256": "%s", "size": %s}' "$(digest "$sent")" \
                "$(stat -c %s "$sent")" >> "$new/manifest"
            sum=$(digest "$new/manifest")
            { cat "$new/manifest" && printf ',\n"sum": "%s"}\n' "$sum"; } > "$sent.json"
        fi
        put "$name.json" "$sent.json"
        put "$name" "$sent"
        echo "copied $name to $address"
        rm -f "$new/$name" "$new/$name.json"
    fi
    newest=${archive##*/}
done
echo "$newest" > "$new/copied"
sync "$new/copied"
mv "$new/copied" "$folder/.copied"
