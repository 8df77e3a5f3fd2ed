"""
Field names of kubeadm.k8s.io/v1beta4, kubelet.config.k8s.io/v1beta1 and
kubeproxy.config.k8s.io/v1alpha1.

Source: the kubeadm Configuration (v1beta4) reference and the two component references at
kubernetes.io/docs/reference/config-api. A value is a dict (an object), a list with one element (a
list of it), or a type: STRING, BOOL, NUMBER, ANY (not looked into).
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

from typing import Any

STRING, BOOL, NUMBER, ANY = "string", "bool", "int32", "any"
Schema = Any

ARGS: Schema = [{"name": STRING, "value": STRING}]
ENVS: Schema = [{"name": STRING, "value": STRING, "valueFrom": ANY}]
STRINGS: Schema = [STRING]
TAINTS: Schema = [{"key": STRING, "value": STRING, "effect": STRING, "timeAdded": STRING}]
TYPE = {"apiVersion": STRING, "kind": STRING}
IMAGE = {"imageRepository": STRING, "imageTag": STRING}
ENDPOINT = {"advertiseAddress": STRING, "bindPort": NUMBER}
PATCHES = {"directory": STRING}
COMPONENT = {
    "extraArgs": ARGS,
    "extraVolumes": [
        {
            "name": STRING,
            "hostPath": STRING,
            "mountPath": STRING,
            "readOnly": BOOL,
            "pathType": STRING,
        }
    ],
    "extraEnvs": ENVS,
}
REGISTRATION = {
    "name": STRING,
    "criSocket": STRING,
    "taints": TAINTS,
    "kubeletExtraArgs": ARGS,
    "ignorePreflightErrors": STRINGS,
    "imagePullPolicy": STRING,
    "imagePullSerial": BOOL,
}
TIMEOUTS = dict.fromkeys(
    [
        "controlPlaneComponentHealthCheck",
        "kubeletHealthCheck",
        "kubernetesAPICall",
        "etcdAPICall",
        "tlsBootstrap",
        "discovery",
        "upgradeManifests",
    ],
    STRING,
)
INIT = TYPE | {
    "bootstrapTokens": [
        {
            "token": STRING,
            "description": STRING,
            "ttl": STRING,
            "expires": STRING,
            "usages": STRINGS,
            "groups": STRINGS,
        }
    ],
    "dryRun": BOOL,
    "nodeRegistration": REGISTRATION,
    "localAPIEndpoint": ENDPOINT,
    "certificateKey": STRING,
    "skipPhases": STRINGS,
    "patches": PATCHES,
    "timeouts": TIMEOUTS,
}
CLUSTER = TYPE | {
    "etcd": {
        "local": IMAGE
        | {
            "dataDir": STRING,
            "extraArgs": ARGS,
            "extraEnvs": ENVS,
            "serverCertSANs": STRINGS,
            "peerCertSANs": STRINGS,
        },
        "external": {
            "endpoints": STRINGS,
            "caFile": STRING,
            "certFile": STRING,
            "keyFile": STRING,
        },
    },
    "networking": {"serviceSubnet": STRING, "podSubnet": STRING, "dnsDomain": STRING},
    "kubernetesVersion": STRING,
    "controlPlaneEndpoint": STRING,
    "apiServer": COMPONENT | {"certSANs": STRINGS},
    "controllerManager": COMPONENT,
    "scheduler": COMPONENT,
    "dns": IMAGE | {"disabled": BOOL},
    "proxy": {"disabled": BOOL},
    "certificatesDir": STRING,
    "imageRepository": STRING,
    "featureGates": ANY,
    "clusterName": STRING,
    "encryptionAlgorithm": STRING,
    "certificateValidityPeriod": STRING,
    "caCertificateValidityPeriod": STRING,
}
JOIN = TYPE | {
    "dryRun": BOOL,
    "nodeRegistration": REGISTRATION,
    "caCertPath": STRING,
    "discovery": {
        "bootstrapToken": {
            "token": STRING,
            "apiServerEndpoint": STRING,
            "caCertHashes": STRINGS,
            "unsafeSkipCAVerification": BOOL,
        },
        "file": {"kubeConfigPath": STRING},
        "tlsBootstrapToken": STRING,
    },
    "controlPlane": {"localAPIEndpoint": ENDPOINT, "certificateKey": STRING},
    "skipPhases": STRINGS,
    "patches": PATCHES,
    "timeouts": TIMEOUTS,
}
RESET = TYPE | {
    "cleanupTmpDir": BOOL,
    "certificatesDir": STRING,
    "criSocket": STRING,
    "dryRun": BOOL,
    "force": BOOL,
    "ignorePreflightErrors": STRINGS,
    "skipPhases": STRINGS,
    "unmountFlags": STRINGS,
    "timeouts": TIMEOUTS,
}

_KUBELET = """
enableServer staticPodPath podLogsDir syncFrequency fileCheckFrequency httpCheckFrequency staticPodURL
staticPodURLHeader address port readOnlyPort tlsCertFile tlsPrivateKeyFile tlsCipherSuites
tlsCurvePreferences tlsMinVersion rotateCertificates serverTLSBootstrap authentication authorization
registryPullQPS registryBurst imagePullCredentialsVerificationPolicy
preloadedImagesVerificationAllowlist eventRecordQPS eventBurst enableDebuggingHandlers
enableContentionProfiling healthzPort healthzBindAddress oomScoreAdj clusterDomain clusterDNS
streamingConnectionIdleTimeout nodeStatusUpdateFrequency nodeStatusReportFrequency
nodeLeaseDurationSeconds imageMinimumGCAge imageMaximumGCAge imageGCHighThresholdPercent
imageGCLowThresholdPercent volumeStatsAggPeriod kubeletCgroups systemCgroups cgroupRoot cgroupsPerQOS
cgroupDriver cpuManagerPolicy singleProcessOOMKill cpuManagerPolicyOptions cpuManagerReconcilePeriod
memoryManagerPolicy topologyManagerPolicy topologyManagerScope topologyManagerPolicyOptions qosReserved
runtimeRequestTimeout hairpinMode maxPods podCIDR podPidsLimit resolvConf runOnce cpuCFSQuota
cpuCFSQuotaPeriod nodeStatusMaxImages maxOpenFiles contentType kubeAPIQPS kubeAPIBurst
serializeImagePulls maxParallelImagePulls evictionHard evictionSoft evictionSoftGracePeriod
evictionPressureTransitionPeriod evictionMaxPodGracePeriod evictionMinimumReclaim
mergeDefaultEvictionSettings podsPerCore enableControllerAttachDetach protectKernelDefaults
makeIPTablesUtilChains iptablesMasqueradeBit iptablesDropBit featureGates failSwapOn memorySwap
containerLogMaxSize containerLogMaxFiles containerLogMaxWorkers containerLogMonitorInterval
configMapAndSecretChangeDetectionStrategy systemReserved kubeReserved reservedSystemCPUs
showHiddenMetricsForVersion systemReservedCgroup kubeReservedCgroup enforceNodeAllocatable
allowedUnsafeSysctls volumePluginDir providerID kernelMemcgNotification logging enableSystemLogHandler
enableSystemLogQuery shutdownGracePeriod shutdownGracePeriodCriticalPods
shutdownGracePeriodByPodPriority crashLoopBackOff reservedMemory enableProfilingHandler
enableDebugFlagsHandler seccompDefault memoryThrottlingFactor memoryReservationPolicy registerWithTaints
registerNode tracing localStorageCapacityIsolation containerRuntimeEndpoint imageServiceEndpoint
failCgroupV1 userNamespaces
"""
_PROXY = """
featureGates clientConnection logging hostnameOverride bindAddress healthzBindAddress metricsBindAddress
bindAddressHardFail enableProfiling showHiddenMetricsForVersion mode iptables ipvs nftables winkernel
detectLocalMode detectLocal clusterCIDR nodePortAddresses oomScoreAdj conntrack configSyncPeriod
portRange windowsRunAsService
"""
KUBELET = TYPE | dict.fromkeys(_KUBELET.split(), ANY)
KUBEPROXY = TYPE | dict.fromkeys(_PROXY.split(), ANY)

KUBEADM_GROUP = "kubeadm.k8s.io"
# (group, version, kind): its schema.
KINDS: dict[tuple[str, str, str], Schema] = {
    (KUBEADM_GROUP, "v1beta4", "InitConfiguration"): INIT,
    (KUBEADM_GROUP, "v1beta4", "ClusterConfiguration"): CLUSTER,
    (KUBEADM_GROUP, "v1beta4", "JoinConfiguration"): JOIN,
    (KUBEADM_GROUP, "v1beta4", "ResetConfiguration"): RESET,
    (KUBEADM_GROUP, "v1beta4", "UpgradeConfiguration"): ANY,
    ("kubelet.config.k8s.io", "v1beta1", "KubeletConfiguration"): KUBELET,
    ("kubeproxy.config.k8s.io", "v1alpha1", "KubeProxyConfiguration"): KUBEPROXY,
}
FEATURE_GATES = frozenset(
    [
        "ControlPlaneKubeletLocalMode",
        "NodeLocalCRISocket",
        "PublicKeysECDSA",
        "RootlessControlPlane",
    ]
)
