"""
The keys to the cluster: for a user of the control plane, and on the computer that pyinfra runs on.
"""

from __future__ import annotations

import os
from pathlib import Path

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
import runs
from facts.kubeconfig import AdminCredentials
from facts.kubectl import ADMIN_CONF
from formats import kubeconfig
from formats.unreadable import Unreadable
from operations import tls_probe
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from remote.failures import RemoteFailure
from runs.output import failed
from workstation import files as local_files

# From file to file on the node itself: the key never travels. Private and atomic, as files.ensure.
_COPY = """set -e; umask 077; d=$(dirname -- "$2"); [ -d "$d" ] || install -d -m 700 -o "$3" \
-g "$4" -- "$d"; t=$(mktemp -- "$d/.config.XXXXXX"); trap 'rm -f -- "$t"' EXIT;
cat -- "$1" > "$t"; chown -- "$3:$4" "$t"; chmod 600 "$t"; sync -- "$t"; mv -fT -- "$t" "$2";
sync -- "$d\""""


@operation()
def admin(user: str) -> Commands:
    """
    A user of the control plane has the administrator's kubeconfig as ``~/.kube/config``, private.

    + user: who logs in there and types kubectl

    Only a copy of this cluster's own is replaced, such as one from before its certificates were
    renewed. A file that holds entries of others too, and this cluster's administrator, is left;
    without him it is refused.

    **Example:**

    .. code:: python

        kubeconfig.admin(name="kubectl for pi on the control plane", user="pi")
    """

    now = read(AdminCredentials, owner=user)
    if not now.home:
        raise HostFailure(f"there is no user {user} here: who shall have the kubeconfig?")
    path = f"{now.home}/.kube/config"
    if now.odd:
        raise HostFailure(f"{path} is a link or a directory: remove it, then run this again")
    if now.user and not now.holds:
        raise HostFailure(
            f"{path} holds something else than this cluster's present administrator: move it away, "
            f"then run this again; `KUBECONFIG={path}:OLD kubectl config view --raw` shows the two "
            "merged"
        )
    resource = f"file {path}"
    declare(resource)
    wanted = f"600 {user} {now.group}"
    right = now.holds == "more" or (now.user != "" and now.user == now.admin)
    if right and now.status == wanted:
        others = " (what else it holds is left as it is)" if now.holds == "more" else ""
        host.noop(f"{path} is up to date{others}")
        return
    if not right:
        plan_change(
            f"copy {ADMIN_CONF} to {path} (for {user} alone; its content is not shown)", resource
        )
    else:
        plan_change(f"make {path} {wanted} (it is {now.status})", resource)
        owner = QuoteString(f"{user}:{now.group}")
        yield StringCommand("chown", "--", owner, QuoteString(path))
        yield StringCommand("chmod", "600", "--", QuoteString(path))
        return
    words = [QuoteString(word) for word in (ADMIN_CONF, path, user, now.group)]
    yield StringCommand("sh", "-c", QuoteString(_COPY), "copy", *words)


@operation()
def laptop(path: str, context: str, server: str) -> Commands:
    """
    The computer that pyinfra runs on has a context for the cluster, over TLS.

    To be run on the control plane, whose credentials they are.

    + path: the kubeconfig, such as ``~/.kube/config``; all else in it is kept
    + context: the name of the context, and of its cluster and user
    + server: such as ``https://192.168.1.32:6443``, an address that the computer reaches

    The current context changes only where there is none. A backup is kept beside the file.

    **Example:**

    .. code:: python

        kubeconfig.laptop(
            name="kubectl on this computer",
            path="~/.kube/config",
            context="bramble",
            server="https://192.168.1.32:6443",
        )
    """

    now = read(AdminCredentials, owner="")
    text = _local(path)
    way = kubeconfig.Access(context, server)
    declare(f"context {context}")
    runs.of(host.state).suggest(f"kubectl {_kubectl_option(path)}--context {context} get nodes")
    fingerprints = {"ca": now.ca, "cert": now.cert}
    if now.admin and kubeconfig.same(kubeconfig.parse(text), way, fingerprints):
        host.noop(f"the context {context} is in {path}")
        return
    _edited(path, text, way)
    told = f"put the context {context} for {server} into {path} on this computer"
    plan_change(told, f"context {context}")
    yield FunctionCommand(write_context, (path, context, server), {})


@operation()
def proxy(path: str, context: str, server: str, present: bool = True) -> Commands:
    """
    The computer that pyinfra runs on has a context for the control plane's kubectl proxy: plain
    HTTP, no user.

    + path: the kubeconfig, such as ``~/.kube/config``; all else in it is kept
    + context: the name of the context and of its cluster
    + server: such as ``http://192.168.1.32:8080``
    + present: False: taken out, where it is this very one

    **Example:**

    .. code:: python

        kubeconfig.proxy(
            name="The proxy's context on this computer",
            path="~/.kube/config",
            context="bramble-proxy",
            server="http://192.168.1.32:8080",
        )
    """

    text = _local(path)
    way = kubeconfig.Access(context, server)
    there = kubeconfig.same(kubeconfig.parse(text), way, None)
    resource = f"context {context}"
    if present:
        declare(resource)
    if there == present:
        host.noop(f"the context {context} is {'' if present else 'not '}in {path}")
        return
    _edited(path, text, way if present else None, context)
    if present:
        plan_change(
            f"put the context {context} for {server} into {path} on this computer", resource
        )
        yield FunctionCommand(change_proxy_context, (path, context, server, True), {})
    else:
        plan_change(f"take the context {context} out of {path} on this computer", resource)
        yield FunctionCommand(change_proxy_context, (path, context, server, False), {})


def write_context(state: State, host: Host, path: str, context: str, server: str) -> bool:
    """Fetch the credentials from the control plane and merge them into the kubeconfig here."""
    try:
        admin_conf = "\n".join(remote.of(host).run('cat -- "$1"', ADMIN_CONF))
        way = kubeconfig.access(admin_conf, context, server)
        _write(host, path, _edited(path, _local(path), way))
    except (RemoteFailure, HostFailure) as error:
        return failed(host, str(error))
    except Unreadable as error:
        return failed(host, f"{ADMIN_CONF} is not as kubeadm makes it: {error}")
    if why := tls_probe.trouble(server, way.ca_data):
        host.log_styled(
            f"the context is written, but {server} does not answer this computer: {why}",
            fg="yellow",
            log_func=logger.warning,
        )
    return True


def change_proxy_context(
    state: State, host: Host, path: str, context: str, server: str, present: bool
) -> bool:
    """Put the proxy's context into the kubeconfig here, or take it out."""
    try:
        way = kubeconfig.Access(context, server) if present else None
        _write(host, path, _edited(path, _local(path), way, context))
    except HostFailure as error:
        return failed(host, str(error))
    return True


def _local(path: str) -> str:
    """The kubeconfig on this computer, which is one; "" where there is none."""
    if os.pathsep in path:
        raise HostFailure(f"{path} is a list of files: name the one that the context goes into")
    try:
        text = local_files.text(path) or ""
        kubeconfig.parse(text)
        return text
    except ValueError as error:
        raise HostFailure(f"{path} on this computer is left as it is: {error}") from error
    except OSError as error:
        raise HostFailure(f"{path} on this computer can't be read: {error.strerror}") from error


def _edited(path: str, text: str, way: kubeconfig.Access | None, name: str = "") -> str:
    """The text with a context added, or removed by name; ``HostFailure`` if it can't be."""
    try:
        local_files.check_writable(path)
        return kubeconfig.merged(text, way) if way else kubeconfig.without(text, name)
    except Unreadable as error:
        raise HostFailure(f"{path} on this computer is left as it is: {error}") from error
    except OSError as error:
        raise HostFailure(f"{path} on this computer can't be written: {error.strerror}") from error


def _write(host: Host, path: str, text: str) -> None:
    try:
        backup = local_files.replace(path, text)
    except OSError as error:
        raise HostFailure(f"{path} on this computer can't be written: {error.strerror}") from error
    if backup:
        host.log(f"{path} is changed; as it was before, it is kept as {Path(backup).name}")


def _kubectl_option(path: str) -> str:
    """What kubectl has to be told to read that file, for this shell."""
    default = os.environ.get("KUBECONFIG") or "~/.kube/config"
    known = {Path(file).expanduser().resolve() for file in default.split(os.pathsep) if file}
    return "" if Path(path).expanduser().resolve() in known else f"--kubeconfig={path} "
