"""
What kubeadm has done on a node: everything, nothing, or a part of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from pyinfra.api import FactProcessError, StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask, one_of, text_of
from facts.kubelet import KUBELET

INIT_UNIT = "bramble-kubeadm-init"
JOIN_UNIT = "bramble-kubeadm-join"

# What init has written when it is through, in its order. An empty file is what a power cut leaves
# of one that was just being written.
_WRITTEN_BY_INIT = (
    "/etc/kubernetes/pki/ca.crt",
    "/etc/kubernetes/pki/apiserver.crt",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/etc/kubernetes/manifests/etcd.yaml",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/manifests/kube-controller-manager.yaml",
    "/etc/kubernetes/manifests/kube-scheduler.yaml",
)
# The last things that init puts into the cluster. With the API server up and these missing, it was
# cut off near its end.
_RIGHTS = "the administrator's rights in the cluster"
_MADE_BY_INIT = ("Deployment/coredns", "DaemonSet/kube-proxy", "ConfigMap/kubeadm-config")
_WRITTEN_BY_JOIN = (
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/pki/ca.crt",
)

_SAID = ("version", "ca", "certificate", "objects", "why", "kubelet", "server", "own_ca")
_COMMON = """say() { echo "$1 $(base64 -w0)"; };
for f in "$@"; do if [ -s "$f" ]; then echo "file $f"; elif [ -e "$f" ]; then echo "empty $f"; fi;
done;
kubeadm version -o short 2>/dev/null | say version;
cat /etc/kubernetes/pki/ca.crt 2>/dev/null | say ca;"""

# The API server is away for seconds after a reboot: it is waited for where all files are there.
# A refusal (401) is an answer that no waiting makes another; 403 passes, seconds after a start. An
# API server that is ready and still refuses the administrator was never told of him. A kubelet that
# was restarted while it was waited for, and has exited again, is not waited for any longer: unless
# containerd is still starting, without which it can't run.
_CONTROL_PLANE = f"""patience=$1; shift;
{_COMMON}
{KUBELET}
if [ -n "$(ls -A /var/lib/etcd/member 2>/dev/null)" ]; then echo "file /var/lib/etcd/member"; fi;
[ ! -s /etc/kubernetes/pki/ca.key ] || echo "file /etc/kubernetes/pki/ca.key";
cat /etc/kubernetes/pki/apiserver.crt 2>/dev/null | say certificate;
k() {{ kubectl --kubeconfig=/etc/kubernetes/admin.conf --request-timeout=5s "$@" 2>&1; }};
if systemctl is-active --quiet {INIT_UNIT} 2>/dev/null; then echo running;
elif [ -s /etc/kubernetes/admin.conf ] && [ -s /etc/kubernetes/manifests/kube-apiserver.yaml ]; then
end=$(($(date +%s) + patience)); barred=; kubelet; first=$NRestarts;
while :; do
r=$(k get --raw /readyz);
case "$r" in
ok) r=$(k get -n kube-system deploy/coredns ds/kube-proxy cm/kubeadm-config --ignore-not-found \
-o json);
case "$r" in
""|*'"kind"'*) echo ready; printf %s "$r" | say objects; break;;
*orbidden*) [ -n "$barred" ] || {{ barred=yes; end=$(($(date +%s) + 10)); }};;
esac;;
*Unauthorized*|*"not found"*) patience=0;;
esac;
kubelet;
if [ "$(systemctl is-active containerd 2>/dev/null)" = activating ]; then first=$NRestarts; fi;
if exited && [ "$NRestarts" -gt "$first" ]; then patience=0; fi;
if [ "$patience" = 0 ] || [ "$(date +%s)" -ge "$end" ]; then
[ -z "$barred" ] || echo barred;
printf %s "$r" | tail -n1 | say why;
if [ "$SubState" = dead ]; then echo "the kubelet is not running" | say kubelet;
elif exited; then echo "the kubelet keeps exiting: $(last_words)" | say kubelet; fi;
break;
fi;
sleep 1;
done; fi"""

_MEMBER = f"""{_COMMON}
c=/etc/kubernetes/kubelet.conf;
[ ! -e /etc/kubernetes/manifests/kube-apiserver.yaml ] || echo "file control-plane";
sed -n 's/^ *server: *//p' $c 2>/dev/null | say server;
sed -n 's/^ *certificate-authority-data: *//p' $c 2>/dev/null | base64 -d 2>/dev/null | say own_ca;
k=$(sed -n 's/^ *client-certificate: *//p' $c 2>/dev/null);
if [ -n "$k" ] && [ ! -s "$k" ]; then echo "keyless $k"; fi;
if systemctl is-active --quiet {JOIN_UNIT} 2>/dev/null; then echo running; fi"""


@dataclass(frozen=True)
class ControlPlaneState(State):
    """
    How far ``kubeadm init`` has come on a node.

    ``state``: absent; running (init is at work just now); half-finished; not answering (all files
    are there, the API server was waited for); worker (it has joined a cluster as one); finished.
    ``files`` are those that init left, ``missing`` is what is not there of a whole control plane
    (files, or objects in the cluster). ``why`` is what kubectl said last, ``kubelet`` what is wrong
    with the kubelet, in its own last words. ``config`` is the cluster's ClusterConfiguration.
    """

    state: Literal["absent", "running", "half-finished", "not answering", "worker", "finished"]
    version: str = ""
    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ca: str = ""
    certificate: str = ""
    config: str = ""
    why: str = ""
    kubelet: str = ""


@dataclass(frozen=True)
class MemberState(State):
    """
    How far ``kubeadm join`` has come on a node.

    ``ca`` is the certificate authority of the cluster that it has joined, ``server`` its address.
    """

    state: Literal["absent", "running", "half-joined", "control plane", "joined"]
    version: str = ""
    files: tuple[str, ...] = ()
    ca: str = ""
    server: str = ""


class ControlPlane(WholeFact[ControlPlaneState]):
    """
    How far ``kubeadm init`` has come: a ``ControlPlaneState``.

    + patience: seconds to wait for an API server whose files are all there
    """

    @override
    def command(self, patience: int = 90) -> StringCommand:
        return ask(_CONTROL_PLANE, str(patience), *_WRITTEN_BY_INIT)

    @override
    def parse(self, *lines: str) -> ControlPlaneState:
        said, files, flags = _read(lines)
        objects = _objects(said.get("objects", ""))
        lacking = tuple(path for path in _WRITTEN_BY_INIT if path not in files)
        config = objects.get("ConfigMap/kubeadm-config", {}).get("data", {})
        seen = ControlPlaneState(
            "absent",
            version=said.get("version", "").strip(),
            files=files + tuple(f"{path} (empty)" for path in flags.get("empty", ())),
            ca=said.get("ca", ""),
            certificate=said.get("certificate", ""),
            config=config.get("ClusterConfiguration", ""),
            why=said.get("why", "").strip(),
            kubelet=said.get("kubelet", "").strip(),
        )
        if "running" in flags:
            return replace(seen, state="running")
        if not seen.files:
            return seen
        if set(seen.files) == {"/etc/kubernetes/kubelet.conf", "/etc/kubernetes/pki/ca.crt"}:
            return replace(seen, state="worker")
        if lacking:
            return replace(seen, state="half-finished", missing=lacking)
        if "barred" in flags:
            return replace(seen, state="half-finished", missing=(_RIGHTS,))
        if "ready" not in flags:
            return replace(seen, state="not answering")
        absent = tuple(name for name in _MADE_BY_INIT if name not in objects)
        if absent:
            return replace(seen, state="half-finished", missing=absent)
        return replace(seen, state="finished")


class Member(WholeFact[MemberState]):
    """How far ``kubeadm join`` has come: a ``MemberState``."""

    @override
    def command(self) -> StringCommand:
        return ask(_MEMBER, *_WRITTEN_BY_JOIN)

    @override
    def parse(self, *lines: str) -> MemberState:
        said, files, flags = _read(lines)
        left = files + tuple(f"{path} (empty)" for path in flags.get("empty", ()))
        seen = MemberState(
            "absent",
            version=said.get("version", "").strip(),
            files=left + tuple(f"{path} (missing)" for path in flags.get("keyless", ())),
            ca=said.get("own_ca", "") or said.get("ca", ""),
            server=said.get("server", "").strip(),
        )
        if "control-plane" in files:
            return replace(seen, state="control plane")
        if "running" in flags:
            return replace(seen, state="running")
        if "/etc/kubernetes/kubelet.conf" in files and "keyless" not in flags:
            return replace(seen, state="joined")
        return replace(seen, state="half-joined") if left else seen


class ClusterAuthority(WholeFact[str]):
    """The certificate authority (PEM) of the cluster that this node leads; "" without one."""

    @override
    def command(self) -> StringCommand:
        return ask("base64 -w0 /etc/kubernetes/pki/ca.crt 2>/dev/null; echo")

    @override
    def parse(self, certificate: str) -> str:
        return text_of(certificate)


def _read(lines: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...], dict[str, list[str]]]:
    """What the script said, the files that it found, and everything else by its first word."""
    said: dict[str, str] = {}
    files: list[str] = []
    flags: dict[str, list[str]] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "file":
            files.append(rest)
        elif word in ("empty", "keyless", "running", "ready", "barred"):
            flags.setdefault(word, []).append(rest)
        else:
            said[one_of(word, *_SAID)] = text_of(rest, "replace")
    return said, tuple(files), flags


def _objects(text: str) -> dict[str, dict[str, dict[str, str]]]:
    """Objects as kubectl gives them (none, one, or a List), by KIND/NAME."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text[text.index("{") :])
    except ValueError as error:
        raise FactProcessError(f"kubectl's answer is not JSON: {text.splitlines()[0]}") from error
    things = found["items"] if found.get("kind") == "List" else [found]
    return {f"{thing['kind']}/{thing['metadata']['name']}": thing for thing in things}
