"""sshd's configuration: password logins."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import QuoteString

from facts.sshd import PATH, Sshd
from messages import access
from operations import files, guard
from operations.base import Commands, HostFailure, declare, plan_change, read
from operations.guard import Step

_TEXT = """# Written by bramble, which replaces it at its next run.
PasswordAuthentication {word}
KbdInteractiveAuthentication {word}
"""

# sshd checks its configuration before the reload: a running sshd ignores a broken file, but after a
# reboot it would not start with it.
_RELOAD = """s=$(command -v sshd || echo /usr/sbin/sshd);
why=$("$s" -t 2>&1) || { echo "sshd rejects its configuration: $why"; exit 1; };
[ -z "$1" ] || "$s" -T | grep -qx "passwordauthentication $1" || {
echo "PasswordAuthentication is set elsewhere: remove it from /etc/ssh/sshd_config before its \
Include line, and from files of sshd_config.d that are read earlier"; exit 1; };
systemctl reload ssh"""


@guard.operation
def passwords(allowed: bool | None) -> Commands:
    """
    Allow or forbid password logins over SSH.

    + allowed: False: keys only; None: as the rest of sshd's configuration says

    It is a guarded change that is confirmed by a login with a key: if that fails, passwords stay.
    """
    now = read(Sshd)
    if not now.installed:
        raise HostFailure(access.NO_SSHD())
    word = "" if allowed is None else "yes" if allowed else "no"
    text = _TEXT.format(word=word) if word else None
    steps = list(files.ensure(PATH, text, now=now.file))
    live = ["setting SSH password logins"] if word else []
    declare(*live)
    right = not word or (now.passwords, now.dialogues) == (word, word)
    if not steps and right:
        host.noop("SSH password logins are up to date")
        return
    described = {"yes": "allow SSH password logins", "no": "forbid SSH password logins"}
    plan_change(
        described.get(word, "remove the setting of SSH password logins"),
        *([] if right else live),
    )
    yield from guard.as_steps(steps, PATH, what="sshd's configuration", network=False)
    yield Step(
        "sh",
        "-c",
        QuoteString(_RELOAD),
        "reload",
        QuoteString(word),
        what="sshd's configuration",
        reload="systemctl reset-failed ssh; systemctl reload-or-restart ssh",
        network=False,
    )
