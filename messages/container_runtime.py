"""Container runtime: containerd and images."""

from __future__ import annotations

from messages import Message

CONTAINERD_TOO_OLD = Message("""CRI001
    containerd {version} is too old for Kubernetes {kubernetes}, which needs 2.0 or newer
    Remedy: Set kubernetes_version to "{newest}", or install containerd.io 2 from Docker's
    repository on the nodes.
    Meaning: Debian's containerd 1.7 cannot tell the kubelet its cgroup driver, which newer
    versions of Kubernetes ask for.""")
OVERRIDDEN = Message("""CRI002
    a file that {path} imports sets {names} to another value
    Remedy: Remove {names} from the imported file.
    Meaning: containerd merges the files in `imports`, and they override what Kubernetes needs.""")
BAD_CONFIG = Message("""CRI003
    {path} cannot be used: {reason}
    Remedy: Correct the file, or move it away, then run the same command again.""")
CONFIG_REJECTED = Message("""CRI004
    containerd cannot read {path}: {reason}
    Remedy: Correct the file, then run the same command again.""")
NOT_STARTED = Message("""CRI005
    containerd does not start: {reason}
    Remedy: Correct its configuration in /etc/containerd, then run the same command again.
    Meaning: The reason is the last error in containerd's journal.""")
NOT_ANSWERING = Message("""CRI006
    containerd does not answer: {reason}
    Remedy: Run `sudo journalctl -u containerd` on this node for more.
    Meaning: containerd was started, and did not answer `ctr plugins ls` within a minute.""")
NO_CRI = Message("""CRI007
    containerd runs without the interface that Kubernetes needs (CRI): {reason}
    Remedy: Correct that in /etc/containerd/config.toml, then run the same command again.
    Meaning: containerd has not loaded its CRI plugin; the reason is from its journal.""")
CONTAINERD_FAILED = Message("""CRI008
    containerd could not be restarted: {reason}
    Remedy: Run `sudo journalctl -u containerd` on this node for more.""")
NO_ARCHIVES = Message("""CRI009
    no image archives (*.tar) in {folder} on this computer
    Remedy: Make some with `docker save`, or set image_archives to another folder or to None.""")
BAD_ARCHIVE = Message("""CRI010
    {path} cannot be used: {reason}
    Remedy: Make it with `docker save`, or remove it.""")
NO_ROOM_FOR_IMAGE = Message("""CRI011
    could not import {name}: the node's disk is full
    Remedy: Free space on /var: `df -h` shows where.
    Meaning: containerd keeps images in /var/lib/containerd.""")
NOT_IMPORTED = Message("""CRI012
    could not import {name}: {reason}
    Remedy: Run the same command again; if it fails again, make the archive anew with `docker
    save`.""")
