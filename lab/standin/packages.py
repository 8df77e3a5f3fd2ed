"""
The stand-in packages, with the names, files, units and dependencies of those at pkgs.k8s.io.

Source for those: the specs of kubernetes/release (krel's templates). The stand-ins also depend on
Debian's Python, which the real binaries have no use for.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.standin.debs import Package

NODE = Path(__file__).parent / "node"
CNI_VERSION = "1.9.1"
CNI_PLUGINS = "bandwidth bridge dhcp dummy firewall host-device host-local ipvlan loopback macvlan portmap ptp sbr static tap tuning vlan vrf"
PYTHON = "python3, python3-cryptography, python3-h2, python3-yaml"
# Debian's own kubectl stands below the real packages' version; this is how it says what it is.
KUBECTL_TEXT = "Debian's kubectl under a version of pkgs.k8s.io, for the lab (stand-in)"

UNIT = """[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
DROP_IN = """# kubeadm's settings for the kubelet: where its kubeconfigs and its configuration are.
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
# Written by kubeadm init and join.
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
# The administrator's own: KUBELET_EXTRA_ARGS.
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""
ENABLE = """if [ "$1" = configure ]; then
    deb-systemd-helper unmask kubelet.service >/dev/null || true
    if deb-systemd-helper --quiet was-enabled kubelet.service; then
        deb-systemd-helper enable kubelet.service >/dev/null || true
    else
        deb-systemd-helper update-state kubelet.service >/dev/null || true
    fi
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        if [ -n "$2" ]; then action=restart; else action=start; fi
        deb-systemd-invoke $action kubelet.service >/dev/null || true
    fi
fi
"""
STOP = """if [ -d /run/systemd/system ] && [ "$1" = remove ]; then
    deb-systemd-invoke stop kubelet.service >/dev/null || true
fi
"""
PURGE = """if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ]; then
    deb-systemd-helper purge kubelet.service >/dev/null || true
fi
"""


def _script(*parts: str) -> str:
    return "#!/bin/sh\nset -e\n" + "".join(parts) + "exit 0\n"


def _library(program: str, version: str) -> dict[str, tuple[bytes, int]]:
    """The node's package, a copy for each program, with the version in it."""
    folder = f"/usr/lib/stand-in/{program}/standin"
    files = {
        f"{folder}/{file.name}": (file.read_bytes(), 0o644) for file in sorted(NODE.glob("*.py"))
    }
    return files | {f"{folder}/VERSION": (f"{version}\n".encode(), 0o644)}


def _program(program: str, call: str) -> bytes:
    return (
        "#!/usr/bin/python3 -I\n"
        f"# Stand-in for {program}, made by the lab; not Kubernetes' own.\n"
        "import sys\n\n"
        f'sys.path.insert(0, "/usr/lib/stand-in/{program}")\n'
        f"{call}\n"
    ).encode()


def _compiled(program: str) -> tuple[str, str]:
    """(postinst, prerm) parts: the interpreter's own files come and go with the package."""
    folder = f"/usr/lib/stand-in/{program}"
    return f"python3 -m compileall -q {folder} || true\n", f"rm -rf {folder}/standin/__pycache__\n"


def _fields(name: str, version: str, architecture: str, depends: str, text: str) -> dict[str, str]:
    fields = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "bramble's lab <lab@bramble.invalid>",
        "Section": "admin",
        "Priority": "optional",
        "Homepage": "https://kubernetes.io",
        "Depends": depends,
        "Description": text,
    }
    return {key: value for key, value in fields.items() if value}


def kubelet(version: str, architecture: str) -> Package:
    """
    kubelet: the service; enabled and started at once, in a crash loop until there is a cluster.
    """
    make, remove = _compiled("kubelet")
    depends = f"kubernetes-cni (>= 1.2.0), mount, util-linux, iproute2, {PYTHON}"
    return Package(
        _fields(
            "kubelet",
            f"{version}-1.1",
            architecture,
            depends,
            "Node agent for Kubernetes clusters (stand-in)",
        )
        | {"Recommends": "iptables (>= 1.8.4)"},
        _library("kubelet", version)
        | {
            "/usr/bin/kubelet": (
                _program(
                    "kubelet", "from standin.kubelet import main\n\nsys.exit(main(sys.argv[1:]))"
                ),
                0o755,
            ),
            "/usr/lib/systemd/system/kubelet.service": (UNIT.encode(), 0o600),
            "/etc/default/kubelet": (b"KUBELET_EXTRA_ARGS=\n", 0o644),
            "/var/lib/kubelet/.kubelet-keep": (b"", 0o644),
            "/etc/kubernetes/manifests/.kubelet-keep": (b"", 0o644),
        },
        scripts={
            "postinst": _script(make, ENABLE),
            "prerm": _script(STOP, remove),
            "postrm": _script(PURGE),
        },
        conffiles=("/etc/default/kubelet",),
    )


def kubeadm(version: str, architecture: str) -> Package:
    """kubeadm, and its settings for the kubelet's service."""
    make, remove = _compiled("kubeadm")
    call = "from standin.common import run_main\nfrom standin.kubeadm import main\n\nsys.exit(run_main(main, sys.argv[1:]))"
    return Package(
        _fields(
            "kubeadm",
            f"{version}-1.1",
            architecture,
            PYTHON,
            "Command-line utility for administering a Kubernetes cluster (stand-in)",
        ),
        _library("kubeadm", version)
        | {
            "/usr/bin/kubeadm": (_program("kubeadm", call), 0o755),
            "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": (DROP_IN.encode(), 0o644),
        },
        scripts={"postinst": _script(make), "prerm": _script(remove)},
    )


def cri_tools(version: str, architecture: str) -> Package:
    """crictl."""
    make, remove = _compiled("crictl")
    return Package(
        _fields(
            "cri-tools",
            f"{version}-1.1",
            architecture,
            PYTHON,
            "Command-line utility for the Container Runtime Interface (stand-in)",
        ),
        _library("crictl", version)
        | {
            "/usr/bin/crictl": (
                _program(
                    "crictl", "from standin.crictl import main\n\nsys.exit(main(sys.argv[1:]))"
                ),
                0o755,
            )
        },
        scripts={"postinst": _script(make), "prerm": _script(remove)},
    )


def kubernetes_cni(architecture: str) -> Package:
    """The CNI plugins' files; nothing ever calls them, since there are no containers."""
    stub = b"#!/bin/sh\necho 'stand-in: there are no containers to connect' >&2\nexit 1\n"
    return Package(
        _fields(
            "kubernetes-cni",
            f"{CNI_VERSION}-1.1",
            architecture,
            "",
            "Container network plugins (stand-in)",
        ),
        {f"/opt/cni/bin/{name}": (stub, 0o755) for name in CNI_PLUGINS.split()},
    )


def kubectl_fields(version: str, debian: Mapping[str, str]) -> dict[str, str]:
    """The control fields of Debian's kubectl under another version."""
    fields = _fields(
        "kubectl", f"{version}-1.1", debian["Architecture"], debian.get("Depends", ""), KUBECTL_TEXT
    )
    return fields | {"Installed-Size": debian["Installed-Size"]}
