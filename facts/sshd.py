"""sshd's configuration of password logins, in one remote execution."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of
from facts.files import READ_FILES, FileState, parse_files

# Sorts before 50-cloud-init.conf of cloud-init: sshd uses the first value of a setting.
PATH = "/etc/ssh/sshd_config.d/10-bramble.conf"

_SCRIPT = (
    """s=$(command -v sshd || echo /usr/sbin/sshd);
[ -x "$s" ] && echo yes || echo no;
"$s" -T 2>/dev/null | awk '{is[$1]=$2} END {print is["passwordauthentication"];
print is["kbdinteractiveauthentication"]}';
"""
    + READ_FILES
)


@dataclass(frozen=True)
class SshdState(State):
    """
    + installed: whether sshd is installed
    + passwords, dialogues: PasswordAuthentication and KbdInteractiveAuthentication in effect, "yes"
      or "no"; "": sshd rejects its configuration
    + file: bramble's own
    """

    installed: bool
    passwords: str
    dialogues: str
    file: FileState


class Sshd(WholeFact[SshdState]):
    """Read whether sshd accepts passwords; ``None`` when that failed."""

    script = (_SCRIPT, PATH)

    def parse(self, installed: str, passwords: str, dialogues: str, *file: str) -> SshdState:
        state = parse_files(file, [PATH])[PATH]
        return SshdState(
            one_of(installed, "yes", "no") == "yes",
            one_of(passwords, "yes", "no", ""),
            one_of(dialogues, "yes", "no", ""),
            state,
        )
