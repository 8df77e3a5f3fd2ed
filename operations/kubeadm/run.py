"""Run kubeadm on a node: pull the images, init, join; follow it, and report how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

from gevent import GreenletExit
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.kubeadm import CONFIG, INIT_UNIT, JOIN_UNIT
from facts.kubectl import DELETE_NODE
from facts.machine_id import MachineId
from formats.kubeadm.config import Join, Registration
from formats.kubeadm.output import NO_CRI, causes, masked, phase
from formats.registry_mirrors import CERTS_DIR
from messages import container_runtime
from messages import kubernetes as messages
from operations import files
from operations.containerd import JOURNAL
from operations.kubeadm import join_token
from operations.kubeadm.certificate_key import certificate_key
from operations.kubeadm.join_token import join_credentials
from operations.kubelet_watch import KubeletWatch
from remote.failures import GoesOn, HostFailure, RemoteFailure, Unreachable
from remote.job import FOLDER, Outcome
from runs.output import detail, failed

JOIN_CONFIG = f"{FOLDER}/join.yaml"
# Minutes after which a command that still runs is no longer followed.
_PULL_MINUTES = 60
INIT_MINUTES = 30
_JOIN_MINUTES = 20

_IMAGES_UNIT = "bramble-kubeadm-images"

# Prints the images that the node lacks, of those whose names match $1. kubeadm pulls images that
# the node has already, and fails without internet, so it is only asked to when one is missing.
_MISSING = """set -e; have=$(ctr -n k8s.io images ls -q); wanted=$1; shift;
all=$(kubeadm config images list "$@" </dev/null);
[ -n "$all" ] || { echo "it lists no images" >&2; exit 1; };
printf '%s\\n' "$all" | grep -e "$wanted" | grep -vxF -e "$have" || :"""
# What pods on a worker need of them. As containerd would pull it for the kubelet, from the same
# mirrors; kubeadm pulls all images.
_ON_WORKERS = r"/kube-proxy:\|/coredns:\|/pause:"
_PULL = f"""h=; [ ! -d {CERTS_DIR} ] || h="--hosts-dir={CERTS_DIR}"; for i in "$@"; do
why=$(ctr -n k8s.io images pull $h "$i" 2>&1 >/dev/null) || {{
echo "error: failed to pull image \\"$i\\": $(printf %s "$why" | tail -n 1)"; exit 1; }};
echo "Pulled $i"; done"""


def run_init(state: State, host: Host, running: bool) -> bool:
    """
    Pull the images and run kubeadm init.

    + running: it runs already, started by a run that was interrupted: follow it
    """
    if not running:
        if not pull_images(state, host):
            return False
        command = ["kubeadm", "init", "--config", CONFIG, "--skip-token-print"]
        remote.of(host).job(INIT_UNIT).start("bramble: kubeadm init", command)
    return follow(host, "kubeadm init", INIT_UNIT, INIT_MINUTES)


def run_join(
    state: State,
    host: Host,
    control_plane: str,
    node: str,
    address: str,
    ignore_preflight_errors: Sequence[str],
    endpoint: str,
    timeouts: Mapping[str, str],
    replaces: bool = False,
    upload: tuple[Registration, str] | None = None,
) -> bool:
    """
    Run kubeadm join with a token that the control plane makes.

    + replaces: whether the node that another machine has registered under this name is deleted
    + upload: for a node that becomes a control plane too: the other one's registration, and the
      version of Kubernetes
    """
    first = state.inventory.get_host(control_plane)
    with join_credentials(first) as credentials:
        if known := credentials.nodes.get(node):
            is_another = known.machine != remote.of(host).gather(MachineId())
            if is_another and replaces:
                host.log(f"the node {node} of the machine {known.machine} is deleted")
                remote.of(first).run(DELETE_NODE, node)
            elif known.trouble is None:
                values = {"name": node, "machine": known.machine}
                is_other = messages.NODE_OF_ANOTHER_MACHINE(**values)
                raise HostFailure(is_other if is_another else messages.NODE_EXISTS(name=node))
        registration = Registration(node, address, tuple(ignore_preflight_errors))
        join = Join(registration, endpoint, credentials.token, credentials.ca_hash, timeouts)
        with certificate_key(first, *upload) if upload else nullcontext("") as key:
            text = replace(join, certificate_key=key).text()
            remote.of(host).execute(files.write_command(JOIN_CONFIG, text, "600", "root", "root"))
            command = ["kubeadm", "join", "--config", JOIN_CONFIG]
            job = remote.of(host).job(JOIN_UNIT)
            job.start("bramble: kubeadm join", command, remove=[JOIN_CONFIG])
            return follow_join(state, host)


def follow_join(state: State, host: Host) -> bool:
    """Follow a kubeadm join that runs, also one that an interrupted run has started."""
    try:
        return follow(host, "kubeadm join", JOIN_UNIT, _JOIN_MINUTES)
    except (GoesOn, GreenletExit):
        join_token.keep(state)
        raise


def listed_images(version: str, repository: str) -> list[str]:
    """Return kubeadm's arguments for the images of a version, such as "v1.36.4"."""
    return ["--kubernetes-version", version, "--image-repository", repository]


def pull_images(
    state: State, host: Host, listed: Sequence[str] = ("--config", CONFIG), on_worker: bool = False
) -> bool:
    """
    Pull kubeadm's images that are missing, and print why it failed, a line for each cause.

    + listed: kubeadm's arguments that tell which version and repository
    + on_worker: whether to pull only what workers need
    + returns: whether they are there
    """
    missing = _missing(host, listed, on_worker)
    if not missing:
        host.log("all images are on the node")
        return True
    left = set(missing)

    def show(line: str) -> None:
        image = line.rpartition("Pulled ")[2]
        if image in left:
            left.remove(image)
            host.log(f"image {len(missing) - len(left)} of {len(missing)}: {image}")

    host.log(f"pulling {len(missing)} images")
    command = ["kubeadm", "config", "images", "pull", *listed]
    job = remote.of(host).job(_IMAGES_UNIT)
    job.await_earlier(show, _PULL_MINUTES)
    job.start("bramble: images for kubeadm", _by_ctr(missing) if on_worker else command)
    outcome = job.follow(show, _PULL_MINUTES)
    for line in _causes(host, "kubeadm config images pull", outcome):
        failed(host, line)
    return outcome.status == 0


def start_pulling(state: State, host: Host, listed: Sequence[str], others: Sequence[str]) -> bool:
    """
    Start to pull what a worker's first pods need; what fails is left to the kubelet.

    + listed: as for ``pull_images``
    + others: further images, by their full names
    """
    job = remote.of(host).job(_IMAGES_UNIT)
    if not job.is_running():
        job.start("bramble: images for pods", _by_ctr([*_missing(host, listed, True), *others]))
    return True


def _missing(host: Host, listed: Sequence[str], on_worker: bool) -> list[str]:
    try:
        found = remote.of(host).run(_MISSING, _ON_WORKERS if on_worker else "", *listed)
    except Unreachable:
        raise
    except RemoteFailure as failure:
        raise HostFailure(messages.IMAGES_NOT_LISTED(reason=failure.args[0])) from None
    return [line for line in found if line]


def _by_ctr(images: Sequence[str]) -> list[str]:
    return ["sh", "-c", _PULL, "sh", *images]


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
