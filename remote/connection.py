"""
The SSH connection to a node: a dead peer is noticed, a lost connection opened again.

pyinfra opens one connection for each host, without a time limit, and never opens it again.
"""

from __future__ import annotations

import atexit
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

import gevent
from paramiko import Channel, PKey, SSHException, Transport
from pyinfra import logger
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host

from formats import ssh_config
from messages import run as messages
from remote import pyinfra_internals
from workstation import files as local_files

ASK_S = 5  # between two keepalive requests
ANSWER_S = 15  # for an answer; a busy SD card blocks a small board for seconds
RECONNECT_S = 45  # some boards take this long to reboot


class Connection:
    """
    The connection to one node.

    + host: as pyinfra has it; one on another connector than SSH has nothing to watch or reopen
    + on_reconnect: called after the connection was opened again
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.on_reconnect: list[Callable[[], object]] = []
        # The watched transports, and whether the end of one was reported already.
        self._reported: WeakKeyDictionary[Transport, bool] = WeakKeyDictionary()

    @property
    def is_ssh(self) -> bool:
        """Whether the node is reached over SSH; this computer itself is not."""
        return pyinfra_internals.client(self.host) is not None

    @property
    def address(self) -> str:
        """The address at which the node is reached now."""
        return pyinfra_internals.address(self.host)

    @property
    def host_key(self) -> PKey | None:
        """The host key of the machine at the other end; None without an open connection."""
        return pyinfra_internals.host_key(self.host)

    @property
    def login_key(self) -> tuple[str, PKey] | None:
        """The user and the key that opened the connection; None when it was not opened by one."""
        return pyinfra_internals.login_key(self.host)

    @property
    def opened_by_password(self) -> bool:
        """Whether the login was by another method than a key."""
        return pyinfra_internals.opened_by_password(self.host)

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended, and this was not reported yet."""
        transport = pyinfra_internals.transport(self.host)
        if transport is None or transport.is_active():
            return False
        return not self._reported.get(transport, False)

    def keep_alive(self) -> None:
        """
        Let a dead peer end the connection within seconds, and send small packets at once.

        Without it a command to a node that lost its power waits for ever (paramiko's own keepalive
        ignores the answer), and each remote execution costs 40 ms more (Nagle's algorithm, which
        paramiko leaves on). Costs nothing for a connection that is watched already.
        """
        transport = pyinfra_internals.transport(self.host)
        while transport is not None and transport not in self._reported:
            if not self._reported:
                # paramiko's own atexit handler raises if a ProxyJump hop is already dead.
                atexit.register(self._end)
            self._reported[transport] = False
            pyinfra_internals.limit_channels(transport, ANSWER_S)
            gevent.spawn(self._watch, transport)
            if isinstance(transport.sock, socket.socket):
                transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = pyinfra_internals.hop(transport)

    def open_channel(self, timeout: float | None = None) -> Channel:
        """
        Open a channel for one command.

        + timeout: seconds to wait for the node; None: as long as for every command
        + raises ``OSError``, ``EOFError``, ``SSHException``: the connection is lost
        """
        transport = pyinfra_internals.transport(self.host)
        if transport is None:
            raise SSHException("not connected")
        return transport.open_session(timeout=timeout)

    def reconnect(self, address: str | None = None, seconds: float = RECONNECT_S) -> str | None:
        """
        Open a new connection to the same node; the old one may be dead.

        + address: where the node should be by now; None: where it was
        + seconds: how long to keep trying
        + returns: None, or why there is no connection
        """
        self.close()
        if address is not None:
            self._follow(address)
        end = time.monotonic() + seconds
        while True:
            try:
                self.host.connect(show_errors=False, raise_exceptions=True)
                self.keep_alive()
                for call in self.on_reconnect:
                    call()
                return None
            except ConnectError as error:
                if time.monotonic() > end:
                    return _explained(str(error))
            gevent.sleep(1)

    @property
    def through(self) -> str:
        """The node through which the connection goes; "": through none."""
        return pyinfra_internals.jump(self.host)

    def ensure_open(self, seconds: float = RECONNECT_S) -> str | None:
        """
        Check that the connection is alive, and open a new one if it is not.

        + seconds: how long to keep trying
        + returns: None, or why there is no connection
        """
        if not self.is_ssh:
            return None
        try:
            # Asking for a channel is what a command does first: the node must answer.
            self.open_channel(ANSWER_S).close()
            return None
        except (OSError, EOFError, SSHException):
            return self.reconnect(seconds=seconds)

    def close(self) -> None:
        """Close the connection without waiting for the node: it may be gone."""
        client = pyinfra_internals.client(self.host)
        if client is not None:
            client.close()
        self.host.connected = False

    def _watch(self, transport: Transport) -> None:
        """Close a transport whose peer stops answering: whoever waits for it gets an error."""
        while transport.is_active():
            answered = False
            with gevent.Timeout(ANSWER_S, False):  # type: ignore[arg-type]  # missing in the stubs
                with suppress(OSError, EOFError, SSHException):  # it ends just now
                    transport.global_request("keepalive@openssh.com", wait=True)
                answered = True
            if not answered:
                self.host.log_styled(
                    messages.NO_ANSWER(seconds=ANSWER_S), fg="red", log_func=logger.error
                )
                self._reported[transport] = True
                transport.close()
            gevent.sleep(ASK_S)

    def _end(self) -> None:
        for transport in list(self._reported):
            with suppress(EOFError, OSError, SSHException):
                transport.close()

    def _follow(self, address: str) -> None:
        """Reach the node at another address from now on, in ssh_config as well."""
        path = pyinfra_internals.ssh_config_file(self.host)
        if path is not None:
            text = path.read_text()
            moved = ssh_config.moved(text, pyinfra_internals.ssh_name(self.host), address)
            if moved != text:
                local_files.replace(str(path), moved, backup=False)
        pyinfra_internals.redirect(self.host, address)


def _explained(error: str) -> str:
    """RFC 4254, 5.1: 2 is what a hop's sshd answers when it can't open a connection further on."""
    return "its ProxyJump node cannot reach it" if "ChannelException(2," in error else error
