"""Run kubeadm on a node: pull the images, init, join; follow it, and report how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.kubeadm import CONFIG, INIT_UNIT, JOIN_UNIT
from formats.kubeadm.config import Join, Registration
from formats.kubeadm.output import NO_CRI, causes, masked, phase
from messages import container_runtime
from messages import kubernetes as messages
from operations import files
from operations.containerd import JOURNAL
from operations.kubeadm.join_token import join_credentials
from operations.kubeadm.kubelet_watch import KubeletWatch
from remote.failures import HostFailure, RemoteFailure, Unreachable
from remote.job import FOLDER, Outcome
from runs.output import detail, failed

JOIN_CONFIG = f"{FOLDER}/join.yaml"
IMAGES_UNIT = "bramble-kubeadm-images"
# Minutes after which a command that still runs is no longer followed.
_PULL_MINUTES = 60
_INIT_MINUTES = 30
_JOIN_MINUTES = 15

# kubeadm pulls images that the node has already, and fails without internet, so it is only asked to
# when one is missing. Prints how many images there are, and how many of them are missing.
_MISSING_IMAGES = f"""set -e; have=$(ctr -n k8s.io images ls -q); n=0; l=0;
images=$(kubeadm config images list --config {CONFIG});
[ -n "$images" ] || {{ echo "it lists no images" >&2; exit 1; }};
for i in $images; do n=$((n+1)); printf '%s\\n' "$have" | grep -qxF -- "$i" || l=$((l+1)); done;
echo "$n $l\""""


def run_init(state: State, host: Host, running: bool) -> bool:
    """
    Pull the images and run kubeadm init.

    + running: it runs already, started by a run that was interrupted: follow it
    """
    if not running:
        if not _pull_images(host):
            return False
        command = ["kubeadm", "init", "--config", CONFIG, "--skip-token-print"]
        remote.of(host).job(INIT_UNIT).start("bramble: kubeadm init", command)
    return follow(host, "kubeadm init", INIT_UNIT, _INIT_MINUTES)


def run_join(
    state: State,
    host: Host,
    control_plane: str,
    node: str,
    address: str,
    ignore_preflight_errors: Sequence[str],
    endpoint: str,
    timeouts: Mapping[str, str],
) -> bool:
    """Run kubeadm join with a token that the control plane makes."""
    with join_credentials(state.inventory.get_host(control_plane)) as credentials:
        if node in credentials.ready_nodes:
            raise HostFailure(messages.NODE_EXISTS(name=node))
        registration = Registration(node, address, tuple(ignore_preflight_errors))
        text = Join(registration, endpoint, credentials.token, credentials.ca_hash, timeouts).text()
        remote.of(host).execute(files.write_command(JOIN_CONFIG, text, "600", "root", "root"))
        command = ["kubeadm", "join", "--config", JOIN_CONFIG]
        job = remote.of(host).job(JOIN_UNIT)
        job.start("bramble: kubeadm join", command, remove=[JOIN_CONFIG])
        return follow_join(state, host)


def follow_join(state: State, host: Host) -> bool:
    """Follow a kubeadm join that runs, also one that an interrupted run has started."""
    return follow(host, "kubeadm join", JOIN_UNIT, _JOIN_MINUTES)


def _pull_images(host: Host) -> bool:
    try:
        count, missing = remote.of(host).run(_MISSING_IMAGES)[-1].split()
    except Unreachable:
        raise
    except RemoteFailure as failure:
        raise HostFailure(messages.IMAGES_NOT_LISTED(reason=failure.args[0])) from None
    if missing == "0":
        host.log(f"all {count} images are on the node")
        return True
    pulled = 0

    def show(line: str) -> None:
        nonlocal pulled
        if "Pulled " in line:
            pulled += 1
            host.log(f"image {pulled} of {count}: {line.split('Pulled ', 1)[1]}")

    host.log(f"pulling {count} images")
    command = ["kubeadm", "config", "images", "pull", "--config", CONFIG]
    job = remote.of(host).job(IMAGES_UNIT)
    job.await_earlier(show, _PULL_MINUTES)
    job.start("bramble: images for kubeadm", command)
    outcome = job.follow(show, _PULL_MINUTES)
    for line in _causes(host, "kubeadm config images pull", outcome):
        failed(host, line)
    return outcome.status == 0


def follow(host: Host, command: str, unit: str, minutes: float, watched: bool = True) -> bool:
    """
    Follow a kubeadm command to its end, and print why it failed, a line for each cause.

    + unit: of its job
    + minutes: after which it is no longer followed
    + watched: whether it waits for the kubelet, and is stopped when that keeps exiting
    """
    watch = KubeletWatch(host)

    def permanent_failure() -> str | None:
        reason = watch.failure()
        return reason and messages.KUBELET_EXITS_IN_KUBEADM(command=command, reason=reason)

    checks = (permanent_failure,) if watched else ()
    outcome = remote.of(host).job(unit).follow(show_phases(host, command), minutes, *checks)
    for cause in _causes(host, command, outcome):
        failed(host, f"{command}: {cause}")
    if outcome.status and (reason := watch.last_words()):
        failed(host, messages.KUBELET_EXITED(reason=reason))
    return outcome.status == 0


def _causes(host: Host, command: str, outcome: Outcome) -> list[str]:
    if outcome.status == 0:
        return []
    if outcome.status is None:
        return [messages.KUBEADM_STOPPED(command=command)]
    found: list[str] = [*causes(outcome.lines)]
    if any(NO_CRI in line for line in outcome.lines):
        found += [container_runtime.NO_CRI(reason=line) for line in remote.of(host).run(JOURNAL)]
    return found


def show_phases(host: Host, command: str) -> Callable[[str], None]:
    """Show the phases of a kubeadm command, a line each; its whole output goes to the log."""
    shown: set[str] = set()

    def show(line: str) -> None:
        if line.strip():
            detail(host, masked(line))
        name = phase(line)
        if name and name not in shown:
            shown.add(name)
            host.log(f"{command}: {name}")

    return show
