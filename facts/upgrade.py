"""Read what the control plane runs, and what an upgrade of it needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyinfra.api import StringCommand

from facts.base import State, UnexpectedLine, WholeFact, ask, one_of
from facts.certificates import STATIC_PODS
from facts.kubeadm import CONFIG, UPGRADING
from facts.kubectl import ADMIN_CONF, OWN_SERVER
from formats.metrics import DEPRECATED

UPGRADE_UNIT = "bramble-kubeadm-upgrade"

_SCRIPT = f"""{OWN_SERVER}
k() {{ kubectl --kubeconfig={ADMIN_CONF} ${{server:+"$server"}} --request-timeout=10s \
get --raw "$1" 2>/dev/null; }};
if systemctl is-active --quiet {UPGRADE_UNIT} 2>/dev/null; then echo running;
elif [ -e {UPGRADING} ]; then echo unfinished; else echo -; fi;
end=$(($(date +%s) + $1)); shift; [ -s /etc/kubernetes/manifests/kube-apiserver.yaml ] || end=0;
until v=$(k /version | sed -n 's/.*"gitVersion": *"\\([^"]*\\)".*/\\1/p' | grep .); do
[ "$(date +%s)" -lt "$end" ] || {{ v=-; break; }}; sleep 1; done; echo "$v";
sed -n 's/^kubernetesVersion: *//p' {CONFIG} 2>/dev/null | grep . || echo -;
for p in "$@"; do
echo "image $p $(sed -n 's/^ *\\(- \\)\\{{0,1\\}}image: *//p' "/etc/kubernetes/manifests/$p.yaml" \
2>/dev/null)"; done;
k /metrics | grep '^{DEPRECATED}' | sed 's/^/api /'"""


@dataclass(frozen=True)
class ControlPlaneVersions(State):
    """
    + running: whether ``kubeadm upgrade`` runs, started by a run that was interrupted
    + unfinished: whether it was cut off, by a power cut for instance, or has failed
    + server: the version that the API server reports, such as "v1.36.4"; "" without an answer
    + configured: the version in kubeadm's configuration file; "" without one
    + images: of each static pod, by its name; "" without its manifest
    + deprecated: the API server's samples of the deprecated APIs that were requested
    """

    running: bool
    unfinished: bool
    server: str
    configured: str
    images: dict[str, str]
    deprecated: list[str]


class ControlPlaneParts(WholeFact[ControlPlaneVersions]):
    """
    Read the parts of a control plane on its own node: a ``ControlPlaneVersions``.

    + patience: seconds to wait for its API server
    """

    @classmethod
    def at_once(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        return arguments | {"patience": 0}

    @classmethod
    def is_settled(cls, value: ControlPlaneVersions) -> bool:
        return bool(value.server) and not value.running

    def command(self, patience: int = 0) -> StringCommand:
        return ask(_SCRIPT, str(patience), *STATIC_PODS)

    def parse(
        self, running: str, server: str, configured: str, *lines: str
    ) -> ControlPlaneVersions:
        images, deprecated = {}, []
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "image":
                name, _, images[one_of(name, *STATIC_PODS)] = rest.partition(" ")
            elif word == "api":
                deprecated.append(rest)
            else:
                raise UnexpectedLine(line)
        return ControlPlaneVersions(
            running=one_of(running, "running", "unfinished", "-") == "running",
            unfinished=running == "unfinished",
            server="" if server == "-" else server,
            configured="" if configured == "-" else configured,
            images=images,
            deprecated=deprecated,
        )
