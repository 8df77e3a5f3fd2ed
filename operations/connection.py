"""
The SSH connection to a node: kept from hanging, and followed to where the node has gone.

pyinfra opens one connection a host and neither times it out nor opens it again.
"""

from __future__ import annotations

import atexit
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

import gevent
from paramiko import Channel, SSHException, Transport
from pyinfra import logger
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.connectors.sshuserclient.client import get_ssh_config

from formats import ssh_config
from workstation import files as local_files

ASK_S = 5  # how often a peer is asked whether it is there
PATIENCE_S = 15  # how long it may take to answer; a busy SD card holds a small board up for seconds
_watched = "_bramble_watches"
_told = "_bramble_told"
_open: WeakSet[Transport] = WeakSet()
_moved = "_bramble_moved"
# Called with a host whose connection was opened again.
on_reconnect: list[Callable[[Host], object]] = []


def keep_alive(host: Host) -> None:
    """
    Let a dead peer end the connection within seconds, and send small packets at once.

    Without it a command to a node that lost its power waits for ever (paramiko's own keepalive
    does not look for the answer), and each remote execution costs 40 ms more (Nagle's algorithm,
    which paramiko never turns off). Costs nothing when it has been done to this connection already.

    + host: a connected host; one on another connector than SSH is left as it is
    """

    client = getattr(getattr(host, "connector", None), "client", None)
    transport = client.get_transport() if client else None
    while transport is not None and not getattr(transport, _watched, False):
        setattr(transport, _watched, True)
        _open.add(transport)
        transport.channel_timeout = PATIENCE_S
        gevent.spawn(_watch, transport, host)
        # A ProxyJump hop is a connection of its own, under this one.
        hop = transport.sock
        if not isinstance(hop, Channel):
            hop.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return
        transport = hop.get_transport()


def _watch(transport: Transport, host: Host) -> None:
    """Close a transport whose peer answers no more: whoever waits for it then gets an error."""
    while transport.is_active():
        answered = False
        with gevent.Timeout(PATIENCE_S, False):  # type: ignore[arg-type]  # the stubs forget it
            with suppress(OSError, EOFError, SSHException):  # it ends just now
                transport.global_request("keepalive@openssh.com", wait=True)
            answered = True
        if not answered:
            host.log_styled(
                f"has not answered for {PATIENCE_S} s: is it on, and its cable in?",
                fg="red",
                log_func=logger.error,
            )
            setattr(transport, _told, True)
            transport.close()
        gevent.sleep(ASK_S)


def lost(host: Host) -> bool:
    """Whether the connection has ended by itself, and nothing has been said of it."""
    client = getattr(getattr(host, "connector", None), "client", None)
    transport = client.get_transport() if client else None
    return (
        transport is not None and not transport.is_active() and not getattr(transport, _told, False)
    )


@atexit.register
def _end() -> None:
    """End what is still open: paramiko does so too, and stumbles over a hop that has just died."""
    for transport in list(_open):
        with suppress(EOFError, OSError, SSHException):
            transport.close()


def reconnect(host: Host, address: str | None = None, seconds: float = 45) -> str | None:
    """
    Open a new connection, to the same node at the address where it should be by now.

    + host: the host whose old connection may be dead
    + address: the address to try; None: where ssh_config says
    + seconds: how long to keep trying
    + returns: None, or why there is no connection
    """

    close(host)
    if address is not None:
        _follow(host, address)
    end = time.monotonic() + seconds
    while True:
        try:
            host.connect(show_errors=False, raise_exceptions=True)
            keep_alive(host)
            for call in on_reconnect:
                call(host)
            return None
        except ConnectError as error:
            if time.monotonic() > end:
                return _in_words(str(error))
        gevent.sleep(1)


def _in_words(error: str) -> str:
    """RFC 4254, 5.1: 2 is what a hop's sshd answers when it can't open a connection further on."""
    refused = "ChannelException(2," in error
    return "the node that leads there can't reach it" if refused else error


def ensure(host: Host, seconds: float = 45) -> str | None:
    """
    Look whether the connection is alive, and open a new one if it isn't.

    + host: a host whose way may have been cut: the node that it is reached through was rebooted
    + seconds: how long to keep trying
    + returns: None, or why there is no connection
    """

    client = getattr(getattr(host, "connector", None), "client", None)
    if client is None:
        return None
    try:
        # Asking for a channel is what a command does first: the node must answer.
        client.get_transport().open_session(timeout=PATIENCE_S).close()
        return None
    except (OSError, EOFError, SSHException, AttributeError):
        return reconnect(host, seconds=seconds)


def address(host: Host) -> str:
    """Where a host is reached now: its HostName in ssh_config, or the name itself."""
    name, config = _section(host)
    return str(config.lookup(name).get("hostname", name)) if config else name


def _follow(host: Host, address: str) -> None:
    """
    From now on reach a host at another address, itself and as the hop to others.

    All else that its section in ssh_config says (user, key, ProxyJump) goes on to hold. The file
    is changed too, for whoever uses it after this run.
    """
    name, config = _section(host)
    if config is None:
        host.connector.data["ssh_hostname"] = address
        return
    path = Path(host.connector.data["ssh_config_file"])
    text = path.read_text()
    if (text_now := ssh_config.moved(text, name, address)) != text:
        local_files.replace(str(path), text_now, backup=False)
    if not hasattr(config, _moved):
        known = config.lookup
        moved: dict[str, str] = {}
        setattr(config, _moved, moved)

        def lookup(hostname: str) -> Any:
            found = known(hostname)
            return {**found, "hostname": moved[hostname]} if hostname in moved else found

        config.lookup = lookup
    getattr(config, _moved)[name] = address


def _section(host: Host) -> tuple[str, Any]:
    """The name by which pyinfra looks a host up, and the ssh_config (read once a run), or None."""
    data = host.connector.data
    return data["ssh_hostname"] or host.name, get_ssh_config(data["ssh_config_file"])


def close(host: Host) -> None:
    """Close the connection without a word to the node: it may be gone."""
    client = getattr(host.connector, "client", None)
    if client is not None:
        client.close()
    host.connected = False
