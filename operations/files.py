"""
Files on a node, written whole by one command: private, atomic, content by standard input.

pyinfra's ``files.put`` takes three executions, leaves a readable copy in /tmp, and is not atomic.
"""

from __future__ import annotations

from shlex import quote

from pyinfra.api import QuoteString, StringCommand
from pyinfra.context import ctx_host

from facts.files import Files, FileState
from facts.node_record import KEPT
from formats.node_record import Entry, fingerprint
from messages import nodes
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    diff,
    note_removed,
    plan_change,
    read,
)
from operations.node_record import ChangedSince, was_changed

# Quoted for the shell, but for its variables: there are commands in a message.
_PATH, _REASON = "$1", "$why"
_FULL, _FAILED = (
    quote(said).replace(_PATH, f"'\"{_PATH}\"'").replace(_REASON, f"'\"{_REASON}\"'")
    for said in (nodes.DISK_FULL(path=_PATH), nodes.WRITE_FAILED(path=_PATH, reason=_REASON))
)
# A temporary file beside the target and a rename: a power cut leaves the old file or the new one.
# Its leading dot hides it from programs that read a directory by name pattern (interfaces.d).
_WRITE = f"""umask 077; d=$(dirname -- "$1");
why=$({{ (umask 022; mkdir -p -- "$d") && t=$(mktemp -- "$d/.$(basename -- "$1").XXXXXX") \
&& trap 'rm -f -- "$t"' EXIT && cat > "$t" && chown -- "$3" "$t" && chmod -- "$2" "$t" \
&& sync -- "$t" && mv -fT -- "$t" "$1" && sync -- "$d"; }} 2>&1) && exit 0;
case "$why" in *"No space left"*) printf %s {_FULL};;
*) printf %s {_FAILED};; esac >&2; exit 1"""


# A directory without a package, and with nothing else in it, came with the file.
_REMOVE = """rm -f -- "$1"; d=$(dirname -- "$1");
while [ "$d" != / ] && ! dpkg-query -S "$d" >/dev/null 2>&1 && rmdir -- "$d" 2>/dev/null; do
d=$(dirname -- "$d"); done; sync -- "$d\""""
_RESTORE = """set -e; d=$(dirname -- "$1"); mkdir -p -- "$d";
t=$(mktemp -u -- "$d/.bramble.XXXXXX"); trap 'rm -f -- "$t"' EXIT;
cp -a -- "$2" "$t"; mv -fT -- "$t" "$1"; sync -- "$d\""""


def write_command(path: str, text: str, mode: str, user: str, group: str) -> StringCommand:
    """
    Return the one command that writes a text to a file.

    + path: absolute; missing parent directories are created with mode 755
    + text: the whole content; sent by standard input, never in an argument list or a log
    + mode: octal, such as ``"644"``
    + user, group: the owner
    """
    check_utf8(path, text)
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


def check_utf8(path: str, text: str) -> None:
    """``HostFailure`` for a text that is not UTF-8: pyinfra would end the run of every host."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise HostFailure(nodes.NOT_UTF8(path=path, line=line)) from None


def differs(now: FileState, text: str, mode: str, user: str, group: str) -> bool:
    """Whether a path is not the regular file that is desired."""
    desired = ("file", text, mode, user, group)
    return (now.kind, now.text, now.mode, now.user, now.group) != desired


def ensure(
    path: str,
    text: str | None,
    mode: str = "644",
    user: str = "root",
    group: str = "root",
    secret: bool = False,
    now: FileState | None = None,
    resource: str | None = None,
    recorded: bool = True,
) -> Commands:
    """
    Bring a file to its desired content, mode and owner; for use in other operations.

    + path: absolute path
    + text: the whole content; None: no file
    + mode: octal, such as ``"644"``
    + user, group: the owner
    + secret: never show the content
    + now: its present state; None: it is read
    + resource: name of the resource for ``declare``; None: the file at that path
    + recorded: whether it goes away again when no longer declared: True for files that are
      bramble's alone

    The host fails if there is a link, a directory or a bind mount at that path.
    """
    now = now or read(Files, paths=[path])[path]
    resource = resource or f"file {path}"
    if recorded and text is not None:
        content = None if secret else fingerprint(mode, user, group, text)
        declare_recorded(resource, content, keeps=[path], path=path)
    elif text is not None:
        declare(resource)
    if now.kind in ("link", "directory", "other") or now.mounted:
        kind = "mount point" if now.mounted else now.kind
        raise HostFailure(nodes.NOT_A_FILE(path=path, kind=kind, desired="file"))
    if text is None:
        if now.kind == "absent" or was_changed(ctx_host.get(), resource, _content(now)):
            return
        note_removed(resource)
        diff(path, now.text, None, secret, resource)
        yield StringCommand("rm", "-f", "--", QuoteString(path))
    elif differs(now, text, mode, user, group):
        if now.text == text:
            observed = f"{now.mode} {now.user}:{now.group}"
            plan_change(f"make {path} {mode} {user}:{group} (it is {observed})", resource)
        else:
            diff(path, now.text, text, secret, resource)
        yield write_command(path, text, mode, user, group)


def _content(file: FileState) -> str:
    return fingerprint(file.mode, file.user, file.group, file.text or "")


def remove(resource: str, entry: Entry) -> Commands:
    """
    Remove a recorded file, or restore what it replaced; for ``removals``.

    + resource: ``KIND NAME``
    + entry: what the record says of it
    + raises ``ChangedSince``
    """
    path = str(entry.arguments["path"])
    kept = f"{KEPT}{path}"
    both = read(Files, paths=[path, kept])
    now, old = both[path], both[kept]
    if now == old:
        return
    if now.kind != "absent" and not (now.kind == "file" and entry.holds(_content(now))):
        raise ChangedSince(f"rm {path}")
    verb = "remove" if old.kind == "absent" else "restore"
    diff(path, now.text, old.text, not entry.content, resource, verb)
    if old.kind == "absent":
        yield StringCommand("sh", "-c", QuoteString(_REMOVE), "remove", QuoteString(path))
    else:
        words = [QuoteString(word) for word in (path, kept)]
        yield StringCommand("sh", "-c", QuoteString(_RESTORE), "restore", *words)
