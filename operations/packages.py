"""
The packages of Kubernetes: their repository, and kubelet, kubeadm and kubectl at one version, held.
"""

from __future__ import annotations

import threading

import requests
from pyinfra import host
from pyinfra.api import StringCommand

from facts.packages import KEY, NAMES, SOURCE, Packages, PackagesState, Repository
from formats import apt as apt_formats
from formats import openpgp
from formats.kubernetes_version import Release, Wanted, newest, parse_package, parse_wanted
from operations import apt
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from operations.files import ensure

# Those that share one version; kubernetes-cni has its own, and comes in the one that fits them.
VERSIONED = ["kubelet", "kubeadm", "kubectl"]
NEEDED_MB = 700  # the packages, unpacked beside their downloads, with some room to breathe

_KUBELET = "unit kubelet.service"
_TIMEOUT_S = (5, 20)  # to connect, to answer
_fetched: dict[str, str | Exception] = {}  # what each address gave in this run
_fetching = threading.Lock()


@operation()
def repository(url: str, fingerprint: str) -> Commands:
    """
    apt knows the repository of Kubernetes packages, and the key that it is signed with.

    + url: the repository of one minor: "https://pkgs.k8s.io/core:/stable:/v1.36/deb/"
    + fingerprint: the key's, 40 hexadecimal digits (spaces are allowed)

    The key is fetched by this computer, on each run: it is prolonged now and then, and a copy made
    once ends in EXPKEYSIG. It is ``Release.key`` beside the packages, and refused unless it has
    that fingerprint.

    **Example:**

    .. code:: python

        packages.repository(
            name="The repository of Kubernetes packages",
            url="https://pkgs.k8s.io/core:/stable:/v1.36/deb/",
            fingerprint="DE15B14486CD377B9E876E1A234654DA9A296436",
        )
    """

    url = f"{url.rstrip('/')}/"
    key = _accepted_key(f"{url}Release.key", fingerprint)
    state = read(Repository)
    others = [path for path in state.sources if path != SOURCE]
    if others:
        raise HostFailure(
            f"{', '.join(others)} names a repository of Kubernetes packages too, and apt would mix "
            "the two: remove it, then run this again"
        )
    commands = [
        *ensure(KEY, key, now=state.files[KEY]),
        *ensure(SOURCE, apt_formats.source(url, "/", KEY), now=state.files[SOURCE]),
    ]
    if not commands:
        host.noop(f"apt knows {url}")
    yield from commands


def to_come(version: str, url: str) -> str | None:
    """
    The release that would be installed now; None when the repository can't be asked from here.

    + version: "1.36", or one release
    + url: of the repository
    """
    wanted = parse_wanted(version)
    if wanted.patch is not None:
        return str(wanted)
    try:
        index = _fetch(f"{url.rstrip('/')}/Packages")
    except requests.RequestException:
        return None
    found = parse_package(newest(wanted, apt_formats.offered(index, "kubeadm")) or "")
    return None if found is None else str(found)


def _accepted_key(url: str, fingerprint: str) -> str:
    try:
        text = _fetch(url)
        found = [key.fingerprint for key in openpgp.public_keys(text) if not key.subkey]
    except requests.RequestException as error:
        raise HostFailure(
            f"this computer could not fetch {url}: {_words(error)}; check the address (setting "
            "kubernetes_repository) and the way out"
        ) from None
    except ValueError as error:
        raise HostFailure(f"{url} is not a public key: {error}") from None
    wanted = "".join(fingerprint.split()).upper()
    if found != [wanted]:
        raise HostFailure(
            f"the key at {url} has the fingerprint {', '.join(found)} and not {wanted}: it is not "
            "accepted. Should the key have been replaced, see the announcement on kubernetes.io, "
            "then change the setting kubernetes_key_fingerprint"
        )
    return text


def _fetch(url: str) -> str:
    """The text at an address, fetched once a run, for all hosts; the failure too."""
    with _fetching:
        if url not in _fetched:
            try:
                answer = requests.get(url, timeout=_TIMEOUT_S)
                answer.raise_for_status()
                _fetched[url] = answer.text
            except requests.RequestException as error:
                _fetched[url] = error
    found = _fetched[url]
    if isinstance(found, Exception):
        raise found
    return found


def _words(error: requests.RequestException) -> str:
    """What went wrong, without the nested objects that requests puts into its messages."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server says {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        return str(getattr(cause, "strerror", None) or "no connection")
    return str(error)


@operation()
def installed(version: str, url: str) -> Commands:
    """
    kubelet, kubeadm, kubectl and kubernetes-cni are installed at the wanted version, and held.

    + version: a minor, "1.36", of which the newest patch is installed and any is left as it is; or
      one release, "1.36.4"
    + url: the repository they come from, for the messages

    Nothing is ever downgraded, and a node of a cluster is not upgraded either: that has an order of
    its own.

    **Example:**

    .. code:: python

        packages.installed(
            name="kubelet, kubeadm and kubectl 1.36",
            version="1.36",
            url="https://pkgs.k8s.io/core:/stable:/v1.36/deb/",
        )
    """

    wanted = parse_wanted(version)
    state = read(Packages, version=str(wanted))
    releases = {name: parse_package(state.installed.get(name, "")) for name in VERSIONED}
    for name, there in releases.items():
        _refuse_change(name, there, wanted, state.joined)
    fitting = [
        state.installed[name] for name, there in releases.items() if there and wanted.fits(there)
    ]
    declare(*(f"{what} {name}" for what in ("package", "hold") for name in NAMES), _KUBELET)
    complete = len(fitting) == len(VERSIONED) and "kubernetes-cni" in state.installed
    unheld = [name for name in NAMES if name not in state.held]
    if complete and not state.broken and not unheld and state.kubelet_enabled:
        host.noop(f"kubelet, kubeadm and kubectl {state.installed['kubelet']} are installed, held")
        return
    install = not complete or bool(state.broken)
    if install:
        lacking = [n for n, there in releases.items() if not there or not wanted.fits(there)]
        lacking += ["kubernetes-cni"] * ("kubernetes-cni" not in state.installed) + state.broken
        told = f"install {', '.join(dict.fromkeys(lacking))} ({_which(wanted, state, fitting)})"
        plan_change(told, *(f"package {name}" for name in dict.fromkeys(lacking)))
    if unheld:
        resources = [f"hold {name}" for name in unheld]
        plan_change(f"hold {', '.join(unheld)} at their version", *resources)
    if not state.kubelet_enabled:
        plan_change("start the kubelet, now and at every boot", _KUBELET)
    if install:
        yield from _install(wanted, url, state, fitting[:1])
        unheld = NAMES
    if unheld:
        yield StringCommand("apt-mark", "hold", *unheld)
    if not state.kubelet_enabled:
        yield StringCommand("systemctl", "enable", "--now", "--quiet", "kubelet.service")


def _refuse_change(name: str, there: Release | None, wanted: Wanted, joined: bool) -> None:
    if there is None or wanted.fits(there):
        return
    if wanted.is_older_than(there):
        raise HostFailure(
            f"{name} {there} is installed and {wanted} asked for: nothing is downgraded here. "
            f'Set kubernetes_version to "{there.major}.{there.minor}", or remove the packages'
        )
    if joined:
        raise HostFailure(
            f"{name} {there} is installed and {wanted} asked for, and this node belongs to a "
            "cluster: upgrade with `kubeadm upgrade`, the control plane first; or set "
            f'kubernetes_version to "{there.major}.{there.minor}"'
        )


def _which(wanted: Wanted, state: PackagesState, fitting: list[str]) -> str:
    """The version that will be installed, as far as it is known before the lists are fetched."""
    if fitting or wanted.patch is not None:
        return fitting[0] if fitting else str(wanted)
    known = newest(wanted, state.available.get("kubelet", []))
    return f"the newest {wanted}" + (f": {known} by the present lists" if known else "")


def check_room(free_mb: int) -> None:
    """``HostFailure`` where the packages would fill the disk."""
    if free_mb < NEEDED_MB:
        raise HostFailure(
            f"its disk is full: {free_mb} MB are free for /var, {NEEDED_MB} MB are wanted: "
            "make room (`df -h`, `sudo apt-get clean`)"
        )


def _install(wanted: Wanted, url: str, state: PackagesState, fitting: list[str]) -> Commands:
    """Install what is missing, beside the version that is there in part, or else the newest."""
    check_room(state.free_mb)
    # What the repository has at this hour, not when the lists were last fetched.
    yield from apt.update(SOURCE)
    offered = read(Packages, version=str(wanted)).available.get("kubelet", [])
    chosen = fitting[0] if fitting else newest(wanted, offered)
    if chosen is None:
        there = ", ".join(sorted({str(parse_package(one) or one) for one in offered}))
        raise HostFailure(
            f"{url} has no Kubernetes {wanted}: it has {there or 'no kubelet at all'}"
        )
    packages = [f"{name}={chosen}" for name in VERSIONED]
    yield from apt.install([*packages, "kubernetes-cni"], change_held=bool(state.held))
