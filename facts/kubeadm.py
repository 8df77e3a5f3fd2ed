"""Read how far ``kubeadm init`` or ``kubeadm join`` has come on a node."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from pyinfra.api import FactProcessError, StringCommand

from facts.base import State, WholeFact, ask, one_of, text_of
from facts.kubelet import KUBELET

INIT_UNIT = "bramble-kubeadm-init"
JOIN_UNIT = "bramble-kubeadm-join"
CONFIG = "/etc/kubernetes/kubeadm-config.yaml"  # the file that init is given
UPGRADING = "/etc/kubernetes/kubeadm-upgrade"  # there until kubeadm upgrade has succeeded
RESTORED_FROM = "/var/lib/bramble/restore"  # the unpacked backup, until a restore is done

# The files that a complete init has written, in its order. A power cut leaves an empty one.
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
# The last objects that init creates. If the API server answers and one is missing, init was
# interrupted near its end.
_RIGHTS = "the administrator's role binding"
_MADE_BY_INIT = ("Deployment/coredns", "DaemonSet/kube-proxy", "ConfigMap/kubeadm-config")
_WRITTEN_BY_JOIN = (
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/pki/ca.crt",
)

_SAID = ("version", "ca", "objects", "why", "kubelet", "server", "own_ca")
_COMMON = """say() { echo "$1 $(base64 -w0)"; };
for f in "$@"; do if [ -s "$f" ]; then echo "file $f"; elif [ -e "$f" ]; then echo "empty $f"; fi;
done;
v=$(dpkg-query -W -f='${db:Status-Status} v${Version}' kubeadm 2>/dev/null);
case $v in "installed "*) v=${v#* }; echo "${v%%-*}";;
*) kubeadm version -o short 2>/dev/null;; esac | say version;
cat /etc/kubernetes/pki/ca.crt 2>/dev/null | say ca;"""

# Where all files are there, wait for the API server: it takes seconds after a reboot. 401 is
# permanent: stop. 403 is transient; if it is returned although the API server is ready, the
# administrator's role binding was never created. A kubelet that exits again after a restart is not
# waited for, unless containerd, which it needs, is still starting.
_CONTROL_PLANE = f"""patience=$1; shift;
{_COMMON}
{KUBELET}
if [ -n "$(ls -A /var/lib/etcd/member 2>/dev/null)" ]; then echo "file /var/lib/etcd/member"; fi;
for f in /etc/kubernetes/pki/ca.key {RESTORED_FROM}/manifest.json; do
[ ! -s "$f" ] || echo "file $f"; done;
[ ! -e {UPGRADING} ] || echo upgrading;
k() {{ kubectl --kubeconfig=/etc/kubernetes/admin.conf --request-timeout=5s "$@" 2>&1; }};
if systemctl is-active --quiet {INIT_UNIT} 2>/dev/null; then echo running;
elif [ -s /etc/kubernetes/admin.conf ] && [ -s /etc/kubernetes/manifests/kube-apiserver.yaml ]; then
end=$(($(date +%s) + patience)); barred=; kubelet; first=$NRestarts;
while :; do
r=$(k get -n kube-system deploy/coredns ds/kube-proxy cm/kubeadm-config --ignore-not-found -o json);
case "$r" in
""|*'"kind"'*) echo ready; printf %s "$r" | say objects; break;;
*orbidden*) [ -n "$barred" ] || [ "$(k get --raw /readyz)" != ok ] ||
{{ barred=yes; end=$(($(date +%s) + 10)); }};;
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
    + state: absent; running (init runs now); half-finished; not answering (all files are there, and
      the API server did not answer in time); worker (it has joined a cluster as one); finished
    + version: of the kubeadm that is installed; "" without one
    + files: those that init has left, or a restore that was interrupted
    + missing: files, or objects in the cluster, that a complete control plane has
    + ca: of the cluster (PEM)
    + config: the cluster's ClusterConfiguration (YAML)
    + why: the last line of kubectl
    + kubelet: what is wrong with the kubelet, with its last line
    + upgrading: whether an upgrade was begun that has not ended
    """

    state: Literal["absent", "running", "half-finished", "not answering", "worker", "finished"]
    version: str = ""
    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ca: str = ""
    config: str = ""
    why: str = ""
    kubelet: str = ""
    upgrading: bool = False


@dataclass(frozen=True)
class MemberState(State):
    """
    + version: of the kubeadm that is installed; "" without one
    + files: those that join has left
    + ca, server: certificate authority (PEM) and API server of the cluster that it has joined
    """

    state: Literal["absent", "running", "half-joined", "control plane", "joined"]
    version: str = ""
    files: tuple[str, ...] = ()
    ca: str = ""
    server: str = ""


class ControlPlane(WholeFact[ControlPlaneState]):
    """
    Read how far ``kubeadm init`` has come: a ``ControlPlaneState``.

    + patience: seconds to wait for an API server whose files are all there
    """

    @classmethod
    def at_once(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        return arguments | {"patience": 0}

    @classmethod
    def is_settled(cls, value: ControlPlaneState) -> bool:
        return value.state in ("absent", "worker", "finished")

    def command(self, patience: int = 90) -> StringCommand:
        return ask(_CONTROL_PLANE, str(patience), *_WRITTEN_BY_INIT)

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
            config=config.get("ClusterConfiguration", ""),
            why=said.get("why", "").strip(),
            kubelet=said.get("kubelet", "").strip(),
            upgrading="upgrading" in flags,
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
    """Read how far ``kubeadm join`` has come: a ``MemberState``."""

    script = (_MEMBER, *_WRITTEN_BY_JOIN)

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


class ControlPlaneMember(WholeFact[MemberState]):
    """
    Read how far ``kubeadm join`` has come on a node that is to be a further control plane: a
    ``MemberState``, "joined" for a worker, "control plane" for one whose files are all there.
    """

    script = (_MEMBER, *_WRITTEN_BY_INIT)

    def parse(self, *lines: str) -> MemberState:
        seen = Member().parse(*lines)
        own = tuple(path for path in seen.files if path != "control-plane")
        if "running" in lines:
            return replace(seen, state="running", files=own)
        is_worker = seen.state == "joined" and not {*own} - {*_WRITTEN_BY_JOIN}
        if seen.state == "absent" or is_worker:
            return replace(seen, files=own)
        complete = set(own) == set(_WRITTEN_BY_INIT)
        state: Any = "control plane" if complete else "half-joined"
        return replace(seen, state=state, files=own)


class ClusterAuthority(WholeFact[str]):
    """Read the certificate authority (PEM) of this control plane's cluster; "" without one."""

    script = ("base64 -w0 /etc/kubernetes/pki/ca.crt 2>/dev/null; echo",)

    def parse(self, certificate: str) -> str:
        return text_of(certificate)


def _read(lines: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...], dict[str, list[str]]]:
    """Return the script's answers by name, the files that it found, and its flags."""
    said: dict[str, str] = {}
    files: list[str] = []
    flags: dict[str, list[str]] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "file":
            files.append(rest)
        elif word in ("empty", "keyless", "running", "ready", "barred", "upgrading"):
            flags.setdefault(word, []).append(rest)
        else:
            said[one_of(word, *_SAID)] = text_of(rest, "replace")
    return said, tuple(files), flags


def _objects(text: str) -> dict[str, dict[str, dict[str, str]]]:
    """Return the objects in kubectl's JSON (none, one, or a List), by KIND/NAME."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text[text.index("{") :])
    except ValueError as error:
        raise FactProcessError(f"kubectl's answer is not JSON: {text.splitlines()[0]}") from error
    objects = found["items"] if found.get("kind") == "List" else [found]
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in objects}
