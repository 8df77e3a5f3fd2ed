"""
kubeadm's checks before it changes anything, against the node's true state, in its order and words.

Source: kubernetes.io, "kubeadm implementation details" (preflight checks), and recorded runs of
1.36.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import ipaddress
import sys

from . import config as settings
from . import cri, images, manifests
from .checks import (
    Check,
    Result,
    cpus_check,
    directory_available,
    file_available,
    file_content,
    hostname_check,
    in_path,
    kubelet_check,
    memory_check,
    port_open,
    runtime,
    service_check,
    swap_check,
    system_check,
    version_check,
)
from .common import Fatal, Obj, klog, quote

HINT = "[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`"


def run(checks: list[Check], ignored: set[str]) -> None:
    """All checks; warnings at once, errors together at the end."""
    errors = []
    for name, check in checks:
        warned, failed = check()
        if "all" in ignored or name.lower() in ignored:
            warned, failed = [*warned, *failed], []
        for one in warned:
            print(f"\t[WARNING {name}]: {one}", file=sys.stderr, flush=True)
        errors += [f"\t[ERROR {name}]: {one}" for one in failed]
    if errors:
        print(
            "[preflight] Some fatal errors occurred:",
            *errors,
            HINT,
            sep="\n",
            file=sys.stderr,
            flush=True,
        )
        raise Fatal("preflight checks failed")


def common(registration: Obj, version: str) -> list[Check]:
    """What init and join both check."""
    return [
        *runtime(registration["criSocket"]),
        ("Swap", swap_check),
        *(in_path(one) for one in ("losetup", "mount", "cp")),
        ("SystemVerification", system_check),
        hostname_check(settings.node_name(registration)),
        kubelet_check(version),
        ("Service-kubelet", service_check),
        port_open(10250),
    ]


def _forwarding(texts: list[str]) -> list[Check]:
    versions = set()
    for text in texts:
        try:
            versions.add(ipaddress.ip_network(text, strict=False).version)
        except ValueError:
            continue
    wanted = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/default/forwarding"}
    return [file_content(wanted[version], "1") for version in sorted(versions)]


def init(config: settings.Config) -> list[Check]:
    """kubeadm init's."""
    point, networking = config.init["localAPIEndpoint"], config.cluster["networking"]
    version = config.cluster["kubernetesVersion"]
    subnets = networking["serviceSubnet"].split(",") + networking["podSubnet"].split(",")
    return [
        ("NumCPU", cpus_check),
        ("Mem", memory_check),
        version_check(version),
        *(port_open(port) for port in (point["bindPort"], 10259, 10257)),
        *(file_available(manifests.path(one)) for one in (*manifests.COMPONENTS, "etcd")),
        *common(config.init["nodeRegistration"], version),
        *_forwarding([*subnets, point["advertiseAddress"]]),
        port_open(2379),
        port_open(2380),
        directory_available(config.cluster["etcd"]["local"]["dataDir"]),
    ]


def join(join: Obj) -> list[Check]:
    """kubeadm join's, for a worker."""
    given = join["discovery"].get("bootstrapToken") or {}
    host = given.get("apiServerEndpoint", "").rpartition(":")[0]
    return [
        file_available("/etc/kubernetes/kubelet.conf"),
        file_available("/etc/kubernetes/bootstrap-kubelet.conf"),
        *common(join["nodeRegistration"], ""),
        file_available(join["caCertPath"]),
        *_forwarding([host]),
    ]


def pull_images(config: settings.Config) -> list[Check]:
    """The images, pulled when missing."""
    registration = config.init["nodeRegistration"]
    node = cri.Runtime(registration["criSocket"])
    policy = registration["imagePullPolicy"]

    def check() -> Result:
        try:
            _, info = node.status()
        except cri.CriError as error:
            return [], [f"could not connect to the container runtime: {error}"]
        sandbox = (info.get("config") or {}).get("sandboxImage")
        wanted = images.pause(config.cluster)
        if sandbox and sandbox != wanted:
            klog(
                "W",
                "checks.go:844",
                f"detected that the sandbox image {quote(sandbox)} of the container runtime is inconsistent with that used by kubeadm. It is recommended to use {quote(wanted)} as the CRI sandbox image.",
            )
        failed = []
        for image in images.wanted(config.cluster) if policy != "Never" else []:
            if policy == "IfNotPresent" and node.has_image(image):
                continue
            try:
                images.pull(node, image)
            except Fatal as error:
                failed.append(f"failed to pull image {image}: {error}")
        return [], failed

    return [("ImagePull", check)]


def ignored(flag: str, listed: list[str] | None) -> set[str]:
    """--ignore-preflight-errors and the file's list, in lower case."""
    names = {one.strip().lower() for one in [*flag.split(","), *(listed or [])] if one.strip()}
    if "all" in names and len(names) > 1:
        raise Fatal(
            "ignore-preflight-errors: Invalid value: \"all\": don't specify individual checks if 'all' is used"
        )
    return names
