"""Fingerprints of the administrator's kubeconfig and of a user's copy; no key leaves the node."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pyinfra.api import StringCommand

from facts.base import State, WholeFact, ask, one_of
from facts.kubectl import ADMIN_CONF

# sha256 of base64-encoded values, and of whole files. "alike" hashes a file without the values that
# differ between two that kubeadm has made (older ones have preferences).
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
elif has client-certificate-data && has client-key-data; then echo "holds more";
else echo "holds outdated"; fi; fi;
fi; fi; fi"""


@dataclass(frozen=True)
class Credentials(State):
    """
    Fingerprints are sha256, and "" for a missing file.

    + admin, user: of the whole files: the administrator's, the user's
    + ca, cert: of the certificates in the administrator's
    + home, group: of the user; "" when there is no such user
    + holds: what the user's file is: "copy" of the present or an earlier administrator's; "more":
      the present administrator and other entries; "outdated": this cluster and other entries, and
      another user than the present administrator; "": anything else
    + status: mode, user and group of the user's file
    + odd: the path of the user's file, if it is a link or a directory
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

    @property
    def copy(self) -> str:
        """The path of the user's file, if it is a copy of the administrator's; else ""."""
        return f"{self.home}/.kube/config" if self.holds == "copy" else ""


_WORDS = tuple(each.name for each in fields(Credentials))


class AdminCredentials(WholeFact[Credentials]):
    """
    Read the administrator's kubeconfig, and a user's copy of it: ``Credentials``.

    + owner: the user whose ``~/.kube/config`` is read; "": nobody's
    """

    secret = True

    def command(self, owner: str = "") -> StringCommand:
        return ask(_SCRIPT, owner)

    def parse(self, *lines: str) -> Credentials:
        said = {}
        for line in lines:
            word, _, rest = line.partition(" ")
            said[one_of(word, *_WORDS)] = rest
        return Credentials(**said)
