"""
sshd: what its configuration says of passwords, and our own file of it, in one remote execution.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask, one_of
from facts.files import READ_FILES, FileState, parse_files

# Before cloud-init's 50-cloud-init.conf: of a setting, sshd takes the first that it meets.
PATH = "/etc/ssh/sshd_config.d/10-bramble.conf"

_SCRIPT = (
    """s=$(command -v sshd || echo /usr/sbin/sshd);
[ -x "$s" ] && echo yes || echo no;
"$s" -T 2>/dev/null | sed -n 's/^passwordauthentication //p' | grep . || echo;
"$s" -T 2>/dev/null | sed -n 's/^kbdinteractiveauthentication //p' | grep . || echo;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class SshdState(State):
    """
    + installed: whether there is an sshd
    + passwords, dialogues: "yes" or "no" by all of its configuration (a dialogue is how PAM asks
      for a password); empty when it does not understand it
    + file: our own
    """

    installed: bool
    passwords: str
    dialogues: str
    file: FileState


class Sshd(WholeFact[SshdState]):
    """What sshd takes besides keys; ``None`` when it could not be read."""

    @override
    def command(self) -> StringCommand:
        return ask(_SCRIPT, PATH)

    @override
    def parse(self, installed: str, passwords: str, dialogues: str, *file: str) -> SshdState:
        state = parse_files(file, [PATH])[PATH]
        return SshdState(
            one_of(installed, "yes", "no") == "yes",
            one_of(passwords, "yes", "no", ""),
            one_of(dialogues, "yes", "no", ""),
            state,
        )
