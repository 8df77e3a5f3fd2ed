"""The lab: virtual nodes on this machine."""

from __future__ import annotations

from messages import Message

NOT_LINUX = Message("""LAB001
    the lab needs Linux (namespaces, overlayfs), and this is {system}
    Remedy: Use a Linux machine, or a virtual one.
    Meaning: Virtual nodes share the kernel of this machine.""")
NOT_ROOT = Message("""LAB002
    the lab needs root, and sudo is not installed
    Remedy: Run it as root.
    Meaning: It makes network namespaces, mounts and control groups.""")
PACKAGES_MISSING = Message("""LAB003
    packages are missing on this machine: {packages} (Debian's names)
    Remedy: Install them, then run the same command again.
    Meaning: Where apt-get exists the lab installs them itself.""")
TOOL_MISSING = Message("""LAB004
    {tool} is not installed on this machine
    Remedy: Install it, then run the same command again.""")
TOOL_SLOW = Message("""LAB005
    `{command}` has not ended after {seconds} s
    Remedy: Run `python -m lab down`, then run the same command again.
    Meaning: The machine is overloaded, or the program hangs.""")
TOOL_FAILED = Message("""LAB006
    `{command}` failed: {reason}""")
NO_CGROUPS = Message("""LAB007
    there is no cgroup file system below /sys/fs/cgroup
    Remedy: Run the lab outside of that container, or mount one.
    Meaning: Nodes are booted by systemd, which needs control groups.""")
ROOT_FS = Message("""LAB008
    the nodes' root file system could not be built: {reason}
    Remedy: See {log}.
    Meaning: mmdebstrap builds it from the Debian archive, once.""")
LINK_ADDRESSES = Message("""LAB009
    all addresses of {network} are in use on this machine
    Remedy: Stop other labs: `LAB_NAME=… python -m lab down`.
    Meaning: Each lab has a link to this machine, with four addresses.""")
NAME = Message("""LAB010
    LAB_NAME={name} is not possible
    Remedy: Use at most 20 of a-z, 0-9 and -, the first one a letter.""")
DOWN = Message("""LAB011
    the lab {name} is down
    Remedy: Run `python -m lab up`.""")
NODE = Message("""LAB012
    node {name} does not exist in this lab (found: {nodes})
    Remedy: Use one of these; `python -m lab up` adds nodes that are new in inventory.py.""")
INTERFACE = Message("""LAB013
    {node} has no interface {interface} (found: {interfaces})
    Remedy: Use one of these.
    Meaning: Only the interfaces of the settings are made.""")
SPARE = Message("""LAB014
    {node} is a spare node, for which there is no SSH configuration
    Remedy: Add it to inventory.py.
    Meaning: Nodes that only `--workers` asked for are not in the inventory.""")
WORKERS = Message("""LAB015
    --workers {number} is out of range
    Remedy: Use 0 to {most}.""")
NO_GATEWAY = Message("""LAB016
    --workers {number} leaves out {node}, the gateway of the other nodes
    Remedy: Use a higher number.""")
NETWORK_SIZE = Message("""LAB017
    {network} has no room for the lab's own addresses
    Remedy: Use a /28 or a larger network.
    Meaning: The lab adds an operator and a DHCP range to that network.""")
NO_ADDRESS = Message("""LAB018
    {network} has no free address for a spare worker
    Remedy: Use fewer workers, or a larger network.""")
RESERVED = Message("""LAB019
    the lab itself has a part called {name}
    Remedy: Rename the node.
    Meaning: Namespaces are named after nodes and parts.""")
CHANGED = Message("""LAB020
    the running lab was made with {what}
    Remedy: Run `python -m lab down` first.
    Meaning: A running lab keeps its nodes and networks.""")
BOOT = Message("""LAB021
    {node} did not boot{reason}
    Remedy: See {log}.
    Meaning: Its systemd ended before it was ready; the file has its console.""")
BOOT_SLOW = Message("""LAB022
    {node} is not running after {seconds} s
    Remedy: See {log}.""")
NOT_RUNNING = Message("""LAB023
    {node} is {state}
    Remedy: Run `python -m lab power-on {node}`.""")
NOT_REMOVED = Message("""LAB024
    {what} could not be removed
    Remedy: Run `python -m lab down` again.
    Meaning: The kernel still uses it.""")
CONTAINERS = Message("""LAB025
    containers cannot run in this node: {reason}
    Meaning: The kernel settings or control groups that containers need could not be set up.""")
ROUTER = Message("""LAB026
    the lab's router does not answer on {addresses}
    Remedy: See *.out and *.log in {directory}.
    Meaning: dnsmasq, apt-cacher-ng or the mirror has ended.""")
KUBERNETES = Message("""LAB027
    LAB_KUBERNETES={value} is not possible
    Remedy: Use real or stand-in, or unset it.
    Meaning: It chooses where Kubernetes comes from: docs/lab.md.""")
MIRROR_KIND = Message("""LAB028
    LAB_KUBERNETES={value} contradicts LAB_MIRROR={path}, which is {kind}
    Remedy: Unset one of them.
    Meaning: The mirror decides which it is.""")
MIRROR_INCOMPLETE = Message("""LAB029
    LAB_MIRROR={path} has no {part}
    Remedy: Lay it out as docs/lab.md says.
    Meaning: A mirror has an apt repository, image archives and flannel's manifest.""")
KEY = Message("""LAB030
    {path} is not an OpenPGP key: {reason}
    Remedy: Download Release.key again.""")
CARD = Message("""LAB031
    {image} is not the card image of a node: {reason}
    Remedy: Make one with `pyinfra @local deploys/sdcard.py --data node=node2 --data
    file=node2.img`.
    Meaning: `fresh --card` boots a node from the boot partition of such an image.""")
NO_COMMAND = Message("""LAB032
    `run` needs a command
    Remedy: For example: `python -m lab run -- ping -c 1 192.168.1.1`.
    Meaning: The command runs where the operator is, in the lab's network.""")
COMMAND = Message("""LAB033
    {command} is not installed on this machine
    Remedy: Install it, or correct the command.""")
SSH_CONFIG = Message("""LAB034
    the SSH configuration could not be written: {reason}
    Meaning: `.cluster/ssh_config` is derived from the settings.""")
STAND_IN = Message("""LAB035
    the stand-in for Kubernetes could not be made: {reason}
    Remedy: Correct that, then run the same command again; or set LAB_MIRROR to a folder with the
    real one.
    Meaning: Where pkgs.k8s.io cannot be reached, its packages are made on this machine.""")
OTHER_VERSION = Message("""LAB036
    the lab {name} was started by another version of bramble
    Remedy: Run `LAB_NAME={name} python -m lab down`, then run the same command again.
    Meaning: What it has noted of its nodes cannot be read. `down` removes them all the same.""")
