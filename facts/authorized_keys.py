"""A user's authorized_keys, and what sshd requires of it, in one remote execution."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyinfra.api import StringCommand

from facts.base import State, UnexpectedLine, WholeFact, ask, one_of
from facts.files import READ_FILES, FileState, parse_files

# Prints the user's entry, group and home; sshd's settings for this user; the home, ~/.ssh and the
# two files. Only root can ask sshd for its settings.
_SCRIPT = (
    """u=$1; e=$(getent passwd "$u") || e=; echo "$e"; id -gn "$u" 2>/dev/null || echo;
h=$(echo "$e" | cut -d: -f6); s=$(command -v sshd || echo /usr/sbin/sshd);
s=$("$s" -T -C "user=$u,host=localhost,addr=127.0.0.1" 2>/dev/null);
echo "$s" | awk '{k=$1; sub(/^[^ ]* /, ""); is[k]=$0}
END {print is["authorizedkeysfile"]; print is["strictmodes"]}';
h=$(readlink -f "$h" || echo "$h"); echo "$h";
set -- "$h" "$h/.ssh" "$h/.ssh/authorized_keys" "$h/.ssh/authorized_keys2";
"""
    + READ_FILES
)


@dataclass(frozen=True)
class KeysState(State):
    """
    The keys of one user.

    + exists: whether the user exists; if not, nothing else is set
    + group: the user's primary group
    + path: ~/.ssh/authorized_keys, with the links of the home followed
    + patterns: sshd's AuthorizedKeysFile for this user; empty: sshd could not be asked
    + strict: sshd's StrictModes
    + home, directory, file: the home, ~/.ssh and the file
    + second: ~/.ssh/authorized_keys2, which sshd reads too by default
    """

    exists: bool
    group: str = ""
    path: str = ""
    patterns: list[str] = field(default_factory=list)
    strict: bool = True
    home: FileState | None = None
    directory: FileState | None = None
    file: FileState | None = None
    second: FileState | None = None


class AuthorizedKeys(WholeFact[KeysState]):
    """
    Read a user's authorized_keys; ``None`` when it could not be read.

    + user: name of the user
    """

    def command(self, user: str) -> StringCommand:
        return ask(_SCRIPT, user)

    def parse(
        self, entry: str, group: str, patterns: str, strict: str, home: str, *files: str
    ) -> KeysState:
        if not entry:
            return KeysState(False)
        if entry.count(":") != 6:  # passwd(5)
            raise UnexpectedLine(entry)
        path = f"{home}/.ssh/authorized_keys"
        paths = [home, f"{home}/.ssh", path, f"{path}2"]
        states = parse_files(files, paths)
        return KeysState(
            True,
            group,
            path,
            patterns.split(),
            one_of(strict, "yes", "no", "") != "no",
            *[states[path] for path in paths],
        )
