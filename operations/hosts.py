"""
Names without a name server: the node's own, and those of all nodes in /etc/hosts.
"""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.command import PyinfraCommand

from facts.hosts import HOSTNAME, HOSTS, PRESERVE, TEMPLATE, Hostname, Hosts
from formats import hosts as hosts_file
from operations import files
from operations.base import Commands, HostFailure, declare, operation, plan_change, read

MAX_HOSTNAME = 63  # of the kernel's 64 bytes one is the end

PRESERVE_TEXT = """# bramble gives this node its name.
preserve_hostname: true
"""


@operation()
def entries(entries: dict[str, list[str]], own_name: str | None = None) -> Commands:
    """
    Names and addresses in /etc/hosts, between marked lines.

    + entries: ``{address: names}``, the first name the canonical one; empty takes our lines out
    + own_name: what the node is or will be called; None: as it is now

    Lines of others stay. One that gives a name of ours another address is refused, except for a
    loopback address: ``127.0.1.1 node1`` gives the name up, because a node's own name has to lead
    to the address that the cluster knows it by. (A kubelet that is told no address looks its own
    name up; it passes over loopback, and takes the one with the default route: the gateway's
    uplink.)

    Where cloud-init writes /etc/hosts at each boot from its template (``manage_etc_hosts: true``),
    the template is changed likewise.

    **Example:**

    .. code:: python

        hosts.entries(
            name="Know all nodes by name",
            entries={"192.168.2.11": ["node1"], "192.168.2.12": ["node2"]},
            own_name="node1",
        )
    """

    try:
        hosts_file.check(entries)
    except ValueError as error:
        raise HostFailure(f"{HOSTS}: {error}") from None
    now = read(Hosts)
    own_name = own_name or now.hostname
    own = any(own_name in names for names in entries.values())
    if own and now.rewritten == "localhost":
        raise HostFailure(
            f"cloud-init puts {own_name} on 127.0.1.1 at each boot (manage_etc_hosts: "
            "localhost): touch /etc/cloud/cloud-init.disabled, then run this again"
        )
    texts = {HOSTS: _updated(HOSTS, now.files[HOSTS].text, entries, ())}
    template = now.files[TEMPLATE]
    if now.rewritten == "template" and template.kind != "absent":
        names = hosts_file.TEMPLATE_NAMES if own else ()
        texts[TEMPLATE] = _updated(TEMPLATE, template.text, entries, names)
    commands: list[PyinfraCommand | str] = []
    for path, text in texts.items():
        commands += files.ensure(path, text, now=now.files[path])
    if not commands:
        host.noop(f"{HOSTS} is up to date")
    yield from commands


@operation()
def hostname(hostname: str) -> Commands:
    """
    The node's own name: now, and after a reboot.

    + hostname: lower case letters, digits and hyphens

    cloud-init is told to leave it alone. pyinfra's ``server.hostname`` looks at the live name only:
    it would not mend an /etc/hostname that says something else.

    **Example:**

    .. code:: python

        hosts.hostname(name="Call it node1", hostname="node1")
    """

    try:
        hosts_file.check_name(hostname)
    except ValueError as error:
        raise HostFailure(str(error)) from None
    if len(hostname) > MAX_HOSTNAME:
        raise HostFailure(f"host name {hostname!r} is longer than {MAX_HOSTNAME} characters")
    now = read(Hostname)
    commands: list[PyinfraCommand | str] = []
    declare(f"file {HOSTNAME}", "setting hostname")
    # Not when cloud-init is told so elsewhere already.
    if now.cloud_init and (not now.preserved or now.files[PRESERVE].kind != "absent"):
        commands += files.ensure(PRESERVE, PRESERVE_TEXT, now=now.files[PRESERVE])
    if hosts_file.own_name(now.files[HOSTNAME].text or "") != hostname:
        commands += files.ensure(HOSTNAME, f"{hostname}\n", now=now.files[HOSTNAME])
    if now.hostname != hostname:
        plan_change(f"call this node {hostname} (it is {now.hostname})", "setting hostname")
        commands.append(StringCommand("hostname", QuoteString(hostname)))
    if not commands:
        host.noop(f"this node is called {hostname}")
    yield from commands


def _updated(
    path: str, text: str | None, entries: dict[str, list[str]], also: frozenset[str] | tuple[()]
) -> str:
    text = text or ""
    found = hosts_file.conflict(text, entries)
    if found is not None:
        number, name, address = found
        ours = next(wanted for wanted, names in entries.items() if name.lower() in names)
        raise HostFailure(
            f"{path}, line {number}: gives {name} the address {address}, not {ours}: take the name "
            "out there, or change the inventory, then run this again"
        )
    try:
        return hosts_file.update(text, entries, also)
    except ValueError as error:
        raise HostFailure(f"{path}: {error}") from None
