"""
Who may log in by key: a user's ~/.ssh/authorized_keys.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Sequence

from pyinfra import host
from pyinfra.api import QuoteString
from pyinfra.api.host import Host

from facts.authorized_keys import AuthorizedKeys, KeysState
from facts.files import FileState
from formats import authorized_keys as keys_file
from formats.authorized_keys import Key, Line
from operations import files, guard
from operations.base import Commands, HostFailure, declare, diff, plan_change, read
from operations.guard import Step

# The user may do as they like in their home while root writes there. So it is stepped into, not
# named: whatever ~/.ssh becomes meanwhile, what is changed is the directory that was looked at.
_IN_DIRECTORY = """set -e; umask 077; cd -P -- "$1"; home=$(pwd -P);
[ -L .ssh ] || mkdir -p -m 700 -- .ssh; cd -P -- .ssh;
[ "$(pwd -P)" = "$home/.ssh" ] || { echo "$1/.ssh is a link" >&2; exit 1; };
chown -- "$2" .; chmod 700 .; shift 2; exec "$@\""""


@guard.operation
def key(
    user: str,
    keys: str | list[str],
    options: Sequence[str] | None = None,
    present: bool = True,
    exclusive: bool = False,
    in_use: Sequence[str] = (),
) -> Commands:
    """
    Public keys that let a user in, or no longer do.

    + user: a user of the node
    + keys: one public key or several, each a line as in a ``.pub`` file
    + options: what the keys are restricted to, as in sshd(8), such as ``no-pty`` or
      ``from="192.168.1.0/24"``; an empty list takes all options away. None: those that stand
      before the key in its line, or, where none do, the ones that the file has already
    + present: False takes the keys out
    + exclusive: these keys and no others
    + in_use: public keys that may not be taken out, because someone is logged in with them; the
      key of pyinfra's own connection is found without it

    Keys are compared by type and content, not by comment. Other lines stay as they are and where
    they are. ~/.ssh (700) and the file (600) are made the user's own. What sshd would ignore for
    its StrictModes, or reads elsewhere, is refused, and so is a link on the way.

    **Example:**

    .. code:: python

        authorized_keys.key(
            name="Let the operator in",
            user="pi",
            keys=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM… operator"],
        )
    """

    if exclusive and not present:
        raise HostFailure(
            "authorized_keys: exclusive=True with present=False would take out every key"
        )
    lines = [keys] if isinstance(keys, str) else keys
    wanted = [_key(line, options) for line in lines]
    held = [_key(line, None) for line in in_use]
    now = read(AuthorizedKeys, user=user)
    file, directory, home = _check(user, now)
    if exclusive or not present:
        _check_second(now, wanted, present)
    before = keys_file.parse(file.text or "")
    after = _after(before, wanted, options is not None, present, exclusive)
    mine = _connection_key(host, user)
    _check_lockout(user, before, after, held if mine is None else [*held, mine])

    text = keys_file.render(after)
    if file.kind == "absent" and not text:
        host.noop(f"{user} has no authorized keys")
        return
    wrong = files.differs(file, text, "600", user, now.group)
    resources = f"file {now.path}", f"directory {home}/.ssh"
    declare(*resources)
    if not wrong and (directory.mode, directory.user, directory.group) == ("700", user, now.group):
        host.noop(f"{now.path} is up to date")
        return
    if text != file.text:
        diff(now.path, file.text, text)
    elif wrong:
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
        **write.connector_arguments,
    )


def _status(state: FileState) -> str:
    return f"{state.mode} {state.user}:{state.group}"


def _key(line: str, options: Sequence[str] | None) -> Key:
    try:
        return keys_file.key(line, options)
    except ValueError as error:
        raise HostFailure(f"authorized_keys: {error}") from None


def _after(
    before: list[Line], wanted: list[Key], options: bool, present: bool, exclusive: bool
) -> list[Line]:
    if not present:
        return keys_file.remove(before, wanted)
    lines = before
    for one in wanted:
        lines = keys_file.put(lines, one, options or bool(one.options))
    return keys_file.only(lines, wanted) if exclusive else lines


def _check(user: str, now: KeysState) -> tuple[FileState, FileState, str]:
    """Whether sshd will heed what is written there."""
    if not now.exists or now.home is None or now.directory is None or now.file is None:
        raise HostFailure(f"there is no user {user} here: make the user first")
    home = now.path.removesuffix("/.ssh/authorized_keys")
    for path, state, kind in (
        (home, now.home, "directory"),
        (f"{home}/.ssh", now.directory, "directory"),
        (now.path, now.file, "file"),
    ):
        if state.kind == "absent" and path != home:
            continue
        if state.kind != kind:
            if state.kind == "absent":
                raise HostFailure(f"{path}, the home of {user}, is not there: make it first")
            raise HostFailure(f"{path} is no {kind} ({state.kind}): remove it, then run this again")
    if now.file.mounted:
        raise HostFailure(f"{now.path} is a bind mount, which can't be replaced: unmount it")
    if now.strict and now.home.user not in ("root", user):
        raise HostFailure(
            f"{home} belongs to {now.home.user}, so sshd would ignore every key of {user}: "
            f"chown {user} {home}"
        )
    if now.strict and int(now.home.mode, 8) & 0o022:
        raise HostFailure(
            f"{home} may be written by others (mode {now.home.mode}), so sshd would ignore every "
            f"key of {user}: chmod go-w {home}"
        )
    places = [_expand(pattern, user, home) for pattern in now.patterns]
    if places and now.path not in places:
        raise HostFailure(
            f"sshd reads the keys of {user} from {' '.join(now.patterns)}, not from {now.path}: "
            "see AuthorizedKeysFile in /etc/ssh/sshd_config"
        )
    return now.file, now.directory, home


def _check_second(now: KeysState, wanted: list[Key], present: bool) -> None:
    """sshd lets in whoever stands in either of its two files."""
    path = f"{now.path}2"
    if now.second is None or now.second.text is None or now.second.kind == "link":
        return
    there = [line.key for line in keys_file.parse(now.second.text) if line.key]
    named = {one.same for one in wanted}
    left = [one for one in there if (one.same in named) != present]
    if left and (not now.patterns or any(p.endswith("authorized_keys2") for p in now.patterns)):
        raise HostFailure(
            f"{path}, which sshd reads too, holds {left[0].comment or left[0].type} as well: "
            "take it out there, or remove that file, then run this again"
        )


def _expand(pattern: str, user: str, home: str) -> str:
    """One word of AuthorizedKeysFile, sshd_config(5)."""
    path = pattern.replace("%h", home).replace("%u", user).replace("%%", "%")
    return path if path.startswith("/") else f"{home}/{path}"


def _connection_key(host: Host, user: str) -> Key | None:
    """The key that this very connection has logged in with, when it is this user's."""
    client = getattr(getattr(host, "connector", None), "client", None)
    transport = client.get_transport() if client else None
    handler = getattr(transport, "auth_handler", None)
    private = getattr(handler, "private_key", None)
    if transport is None or private is None or transport.get_username() != user:
        return None
    return Key(private.get_name(), b64encode(private.asbytes()).decode())


def _check_lockout(user: str, before: list[Line], after: list[Line], held: Collection[Key]) -> None:
    left = {line.key.same: line.key for line in after if line.key}
    there = {line.key.same: line.key for line in before if line.key}
    for one in held:
        if one.same in there and one.same not in left:
            raise HostFailure(
                f"{there[one.same].comment or 'this key'} ({one.type} …{one.blob[-8:]}) is in use: "
                f"taking it from {user} would lock you out; log in with another key first"
            )
        if one.same in left and _forced(left[one.same]) and not _forced(there.get(one.same)):
            raise HostFailure(
                f"this key ({one.type} …{one.blob[-8:]}) is in use: with a command= option it "
                f"could do nothing else as {user}, and you would be locked out"
            )


def _forced(key: Key | None) -> bool:
    return key is not None and any(o.lower().startswith("command=") for o in key.options)
