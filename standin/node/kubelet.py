"""
The stand-in kubelet: `kubelet --config=… --kubeconfig=… --bootstrap-kubeconfig=… --node-ip=…`.
Without a configuration it is started every ten seconds, and exits before most is imported.
"""

from __future__ import annotations

import yaml

from .common import VERSION, flags_of, klog, quote, root, text


def run(arguments: list[str]) -> int:
    """Run until stopped; return the exit status."""
    flags = flags_of(arguments)
    if "version" in flags:
        print(f"Kubernetes {VERSION}")
        return 0
    path = flags.get("config", "/var/lib/kubelet/config.yaml")
    try:
        config = yaml.safe_load(root(path).read_text()) or {}
    except OSError:
        reason = text("kubelet-no-config", path=path)
    else:
        from .agent import Kubelet

        reason = Kubelet({"kubeconfig": "/etc/kubernetes/kubelet.conf"} | flags, config).run()
    klog("E", "run.go:72", f'"command failed" err={quote(reason)}')
    return 1
