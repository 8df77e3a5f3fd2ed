"""Files of other programs, and what those programs print."""

from __future__ import annotations

from messages import Message

UNEXPECTED = Message("""FMT001
    {reason}
    Meaning: A file or the output of a program is not what bramble expects: the message says which,
    and what is wrong with it. What is only half understood is left as it is.""")

# --- network files --------------------------------------------------------------------------------

INTERFACES_SYNTAX = Message("""FMT010
    line {line}: {reason}
    Meaning: ifupdown stops reading an interfaces file at this line, so the interfaces behind it do
    not come up.""")
INTERFACES_LINE = Message("""FMT011
    {keyword}: a line of an interfaces file cannot hold {value}
    Meaning: A line feed or a backslash at the end would change what ifupdown reads.""")
MARKS_DAMAGED = Message("""FMT015
    the lines "{begin}" and "{end}" are not one pair
    Remedy: Restore them, or remove both and what is between them.
    Meaning: bramble keeps its part of the file between these two lines, and somebody has edited
    them.""")
RULE_REFUSED = Message("""FMT016
    rule {rule}: {reason}
    Meaning: iptables does not take the firewall rule, or it is not one rule of one chain.""")

# --- SSH ------------------------------------------------------------------------------------------

NOT_A_PUBLIC_KEY = Message("""FMT030
    {key} is not a public key: {reason}
    Remedy: Use the one line of a .pub file that ssh-keygen has made.
    Meaning: sshd would ignore the line in authorized_keys.""")
PRIVATE_KEY = Message("""FMT031
    the key is a private key
    Remedy: Use the public key, the file that ends in .pub.""")
KEY_OPTION = Message("""FMT032
    option {option} of the key: {reason}
    Remedy: Correct the option: authorized_keys in sshd(8).
    Meaning: sshd ignores the whole line of a key with a wrong option.""")

# --- containerd -----------------------------------------------------------------------------------

CONTAINERD_FORM = Message("""FMT040
    written in a form that cannot be changed without losing comments
    Remedy: Give its plugins tables of their own.
    Meaning: The TOML library cannot edit inline or dotted tables and keep their comments.""")
CONTAINERD_TOO_NEW = Message("""FMT041
    version = {number}, and containerd {version} reads at most {newest}
    Remedy: Install a newer containerd, or remove the file.""")
CONTAINERD_TOO_OLD = Message("""FMT042
    version 1, which containerd {version} does not read any more
    Remedy: Move the file away, run the same command again, and copy what you need of it into the
    new file.""")
CONTAINERD_MIRRORS = Message("""FMT043
    registry mirrors are configured here, and containerd refuses them beside config_path
    Remedy: Move them into {folder}/REGISTRY/hosts.toml and remove them here.
    Meaning: containerd has two ways to configure mirrors, and takes one of them.""")

# --- kubeconfig -----------------------------------------------------------------------------------

KUBECONFIG_FORM = Message("""FMT050
    entries cannot be added to the form in which the file is written
    Remedy: Write it in lines with `kubectl config view --raw --kubeconfig=FILE > NEW`, put NEW in
    its place, and run the same command again.
    Meaning: The file stays as it is wherever bramble cannot add its entry and keep all else byte
    for byte.""")
KUBECONFIG_MERGE = Message("""FMT051
    entries come from another part of the file (<<)
    Remedy: Write them out.
    Meaning: kubectl and bramble could read the file differently.""")
KUBECONFIG_IN_USE = Message("""FMT052
    the context {context} uses the {kind} {name}, which would be replaced
    Remedy: Give that {kind} another name in the file, then run the same command again.
    Meaning: The context was made for another cluster, and would lead to this one.""")

# --- apt ------------------------------------------------------------------------------------------

DISK_FULL = Message("""FMT080
    the node's disk is full
    Remedy: Free some space (`df -h`, `sudo apt-get clean`).""")
APT_BUSY = Message("""FMT081
    another apt or dpkg is running{holder}
    Remedy: Wait until it has finished.
    Meaning: Debian's daily upgrades hold apt's lock for some minutes.""")
SIGNING_KEY_EXPIRED = Message("""FMT082
    the key that signs the repository has expired
    Remedy: Fetch the key again with `pyinfra inventory.py deploys/packages.py`.
    Meaning: Publishers extend their keys and publish them again.""")
NOT_SIGNED = Message("""FMT083
    the repository is not signed by the accepted key
    Remedy: Check kubernetes_repository and kubernetes_key_fingerprint.""")
SERVER_UNREACHABLE = Message("""FMT084
    a package server cannot be reached from the node ({line})
    Remedy: Check the node's default route and resolver, and the repository's address.""")
FETCH_FAILED = Message("""FMT085
    a package server does not have what was asked for ({line})
    Remedy: Run the same command again; if that does not help, check the repository's address.
    Meaning: The repository has changed since its lists were fetched, or the address is wrong.""")
APT_FAILED = Message("""FMT086
    apt-get failed: {line}""")
