"""Updates of the nodes' packages: deploys/patch.py."""

from messages import Message

NOT_KNOWN = Message("""UPD001
    apt can't tell which updates there are: {reason}
    Remedy: See `sudo apt-get --simulate full-upgrade` on the node, correct what it says (`sudo
    apt-get --fix-broken install`), then run the same command again.
    Meaning: The reason is apt's own. Nothing was changed.""")
WOULD_REMOVE = Message("""UPD002
    the updates would remove {packages}
    Remedy: See `sudo apt-get --simulate full-upgrade` on the node, and hold the package whose
    update removes them with `sudo apt-mark hold NAME`.
    Meaning: The node needs these packages for the cluster or for SSH access. Another package that
    replaces them, or a repository that was added, is the usual cause. Nothing was changed.""")
NOT_HELD = Message("""UPD003
    {packages} would be upgraded, which only deploys/upgrade.py does
    Remedy: Hold them with `pyinfra inventory.py deploys/packages.py`, then run the same command
    again.
    Meaning: The packages of Kubernetes are held at their version. Somebody has ended that with
    `apt-mark unhold`. Nothing was changed.""")
OTHER_RELEASE = Message("""UPD004
    the package sources lead to another release of the system (base-files {before} to {after})
    Remedy: Set the release in /etc/apt/sources.list and /etc/apt/sources.list.d back, then run
    `sudo apt-get update` there; or upgrade the node by hand, as the release notes say.
    Meaning: deploys/patch.py installs updates of the installed release only. Nothing was
    changed.""")
DISK_FULL = Message("""UPD005
    the disk is too full for the updates: {free} MB are free for {path}, and {needed} MB are needed
    Remedy: Free space on the node: `sudo apt-get clean` removes downloaded packages, `sudo apt-get
    autoremove --purge` packages that nothing needs, old kernels among them.
    Meaning: A package is unpacked beside the old one, and a kernel's files are copied to the boot
    partition. Nothing was changed.""")
NOT_FETCHED = Message("""UPD006
    cannot download the updates: {reason}
    Meaning: The node was not drained, and nothing was installed.""")
FAILED = Message("""UPD007
    the updates were not installed: {reason}
    Remedy: Correct it on the node (`sudo dpkg --audit` names packages that are half installed),
    then run the same command again: it continues with this node.
    Meaning: The reason is apt's own; its whole output is in the log. The node stays cordoned
    (annotation bramble/cordon), and no other node is touched.""")
STOPPED = Message("""UPD008
    the installation of updates was stopped: the node was rebooted, or the process killed
    Remedy: Run the same command again: it completes the installation.
    Meaning: What dpkg was interrupted at is completed first.""")
