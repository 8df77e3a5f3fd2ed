"""
Files written whole: private, atomic, one command, the content on standard input.
"""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand

from facts.files import Files, FileState
from operations.base import Commands, HostFailure, declare, diff, operation, plan_change, read

# The new file is made beside the target, so that the rename at the end stays on one file system;
# a power cut leaves the old file or the new one, never half of one. ``.`` hides it from directories
# that are read whole by a name pattern (interfaces.d, sshd_config.d, sysctl.d).
_WRITE = """umask 077; d=$(dirname -- "$1");
why=$({ (umask 022; mkdir -p -- "$d") && t=$(mktemp -- "$d/.$(basename -- "$1").XXXXXX") \
&& trap 'rm -f -- "$t"' EXIT && cat > "$t" && chown -- "$3" "$t" && chmod -- "$2" "$t" \
&& sync -- "$t" && mv -fT -- "$t" "$1" && sync -- "$d"; } 2>&1) && exit 0;
case "$why" in *"No space left"*) why='its disk is full: make room \
(`df -h`, `sudo apt-get clean`), then run this again';; esac;
printf %s "could not write $1: $why" >&2; exit 1"""


def write_command(path: str, text: str, mode: str, user: str, group: str) -> StringCommand:
    """
    The one command that puts a text into a file.

    + path: absolute; missing parent directories are made with mode 755
    + text: the whole content; goes by standard input, never through an argument list or a log
    + mode: octal, such as ``"644"``
    + user, group: the owner
    """

    try:
        text.encode()
    except UnicodeEncodeError as error:  # pyinfra would end the whole run with it
        line = text.count("\n", 0, error.start) + 1
        raise HostFailure(
            f"{path}, line {line} is not in UTF-8: change it, then run this again"
        ) from None
    return StringCommand(
        "sh",
        "-c",
        QuoteString(_WRITE),
        "write",
        QuoteString(path),
        QuoteString(mode),
        QuoteString(f"{user}:{group}"),
        _stdin=text,
    )


def differs(now: FileState, text: str, mode: str, user: str, group: str) -> bool:
    """Whether a path is not yet the regular file that is wanted."""
    wanted = ("file", text, mode, user, group)
    return (now.kind, now.text, now.mode, now.user, now.group) != wanted


def ensure(
    path: str,
    text: str | None,
    mode: str = "644",
    user: str = "root",
    group: str = "root",
    secret: bool = False,
    now: FileState | None = None,
    resource: str | None = None,
) -> Commands:
    """
    Bring a file to the wanted content and owner; for use inside other operations.

    + path: absolute path
    + text: the whole content; None: the file shall not be there
    + mode: octal, such as ``"644"``
    + user, group: the owner
    + secret: never show the content
    + now: its state, when the caller has read it already
    + resource: what it is among the resources that are managed; None: the file at that path

    A link, a directory or a bind mount at that path is refused: it is not ours to replace.
    """

    now = now or read(Files, paths=[path])[path]
    resource = resource or f"file {path}"
    declare(resource)
    if now.kind in ("link", "directory", "other") or now.mounted:
        what = "mount point" if now.mounted else now.kind
        raise HostFailure(f"{path} is a {what}, not a plain file: remove it, then run this again")
    if text is None:
        if now.kind == "absent":
            return
        diff(path, now.text, None, secret, resource)
        yield StringCommand("rm", "-f", "--", QuoteString(path))
    elif differs(now, text, mode, user, group):
        if now.text == text:
            now_is = f"{now.mode} {now.user}:{now.group}"
            plan_change(f"make {path} {mode} {user}:{group} (it is {now_is})", resource)
        else:
            diff(path, now.text, text, secret, resource)
        yield write_command(path, text, mode, user, group)


@operation()
def file(
    path: str,
    text: str | None,
    mode: str = "644",
    user: str = "root",
    group: str = "root",
    secret: bool = False,
) -> Commands:
    """
    A file with exactly this content, or no file.

    + path: absolute path
    + text: the whole content; None: the file shall not be there
    + mode: octal, such as ``"644"``
    + user, group: the owner
    + secret: never show the content

    **Example:**

    .. code:: python

        files.file(
            name="Forward between the interfaces, also after a reboot",
            path="/etc/sysctl.d/60-bramble.conf",
            text="net.ipv4.ip_forward = 1\\n",
        )
    """

    changed = False
    for command in ensure(path, text, mode, user, group, secret):
        changed = True
        yield command
    if not changed:
        host.noop(f"{path} is up to date")
