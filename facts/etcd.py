"""Read the members of etcd on a control plane, also while its API server does not answer."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of, text_of
from formats import etcd
from formats.etcd import Member

_PKI = "/etc/kubernetes/pki/etcd"
_MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
_DATA = "/var/lib/etcd/member"

# A shell function. The image of etcd has no shell; containers that have ended stay listed.
ETCDCTL = f"""running=$(ctr -n k8s.io tasks ls 2>/dev/null |
awk '$3 == "RUNNING" {{ print $1 }}');
etcd=$(ctr -n k8s.io containers ls -q 'labels."io.kubernetes.container.name"==etcd,\
labels."io.cri-containerd.kind"==container' 2>/dev/null | grep -xF -e "$running" | head -n1);
etcdctl() {{ [ -n "$etcd" ] || {{ echo "no container of etcd runs" >&2; return 1; }};
ctr -n k8s.io tasks exec --exec-id "bramble-$$-$(date +%s%N)" "$etcd" etcdctl \
--endpoints https://127.0.0.1:2379 --cacert {_PKI}/ca.crt --cert {_PKI}/healthcheck-client.crt \
--key {_PKI}/healthcheck-client.key --command-timeout=5s "$@" </dev/null; }};"""

# Without a quorum the list is refused after these 5 s. Members that do not answer are listed all
# the same, and etcdctl fails. Data without a manifest are those of a cluster all the same.
_SCRIPT = f"""if [ ! -s {_MANIFEST} ] && [ ! -d {_DATA} ]; then echo absent; echo; echo;
elif [ ! -s {_MANIFEST} ]; then echo silent;
printf %s "{_MANIFEST} is missing or empty" | base64 -w0; echo; echo; else
{ETCDCTL}
e=$(mktemp); if l=$(etcdctl member list -w json 2>"$e"); then echo listed;
printf %s "$l" | base64 -w0; echo;
etcdctl endpoint health --cluster -w json 2>/dev/null | base64 -w0; echo;
else echo silent; tail -n1 "$e" | base64 -w0; echo; echo; fi; rm -f "$e"; fi"""

# Removes a member, "$1". For some seconds after a change etcd refuses the next one.
REMOVE_MEMBER = f"""{ETCDCTL}
for i in 1 2 3 4 5 6 7 8 9 10; do said=$(etcdctl member remove "$1" 2>&1) && exit;
case "$said" in *"ember not found"*) exit 0;; *unhealthy*|*"not enough"*) sleep 3;; *) break;;
esac; done; printf '%s\\n' "$said" | tail -n1 >&2; exit 1"""


@dataclass(frozen=True)
class EtcdState(State):
    """
    + state: absent (no control plane is there); silent (it does not answer, or has no quorum);
      listed
    + members: all of the cluster
    + why: the last line of etcdctl, of a silent one
    """

    state: str
    members: list[Member]
    why: str = ""


class EtcdMembers(WholeFact[EtcdState]):
    """Read the members of etcd on this control plane: an ``EtcdState``."""

    script = (_SCRIPT,)

    @classmethod
    def is_settled(cls, value: EtcdState) -> bool:
        return value.state != "silent"

    def parse(self, state: str, listed: str, health: str) -> EtcdState:
        one_of(state, "absent", "silent", "listed")
        if state != "listed":
            return EtcdState(state, [], text_of(listed, "replace").strip())
        return EtcdState(state, etcd.parse(text_of(listed), text_of(health)))
