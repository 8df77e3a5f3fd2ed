"""
Public keys that may log in: a user's ~/.ssh/authorized_keys.

pyinfra's ``server.user_authorized_keys`` takes a key that is commented out for present.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

from pyinfra import host
from pyinfra.api import QuoteString
from pyinfra.api.host import Host

import remote
from facts.authorized_keys import AuthorizedKeys, KeysState
from facts.files import FileState
from formats import authorized_keys as keys_file
from formats.authorized_keys import Key, Line
from formats.node_record import Entry
from messages import access, nodes
from operations import files, guard
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    diff,
    plan_change,
    read,
)
from operations.guard import Step
from remote import pyinfra_internals

# Enters the directory before it writes: the user may replace ~/.ssh with a link meanwhile, and root
# must not follow it.
_IN_DIRECTORY = """set -e; umask 077; cd -P -- "$1"; home=$(pwd -P);
[ -L .ssh ] || mkdir -p -m 700 -- .ssh; cd -P -- .ssh;
[ "$(pwd -P)" = "$home/.ssh" ] || { echo "$1/.ssh is a link" >&2; exit 1; };
chown -- "$2" .; chmod 700 .; shift 2; exec "$@\""""


@guard.operation
def key(user: str, keys: str | list[str], present: bool = True) -> Commands:
    """
    Install or remove public keys of a user.

    + user: an existing user of the node
    + keys: one public key or several, each a line as in a ``.pub`` file; options before the key
      (sshd(8)) replace those in the file
    + present: False removes the keys

    Keys are compared by type and content, not by comment. Other lines keep their text and place.
    ~/.ssh (700) and the file (600) become the user's own. The host fails if sshd would ignore the
    file (StrictModes, AuthorizedKeysFile), if a link is in the way, and if the key of pyinfra's own
    connection would be removed.
    """
    desired = [keys_file.key(line) for line in ([keys] if isinstance(keys, str) else keys)]
    for each in desired if present else []:
        line = f"{each.type} {each.blob}"
        resource = f"key {each.type} …{each.blob[-8:]} of {user}"
        declare_recorded(resource, None, together=True, user=user, key=line)
    yield from _keys(user, desired, present)


def remove(resource: str, entry: Entry, others: Iterable[Entry] = ()) -> Commands:
    """
    Remove a recorded key; for ``removals``, after a login with the present one was confirmed.

    + resource: "key TYPE …END of USER"
    + entry: what the record says of it: ``user`` and ``key``
    + others: keys that steps before this one remove: each step writes the whole file
    """
    user = str(entry.arguments["user"])
    going = [each.arguments for each in (*others, entry) if each.arguments["user"] == user]
    if read(AuthorizedKeys, user=user).exists:
        keys = [keys_file.key(str(each["key"])) for each in going]
        yield from _keys(user, keys, present=False)


def _keys(user: str, desired: list[Key], present: bool) -> Commands:
    now = read(AuthorizedKeys, user=user)
    file, directory, home = _check_paths(user, now)
    if not present:
        _check_second_file(now, desired)
    before = keys_file.parse(file.text or "")
    after = before if present else keys_file.remove(before, desired)
    for each in desired if present else []:
        after = keys_file.put(after, each)
    in_use = _connection_key(host, user)
    if in_use is not None:
        _check_lockout(user, before, after, in_use)

    text = keys_file.render(after)
    if file.kind == "absent" and not text:
        host.noop(f"{user} has no authorized keys")
        return
    differs = files.differs(file, text, "600", user, now.group)
    resources = f"file {now.path}", f"directory {home}/.ssh"
    declare(*resources)
    if not differs and _status(directory) == f"700 {user}:{now.group}":
        host.noop(f"{now.path} is up to date")
        return
    if text != file.text:
        diff(now.path, file.text, text)
    elif differs:
        plan_change(f"make {now.path} 600 {user}:{now.group} (it is {_status(file)})", resources[0])
    if _status(directory) != f"700 {user}:{now.group}":
        was = "" if directory.kind == "absent" else f" (it is {_status(directory)})"
        plan_change(f"make the directory {home}/.ssh 700 {user}:{now.group}{was}", resources[1])
    owner = QuoteString(f"{user}:{now.group}")
    write = files.write_command("authorized_keys", text, "600", user, now.group)
    yield Step(
        "sh",
        "-c",
        QuoteString(_IN_DIRECTORY),
        "in",
        QuoteString(home),
        owner,
        write,
        what=f"the keys of {user}",
        paths=[f"{home}/.ssh", now.path],
        network=False,
        **pyinfra_internals.arguments(write),
    )


def _status(state: FileState) -> str:
    return f"{state.mode} {state.user}:{state.group}"


def _check_paths(user: str, now: KeysState) -> tuple[FileState, FileState, str]:
    """Return the file, its directory and the home; ``HostFailure`` if sshd would ignore them."""
    if not now.exists or now.home is None or now.directory is None or now.file is None:
        raise HostFailure(access.NO_USER(user=user))
    home = now.path.removesuffix("/.ssh/authorized_keys")
    for path, state, kind in (
        (home, now.home, "directory"),
        (f"{home}/.ssh", now.directory, "directory"),
        (now.path, now.file, "file"),
    ):
        if state.kind == "absent" and path == home:
            raise HostFailure(access.NO_HOME(path=path, user=user))
        if state.kind not in (kind, "absent"):
            raise HostFailure(nodes.NOT_A_FILE(path=path, kind=state.kind, desired=kind))
    if now.file.mounted:
        raise HostFailure(nodes.BIND_MOUNT(path=now.path))
    if now.strict and now.home.user not in ("root", user):
        raise HostFailure(access.HOME_NOT_OWNED(path=home, owner=now.home.user, user=user))
    if now.strict and int(now.home.mode, 8) & 0o022:
        raise HostFailure(access.HOME_WRITABLE(path=home, mode=now.home.mode, user=user))
    places = [_expand(pattern, user, home) for pattern in now.patterns]
    if places and now.path not in places:
        patterns = " ".join(now.patterns)
        raise HostFailure(access.KEYS_ELSEWHERE(user=user, patterns=patterns, path=now.path))
    return now.file, now.directory, home


def _check_second_file(now: KeysState, removed: list[Key]) -> None:
    """``HostFailure`` if a key would remain in authorized_keys2, which sshd reads too."""
    if now.second is None or now.second.text is None or now.second.kind == "link":
        return
    there = [line.key for line in keys_file.parse(now.second.text) if line.key]
    left = [each for each in there if each.same in {key.same for key in removed}]
    if left and (not now.patterns or any(p.endswith("authorized_keys2") for p in now.patterns)):
        found = left[0].comment or left[0].type
        raise HostFailure(access.KEY_IN_SECOND_FILE(path=f"{now.path}2", key=found))


def _expand(pattern: str, user: str, home: str) -> str:
    """Expand one word of AuthorizedKeysFile, sshd_config(5)."""
    path = pattern.replace("%h", home).replace("%u", user).replace("%%", "%")
    return path if path.startswith("/") else f"{home}/{path}"


def _connection_key(host: Host, user: str) -> Key | None:
    """Return the key that pyinfra's own connection is logged in with, if it is this user's."""
    login, key = remote.of(host).login_key or (None, None)
    if key is None or login != user:
        return None
    return Key(key.get_name(), b64encode(key.asbytes()).decode())


def _check_lockout(user: str, before: list[Line], after: list[Line], in_use: Key) -> None:
    """``HostFailure`` if the key of pyinfra's own connection could no longer log in."""
    there = next((line.key for line in before if line.key and line.key.same == in_use.same), None)
    left = next((line.key for line in after if line.key and line.key.same == in_use.same), None)
    shown = f"{in_use.type} …{in_use.blob[-8:]}"
    if there and there.comment:
        shown = f"{there.comment} ({shown})"
    if there and not left:
        raise HostFailure(access.KEY_IN_USE(key=shown, user=user))
    if left and _forced(left) and not _forced(there):
        raise HostFailure(access.KEY_IN_USE_RESTRICTED(key=shown, user=user))


def _forced(key: Key | None) -> bool:
    """Whether a key can run one command only."""
    return key is not None and any(o.lower().startswith("command=") for o in key.options)
