"""What a node can reach over its network: other nodes, package servers, registries."""

from __future__ import annotations

from pyinfra.api import StringCommand

from facts.base import UnexpectedLine, WholeFact, ask, text_of

# For an answer; all are asked at once, over a slow Wi-Fi maybe. The short time is for what probably
# can't answer yet: a lost packet of a new connection is sent again after 1 and after 3 s.
SECONDS, SHORT = 10, 4

# apt's own helper uses apt's proxies and certificates, and every Debian has it; containerd does not
# use apt's proxy for a registry. What is fetched is in memory, and removed at the end.
# `update --print-uris` fetches nothing.
_SCRIPT = """d=$(mktemp -d /run/bramble-reach-XXXXXX) || exit; n=0; s=$4;
say() { echo "$1 $(printf '%s\\n%s' "$2" "$3" | base64 -w0)" > "$d/$4.said"; };
address() { e=$(timeout "$s" bash -c 'exec 3<>"/dev/tcp/${1%:*}/${1##*:}"' sh "$1" 2>&1);
case $? in 0) e=;; 124) e="no answer in $s s";; *) e=$(echo "$e" | tail -n1);
e=${e##*: };; esac; say address "$1" "$e" "$2"; };
url() { k=$1; u=$2; f=$d/$3; shift 3; e=$(timeout $((s+1)) /usr/lib/apt/apt-helper \
-o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::http::Timeout="$s" \
-o Acquire::https::Timeout="$s" "$@" download-file "$u" "$f" 2>&1);
case $? in 0) e=;; 124) e="no answer in $((s+1)) s";;
*) e=$(echo "$e" | sed -n 's/^E: Failed to fetch [^ ]* *//p' | grep -m1 . ||
echo "$e" | grep . | tail -n1); e=${e:-apt-helper failed};; esac;
say "$k" "$u" "$e" "${f##*/}"; };
for a in $1; do n=$((n+1)); address "$a" $n & done;
for u in $({ echo "$2" | tr ' ' '\\n'; apt-get update --print-uris 2>/dev/null |
cut -d"'" -f2; } |
grep '://.*/InRelease$' | awk -F/ '!seen[$3]++'); do n=$((n+1)); url archive "$u" $n & done;
for u in $3; do n=$((n+1)); url registry "$u" $n -o Acquire::http::Proxy=DIRECT \
-o Acquire::https::Proxy=DIRECT & done;
wait; cat "$d"/*.said 2>/dev/null; rm -rf "$d\""""


class Reach(WholeFact[dict[str, dict[str, str]]]):
    """
    What answers and what does not: ``{"archive": {"http://…/InRelease": "", …}, …}``, for the kinds
    "address", "archive" and "registry". The text is why there is no answer, "" when there is one;
    an error from a server is an answer.

    + addresses: ``ADDRESS:PORT``, TCP
    + archives: files of package repositories, besides those that the node's apt knows
    + registries: URLs
    + seconds: to wait for an answer
    """

    def command(
        self,
        addresses: list[str],
        archives: list[str],
        registries: list[str],
        seconds: int = SECONDS,
    ) -> StringCommand:
        targets = [" ".join(each) for each in (addresses, archives, registries)]
        return ask(_SCRIPT, *targets, str(seconds))

    def parse(self, *lines: str) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {"address": {}, "archive": {}, "registry": {}}
        for line in lines:
            kind, said = line.split()
            if kind not in found:
                raise UnexpectedLine(line)
            target, _, why = text_of(said, "replace").partition("\n")
            found[kind][target] = _reason(why)
        return found


def _reason(said: str) -> str:
    """The error without the address in it; "" for an answer of the server."""
    return "" if said.startswith(("401", "404")) else said.partition(" [IP:")[0].strip()
