"""
Fields of kubelet.config.k8s.io/v1beta1 KubeletConfiguration and kubeproxy.config.k8s.io/v1alpha1
KubeProxyConfiguration, with the form of each value.

Both programs decode their file strictly: an unknown field, or a value of another type, keeps the
kubelet from starting, on every node. Sources: ``types.go`` of k8s.io/kubelet and
k8s.io/kube-proxy, Kubernetes 1.37.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any

from messages import Said
from messages.settings import INVALID, NOT_ALLOWED, NOT_ONE_OF, OUT_OF_RANGE, WRONG_TYPE

# The newest minor whose fields are all known here.
_NEWEST_MINOR = 37
_MOST = 2**31 - 1

_DURATION = re.compile(r"[-+]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+")
_UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PORTS = re.compile(r"|[0-9]{1,5}([-+][0-9]{1,5})?")
_QUANTITY = re.compile(
    r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?|[0-9]+(\.[0-9]+)?%"
)

_KUBELET = {
    "bool": """
        enableServer enableDebuggingHandlers cgroupsPerQOS singleProcessOOMKill cpuCFSQuota
        serializeImagePulls mergeDefaultEvictionSettings enableControllerAttachDetach
        makeIPTablesUtilChains failSwapOn enableSystemLogHandler enableSystemLogQuery
        enableProfilingHandler enableDebugFlagsHandler seccompDefault registerNode
        localStorageCapacityIsolation failCgroupV1 rotateCertificates serverTLSBootstrap
        enableContentionProfiling runOnce protectKernelDefaults kernelMemcgNotification""",
    "text": """
        staticPodPath podLogsDir staticPodURL address tlsCertFile tlsPrivateKeyFile tlsMinVersion
        healthzBindAddress clusterDomain kubeletCgroups systemCgroups cgroupRoot cgroupDriver
        cpuManagerPolicy memoryManagerPolicy topologyManagerPolicy topologyManagerScope hairpinMode
        podCIDR contentType reservedSystemCPUs showHiddenMetricsForVersion systemReservedCgroup
        kubeReservedCgroup volumePluginDir providerID containerRuntimeEndpoint resolvConf
        imageServiceEndpoint imagePullCredentialsVerificationPolicy memoryReservationPolicy
        configMapAndSecretChangeDetectionStrategy""",
    "quantity": "containerLogMaxSize",
    "duration": """
        syncFrequency fileCheckFrequency httpCheckFrequency streamingConnectionIdleTimeout
        nodeStatusUpdateFrequency nodeStatusReportFrequency imageMinimumGCAge imageMaximumGCAge
        volumeStatsAggPeriod cpuManagerReconcilePeriod runtimeRequestTimeout cpuCFSQuotaPeriod
        evictionPressureTransitionPeriod shutdownGracePeriod shutdownGracePeriodCriticalPods
        containerLogMonitorInterval""",
    "int": """
        port readOnlyPort registryBurst eventBurst nodeLeaseDurationSeconds maxPods kubeAPIBurst
        evictionMaxPodGracePeriod podsPerCore registryPullQPS eventRecordQPS healthzPort oomScoreAdj
        imageGCHighThresholdPercent imageGCLowThresholdPercent nodeStatusMaxImages kubeAPIQPS
        maxParallelImagePulls iptablesMasqueradeBit iptablesDropBit containerLogMaxFiles
        containerLogMaxWorkers podPidsLimit maxOpenFiles""",
    "float": "memoryThrottlingFactor",
    "list of text": """
        tlsCipherSuites preloadedImagesVerificationAllowlist clusterDNS enforceNodeAllocatable
        allowedUnsafeSysctls""",
    "list": """
        tlsCurvePreferences shutdownGracePeriodByPodPriority reservedMemory registerWithTaints""",
    "map of quantity": """
        evictionHard evictionSoft evictionMinimumReclaim systemReserved kubeReserved""",
    "map of duration": "evictionSoftGracePeriod",
    "map of text": """
        qosReserved cpuManagerPolicyOptions
        topologyManagerPolicyOptions defaultPodSysctls""",
    "map of bool": "featureGates",
    "map": """
        staticPodURLHeader authentication authorization memorySwap logging crashLoopBackOff
        tracing userNamespaces""",
}
_KUBE_PROXY = {
    "bool": "bindAddressHardFail enableProfiling windowsRunAsService",
    "text": """
        hostnameOverride showHiddenMetricsForVersion mode detectLocalMode clusterCIDR""",
    "address": "bindAddress",
    "authority": "healthzBindAddress metricsBindAddress",
    "ports": "portRange",
    "duration": "configSyncPeriod",
    "int": "oomScoreAdj",
    "list of text": "nodePortAddresses",
    "map of bool": "featureGates",
    "map": "clientConnection logging iptables ipvs nftables winkernel detectLocal conntrack",
}
# The fields of those above that are mappings, by their path.
_ENABLED = {"bool": "enabled"}
_PARTS = {
    "authentication": {"map": "x509 webhook anonymous"},
    "authentication.x509": {"text": "clientCAFile"},
    "authentication.webhook": {**_ENABLED, "duration": "cacheTTL"},
    "authentication.anonymous": _ENABLED,
    "authorization": {"text": "mode", "map": "webhook"},
    "authorization.webhook": {"duration": "cacheAuthorizedTTL cacheUnauthorizedTTL"},
    "memorySwap": {"text": "swapBehavior"},
    "logging": {"text": "format", "int": "verbosity", "any": "flushFrequency options vmodule"},
    "crashLoopBackOff": {"duration": "maxContainerRestartPeriod"},
    "tracing": {"text": "endpoint", "int": "samplingRatePerMillion"},
    "userNamespaces": {"int": "idsPerPod"},
    "clientConnection": {
        "text": "kubeconfig acceptContentTypes contentType", "float": "qps", "int": "burst",
    },
    "iptables": {
        "bool": "masqueradeAll localhostNodePorts snatNodeInternalIP",
        "int": "masqueradeBit",
        "duration": "syncPeriod minSyncPeriod",
    },
    "ipvs": {
        "bool": "strictARP",
        "text": "scheduler",
        "list of text": "excludeCIDRs",
        "duration": "syncPeriod minSyncPeriod tcpTimeout tcpFinTimeout udpTimeout",
    },
    "nftables": {
        "bool": "masqueradeAll", "int": "masqueradeBit", "duration": "syncPeriod minSyncPeriod",
    },
    "detectLocal": {"text": "bridgeInterface interfaceNamePrefix"},
    "conntrack": {
        "bool": "tcpBeLiberal",
        "int": "maxPerCore min",
        "duration": "tcpEstablishedTimeout tcpCloseWaitTimeout udpTimeout udpStreamTimeout",
    },
}  # fmt: skip
_SIGNALS = frozenset(
    f"{place}.{what}"
    for place, whats in {
        "memory": ("available",),
        "allocatableMemory": ("available",),
        "nodefs": ("available", "inodesFree"),
        "imagefs": ("available", "inodesFree"),
        "containerfs": ("available", "inodesFree"),
        "pid": ("available",),
    }.items()
    for what in whats
)
_RESERVED = frozenset(("cpu", "memory", "ephemeral-storage", "pid"))
# Allowed values (validation.go of both programs): words, names in a mapping, ranges of numbers.
_WORDS = {
    "topologyManagerPolicy": frozenset(("none", "best-effort", "restricted", "single-numa-node")),
    "topologyManagerScope": frozenset(("container", "pod")),
    "cpuManagerPolicy": frozenset(("none", "static")),
    "memoryManagerPolicy": frozenset(("None", "Static")),
    "mode": frozenset(("iptables", "ipvs", "nftables")),
    "hairpinMode": frozenset(("promiscuous-bridge", "hairpin-veth", "none")),
    "memorySwap.swapBehavior": frozenset(("NoSwap", "LimitedSwap")),
    "logging.format": frozenset(("text", "json")),
    "ipvs.scheduler": frozenset(
        ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh"]
    ),
}
_OF_SYSTEM = ("system-reserved", "system-reserved-compressible")
_OF_KUBE = ("kube-reserved", "kube-reserved-compressible")
_NAMES = {
    **dict.fromkeys(
        ("evictionHard", "evictionSoft", "evictionMinimumReclaim", "evictionSoftGracePeriod"),
        _SIGNALS,
    ),
    **dict.fromkeys(("systemReserved", "kubeReserved"), _RESERVED),
    "enforceNodeAllocatable": frozenset(("none", "pods", *_OF_SYSTEM, *_OF_KUBE)),
}
_RANGES = {
    "port": (1, 65535),
    **dict.fromkeys(("readOnlyPort", "healthzPort"), (0, 65535)),
    **dict.fromkeys(("imageGCHighThresholdPercent", "imageGCLowThresholdPercent"), (0, 100)),
    **dict.fromkeys(("maxPods", "podsPerCore", "registryPullQPS", "registryBurst"), (0, _MOST)),
    **dict.fromkeys(("eventBurst", "eventRecordQPS", "kubeAPIBurst", "kubeAPIQPS"), (0, _MOST)),
    **dict.fromkeys(("conntrack.maxPerCore", "conntrack.min", "maxOpenFiles"), (0, _MOST)),
    **dict.fromkeys(("iptables.masqueradeBit", "nftables.masqueradeBit"), (0, 31)),
    **dict.fromkeys(("iptablesMasqueradeBit", "iptablesDropBit"), (0, 31)),
    **dict.fromkeys(("nodeLeaseDurationSeconds", "maxParallelImagePulls"), (1, _MOST)),
    "containerLogMaxWorkers": (1, _MOST),
    "containerLogMaxFiles": (2, _MOST),
    "memoryThrottlingFactor": (0.01, 1),
    "nodeStatusMaxImages": (-1, _MOST),
    "oomScoreAdj": (-1000, 1000),
}
# The thresholds of the collection of images, with the kubelet's defaults.
_COLLECTED = {"imageGCLowThresholdPercent": 80, "imageGCHighThresholdPercent": 85}
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# Each type in words, and an example.
_TYPES = {
    "bool": ("True or False", "one of them, without quotes"),
    "text": ("a text", "a text in quotes"),
    "quantity": ("a quantity", 'one such as "100Mi"'),
    "duration": ("a duration", 'one such as "1m30s"'),
    "int": ("a whole number", "it in digits"),
    "float": ("a number", "it in digits"),
    "list": ("a list", "[...]"),
    "map": ("a mapping", '{"name": value}'),
    "address": ("an address", 'one such as "0.0.0.0"'),
    "authority": ("an address with a port", 'one such as "0.0.0.0:10256"'),
    "ports": ("a range of ports", 'one such as "30000-30100"'),
    "any": ("a value that JSON has", "another value"),
}


def kubelet_mistakes(fields: Mapping[str, Any], minor: int) -> list[Said]:
    """
    Tell what keeps a kubelet from starting with these fields.

    + minor: of the desired Kubernetes, 36 of 1.36: a later one may have fields unknown here
    """
    found = _mistakes(fields, _KUBELET, "KubeletConfiguration", minor)
    if found:
        return found
    return [
        NOT_ALLOWED(value=f"{name}: {fields[name]!r}", reason=reason, instead=instead)
        for name, reason, instead in _conflicts(fields)
        if name in fields
    ]


def _conflicts(fields: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """
    Find what validation.go of the kubelet refuses of fields whose values are good for themselves:
    the field, why, and what to write.
    """
    another = "another value, or remove it"
    if fields.get("cgroupDriver", "systemd") != "systemd":
        yield "cgroupDriver", "containerd uses systemd", "systemd, or remove it"
    if fields.get("runOnce"):
        yield "runOnce", "the kubelet no longer knows this mode", "nothing: remove it"
    if not fields.get("containerRuntimeEndpoint", "-"):
        yield "containerRuntimeEndpoint", "it is empty", "nothing: remove it"
    low, high = (fields.get(name, known) for name, known in _COLLECTED.items())
    if low >= high:
        name = next((each for each in _COLLECTED if each in fields), "")
        reason = f"the lower threshold ({low}) has to be below the higher one ({high})"
        yield name, reason, f"{' and '.join(_COLLECTED)} with such values"
    if fields.get("maxParallelImagePulls", 1) > 1 and fields.get("serializeImagePulls", True):
        yield "maxParallelImagePulls", "images are pulled one by one", "serializeImagePulls: False"
    longest = seconds(fields.get("shutdownGracePeriod", "0s"))
    if seconds(fields.get("shutdownGracePeriodCriticalPods", "0s")) > longest:
        reason = "it is longer than shutdownGracePeriod"
        yield "shutdownGracePeriodCriticalPods", reason, "a longer shutdownGracePeriod"
    waits = fields.get("evictionSoftGracePeriod", {})
    for signal in fields.get("evictionSoft", {}):
        if signal not in waits:
            instead = f'evictionSoftGracePeriod: {{"{signal}": "1m30s"}}'
            yield "evictionSoft", f"{signal} has no grace period", instead
    for name in _NAMES:
        quantities = fields[name].values() if isinstance(fields.get(name), dict) else ()
        if any(each.startswith("-") for each in quantities):
            yield name, "a quantity is negative", another
    enforced = fields.get("enforceNodeAllocatable", ["pods"])
    if not fields.get("cgroupsPerQOS", True) and set(enforced) - {"none"}:
        yield "cgroupsPerQOS", "enforceNodeAllocatable needs it", "True, or remove it"
    if "none" in enforced and len(enforced) > 1:
        yield "enforceNodeAllocatable", '"none" stands alone', another
    for names, group in ((_OF_SYSTEM, "systemReservedCgroup"), (_OF_KUBE, "kubeReservedCgroup")):
        if {*names} <= {*enforced}:
            yield "enforceNodeAllocatable", f"{' and '.join(names)} exclude each other", another
        if {*names} & {*enforced} and not fields.get(group):
            yield "enforceNodeAllocatable", f"{group} is not set", f"{group} beside it"
    for taint in fields.get("registerWithTaints", []):
        if (
            not isinstance(taint, dict)
            or taint.get("effect") not in _EFFECTS
            or not taint.get("key")
        ):
            instead = f'taints such as {{"key": "a", "effect": "{_EFFECTS[0]}"}}'
            yield "registerWithTaints", f"{taint} is not a taint", instead


def kube_proxy_mistakes(fields: Mapping[str, Any], minor: int) -> list[Said]:
    """Tell what keeps kube-proxy from starting with these fields."""
    return _mistakes(fields, _KUBE_PROXY, "KubeProxyConfiguration", minor)


def _mistakes(
    fields: Mapping[str, Any], known: Mapping[str, str], document: str, minor: int, of: str = ""
) -> list[Said]:
    """
    Tell what is wrong with the fields of a document.

    + known: their names by their form
    + of: the path of the mapping that they are in, with a dot behind it
    """
    forms = {of + name: form for form, names in known.items() for name in names.split()}
    found = []
    for name, value in ((f"{of}{key}", value) for key, value in fields.items()):
        near = get_close_matches(name, forms, 1)
        if name in ("apiVersion", "kind"):
            reason = "bramble writes this field"
            found.append(NOT_ALLOWED(value=name, reason=reason, instead="the other fields only"))
        elif name in forms:
            if not _has_form(value, forms[name]):
                shape, _, each = forms[name].partition(" of ")
                kind, instead = _TYPES[shape]
                if each:
                    kind, instead = f"{kind}, each value {_TYPES[each][0]}", f"it like {instead}"
                found.append(WRONG_TYPE(value=f"{name}: {value!r}", kind=kind, instead=instead))
            elif name in _PARTS:
                found += _mistakes(value, _PARTS[name], document, minor, f"{name}.")
            else:
                found += _out_of_range(name, value)
        elif near or minor <= _NEWEST_MINOR:
            instead = near[0] if near else "a field of it, or remove it"
            found.append(INVALID(value=repr(name), kind=f"a field of {document}", instead=instead))
    return found


def _out_of_range(name: str, value: Any) -> list[Said]:
    """Tell what has the right type, and still keeps the program from starting."""
    if name in _RANGES:
        low, high = _RANGES[name]
        if low <= value <= high:
            return []
        return [OUT_OF_RANGE(value=f"{name}: {value}", range=f"{low} to {high}")]
    found = []
    known = _WORDS.get(name) or _NAMES.get(name) or frozenset()
    for word in [value] if name in _WORDS else value if name in _NAMES else ():
        if word not in known and (word or name in _NAMES):
            near = get_close_matches(str(word), sorted(known), 1)
            allowed = " or ".join(sorted(known))
            instead = near[0] if near else "one of them"
            shown = f"{name}: {word!r}"
            found.append(NOT_ONE_OF(value=shown, allowed=allowed, instead=instead))
    if name in _NAMES and isinstance(value, dict):
        large = [each for each in value.values() if each.endswith("%") and float(each[:-1]) > 100]
        found += [OUT_OF_RANGE(value=f"{name}: {each!r}", range="0% to 100%") for each in large]
    return found


def _has_form(value: object, form: str) -> bool:
    shape, _, of = form.partition(" of ")
    if shape == "bool":
        return isinstance(value, bool)
    if shape in ("int", "float"):
        numbers = (int, float) if shape == "float" else int
        is_number = isinstance(value, numbers) and not isinstance(value, bool)
        return is_number and abs(value) < 2**63  # type: ignore[arg-type]  # neither NaN nor infinite
    if shape == "list":
        return isinstance(value, list) and _plain(value) and _all(value, of)
    if shape == "map":
        return isinstance(value, dict) and _plain(value) and _all(value.values(), of)
    if shape == "any":
        return _plain(value)
    pattern = {"duration": _DURATION, "quantity": _QUANTITY, "ports": _PORTS}.get(shape)
    return isinstance(value, str) and (
        _is_address(value, port=shape == "authority")
        if shape in ("address", "authority")
        else pattern is None or bool(pattern.fullmatch(value))
    )


def _is_address(text: str, port: bool) -> bool:
    """Tell whether it is an IP address; with a port behind it, and an IPv6 one in brackets."""
    if port:
        text, _, number = text.rpartition(":")
        if not (number.isdecimal() and 1 <= int(number) <= 65535):
            return False
        text = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _all(values: Any, form: str) -> bool:
    return not form or all(_has_form(value, form) for value in values)


def seconds(duration: str) -> float:
    """The length of a duration as Go writes it, such as "1m30s"; it is well-formed."""
    sign = -1 if duration.startswith("-") else 1
    parts = re.findall(r"([0-9.]+)([a-zµ]+)", duration)
    return sign * sum(float(number) * _UNITS[unit] for number, unit in parts)


def _plain(value: object) -> bool:
    """Tell whether it can be written to a YAML file."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
