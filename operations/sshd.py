"""
sshd's configuration: whether it takes passwords.
"""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import QuoteString

from facts.sshd import PATH, Sshd
from operations import files, guard
from operations.base import Commands, HostFailure, declare, plan_change, read
from operations.guard import Step

_TEXT = """# Written by bramble: what it wrote here is replaced at its next run.
PasswordAuthentication {word}
KbdInteractiveAuthentication {word}
"""

# sshd is asked before it has to live with it. A running one that can't read its files goes on as
# it was, but does not come up again.
_RELOAD = """s=$(command -v sshd || echo /usr/sbin/sshd);
why=$("$s" -t 2>&1) || { echo "sshd does not understand its configuration: $why"; exit 1; };
[ -z "$1" ] || "$s" -T | grep -qx "passwordauthentication $1" || {
echo "sshd takes its PasswordAuthentication from elsewhere: look for that word in \
/etc/ssh/sshd_config before its Include line, and in the first files of sshd_config.d"; exit 1; };
systemctl reload ssh"""


@guard.operation
def passwords(allowed: bool | None) -> Commands:
    """
    Whether SSH takes passwords beside keys.

    + allowed: False: only who has a key comes in; None: as the rest of sshd's configuration says

    It goes through the guard, which wants a new connection by key: where a key does not open the
    node, passwords stay.

    **Example:**

    .. code:: python

        sshd.passwords(name="Keys only", allowed=False)
    """

    now = read(Sshd)
    if not now.installed:
        raise HostFailure("there is no sshd here to forbid passwords to: install openssh-server")
    word = "" if allowed is None else "yes" if allowed else "no"
    text = _TEXT.format(word=word) if word else None
    steps = list(files.ensure(PATH, text, now=now.file))
    live = ["setting passwords over SSH"] if word else []
    declare(*live)
    right = not word or (now.passwords, now.dialogues) == (word, word)
    if not steps and right:
        host.noop("sshd takes passwords as wanted")
        return
    said = {"yes": "let SSH take passwords", "no": "let SSH take keys only"}
    plan_change(
        said.get(word, "leave passwords over SSH to the image's own files"),
        *([] if right else live),
    )
    yield from guard.keeping(steps, PATH, what="sshd's configuration", network=False)
    yield Step(
        "sh",
        "-c",
        QuoteString(_RELOAD),
        "reload",
        QuoteString(word),
        what="sshd's configuration",
        live="systemctl reset-failed ssh; systemctl reload-or-restart ssh",
        network=False,
    )
