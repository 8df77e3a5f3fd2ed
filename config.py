"""pyinfra's own settings, read before the inventory. The cluster's settings are in group_data/."""

import logging
import sys

import pyinfra_cli.cli as _cli
from pyinfra import config, logger
from pyinfra.connectors.sshuserclient import SSHClient as _SSHClient

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<4"
config.SUDO = True  # the admin user needs sudo without a password; the cards are made that way
config.CONNECT_TIMEOUT = 8  # seconds

if not sys.stdin.isatty():
    # pyinfra asks "a host failed, continue?" and "really change?"; with nobody there to answer, it
    # would end in a traceback. Then the other hosts go on (the exit status tells), and nothing is
    # changed without -y.
    _cli._do_confirm = lambda message: "failed" in message


def _with_our_known_hosts(record: logging.LogRecord) -> bool:
    """pyinfra's remedy for a changed host key names no file, and would look in ~/.ssh."""
    if "ssh-keygen -R " in str(record.msg):
        record.msg += " -f .cluster/known_hosts"
    return True


logger.addFilter(_with_our_known_hosts)
# What paramiko says of a lost channel is said by the operation too, in words.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)
# A changed host key on the way through the head ends pyinfra 3.10 with an AttributeError.
_SSHClient._ssh_config = {}
