"""pyinfra's own settings, read before the inventory. The cluster's settings are in group_data/."""

# ruff: noqa: E402

import gc
import sys

from pyinfra import config

# pyinfra turns the cache of bytecode off: every run would compile all modules again.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)

import settings
from messages.run import DECLINED
from remote import pyinfra_internals, shell
from report import interrupt, summary
from runs import failures

config.REQUIRE_PYINFRA_VERSION = "~=3.10.0"
config.SUDO = True  # the admin user needs sudo without a password; the cards are made that way
config.CONNECT_TIMEOUT = 8  # seconds

summary.install()
interrupt.install()
shell.install()
pyinfra_internals.spare_lookups()
pyinfra_internals.fail_hosts_alone(failures.report)
pyinfra_internals.check_after_loading(failures.report)
pyinfra_internals.decline_without_terminal(DECLINED())
pyinfra_internals.quiet_lost_facts()
pyinfra_internals.repair_host_key_messages(".cluster/known_hosts")

# What is imported stays: the garbage collector need not look at it again and again.
gc.freeze()

# pyinfra runs the inventory and group_data/ next: what is not Python ends here.
settings.check_files()
