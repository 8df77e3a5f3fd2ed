"""The hostname, and the names of all nodes in /etc/hosts."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.command import PyinfraCommand

from facts.hosts import HOSTNAME, HOSTS, PRESERVE, TEMPLATE, Hostname, Hosts
from formats import hosts as hosts_file
from messages import network
from operations import files
from operations.base import Commands, HostFailure, declare, operation, plan_change, read

PRESERVE_TEXT = """# bramble sets the hostname.
preserve_hostname: true
"""


@operation()
def entries(entries: dict[str, list[str]], own_name: str | None = None) -> Commands:
    """
    Set names and addresses in /etc/hosts, between marked lines.

    + entries: ``{address: names}``, the canonical name first; empty removes the marked lines
    + own_name: hostname that the node has or will get; None: its present one

    Other lines stay. The host fails if one of them has another address for one of the names, except
    for loopback: the name is removed from ``127.0.1.1 node1``, since a node's own name has to
    resolve to its address in the cluster. (A kubelet without an explicit address looks up its own
    name; it skips loopback and takes the address of the default route, such as an uplink.)

    If cloud-init generates /etc/hosts at each boot (``manage_etc_hosts: true``), its template is
    changed in the same way.
    """
    now = read(Hosts)
    own_name = own_name or now.hostname
    own = any(own_name in names for names in entries.values())
    if own and now.rewritten == "localhost":
        raise HostFailure(network.CLOUD_INIT_HOSTS(name=own_name))
    texts = {HOSTS: _updated(HOSTS, now.files[HOSTS].text, entries, ())}
    template = now.files[TEMPLATE]
    if now.rewritten == "template" and template.kind != "absent":
        names = hosts_file.TEMPLATE_NAMES if own else ()
        texts[TEMPLATE] = _updated(TEMPLATE, template.text, entries, names)
    commands: list[PyinfraCommand | str] = []
    for path, text in texts.items():
        commands += files.ensure(path, text, now=now.files[path], recorded=False)
    if not commands:
        host.noop(f"{HOSTS} is up to date")
    yield from commands


@operation()
def hostname(hostname: str) -> Commands:
    """
    Set the hostname, live and at boot.

    + hostname: lower case letters, digits and hyphens

    cloud-init is configured to keep it. pyinfra's ``server.hostname`` compares the live name only,
    so it would not correct an /etc/hostname that differs.
    """
    now = read(Hostname)
    commands: list[PyinfraCommand | str] = []
    declare(f"file {HOSTNAME}", "setting hostname")
    # Not if another file of cloud-init has that setting already.
    if now.cloud_init and (not now.preserved or now.files[PRESERVE].kind != "absent"):
        commands += files.ensure(PRESERVE, PRESERVE_TEXT, now=now.files[PRESERVE])
    if hosts_file.own_name(now.files[HOSTNAME].text or "") != hostname:
        commands += files.ensure(HOSTNAME, f"{hostname}\n", now=now.files[HOSTNAME], recorded=False)
    if now.hostname != hostname:
        plan_change(f"set the hostname to {hostname} (it is {now.hostname})", "setting hostname")
        commands.append(StringCommand("hostname", QuoteString(hostname)))
    if not commands:
        host.noop(f"the hostname is {hostname}")
    yield from commands


def _updated(
    path: str, text: str | None, entries: dict[str, list[str]], also: frozenset[str] | tuple[()]
) -> str:
    text = text or ""
    conflict = hosts_file.conflict(text, entries)
    if conflict is not None:
        line, name, found = conflict
        desired = next(address for address, names in entries.items() if name.lower() in names)
        values = {"path": path, "line": line, "name": name, "found": found, "desired": desired}
        raise HostFailure(network.HOSTS_CONFLICT(**values))
    try:
        return hosts_file.update(text, entries, also)
    except ValueError as error:
        raise HostFailure(network.MARKED_LINES_BROKEN(path=path, problem=error)) from None
