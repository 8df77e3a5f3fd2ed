"""
Who holds the keys to the cluster on the node that leads it. No key leaves the node: what is
compared are fingerprints.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask
from facts.kubectl import ADMIN_CONF

# sha256 of what stands base64-encoded behind a key, and of a whole file.
_SCRIPT = f"""hash() {{ sha256sum | cut -d' ' -f1; }};
data() {{ sed -n "s/^ *$2: *//p" "$1" 2>/dev/null | head -n1 | base64 -d 2>/dev/null; }};
a={ADMIN_CONF};
if [ -s $a ]; then
echo "admin $(hash < $a)";
echo "ca $(data $a certificate-authority-data | hash)";
echo "cert $(data $a client-certificate-data | hash)"; fi;
if [ -n "$1" ]; then
home=$(getent passwd "$1" | cut -d: -f6); group=$(id -gn "$1" 2>/dev/null);
if [ -n "$home" ]; then
echo "home $home"; echo "group $group"; u=$home/.kube/config;
if [ -L "$u" ] || [ -d "$u" ]; then echo "odd $u";
elif [ -e "$u" ]; then
echo "user $(hash < "$u")"; echo "status $(stat -c '%a %U %G' "$u")";
echo "user_ca $(data "$u" certificate-authority-data | hash)";
fi; fi; fi"""


@dataclass(frozen=True)
class Credentials(State):
    """
    Fingerprints (sha256) of the administrator's kubeconfig and of a user's copy; "" where a file
    is not there.

    ``admin`` and ``user`` are those of the whole files, ``ca``, ``cert`` and ``user_ca`` of what
    they hold. ``home`` is "" when the node has no such user; ``status`` is the copy's mode, user
    and group; ``odd`` its path, when it is a link or a directory.
    """

    admin: str = ""
    ca: str = ""
    cert: str = ""
    home: str = ""
    group: str = ""
    user: str = ""
    user_ca: str = ""
    status: str = ""
    odd: str = ""


class AdminCredentials(WholeFact[Credentials]):
    """
    The administrator's kubeconfig, and a user's copy of it: ``Credentials``.

    + owner: the user whose ``~/.kube/config`` is looked at; "": nobody's
    """

    @override
    def command(self, owner: str = "") -> StringCommand:
        return ask(_SCRIPT, owner)

    @override
    def parse(self, *lines: str) -> Credentials:
        return Credentials(**dict(line.split(" ", 1) for line in lines))
