"""Install the Kubernetes packages: their apt repository, and kubelet, kubeadm, kubectl, held."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NoReturn

import requests
from pyinfra import host
from pyinfra.api import QuoteString, StringCommand

import runs
from facts.packages import KEY, MIRRORS, NAMES, SOURCE, Packages, PackagesState, Repository
from formats import apt as apt_formats
from formats import openpgp
from formats.kubernetes_version import DesiredVersion, Release, newest, parse_desired, parse_package
from formats.shared_downloads import mirror_list
from messages import kubernetes as messages
from messages import upgrade as upgrade_messages
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from operations.files import ensure
from operations.packages import apt
from workstation.download import failure_reason

# These share one version; kubernetes-cni has its own, which apt chooses.
VERSIONED = ["kubelet", "kubeadm", "kubectl"]
NEEDED_MB = 700  # the packages, unpacked and as downloads, and some reserve

_KUBELET = "unit kubelet.service"
# Without its data etcd would serve an empty cluster: a reset was cut off, and is done again.
_ENABLE = """systemctl enable --quiet kubelet.service || exit;
[ -e /etc/kubernetes/manifests/etcd.yaml ] && [ ! -d /var/lib/etcd/member ] ||
systemctl start kubelet.service"""
_TIMEOUT_S = (5, 20)  # to connect, to answer


class _Fetched(dict[str, str | Exception]):
    """The text, or the failure, of each URL that a run has fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


@operation()
def repository(url: str, fingerprint: str, cache: str | None = None) -> Commands:
    """
    Add the apt repository of Kubernetes packages, and its signing key.

    + url: the repository of one minor: "https://pkgs.k8s.io/core:/stable:/v1.36/deb/"
    + fingerprint: the key's, 40 hexadecimal digits (spaces are allowed)
    + cache: URL at which a node keeps these packages; apt asks it first, file by file

    This computer downloads the key (``Release.key`` beside the packages) on each run, because its
    expiry date is extended now and then, and an old copy ends in EXPKEYSIG. ``HostFailure``: it has
    another fingerprint, or another repository of Kubernetes packages is there.
    """
    yield from add_repository(url, fingerprint, cache)


def add_repository(url: str, fingerprint: str, cache: str | None = None) -> Commands:
    """As ``repository``, for another operation."""
    url = f"{url.rstrip('/')}/"
    key = _accepted_key(f"{url}Release.key", fingerprint)
    observed = read(Repository)
    others = [path for path in observed.sources if path != SOURCE]
    if others:
        raise HostFailure(messages.OTHER_REPOSITORY(files=", ".join(others)))
    uri = f"mirror+file:{MIRRORS}" if cache else url
    listed = mirror_list(cache, url) if cache else ""
    commands = [
        *ensure(KEY, key, now=observed.files[KEY]),
        *(ensure(MIRRORS, listed, now=observed.files[MIRRORS]) if cache else ()),
        *ensure(SOURCE, apt_formats.source(uri, "/", KEY), now=observed.files[SOURCE]),
    ]
    if not commands:
        host.noop(f"apt has the repository {url}")
    yield from commands


def available_release(version: str, url: str) -> str | None:
    """
    Return the release that would be installed now; None when this computer can't ask for it.

    + version: "1.36", or one release
    + url: of the repository
    """
    desired = parse_desired(version)
    if desired.patch is not None:
        return str(desired)
    try:
        index = _fetch(f"{url.rstrip('/')}/Packages")
    except requests.RequestException:
        return None
    found = parse_package(newest(desired, apt_formats.available_versions(index, "kubeadm")) or "")
    return None if found is None else str(found)


def offered(version: str, url: str) -> str:
    """
    Return the package version that would be installed now, such as "1.36.4-1.1".

    + version: "1.36": its newest patch; or one release
    + url: of the repository

    ``HostFailure``: this computer can't ask for it, or there is none.
    """
    desired = parse_desired(version)
    try:
        index = _fetch(f"{url.rstrip('/')}/Packages")
    except requests.RequestException as error:
        reason = failure_reason(error)
        raise HostFailure(upgrade_messages.NOT_LISTED(url=url, reason=reason)) from None
    available = apt_formats.available_versions(index, "kubeadm")
    return newest(desired, available) or _refuse(desired, url, available)


def _refuse(desired: DesiredVersion, url: str, available: list[str]) -> NoReturn:
    """Raise ``HostFailure`` with the releases that there are instead."""
    releases = sorted({str(parse_package(one) or one) for one in available})
    there = ", ".join(releases) or "no kubelet at all"
    raise HostFailure(messages.NO_SUCH_RELEASE(url=url, desired=desired, available=there))


def _accepted_key(url: str, fingerprint: str) -> str:
    try:
        text = _fetch(url)
        found = openpgp.fingerprints(text)
    except requests.RequestException as error:
        raise HostFailure(messages.KEY_NOT_FETCHED(url=url, reason=failure_reason(error))) from None
    except ValueError as error:
        raise HostFailure(messages.NO_KEY(url=url, reason=error.args[0])) from None
    expected = "".join(fingerprint.split()).upper()
    if found != [expected]:
        raise HostFailure(messages.OTHER_KEY(url=url, found=", ".join(found), expected=expected))
    return text


def _fetch(url: str) -> str:
    """Fetch the text at a URL once per run, for all hosts; a failure is remembered too."""
    fetched = runs.current().part(_Fetched)
    with fetched.lock:
        if url not in fetched:
            try:
                answer = requests.get(url, timeout=_TIMEOUT_S)
                answer.raise_for_status()
                fetched[url] = answer.text
            except requests.RequestException as error:
                fetched[url] = error
    found = fetched[url]
    if isinstance(found, Exception):
        raise found
    return found


@operation()
def installed(version: str, url: str) -> Commands:
    """
    Install kubelet, kubeadm, kubectl and kubernetes-cni, and hold them at their version.

    + version: a minor, "1.36": its newest patch is installed, and an older patch is kept; or one
      release, "1.36.4"
    + url: the repository they come from, for messages

    ``HostFailure``: it would be a downgrade, or an upgrade on a node of a cluster.
    """
    yield from install(version, url)


def install(version: str, url: str) -> Commands:
    """As ``installed``, for another operation."""
    desired = parse_desired(version)
    observed = read(Packages, version=str(desired))
    releases = {name: parse_package(observed.installed.get(name, "")) for name in VERSIONED}
    for name, release in releases.items():
        check_change(name, release, desired, observed.joined)
    fitting = [
        observed.installed[name]
        for name, release in releases.items()
        if release and desired.fits(release)
    ]
    declare(*(f"{what} {name}" for what in ("package", "hold") for name in NAMES), _KUBELET)
    complete = len(fitting) == len(VERSIONED) and "kubernetes-cni" in observed.installed
    unheld = [name for name in NAMES if name not in observed.held]
    if complete and not observed.broken and not unheld and observed.kubelet_enabled:
        version = observed.installed["kubelet"]
        host.noop(f"kubelet, kubeadm and kubectl {version} are installed and held")
        return
    install = not complete or bool(observed.broken)
    if install:
        missing = [n for n, release in releases.items() if not release or not desired.fits(release)]
        missing += ["kubernetes-cni"] * ("kubernetes-cni" not in observed.installed)
        missing = list(dict.fromkeys(missing + observed.broken))
        which = _describe_version(desired, observed, fitting)
        plan_change(
            f"install {', '.join(missing)} ({which})", *(f"package {name}" for name in missing)
        )
    if unheld:
        resources = [f"hold {name}" for name in unheld]
        plan_change(f"hold {', '.join(unheld)} at their version", *resources)
    if not observed.kubelet_enabled:
        plan_change("start the kubelet, now and at every boot", _KUBELET)
    if install:
        yield from _install(desired, url, observed, fitting[:1])
        unheld = NAMES
    if unheld:
        yield StringCommand("apt-mark", "hold", *unheld)
    if not observed.kubelet_enabled:
        yield StringCommand("sh", "-c", QuoteString(_ENABLE))


@operation()
def upgraded(names: Sequence[str], version: str, url: str) -> Commands:
    """
    Bring Kubernetes packages to a newer version on a node of a cluster; they stay held.

    + names: some of ``VERSIONED``. kubernetes-cni follows the kubelet
    + version, url: as for ``offered``

    A node that has not joined a cluster is not changed.
    """
    chosen = offered(version, url)
    observed = read(Packages, version=str(parse_package(chosen)))
    if not observed.joined:
        host.noop("the node has not joined a cluster")
        return
    together = [*names, *(["kubernetes-cni"] if "kubelet" in names else [])]
    declare(*(f"{what} {name}" for what in ("package", "hold") for name in together))
    due = [
        name
        for name in names
        if name in observed.broken
        or parse_package(observed.installed.get(name, "")) != parse_package(chosen)
    ]
    unheld = [name for name in together if name not in observed.held]
    if not due and not unheld:
        host.noop(f"{', '.join(names)} {chosen} are installed and held")
        return
    if due:
        resources = [f"package {name}" for name in due]
        plan_change(f"upgrade {', '.join(due)} to {chosen}", *resources)
        yield from apt.update(SOURCE)
        which = [f"{name}={chosen}" for name in names]
        yield from apt.install([*which, *together[len(names) :]], change_held=True)
        unheld = together
    else:
        plan_change(f"hold {', '.join(unheld)}", *(f"hold {name}" for name in unheld))
    yield StringCommand("apt-mark", "hold", *unheld)


@operation()
def purged(version: str) -> Commands:
    """
    Remove kubelet, kubeadm, kubectl and kubernetes-cni with their configuration.

    + version: as for ``installed``
    """
    observed = read(Packages, version=str(parse_desired(version)))
    present = [name for name in NAMES if name in {*observed.installed, *observed.broken}]
    if not present:
        host.noop("no Kubernetes package is installed")
        return
    plan_change(f"remove the packages {', '.join(present)}", *(f"package {n}" for n in present))
    yield from apt.purge(present)


def check_change(name: str, release: Release | None, desired: DesiredVersion, joined: bool) -> None:
    """Raise ``HostFailure`` for a downgrade, and for an upgrade on a node of a cluster."""
    if release is None or desired.fits(release):
        return
    values = {
        "package": name,
        "installed": release,
        "desired": desired,
        "minor": f"{release.major}.{release.minor}",
    }
    if desired.is_older_than(release):
        raise HostFailure(messages.NO_DOWNGRADE(**values))
    if joined:
        raise HostFailure(messages.NEEDS_UPGRADE(**values))


def _describe_version(desired: DesiredVersion, observed: PackagesState, fitting: list[str]) -> str:
    """Describe the version to install, as far as it is known before the lists are updated."""
    if fitting or desired.patch is not None:
        return fitting[0] if fitting else str(desired)
    known = newest(desired, observed.available.get("kubelet", []))
    return f"the newest {desired}" + (f": {known} by the present lists" if known else "")


def check_room(free_mb: int) -> None:
    """Raise ``HostFailure`` where the packages would fill the disk."""
    if free_mb < NEEDED_MB:
        raise HostFailure(messages.DISK_FULL(free=free_mb, needed=NEEDED_MB))


def _install(
    desired: DesiredVersion, url: str, observed: PackagesState, fitting: list[str]
) -> Commands:
    """Install what is missing, at the version of what is there already, or else the newest."""
    check_room(observed.free_mb)
    # The lists may be older than the newest patch.
    yield from apt.update(SOURCE)
    available = read(Packages, version=str(desired)).available.get("kubelet", [])
    chosen = (
        fitting[0] if fitting else newest(desired, available) or _refuse(desired, url, available)
    )
    packages = [f"{name}={chosen}" for name in VERSIONED]
    yield from apt.install([*packages, "kubernetes-cni"], change_held=bool(observed.held))
