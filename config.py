"""pyinfra's own settings, read before the inventory. The cluster's settings are in group_data/."""

import sys

import pyinfra_cli.cli as _cli
from pyinfra import config

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<4"
config.SUDO = True  # the admin user needs sudo without a password; the cards are made that way
config.CONNECT_TIMEOUT = 8  # seconds

if not sys.stdin.isatty():
    # pyinfra asks "a host failed, continue?" and "really change?"; with nobody there to answer, it
    # would end in a traceback. Then the other hosts go on (the exit status tells), and nothing is
    # changed without -y.
    _cli._do_confirm = lambda message: "failed" in message
