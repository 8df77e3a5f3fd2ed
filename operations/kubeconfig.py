"""Write kubeconfigs: for a user of the control plane, and on the computer that pyinfra runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pyinfra import host, state
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
import runs
from facts.kubeconfig import AdminCredentials
from facts.kubectl import ADMIN_CONF
from formats import kubeconfig
from formats.node_record import Entry
from formats.unreadable import Unreadable
from messages import kubernetes as messages
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    note_removed,
    operation,
    plan,
    plan_change,
    read,
    read_together,
    understood,
)
from operations.node_record import ChangedSince
from runs.output import warned
from workstation import context_record, tls_probe
from workstation import files as local_files

# Copied on the node itself, so the key does not leave it; private and atomic, as in files.ensure.
_COPY = """set -e; umask 077; d=$(dirname -- "$2"); [ -d "$d" ] || install -d -m 700 -o "$3" \
-g "$4" -- "$d"; t=$(mktemp -- "$d/.config.XXXXXX"); trap 'rm -f -- "$t"' EXIT;
cat -- "$1" > "$t"; chown -- "$3:$4" "$t"; chmod 600 "$t"; sync -- "$t"; mv -fT -- "$t" "$2";
sync -- "$d\""""

_REMOVE = 'rm -f -- "$1"; rmdir -- "$(dirname -- "$1")" 2>/dev/null; :'


class Renewals(set[str]):
    """The control planes whose administrator's certificate this run renews: its copies follow."""


@operation()
def admin(user: str) -> Commands:
    """
    Copy the administrator's kubeconfig to ``~/.kube/config`` of a user of the control plane.

    + user: who logs in there and uses kubectl

    A copy that this made earlier is replaced when the certificates were renewed. A file that holds
    this cluster and other entries is kept, with a warning where its certificate is not the
    administrator's. ``HostFailure``: any other file is there.
    """
    observed = read(AdminCredentials, owner=user)
    if not observed.home:
        raise HostFailure(messages.NO_SUCH_USER(user=user))
    path = f"{observed.home}/.kube/config"
    if observed.odd:
        raise HostFailure(messages.NO_PLAIN_FILE(path=path))
    if observed.user and not observed.holds:
        raise HostFailure(messages.FOREIGN_KUBECONFIG(path=path))
    resource = f"kubeconfig {path}"
    declare_recorded(resource, None, user=user)
    desired = f"600 {user} {observed.group}"
    kept = observed.holds in ("more", "outdated")
    renewed = host.name in runs.of(host.state).part(Renewals)
    if observed.holds == "outdated" or (kept and renewed):
        plan(messages.KUBECONFIG_OUTDATED(path=path, admin=ADMIN_CONF))
    current = kept or (observed.user != "" and observed.user == observed.admin and not renewed)
    if current and observed.status == desired:
        host.noop(f"{path} is kept with its other entries" if kept else f"{path} is up to date")
        return
    if not current:
        plan_change(
            f"copy {ADMIN_CONF} to {path} (for {user} alone; its content is not shown)", resource
        )
    else:
        plan_change(f"change {path} from {observed.status} to {desired}", resource)
        owner = QuoteString(f"{user}:{observed.group}")
        yield StringCommand("chown", "--", owner, QuoteString(path))
        yield StringCommand("chmod", "600", "--", QuoteString(path))
        return
    words = [QuoteString(word) for word in (ADMIN_CONF, path, user, observed.group)]
    yield StringCommand("sh", "-c", QuoteString(_COPY), "copy", *words)


def remove(resource: str, entry: Entry) -> Commands:
    """
    Remove the recorded copy of a user who is the administrator's no longer; for ``removals``.

    + resource: "kubeconfig PATH"
    + entry: what the record says of it: its ``user``
    + raises ``ChangedSince``
    """
    path = resource.partition(" ")[2]
    observed = read(AdminCredentials, owner=str(entry.arguments["user"]))
    if not observed.user:
        return
    if observed.holds != "copy":
        raise ChangedSince(f"rm {path}")
    plan_change(f"remove {path}", resource)
    yield StringCommand("sh", "-c", QuoteString(_REMOVE), "remove", QuoteString(path))


@operation()
def operator(
    path: str, context: str, server: str, record: str, control_planes: Sequence[str] = ()
) -> Commands:
    """
    Put a context for the cluster, over TLS, into a kubeconfig on this computer.

    To be run on the control plane, which has the credentials.

    + path: the kubeconfig, such as ``~/.kube/config``; everything else in it is kept
    + context: the name of the context, and of its cluster and user
    + server: such as ``https://192.168.1.32:6443``, an address that this computer reaches
    + record: path of the record of contexts on this computer: see ``contexts``
    + control_planes: names of all of them: the credentials of each that answers are as good

    The current context is set only where there is none. A backup is kept beside the file.
    ``HostFailure``: the file can't be changed safely.
    """
    certificates = _certificates(control_planes) if len(control_planes) > 1 else set()
    observed = read(AdminCredentials, owner="")
    text = read_local(path)
    access = kubeconfig.Access(context, server)
    declare(f"context {context}")
    runs.of(host.state).suggest(f"kubectl {_kubectl_option(path)}--context {context} get nodes")
    same = observed.admin and any(
        kubeconfig.same(kubeconfig.parse(text), access, {"ca": observed.ca, "cert": each})
        for each in {observed.cert} | certificates
    )
    if same and host.name not in runs.of(host.state).part(Renewals):
        host.noop(f"the context {context} is in {path}")
        return
    edit(path, text, access)
    change = f"put the context {context} for {server} into {path} on this computer"
    plan_change(change, f"context {context}")
    yield FunctionCommand(write_context, (path, context, server, record), {})


@operation()
def proxy(path: str, context: str, server: str, record: str, present: bool = True) -> Commands:
    """
    Put a context for kubectl proxy (plain HTTP, no user) into a kubeconfig on this computer.

    + path: the kubeconfig, such as ``~/.kube/config``; everything else in it is kept
    + context: the name of the context and of its cluster
    + server: such as ``http://192.168.1.32:8080``
    + record: as for ``operator``
    + present: False: remove it, if it is for that server
    """
    text = read_local(path)
    access = kubeconfig.Access(context, server)
    exists = kubeconfig.same(kubeconfig.parse(text), access, None)
    resource = f"context {context}"
    if present:
        declare(resource)
    if exists == present:
        host.noop(f"the context {context} is {'' if present else 'not '}in {path}")
        return
    edit(path, text, access if present else None, context)
    if not present:
        note_removed(resource)
    put = f"put the {resource} for {server} into"
    change = put if present else f"remove the {resource} from"
    plan_change(f"{change} {path} on this computer", resource)
    yield FunctionCommand(change_proxy_context, (path, context, server, record, present), {})


def _certificates(control_planes: Sequence[str]) -> set[str]:
    """Return the fingerprints of the administrator's certificates; none if one does not answer."""
    asked = [each for each in state.inventory if each.name in control_planes]
    with suppress(HostFailure, ConnectError):
        questions = [(each, AdminCredentials, {"owner": ""}) for each in asked if _answers(each)]
        return {each.cert for each in read_together(*questions) if each.cert}
    return set()


def _answers(node: Host) -> bool:
    return node in state.active_hosts and node not in state.failed_hosts


def certificate(path: str, context: str) -> str:
    """Read the client certificate (PEM) of a context of a local kubeconfig; "" without one."""
    return kubeconfig.certificate(kubeconfig.parse(read_local(path)), context)


def authority(path: str, context: str) -> str:
    """Read the CA certificate (PEM) of a cluster of a local kubeconfig; "" without one."""
    return kubeconfig.authority(kubeconfig.parse(read_local(path)), context)


def write_context(
    state: State, host: Host, path: str, context: str, server: str, record: str
) -> bool:
    """Read the credentials on the control plane, and merge them into the local kubeconfig."""
    admin_conf = "\n".join(remote.of(host).run('cat -- "$1"', ADMIN_CONF))
    with understood(ADMIN_CONF):
        access = kubeconfig.access(admin_conf, context, server)
    text = edit(path, read_local(path), access)
    note(record, path, context, text)
    write(host, path, text)
    if reason := tls_probe.probe(server, access.ca_data):
        warned(host, messages.SERVER_NOT_ANSWERING(server=server, reason=reason))
    return True


def change_proxy_context(
    state: State, host: Host, path: str, context: str, server: str, record: str, present: bool
) -> bool:
    """Put the proxy's context into the local kubeconfig, or remove it."""
    access = kubeconfig.Access(context, server) if present else None
    text = edit(path, read_local(path), access, context)
    if present:
        note(record, path, context, text)
    write(host, path, text)
    return True


def note(record: str, path: str, context: str, text: str) -> None:
    """Record a context that the text of a kubeconfig on this computer has."""
    with _writing(record):
        context_record.add(record, path, context, kubeconfig.content(text, context))


def read_local(path: str) -> str:
    """Read the kubeconfig on this computer; "" without one, ``HostFailure`` if it is none."""
    try:
        text = local_files.text(path) or ""
        kubeconfig.parse(text)
        return text
    except ValueError as error:
        raise HostFailure(messages.KUBECONFIG_KEPT(path=path, reason=error.args[0])) from error
    except OSError as error:
        said = messages.KUBECONFIG_NOT_READ(path=path, reason=error.strerror)
        raise HostFailure(said) from error


def edit(path: str, text: str, access: kubeconfig.Access | None, name: str = "") -> str:
    """Return the text with this access, or (None) without the context of that name."""
    with _writing(path):
        local_files.check_writable(path)
    try:
        return kubeconfig.merged(text, access) if access else kubeconfig.without(text, name)
    except Unreadable as error:
        raise HostFailure(messages.KUBECONFIG_KEPT(path=path, reason=error.args[0])) from error


def write(host: Host, path: str, text: str) -> None:
    """Write the kubeconfig on this computer; the old one is kept beside it."""
    with _writing(path):
        backup = local_files.replace(path, text)
    if backup:
        host.log(f"{path} is changed; its backup is {Path(backup).name}")


@contextmanager
def _writing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = messages.KUBECONFIG_NOT_WRITTEN(path=path, reason=error.strerror)
        raise HostFailure(said) from error


def _kubectl_option(path: str) -> str:
    """Return the option with which kubectl reads that file in this shell; "" without need."""
    default = os.environ.get("KUBECONFIG") or "~/.kube/config"
    known = {Path(file).expanduser().resolve() for file in default.split(os.pathsep) if file}
    return "" if Path(path).expanduser().resolve() in known else f"--kubeconfig={path} "
