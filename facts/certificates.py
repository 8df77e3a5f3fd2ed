"""Read a node's Kubernetes certificates, and since when the programs that use them run."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand

from facts.base import State, WholeFact, ask, number, text_of

PKI = "/etc/kubernetes/pki"
KUBELET_CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
KUBELET_SERVING = "/var/lib/kubelet/pki/kubelet.crt"
# Each static pod, and the port that its process listens on.
STATIC_PODS = {
    "kube-scheduler": 10259,
    "kube-controller-manager": 10257,
    "etcd": 2379,
    "kube-apiserver": 6443,
}

# No private key leaves the node: of a file that holds both, only the certificate is read. A
# process's start is told by how long it has run, since the clock may have been set meanwhile.
_SCRIPT = f"""shown() {{ printf 'file %s %s ' "$(stat -L -c %Y "$1")" "$1"; base64 -w0; echo; }};
date '+now %s';
for f in {PKI}/*.crt {PKI}/etcd/*.crt {KUBELET_CLIENT} {KUBELET_SERVING}; do
[ ! -e "$f" ] || sed -n '/BEGIN CERT/,/END CERT/p' "$f" | shown "$f"; done;
home=$(getent passwd "$1" | cut -d: -f6); shift;
for f in /etc/kubernetes/*.conf ${{home:+"$home/.kube/config"}}; do
d=$(sed -n 's/^ *client-certificate-data: *//p' "$f" 2>/dev/null | head -n1);
[ -z "$d" ] || printf %s "$d" | base64 -d 2>/dev/null | shown "$f"; done;
! grep -qs '^ *client-certificate: {KUBELET_CLIENT}' /etc/kubernetes/kubelet.conf || echo rotates;
for p in "$@"; do
pid=$(ss -Hltnp "sport = :$p" 2>/dev/null | sed -n 's/.*pid=\\([0-9]*\\).*/\\1/p' | head -n1);
[ -z "$pid" ] || ! s=$(ps -o etimes= -p "$pid") || echo "process $p $pid $(($(date +%s) - s))";
done"""


@dataclass(frozen=True)
class CertificateFile(State):
    """
    + pem: the certificate; "": the file holds none
    + written: when the file was, in seconds since 1970
    """

    pem: str
    written: int


@dataclass(frozen=True)
class Process(State):
    """
    + pid: of the process that listens on a static pod's port
    + started: in seconds since 1970
    """

    pid: int
    started: int


@dataclass(frozen=True)
class CertificatesState(State):
    """
    + now: the node's clock, in seconds since 1970
    + files: by path
    + processes: by static pod
    + rotates: whether kubelet.conf names the file in which the kubelet renews its certificate
    """

    now: int
    files: dict[str, CertificateFile]
    processes: dict[str, Process]
    rotates: bool = False


class Certificates(WholeFact[CertificatesState]):
    """
    Read all certificates of Kubernetes on a node: a ``CertificatesState``.

    + user: whose ``~/.kube/config`` is read too
    """

    def command(self, user: str) -> StringCommand:
        return ask(_SCRIPT, user, *map(str, STATIC_PODS.values()))

    def parse(self, now: str, *lines: str) -> CertificatesState:
        files, processes, rotates = {}, {}, False
        for line in lines:
            word, *rest = line.split(" ")
            if word == "file":
                written, path, pem = rest
                files[path] = CertificateFile(text_of(pem), number(written))
            elif word == "process":
                port, pid, started = map(number, rest)
                names = {each: name for name, each in STATIC_PODS.items()}
                processes[names[port]] = Process(pid, started)
            else:
                rotates = {"rotates": True}[line]
        return CertificatesState(number(now.removeprefix("now ")), files, processes, rotates)
