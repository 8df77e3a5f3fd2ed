# Take copies of another node's backups: the only command that the control plane's key starts. Run by
# sh as the user bramble-backup.
#
# Arguments: how many of the newest are kept; what the control plane asks for: `list`, or
# `put NAME SHA256`, with the file on standard input. What is there is never replaced.

set -ef
umask 077
export LC_ALL=C
keep=$1
folder=/var/lib/bramble-backups
die() { echo "$1" >&2; exit 1; }
backups() { find "$folder" -maxdepth 1 \( -name '*Z.tar' -o -name '*Z.tar.age' \) -printf '%f\n'; }

# shellcheck disable=SC2086 # the words of the request; patterns are off
set -- $2
case "$1 $#" in
"list 1")
    backups
    exit
    ;;
"put 3") ;;
*) die "neither \`list\` nor \`put NAME SHA256\`" ;;
esac
name=$2
case $name in
.* | *[!A-Za-z0-9._-]*) die "not the name of a backup" ;;
*Z.tar | *Z.tar.age | *Z.tar.json | *Z.tar.age.json) ;;
*) die "not the name of a backup" ;;
esac
exec 9< "$folder"
flock -w 300 9 || die "another copy is being taken"
find "$folder" -maxdepth 1 -name '.new.*' -delete
new=$(mktemp "$folder/.new.XXXXXX")
trap 'rm -f "$new"' EXIT
cat > "$new"
[ "$(sha256sum < "$new" | cut -c1-64)" = "$3" ] || die "$name has not arrived completely"
if [ -e "$folder/$name" ] && [ -e "$folder/${name%.json}" ]; then
    cmp -s "$new" "$folder/$name" || die "there is another $name"
    exit
fi
sync "$new"
mv "$new" "$folder/$name"
sync "$folder"
[ "${name%.json}" = "$name" ] || exit 0
# One that is there encrypted and not encrypted counts once.
backups | grep -vxF -e "$name" | sed 's/.*-\([0-9TZ]*\)\.tar.*$/\1 &/' | sort -r |
    awk -v keep="$keep" '$1 != last { last = $1; n++ } n >= keep { print $2 }' | while read -r each; do
    rm -f "$folder/$each"
done
find "$folder" -maxdepth 1 -name '*.json' | while read -r each; do
    [ -e "${each%.json}" ] || rm -f "$each"
done
