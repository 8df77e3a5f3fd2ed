"""Read the kubelet's service: whether it runs, how often it was restarted, and its last line."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, number, one_of, text_of

# Shell functions, for other facts too. The last line is sought in three places: the lines of the
# last invocation, whose ID systemd keeps until the next start; else the unit's lines since kubeadm
# configured it, since journald can't attribute lines of a process that has exited already; else
# systemd's own line on how it exited. A Go panic is preferred, since stack traces follow it.
# Once its next start is queued, NRestarts counts that already, while the ID is the old one's: newer
# systemds have a SubState for it, older ones only the job.
KUBELET = r"""kubelet() { NRestarts=0 SubState='' InvocationID='' Job='';
eval "$(systemctl show -p NRestarts -p SubState -p InvocationID -p Job kubelet 2>/dev/null)";
[ -z "$Job" ] || [ "$SubState" != auto-restart ] || SubState=auto-restart-queued; };
exited() { case $SubState in auto-restart|failed) ;; *) false;; esac; };
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
    + restarts: how often systemd has restarted it automatically
    + state: systemd's SubState: "running"; "auto-restart" while it waits for the next start,
      "auto-restart-queued" when that was asked for
    + configured: whether kubeadm has written its configuration; without one it exits at once
    + last_words: the last line before it exited; "" while it runs
    """

    restarts: int
    state: str
    configured: bool
    last_words: str

    @property
    def exited(self) -> bool:
        return self.state in ("auto-restart", "failed")


class Kubelet(WholeFact[KubeletState]):
    """Read the kubelet's service: a ``KubeletState``."""

    script = (_SCRIPT,)

    def parse(self, restarts: str, state: str, configured: str, words: str) -> KubeletState:
        said = text_of(words, "replace").strip()
        there = one_of(configured, "yes", "no") == "yes"
        return KubeletState(number(restarts), state, there, said)
