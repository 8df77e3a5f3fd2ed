"""
containerd, set up for Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.containerd import CONFIG, RESTART_MARK, Containerd, ContainerdState
from formats.containerd import (
    CERTS_DIR,
    Runtime,
    configured,
    hosts_toml,
    overridden,
    release,
)
from formats.kubernetes_version import Wanted, parse_wanted
from formats.unreadable import Unreadable
from operations import apt
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from operations.files import ensure
from runs.output import failed

# The kubelet asks the runtime for its cgroup driver (RuntimeConfig), which containerd 1.7 can't
# say; this is the newest minor that is certain to do without the answer.
NEWEST_FOR_CONTAINERD_1 = Wanted(1, 36)

_MARK = f'mkdir -p "$(dirname {RESTART_MARK})" && : > {RESTART_MARK}'

# containerd starts without a plugin that fails, and says so in its journal alone: a line of its
# present or last start. Asked once it answers, it has loaded all that it will.
WHY_NO_CRI = """log() { journalctl -o cat --no-pager _SYSTEMD_INVOCATION_ID="$(systemctl show \
-p InvocationID --value containerd.service)" 2>/dev/null; };
w=$(log | grep 'failed to load plugin' | grep -E 'grpc[.]v1[.]cri|cri[.]v1' | tail -n 1);
[ -n "$w" ] || w=$(log | grep -E 'level=(error|fatal)|^containerd:' | tail -n 1);
printf '%s\\n' "${w:-it gives no reason}" | cut -c1-600"""
_DUMP = """d=$(containerd config dump 2>/dev/null) && printf '%s\\n' "$d" ||
{ containerd config dump 2>&1 > /dev/null | tail -n 1; exit 1; }"""
_RESTART = f"""why() {{ {WHY_NO_CRI}; }};
systemctl enable --quiet containerd.service; systemctl reset-failed containerd.service 2>/dev/null;
timeout 90 systemctl restart containerd.service 2>/dev/null \
|| {{ echo "containerd does not start: $(why)"; exit 1; }};
n=0; until p=$(ctr plugins ls 2>/dev/null) && [ -n "$p" ]; do
n=$((n+1)); [ $n -lt 60 ] || {{ echo "containerd does not answer: $(why)"; exit 1; }};
sleep 1; done;
printf '%s\\n' "$p" | grep -Eq '^io.containerd.grpc.v1 +cri .*ok *$' || {{
echo "containerd answers, without the interface that Kubernetes asks (CRI): $(why)"; exit 1; }};
rm -f {RESTART_MARK}"""


@operation()
def runtime(
    pause_image: str,
    kubernetes_version: str,
    mirrors: Mapping[str, str] | None = None,
    cni_bin_dir: str = "/opt/cni/bin",
    cni_conf_dir: str = "/etc/cni/net.d",
) -> Commands:
    """
    containerd runs, is set up for Kubernetes, and answers it. Debian's, where there is none yet.

    + pause_image: the image of each pod's sandbox, the one that this version's kubeadm names, such
      as "registry.k8s.io/pause:3.10.2"
    + kubernetes_version: the wanted Kubernetes, "1.36" or "1.36.4": not every containerd is new
      enough for each
    + mirrors: where to look first for a registry's images: ``{"registry.k8s.io": "http://…:5000"}``,
      "_default" for all registries. Those of an earlier run that are not named any more are removed
    + cni_bin_dir, cni_conf_dir: where the CNI plugins and their network are

    Other settings and comments in config.toml are kept; it is written before containerd is
    installed, so that its first start is the right one already.

    **Example:**

    .. code:: python

        containerd.runtime(
            name="containerd runs, set up for Kubernetes",
            pause_image="registry.k8s.io/pause:3.10.2",
            kubernetes_version="1.36",
        )
    """

    hosts = {
        f"{CERTS_DIR}/{registry}/hosts.toml": hosts_toml(registry, mirror)
        for registry, mirror in (mirrors or {}).items()
    }
    state = read(Containerd, paths=[CONFIG, *hosts])
    _check_version(state.version or state.candidate, kubernetes_version)
    declare("package containerd", "unit containerd.service")
    wanted = Runtime(pause_image, cni_bin_dir, cni_conf_dir, bool(mirrors))
    former = [path for path in state.files if path not in (CONFIG, *hosts)]
    # All of them now, not one by one: a dry run shows each diff.
    changes = [
        *_config(state, wanted),
        *(command for path, text in hosts.items() for command in _hosts(state, path, text)),
        *(command for path in former for command in _hosts(state, path, None)),
    ]
    runs = state.version and state.enabled and state.active and state.cri
    if state.dump and not changes:
        _check_effect(state.dump, wanted)
    if not changes and runs and not state.wants_restart:
        host.noop(f"containerd {state.version} runs, set up for Kubernetes")
        return
    if not state.version:
        plan_change(f"install containerd {state.candidate or '(Debian’s)'}", "package containerd")
    resources = [] if runs else ["unit containerd.service"]
    verb = "restart" if state.active else "start"
    plan_change(
        f"{verb} containerd{'' if state.enabled else ', now and at every boot'}", *resources
    )
    if changes:
        yield StringCommand("sh", "-c", QuoteString(_MARK))
        yield from changes
    if not state.version:
        yield from apt.install(["containerd", "runc"])
        _check_version(read(Containerd, paths=[CONFIG, *hosts]).version, kubernetes_version)
    yield FunctionCommand(_restart, astuple(wanted), {})


def _restart(
    state: State, host: Host, pause_image: str, bin_dir: str, conf_dir: str, mirrors: bool
) -> bool:
    dump = remote.of(host).stream(StringCommand("sh", "-c", QuoteString(_DUMP)))
    if dump.status != 0:
        return failed(host, f"containerd can't read {CONFIG}: {dump.last_line}")
    try:
        _check_effect("\n".join(dump.lines), Runtime(pause_image, bin_dir, conf_dir, mirrors))
    except HostFailure as error:
        return failed(host, str(error))
    result = remote.of(host).stream(StringCommand("sh", "-c", QuoteString(_RESTART)))
    return result.status == 0 or failed(host, result.last_line)


def _check_effect(dump: str, wanted: Runtime) -> None:
    """``HostFailure`` where a file that ``CONFIG`` imports takes back what is wanted."""
    try:
        names = overridden(dump, wanted)
    except Unreadable as error:
        raise HostFailure(str(error)) from None
    if names:
        raise HostFailure(
            f"a file that {CONFIG} imports sets {', '.join(names)} to something else: take that "
            "out of it"
        )


def _config(state: ContainerdState, wanted: Runtime) -> Commands:
    now = state.files[CONFIG]
    try:
        there = now.text if now.kind == "file" else None
        text = configured(there, wanted, state.version or state.candidate)
    except Unreadable as error:
        raise HostFailure(f"{CONFIG} {error}") from None
    if now.kind == "file":
        yield from ensure(CONFIG, text, now.mode, now.user, now.group, now=now)
    else:
        yield from ensure(CONFIG, text, now=now)


def _hosts(state: ContainerdState, path: str, text: str | None) -> Commands:
    yield from ensure(path, text, now=state.files[path])


def _check_version(containerd: str, kubernetes: str) -> None:
    wanted = parse_wanted(kubernetes)
    newest = NEWEST_FOR_CONTAINERD_1
    too_new = (wanted.major, wanted.minor) > (newest.major, newest.minor)
    if too_new and (0, 0) < release(containerd) < (2, 0):
        raise HostFailure(
            f"containerd {containerd} is too old for Kubernetes {wanted}, which wants 2.0 or "
            f'newer: set kubernetes_version to "{newest}", or install containerd 2 '
            "(containerd.io from Docker's repository) on the nodes"
        )
