"""
kubeadm at work: what its operations do once it is decided that they do it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.kubeadm import INIT_UNIT, JOIN_UNIT
from formats.kubeadm.config import Join, Registration
from formats.kubeadm.output import NO_CRI, explained, masked, node_is_there, phase
from operations import files
from operations.containerd import WHY_NO_CRI
from operations.kubeadm.join_token import granted
from operations.kubeadm.kubelet_watch import KubeletWatch
from remote.failures import RemoteFailure, Unreachable
from remote.job import FOLDER, Outcome
from runs.output import detail, failed

CONFIG = "/etc/kubernetes/kubeadm-config.yaml"
JOIN_CONFIG = f"{FOLDER}/join.yaml"
_PULL_UNIT = "bramble-kubeadm-images"
# Minutes after which a command that still works is left to itself.
_PULL_MINUTES = 60
_INIT_MINUTES = 30
_JOIN_MINUTES = 15

# What the node has of the images is left alone: kubeadm would ask the registry for them again, and
# fail without internet although nothing is missing. Prints how many there are, and how many lack.
_LACKING = f"""set -e; have=$(ctr -n k8s.io images ls -q); n=0; l=0;
wanted=$(kubeadm config images list --config {CONFIG});
[ -n "$wanted" ] || {{ echo "it names no image" >&2; exit 1; }};
for i in $wanted; do n=$((n+1)); printf '%s\\n' "$have" | grep -qxF -- "$i" || l=$((l+1)); done;
echo "$n $l\""""


def initialise(state: State, host: Host, running: bool) -> bool:
    """Pull the images, run kubeadm init (or stay with the one that runs), say how it ended."""
    return _guarded(host, lambda: _run_init(host, running))


def _run_init(host: Host, running: bool) -> bool:
    if not running:
        if not _pull_images(host):
            return False
        command = ["kubeadm", "init", "--config", CONFIG, "--skip-token-print"]
        remote.of(host).job(INIT_UNIT).start("bramble: kubeadm init", command)
    return _followed(host, "kubeadm init", INIT_UNIT, _INIT_MINUTES)


def _pull_images(host: Host) -> bool:
    try:
        count, lacking = remote.of(host).run(_LACKING)[-1].split()
    except Unreachable:
        raise
    except RemoteFailure as failure:
        raise RemoteFailure(f"kubeadm config images list failed: {failure}") from None
    if lacking == "0":
        host.log(f"all {count} images are on the node")
        return True
    done = [0]

    def show(line: str) -> None:
        if "Pulled " in line:
            done[0] += 1
            host.log(f"image {done[0]} of {count}: {line.split('Pulled ', 1)[1]}")

    host.log(f"pulling {count} images")
    command = ["kubeadm", "config", "images", "pull", "--config", CONFIG]
    remote.of(host).job(_PULL_UNIT).start("bramble: images for kubeadm", command)
    outcome = remote.of(host).job(_PULL_UNIT).follow(show, _PULL_MINUTES)
    if outcome.status != 0:
        for line in _causes(host, outcome):
            failed(host, line)
    return outcome.status == 0


def join_cluster(
    state: State,
    host: Host,
    control_plane: str,
    node: str,
    address: str,
    ignore_preflight_errors: Sequence[str],
    endpoint: str,
    timeouts: Mapping[str, str],
) -> bool:
    """Join with a token of the control plane's, say how it ended."""

    def run_join() -> bool:
        with granted(state.inventory.get_host(control_plane)) as grant:
            if node in grant.ready:
                raise RemoteFailure(node_is_there(node))
            registration = Registration(node, address, tuple(ignore_preflight_errors))
            text = Join(registration, endpoint, grant.token, grant.ca_hash, timeouts).text()
            remote.of(host).execute(files.write_command(JOIN_CONFIG, text, "600", "root", "root"))
            command = ["kubeadm", "join", "--config", JOIN_CONFIG]
            remote.of(host).job(JOIN_UNIT).start(
                "bramble: kubeadm join", command, remove=[JOIN_CONFIG]
            )
            return _followed(host, "kubeadm join", JOIN_UNIT, _JOIN_MINUTES)

    return _guarded(host, run_join)


def follow_join(state: State, host: Host) -> bool:
    """Stay with the join that a lost connection left at work, say how it ended."""
    return _guarded(host, lambda: _followed(host, "kubeadm join", JOIN_UNIT, _JOIN_MINUTES))


def _followed(host: Host, command: str, unit: str, minutes: float) -> bool:
    watch = KubeletWatch(host)

    def in_vain() -> str | None:
        why = watch.trouble()
        return why and (
            f"{command}: {why}. Mend that (sudo journalctl -u kubelet on this node says more), "
            "remove what kubeadm left there by `sudo kubeadm reset -f`, then run this again"
        )

    outcome = remote.of(host).job(unit).follow(_shown(host, command), minutes, in_vain)
    if outcome.status == 0:
        return True
    for line in _causes(host, outcome):
        failed(host, f"{command}: {line}")
    if outcome.status and (words := watch.last_words()):
        failed(host, f"the kubelet has exited: {words}")
    return False


def _causes(host: Host, outcome: Outcome) -> list[str]:
    """Why kubeadm failed, a line for each reason."""
    if not outcome.status:
        return ["it was cut off"]
    causes = explained(outcome.lines)
    if any(NO_CRI in line for line in outcome.lines):
        causes += [f"containerd says: {line}" for line in remote.of(host).run(WHY_NO_CRI)]
    return causes


def _guarded(host: Host, work: Callable[[], bool]) -> bool:
    try:
        return work()
    except RemoteFailure as failure:
        return failed(host, str(failure))


def _shown(host: Host, command: str) -> Callable[[str], None]:
    """Show the phases of a kubeadm command, one line each; all that it prints goes to the log."""
    said: set[str] = set()

    def show(line: str) -> None:
        if line.strip():
            detail(host, masked(line))
        name = phase(line)
        if name and name not in said:
            said.add(name)
            host.log(f"{command}: {name}")

    return show
