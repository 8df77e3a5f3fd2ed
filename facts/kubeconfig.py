"""
Who holds the keys to the cluster on the node that leads it. No key leaves the node: what is
compared are fingerprints.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask, one_of
from facts.kubectl import ADMIN_CONF

# sha256 of what stands base64-encoded behind a key, and of a whole file. Two files made by kubeadm
# are alike without the values that differ from one to the next (older ones have preferences).
_SCRIPT = f"""hash() {{ sha256sum | cut -d' ' -f1; }};
data() {{ sed -n "s/^ *$1: *//p" $a 2>/dev/null | head -n1; }};
alike() {{ sed -E -e '/^preferences: \\{{\\}}$/d' \
-e 's/^( *(server|(certificate-authority|client-certificate|client-key)-data): ).*/\\1/' "$1" \
| hash; }};
has() {{ data "$1" | grep -qFf - "$u"; }};
a={ADMIN_CONF};
if [ -s $a ]; then
echo "admin $(hash < $a)";
echo "ca $(data certificate-authority-data | base64 -d 2>/dev/null | hash)";
echo "cert $(data client-certificate-data | base64 -d 2>/dev/null | hash)"; fi;
if [ -n "$1" ]; then
home=$(getent passwd "$1" | cut -d: -f6); group=$(id -gn "$1" 2>/dev/null);
if [ -n "$home" ]; then
echo "home $home"; echo "group $group"; u=$home/.kube/config;
if [ -L "$u" ] || [ -d "$u" ]; then echo "odd $u";
elif [ -s "$u" ]; then
echo "user $(hash < "$u")"; echo "status $(stat -c '%a %U %G' "$u")";
if [ -s $a ] && has certificate-authority-data; then
if [ "$(alike $a)" = "$(alike "$u")" ]; then echo "holds copy";
elif has client-certificate-data && has client-key-data; then echo "holds more"; fi; fi;
fi; fi; fi"""


@dataclass(frozen=True)
class Credentials(State):
    """
    Fingerprints (sha256) of the administrator's kubeconfig and of a user's copy; "" where a file
    is not there.

    ``admin`` and ``user`` are those of the whole files, ``ca`` and ``cert`` of what the first one
    holds. ``holds`` is what the user's file is: a "copy" of the administrator's, of now or of
    earlier; "more", the present administrator and entries of others beside him; "" for anything
    else. ``home`` is "" when the node has no such user; ``status`` is the copy's mode, user and
    group; ``odd`` its path, when it is a link or a directory.
    """

    admin: str = ""
    ca: str = ""
    cert: str = ""
    home: str = ""
    group: str = ""
    user: str = ""
    holds: str = ""
    status: str = ""
    odd: str = ""


_WORDS = tuple(each.name for each in fields(Credentials))


class AdminCredentials(WholeFact[Credentials]):
    """
    The administrator's kubeconfig, and a user's copy of it: ``Credentials``.

    + owner: the user whose ``~/.kube/config`` is looked at; "": nobody's
    """

    secret = True

    @override
    def command(self, owner: str = "") -> StringCommand:
        return ask(_SCRIPT, owner)

    @override
    def parse(self, *lines: str) -> Credentials:
        said = {}
        for line in lines:
            word, _, rest = line.partition(" ")
            said[one_of(word, *_WORDS)] = rest
        return Credentials(**said)
