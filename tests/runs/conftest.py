"""pyinfra patches sockets and threads when it starts; it has to, before ssl is imported."""

import pyinfra_cli  # noqa: F401
