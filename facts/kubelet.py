"""
The kubelet's service: whether it runs, how often it was restarted, and what it said last.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask, number, one_of, text_of

# Shell functions, for other facts too. systemd counts the restarts, and keeps the invocation's ID
# until the next start: the lines of the life that has ended, whatever they say. journald can't tell
# the invocation of a process that is gone already: then it is the unit's last line since kubeadm
# configured it. A panic of Go is named first, and followed by pages of stack traces. Of a
# program that says nothing, systemd says how it ended.
KUBELET = r"""kubelet() { NRestarts=0 SubState='' InvocationID='';
eval "$(systemctl show -p NRestarts -p SubState -p InvocationID kubelet 2>/dev/null)"; };
exited() { case $SubState in auto-restart*|failed) ;; *) false;; esac; };
journal() { journalctl -q -a -o cat --no-pager -n 500 "$@" 2>/dev/null | grep -a '[^[:space:]]'; };
last_words() { journalctl --sync >/dev/null 2>&1;
l=$(journal _SYSTEMD_UNIT=kubelet.service "_SYSTEMD_INVOCATION_ID=$InvocationID");
t=$(stat -c %Y /var/lib/kubelet/config.yaml 2>/dev/null || echo 0);
[ -n "$l" ] || l=$(journal --since="@$t" _SYSTEMD_UNIT=kubelet.service);
[ -n "$l" ] || l=$(journal UNIT=kubelet.service MESSAGE_ID=98e322203f7a4ed290d09fe03c09fe15);
p=$(printf '%s\n' "$l" | grep -aE -m 1 '^(panic|fatal error): ');
printf '%s\n' "${p:-$l}" | tail -n 1 | cut -c1-400; }"""

_SCRIPT = f"""{KUBELET}
kubelet; echo "$NRestarts"; echo "$SubState";
if [ -s /var/lib/kubelet/config.yaml ]; then echo yes; else echo no; fi;
if exited; then last_words; fi | base64 -w0; echo"""


@dataclass(frozen=True)
class KubeletState(State):
    """
    + restarts: how often systemd has restarted it by itself
    + state: systemd's SubState: "running"; "auto-restart" while it waits for the next start
    + configured: whether kubeadm has written its configuration: before, it exits at every start
    + last_words: what it said before it exited; "" while it runs
    """

    restarts: int
    state: str
    configured: bool
    last_words: str

    @property
    def exited(self) -> bool:
        return self.state.startswith("auto-restart") or self.state == "failed"


class Kubelet(WholeFact[KubeletState]):
    """The kubelet's service: a ``KubeletState``."""

    @override
    def command(self) -> StringCommand:
        return ask(_SCRIPT)

    @override
    def parse(self, restarts: str, state: str, configured: str, words: str) -> KubeletState:
        said = text_of(words, "replace").strip()
        there = one_of(configured, "yes", "no") == "yes"
        return KubeletState(number(restarts), state, there, said)
