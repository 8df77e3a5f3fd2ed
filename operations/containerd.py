"""Install containerd, and configure it for Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.containerd import CONFIG, RESTART_MARK, Containerd, ContainerdState
from facts.files import FileState
from facts.node_record import KEPT
from formats.containerd import Runtime, configured, has_own_mirrors, overridden, release
from formats.kubernetes_version import DesiredVersion, parse_desired
from formats.node_record import Entry, fingerprint
from formats.registry_mirrors import CERTS_DIR, MIRROR_MARK, hosts_toml
from formats.unreadable import Unreadable
from messages import container_runtime as messages
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    operation,
    plan_change,
    read,
)
from operations.files import ensure
from operations.node_record import ChangedSince
from operations.packages import apt

# containerd 1.7 does not tell the kubelet its cgroup driver (RuntimeConfig); this is the newest
# minor of Kubernetes that certainly works without it.
NEWEST_FOR_CONTAINERD_1 = DesiredVersion(1, 36)

_MIRRORS = "mirrors of containerd"
_MARK = f'mkdir -p "$(dirname {RESTART_MARK})" && : > {RESTART_MARK}'

# containerd starts without a plugin that fails, and logs that only in its journal. Once it answers,
# it has loaded all plugins.
JOURNAL = """log() { journalctl -o cat --no-pager _SYSTEMD_INVOCATION_ID="$(systemctl show \
-p InvocationID --value containerd.service)" 2>/dev/null; };
w=$(log | grep 'failed to load plugin' | grep -E 'grpc[.]v1[.]cri|cri[.]v1' | tail -n 1);
[ -n "$w" ] || w=$(log | grep -E 'level=(error|fatal)|^containerd:' | tail -n 1);
printf '%s\\n' "${w:-no reason given}" | cut -c1-600"""
_DUMP = """d=$(containerd config dump 2>/dev/null) && printf '%s\\n' "$d" ||
{ containerd config dump 2>&1 > /dev/null | tail -n 1; exit 1; }"""
# Prints, where it fails, a keyword of _FAILURES and the reason.
_RESTART = f"""why() {{ {JOURNAL}; }};
systemctl enable --quiet containerd.service; systemctl reset-failed containerd.service 2>/dev/null;
timeout 90 systemctl restart containerd.service 2>/dev/null \
|| {{ echo "not-started $(why)"; exit 1; }};
n=0; until p=$(ctr plugins ls 2>/dev/null) && [ -n "$p" ]; do
n=$((n+1)); [ $n -lt 60 ] || {{ echo "not-answering $(why)"; exit 1; }};
sleep 1; done;
printf '%s\\n' "$p" | grep -Eq '^io.containerd.grpc.v1 +cri .*ok *$' || {{
echo "no-cri $(why)"; exit 1; }};
rm -f {RESTART_MARK}"""
_FAILURES = {
    "not-started": messages.NOT_STARTED,
    "not-answering": messages.NOT_ANSWERING,
    "no-cri": messages.NO_CRI,
}


@operation()
def runtime(
    pause_image: str,
    kubernetes_version: str,
    mirrors: Mapping[str, str] | None = None,
    cache: str | None = None,
) -> Commands:
    """
    Run containerd, configured for Kubernetes; install Debian's where there is none yet.

    + pause_image: the image of each pod's sandbox, the one that this version's kubeadm names, such
      as "registry.k8s.io/pause:3.10.2"
    + kubernetes_version: "1.36" or "1.36.4": newer versions need containerd 2
    + mirrors: where to look first for a registry's images: ``{"registry.k8s.io": "http://…:5000"}``,
      "_default" for all registries. Those of an earlier run that are no longer named are removed
    + cache: URL to look at before these, for all registries, unless the node has mirrors of its own

    Other settings and comments in config.toml are kept. It is written before containerd is
    installed, so that the first start uses it already. ``HostFailure``: containerd is too old, or
    its configuration can't be changed safely.
    """
    mirrors = dict(mirrors or {})
    registries = {**mirrors, "_default": ""} if cache else mirrors
    paths = {registry: f"{CERTS_DIR}/{registry}/hosts.toml" for registry in registries}
    observed = read(Containerd, paths=[CONFIG, *paths.values()])
    if cache and _has_own_mirrors(observed, mirrors):
        cache, paths = None, {registry: paths[registry] for registry in mirrors}
    hosts = {
        path: hosts_toml(registry, [url for url in (cache, mirrors.get(registry)) if url])
        for registry, path in paths.items()
    }
    check_version(observed.version or observed.candidate, kubernetes_version)
    declare("package containerd", "unit containerd.service")
    desired = Runtime(pause_image, mirrors=bool(hosts))
    _record_mirrors(observed, desired)
    previous = [path for path in observed.files if path not in (CONFIG, *hosts)]
    previous = [path for path in previous if MIRROR_MARK in (observed.files[path].text or "")]
    # Made before the first yield: a dry run shows the diff of each.
    changes = [
        *_config(observed, desired),
        *(command for path, text in hosts.items() for command in _hosts(observed, path, text)),
        *(command for path in previous for command in _hosts(observed, path, None)),
    ]
    works = observed.version and observed.enabled and observed.active and observed.cri
    if observed.dump and not changes:
        _check_effect(observed.dump, desired)
    if not changes and works and not observed.needs_restart:
        host.noop(f"containerd {observed.version} runs, configured for Kubernetes")
        return
    if not observed.version:
        candidate = observed.candidate or "(Debian’s)"
        plan_change(f"install containerd {candidate}", "package containerd")
        apt.expect(["containerd", "runc"])
    resources = [] if works else ["unit containerd.service"]
    verb = "restart" if observed.active else "start"
    boot = "" if observed.enabled else ", now and at every boot"
    plan_change(f"{verb} containerd{boot}", *resources)
    if changes:
        yield StringCommand("sh", "-c", QuoteString(_MARK))
        yield from changes
    if not observed.version:
        yield from apt.install(["containerd", "runc"])
        check_version(read(Containerd, paths=[CONFIG, *hosts]).version, kubernetes_version)
    yield FunctionCommand(_restart, astuple(desired), {})


def _restart(
    state: State, host: Host, pause_image: str, bin_dir: str, conf_dir: str, mirrors: bool
) -> bool:
    dump = remote.of(host).stream(StringCommand("sh", "-c", QuoteString(_DUMP)))
    if dump.status != 0:
        raise HostFailure(messages.CONFIG_REJECTED(path=CONFIG, reason=dump.last_line))
    desired = Runtime(pause_image, bin_dir, conf_dir, mirrors)
    _check_effect("\n".join(dump.lines), desired)
    result = remote.of(host).stream(StringCommand("sh", "-c", QuoteString(_RESTART)))
    if result.status != 0:
        keyword, _, reason = result.last_line.partition(" ")
        if keyword not in _FAILURES:
            raise HostFailure(messages.CONTAINERD_FAILED(reason=result.last_line))
        raise HostFailure(_FAILURES[keyword](reason=reason))
    return True


def _check_effect(dump: str, desired: Runtime) -> None:
    """Raise ``HostFailure`` where a file that ``CONFIG`` imports overrides a desired setting."""
    try:
        names = overridden(dump, desired)
    except Unreadable as error:
        reason = error.args[0]
        raise HostFailure(messages.CONFIG_REJECTED(path=CONFIG, reason=reason)) from None
    if names:
        raise HostFailure(messages.OVERRIDDEN(path=CONFIG, names=", ".join(names)))


def _config(observed: ContainerdState, desired: Runtime, path: str = CONFIG) -> Commands:
    """Configure containerd; ``path`` is the file to start from."""
    now = observed.files[CONFIG]
    text = _configured(observed, desired, path)
    yield from ensure(CONFIG, text, *_status(observed.files[path]), now=now, recorded=False)


def _configured(observed: ContainerdState, desired: Runtime, path: str = CONFIG) -> str:
    before = observed.files[path]
    try:
        text = before.text if before.kind == "file" else None
        return configured(text, desired, observed.version or observed.candidate)
    except Unreadable as error:
        raise HostFailure(messages.BAD_CONFIG(path=path, reason=error.args[0])) from None


def _status(file: FileState) -> tuple[str, str, str]:
    """Mode, user and group that the file keeps, or gets."""
    return (file.mode, file.user, file.group) if file.kind == "file" else ("644", "root", "root")


def _record_mirrors(observed: ContainerdState, desired: Runtime) -> None:
    """Record that config.toml names the directory of mirrors, which it does not without one."""
    if not desired.mirrors:
        return
    text = _configured(observed, desired)
    content = fingerprint(*_status(observed.files[CONFIG]), text)
    declare_recorded(_MIRRORS, content, keeps=[CONFIG], pause_image=desired.pause_image)
    if CERTS_DIR not in (observed.files[CONFIG].text or ""):
        plan_change(f"look up mirrors of registries in {CERTS_DIR}", _MIRRORS)


def remove_mirrors(resource: str, entry: Entry) -> Commands:
    """
    Configure containerd as it would be without mirrors ever; for ``removals``.

    + resource: "mirrors of containerd"
    + entry: what the record says of it: the ``pause_image``
    + raises ``ChangedSince``
    """
    kept = f"{KEPT}{CONFIG}"
    observed = read(Containerd, paths=[CONFIG, kept])
    now = observed.files[CONFIG]
    if CERTS_DIR not in (now.text or ""):
        return
    if not entry.holds(fingerprint(*_status(now), now.text or "")):
        raise ChangedSince(f"sed -i /config_path/d {CONFIG}; systemctl restart containerd")
    desired = Runtime(entry.arguments["pause_image"])
    plan_change(f"look up no mirrors of registries in {CERTS_DIR}", resource)
    yield StringCommand("sh", "-c", QuoteString(_MARK))
    yield from _config(observed, desired, kept)
    yield FunctionCommand(_restart, astuple(desired), {})


def _has_own_mirrors(observed: ContainerdState, mirrors: Mapping[str, str]) -> bool:
    """Whether somebody else has said where to look for the images of all registries."""
    default = observed.files[f"{CERTS_DIR}/_default/hosts.toml"]
    is_other = default.kind != "absent" and MIRROR_MARK not in (default.text or "")
    if is_other and "_default" not in mirrors:
        return True
    try:
        return has_own_mirrors(observed.files[CONFIG].text)
    except Unreadable:
        return False  # which is said when it is to be changed


def _hosts(observed: ContainerdState, path: str, text: str | None) -> Commands:
    yield from ensure(path, text, now=observed.files[path])


def check_version(containerd: str, kubernetes: str) -> None:
    """
    Raise ``HostFailure`` where containerd is too old for a version of Kubernetes.

    + containerd: such as "1.7.24~ds1"; "" is not checked
    + kubernetes: "1.36" or "1.36.4"
    """
    desired = parse_desired(kubernetes)
    newest = NEWEST_FOR_CONTAINERD_1
    too_new = (desired.major, desired.minor) > (newest.major, newest.minor)
    if too_new and (0, 0) < release(containerd) < (2, 0):
        raise HostFailure(
            messages.CONTAINERD_TOO_OLD(version=containerd, kubernetes=desired, newest=newest)
        )
