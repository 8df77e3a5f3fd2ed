"""pyinfra's own settings, read before the inventory. The cluster's settings are in group_data/."""

import logging
import sys
from pathlib import Path

import pyinfra_cli.cli as _cli
from pyinfra import config, logger
from pyinfra.connectors.sshuserclient import SSHClient as _SSHClient

import settings
from operations import failures, login_shell
from report import ending, interrupt

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<4"
config.SUDO = True  # the admin user needs sudo without a password; the cards are made that way
config.CONNECT_TIMEOUT = 8  # seconds

ending.announce()
interrupt.announce()
login_shell.announce()
failures.announce()

_confirm = _cli._do_confirm


def _ask(message: str) -> bool:
    """pyinfra asks "a host failed, continue?" and "really change?". With nobody there to answer it
    would end in a traceback: then the other hosts go on, and nothing is changed without -y. A run
    that changes nothing because of the answer has not done what was asked of it."""
    if not sys.stdin.isatty() and "failed" in message:
        return True
    if sys.stdin.isatty() and _confirm(message):
        return True
    raise SystemExit("Nothing more was done: answer with Enter alone, or use -y")


_cli._do_confirm = _ask


def _with_our_known_hosts(record: logging.LogRecord) -> bool:
    """pyinfra's remedy for a changed host key names no file, and would look in ~/.ssh."""
    if "ssh-keygen -R " in str(record.msg):
        record.msg += " -f .cluster/known_hosts"
    return True


logger.addFilter(_with_our_known_hosts)
# What paramiko says of a lost channel is said by the operation too, in words.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)
# A changed host key on the way through the gateway ends pyinfra 3.10 with an AttributeError.
_SSHClient._ssh_config = {}

# pyinfra runs the inventory and group_data/ before anything of ours: what is not Python ends here.
if Path("inventory.py").exists():
    settings.check_files("inventory.py")
