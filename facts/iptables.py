"""iptables: live rules, back end, how it prints rules to be added, and what restores them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyinfra.api import FactProcessError, StringCommand

from facts.base import State, UnexpectedLine, WholeFact, ask, one_of, text_of
from facts.files import READ_FILES, FileState, parse_files
from messages import network

# Loads the rules ($1) in a network namespace, with the chains (standard input, without rules) and
# ipsets ($2) of others that they may refer to. The empty /run hides the sockets of name services
# (when rules are restored at boot there is only /etc/hosts) and the lock of a legacy iptables.
_TRIAL = """mount -t tmpfs tmpfs /run || exit; iptables-restore >/dev/null 2>&1;
[ -z "$2" ] || printf '%s\\n' "$2" | ipset restore >/dev/null 2>&1;
printf %s "$1" | iptables-restore --noflush 2>&1 >/dev/null | base64 -w0; echo;
iptables-save 2>/dev/null | base64 -w0; echo; echo ok"""

# Neither iptables-save creates a table by reading it. What it warns of may be written in the middle
# of a rule, and is left out. The legacy one is run only if the kernel has legacy tables.
_SCRIPT = (
    """export LC_ALL=C; u=$1 rules=$2 trial=$3; shift 3;
save() { if s=$("$1" 2>/dev/null); then echo ok; else echo failed; s=$("$1" 2>&1); fi;
printf '%s' "$s" | base64 -w0; echo; };
try() { sets=;
case $rules in *set*|*SET*) sets=$(ipset save 2>/dev/null | grep '^create ');; esac;
if t=$(printf '%s\\n' "$s" | grep -E '^(\\*|:[^ ]+ - |COMMIT)' |
unshare --net --mount sh -c "$trial" sh "$rules" "$sets" 2>&1);
then echo "$t"; else printf %s "$t" | base64 -w0; echo; echo; echo failed; fi; };
if command -v iptables-save >/dev/null; then iptables -V; save iptables-save;
if [ -n "$rules" ]; then try; else echo; echo; echo none; fi;
case $(iptables -V) in *nf_tables*) o=iptables-legacy-save;
grep -qs . /proc/net/ip_tables_names || o=;; *) o=iptables-nft-save;; esac;
if [ -n "$o" ] && command -v "$o" >/dev/null; then save "$o"; else echo ok; echo; fi;
else echo absent; for n in ok '' '' '' none ok ''; do echo "$n"; done; fi;
systemctl show -p UnitFileState -p NeedDaemonReload "$u" 2>/dev/null | tr '\\n' ' '; echo;
"""
    + READ_FILES
)
_VERSION = re.compile(r"^iptables v\S+(?: \((\w+)\))?$")


@dataclass(frozen=True)
class IptablesState(State):
    """
    + backend: "nf_tables" or "legacy"; None: iptables is not installed
    + rules: output of iptables-save
    + other: output of iptables-save of the other back end
    + enabled: whether the unit is started at boot
    + stale: whether systemd must reload the unit's file
    + files: the files in ``paths``
    + tried: output of iptables-save for the rules that were tried; None: none were
    + refusal: what iptables-restore printed about them
    """

    backend: str | None
    rules: str
    other: str
    enabled: bool
    stale: bool
    files: dict[str, FileState]
    tried: str | None = None
    refusal: str = ""


class Iptables(WholeFact[IptablesState]):
    """
    Read the rules of all IPv4 tables, and what restores the own ones.

    + unit: systemd unit that restores them
    + paths: files to read in the same execution
    + trial: rules to try in a network namespace: see ``OwnChains.trial``
    """

    def command(self, unit: str, paths: list[str], trial: str = "") -> StringCommand:
        self.paths = list(paths)
        return ask(_SCRIPT, unit, trial, _TRIAL, *self.paths)

    def parse(
        self,
        version: str,
        status: str,
        saved: str,
        words: str,
        tried: str,
        trial: str,
        other_status: str,
        other: str,
        unit: str,
        *files: str,
    ) -> IptablesState:
        known = _VERSION.match(version)
        if known is None and version != "absent":
            raise UnexpectedLine(version)
        for ended, text in ((status, saved), (other_status, other)):
            if one_of(ended, "ok", "failed") != "ok":
                raise FactProcessError(network.IPTABLES_FAILED(reason=_text(text).strip()))
        if trial == "failed":
            reason = _text(words).strip()
            raise FactProcessError(network.NO_NETWORK_NAMESPACE(reason=reason))
        return IptablesState(
            backend=(known[1] or "legacy") if known else None,
            rules=_text(saved),
            other=_text(other),
            tried=_text(tried) if trial == "ok" else None,
            refusal=_text(words),
            enabled="UnitFileState=enabled " in f"{unit} ",
            stale="NeedDaemonReload=yes" in unit,
            files=parse_files(files, self.paths),
        )


def _text(line: str) -> str:
    """Decode; bytes that are not UTF-8, which a comment may have, become ``\\xff``."""
    return text_of(line, "backslashreplace")
