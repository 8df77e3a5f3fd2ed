"""Kubernetes: kubeadm, kubelet, kubeconfig, flannel, and their packages."""

from __future__ import annotations

from messages import Message

_RESET = "Run `sudo kubeadm reset -f` on this node, then run the same command again."
_JOURNAL = "Run `sudo journalctl -u kubelet` on this node for the reason."

NOT_UNDERSTOOD = Message("""KUB002
    {what} cannot be understood: {reason}
    Remedy: Look at it on the node, and restore it from a backup if it is damaged.
    Meaning: A file or object that kubeadm makes does not have the form that kubeadm gives it.""")
FIXED_SETTING = Message("""KUB003
    the cluster was initialized with the {name} {observed}, not {desired}
    Remedy: Put {name} back in group_data/all.py. Another value needs a new cluster: `pyinfra
    inventory.py deploys/reset.py`, which deletes all of this one, then `pyinfra inventory.py
    deploys/cluster.py`.
    Meaning: It cannot be changed in a running cluster. Nothing was changed.""")
CERTIFICATE_NAMES = Message("""KUB004
    the API server's certificate could not be made valid for {names}: {reason}
    Remedy: Correct that, then run the same command again.
    Meaning: These names came into the settings after the certificate was made. The API server works
    with the one that it has.""")
IS_WORKER = Message("""KUB005
    this node has joined a cluster as a worker, so it cannot become a control plane
    Remedy: Move its line back to workers in inventory.py, and run `pyinfra inventory.py
    deploys/remove.py --data node=NAME` with its name; then move the line to control_plane, and run
    the same command again. If its cluster is gone, run `sudo kubeadm reset -f` on this node.
    Meaning: Its pods are moved elsewhere first (docs/control-planes.md, One becomes three).""")
API_NOT_ANSWERING = Message("""KUB006
    the API server does not answer: {reason}
    Remedy: Run `sudo journalctl -u kubelet` on the control plane for the reason, then run the same
    command again. After a year without an upgrade its certificates have expired: run `pyinfra
    inventory.py deploys/certificates.py`.
    Meaning: The files of the control plane are complete, but its kubelet, containerd or etcd
    fails to run.""")
INIT_INTERRUPTED = Message("""KUB007
    kubeadm init was interrupted on this node: {missing} missing
    Remedy: Run `sudo kubeadm reset -f` on this node, which deletes /etc/kubernetes, /var/lib/etcd
    and /var/lib/kubelet (all state of this cluster), then run the same command again.
    Meaning: Half a control plane is there. kubeadm cannot continue, and bramble resets nothing.""")
IS_CONTROL_PLANE = Message("""KUB008
    this node is a control plane, so it cannot join a cluster as a worker
    Remedy: Move the node to control_plane in inventory.py, or run `sudo kubeadm reset -f` on it,
    which deletes its cluster.""")
JOIN_INTERRUPTED = Message(f"""KUB009
    kubeadm join was interrupted on this node, which left {{files}}
    Remedy: {_RESET}
    Meaning: Half a join is there; a reset removes nothing but that.""")
OTHER_CLUSTER = Message("""KUB010
    this node has joined {cluster}, not that of {control_plane}
    Remedy: If it is to change clusters, run `sudo kubeadm reset -f` on it, then run the same
    command again.
    Meaning: The node is a worker of another cluster, or the control plane was made anew since.""")
IMAGES_NOT_LISTED = Message("""KUB011
    kubeadm config images list failed: {reason}
    Remedy: Run `sudo kubeadm config images list` on this node for the reason.
    Meaning: kubeadm names the images that the control plane needs, before they are pulled.""")
KUBELET_EXITS = Message(f"""KUB012
    the kubelet keeps exiting: {{reason}}
    Remedy: {_JOURNAL}
    Meaning: systemd starts the kubelet again and again. The reason is its own last line.""")
KUBELET_EXITS_IN_KUBEADM = Message("""KUB013
    {command}: the kubelet keeps exiting: {reason}
    Remedy: Correct that (sudo journalctl -u kubelet on this node says more), remove what kubeadm
    left with `sudo kubeadm reset -f`, then run the same command again.
    Meaning: kubeadm waits for a kubelet that cannot start, so it was stopped.""")
KUBELET_EXITED = Message(f"""KUB014
    the kubelet has exited: {{reason}}
    Remedy: {_JOURNAL}
    Meaning: kubeadm failed, and this is the last line of the kubelet that it waited for.""")
KUBEADM_STOPPED = Message("""KUB015
    {command} was stopped before it was done
    Remedy: Run the same command again.
    Meaning: The node was rebooted, or the command was killed.""")
PORT_TAKEN = Message("""KUB016
    port {port} is in use
    Remedy: Stop the program that `sudo ss -ltnp 'sport = :{port}'` shows.""")
EARLIER_CLUSTER = Message("""KUB017
    {problem}: an earlier cluster has left it
    Remedy: Run `sudo kubeadm reset -f` on this node, which removes it.
    Meaning: kubeadm does not overwrite the files of another cluster.""")
PROGRAM_MISSING = Message("""KUB018
    the program {name} is not installed
    Remedy: Run `sudo apt-get install {package}` on this node, then run the same command again.
    Meaning: kubeadm or the kubelet calls it.""")
TOO_SMALL = Message("""KUB019
    {problem}
    Remedy: Use a larger board, or set ignore_preflight_errors = ["{check}"].
    Meaning: A control plane needs two CPUs and 1700 MB of memory. With less it may be slow or run
    out of memory.""")
NO_CRI = Message("""KUB020
    containerd runs without the interface that Kubernetes needs (CRI)
    Remedy: Run `pyinfra inventory.py deploys/runtime.py`, which shows the reason and restarts
    containerd.
    Meaning: containerd has not loaded its CRI plugin.""")
CONTAINERD_SILENT = Message("""KUB021
    containerd does not answer at its socket
    Remedy: Run `systemctl status containerd` on this node for the reason.""")
IP_FORWARDING_OFF = Message("""KUB022
    IP forwarding is off (net.ipv4.ip_forward is not 1)
    Remedy: Run `pyinfra inventory.py deploys/prepare.py`.
    Meaning: Pods on different nodes reach each other only with IP forwarding.""")
CGROUP_OFF = Message("""KUB023
    the memory cgroup is off
    Remedy: Run `pyinfra inventory.py deploys/prepare.py`, which adds cgroup_enable=memory to
    cmdline.txt and reboots.
    Meaning: The kubelet limits the memory of pods with the memory cgroup.""")
PREFLIGHT_FAILED = Message("""KUB024
    kubeadm's preflight check {check} failed: {problem}
    Meaning: A check of kubeadm; its own words say what is wrong.""")
IMAGE_NOT_PULLED = Message("""KUB025
    could not pull {image}{others}: {reason}
    Remedy: Check the node's internet access and the settings image_repository and registry_mirrors,
    then run the same command again.
    Meaning: The registry is out of reach, or it does not have the image.""")
TOKEN_UNKNOWN = Message("""KUB026
    the cluster does not know the join token, which may have expired
    Remedy: Run the same command again: a new token is made.
    Meaning: Join tokens are valid for 15 minutes.""")
API_UNREACHABLE = Message("""KUB027
    the API server at {server} cannot be reached from this node: {reason}
    Remedy: Check that the control plane is on, that its kubelet runs, and that its cable and
    firewall let this node reach it; then run the same command again.
    Meaning: kubeadm join asks the API server for the cluster's certificate authority first.""")
API_UNTRUSTED = Message("""KUB028
    the certificate of the API server at {server} is not valid: {reason}
    Remedy: Correct this node's clock, then run the same command again.
    Meaning: A certificate is valid for a period, so a wrong clock makes it invalid.""")
TOKEN_REJECTED = Message("""KUB029
    the API server that answered does not know the join token
    Remedy: Check that control_plane_endpoint leads to this cluster.""")
OTHER_AUTHORITY = Message("""KUB030
    the API server that answered belongs to another cluster: its certificate authority differs
    Remedy: Check that control_plane_endpoint leads to this cluster.""")
NODE_EXISTS = Message("""KUB031
    the cluster already has a Ready node {name}, but this node has not joined it
    Remedy: Run `kubectl delete node {name}`, or wait until it is NotReady; then run the same
    command again.
    Meaning: The node was reset or written anew, and the cluster has not noticed yet.""")
API_NOT_STARTED = Message("""KUB032
    the API server did not start in time
    Remedy: Set kubeadm_timeouts = {{"controlPlaneComponentHealthCheck": "20m0s"}} in
    group_data/all.py, run `sudo kubeadm reset -f` on this node, then run the same command again.
    Meaning: kubeadm waits some minutes for the control plane. If the kubelet exited, its last line
    stands below.""")
KUBEADM_ERROR = Message("""KUB033
    {problem}
    Meaning: The last line that kubeadm printed. All of its output is in the run's log.""")
NO_TOKEN = Message("""KUB034
    {control_plane} could not make a join token: {reason}
    Remedy: Run `sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf get nodes` on {control_plane}
    for the reason.
    Meaning: Workers join with a token that the control plane makes for them.""")
TOKEN_NOT_DELETED = Message("""KUB035
    the join token could not be deleted: {reason}
    Remedy: The next run of deploys/cluster.py for all nodes deletes it; without one it expires in
    {minutes} minutes.
    Meaning: A warning: until then, whoever has the token can join a node.""")
NO_SUCH_USER = Message("""KUB036
    user "{user}" does not exist on this node
    Remedy: Set admin_user in group_data/all.py.""")
NO_PLAIN_FILE = Message("""KUB037
    {path} is a link or a directory
    Remedy: Remove it, then run the same command again.""")
FOREIGN_KUBECONFIG = Message("""KUB038
    {path} is not the administrator's current kubeconfig for this cluster
    Remedy: Move it away, then run the same command again (`KUBECONFIG={path}:OLD kubectl config
    view --raw` merges the two).
    Meaning: A kubeconfig that bramble did not make is in the way.""")
KUBECONFIG_OUTDATED = Message("""KUB072
    {path} has an outdated certificate of the administrator, and is left unchanged because it has
    other entries too
    Remedy: Run `(umask 077; sudo env KUBECONFIG={admin}:{path} kubectl config view --raw >
    {path}.new && mv {path}.new {path})` on the node.
    Meaning: A warning: the certificate was renewed, or the file has another user. kubectl merges
    the two; the administrator's context becomes the current one.""")
KUBECONFIG_KEPT = Message("""KUB040
    {path} on this computer is left unchanged: {reason}
    Remedy: Correct the file, or set kubeconfig in group_data/all.py to another one.
    Meaning: The file has a form in which nothing can be changed safely.""")
KUBECONFIG_NOT_READ = Message("""KUB041
    {path} on this computer cannot be read: {reason}
    Remedy: Make it readable for you, or set kubeconfig in group_data/all.py to another file.""")
KUBECONFIG_NOT_WRITTEN = Message("""KUB042
    {path} on this computer cannot be written: {reason}
    Remedy: Make it writable for you, or set kubeconfig in group_data/all.py to another file.""")
SERVER_NOT_ANSWERING = Message("""KUB043
    the context is written, but {server} does not answer this computer: {reason}
    Remedy: Check that this computer reaches that address, for example with `curl -k
    {server}/version`.
    Meaning: A warning: kubectl on this computer will not work until the address answers.""")
CONTEXT_CHANGED = Message("""KUB070
    the context {context} in {path} on this computer is no longer in the settings, but was changed
    since bramble made it, and is left
    Remedy: Remove it with `{command}`.
    Meaning: Somebody may need it. It is named in each run until it is removed.""")
BAD_MANIFEST = Message("""KUB045
    {url} cannot be used as flannel's manifest: {reason}
    Remedy: Correct flannel_manifest and flannel_checksum in group_data/all.py.""")
OTHER_REPOSITORY = Message("""KUB046
    {files} also names a repository of Kubernetes packages
    Remedy: Remove it, then run the same command again.
    Meaning: apt would mix packages of the two repositories.""")
KEY_NOT_FETCHED = Message("""KUB047
    this computer could not download {url}: {reason}
    Remedy: Check kubernetes_repository in group_data/all.py and this computer's internet access.
    Meaning: This computer, not the node, downloads the key of the package repository.""")
NO_KEY = Message("""KUB048
    {url} is not a public key: {reason}
    Remedy: Check kubernetes_repository in group_data/all.py.
    Meaning: `Release.key` beside the packages is an OpenPGP public key.""")
OTHER_KEY = Message("""KUB049
    the key at {url} has the fingerprint {found}, not {expected}
    Remedy: If kubernetes.io announces a new key, change kubernetes_key_fingerprint in
    group_data/all.py.
    Meaning: The key is not accepted: with another key, others could sign packages. Look for the
    announcement before you change the setting.""")
NO_DOWNGRADE = Message("""KUB050
    {package} {installed} is installed, which is newer than {desired}
    Remedy: Set kubernetes_version to "{minor}", or remove the packages.
    Meaning: Packages are never downgraded.""")
NEEDS_UPGRADE = Message("""KUB051
    {package} {installed} is installed on a node of a cluster, which is older than {desired}
    Remedy: Run `pyinfra inventory.py deploys/upgrade.py`, or set kubernetes_version to "{minor}".
    Meaning: A cluster is upgraded in a fixed order, the control plane first, so replacing packages
    is not enough. Nothing else upgrades it.""")
DISK_FULL = Message("""KUB052
    the disk is full: {free} MB are free for /var, and {needed} MB are needed
    Remedy: Free space: `df -h` shows where, `sudo apt-get clean` removes downloaded packages.
    Meaning: The Kubernetes packages need that much space while they are installed.""")
NO_SUCH_RELEASE = Message("""KUB053
    {url} has no Kubernetes {desired}, but {available}
    Remedy: Set kubernetes_version to a version that the repository has.
    Meaning: The repository of one minor version has its patch releases only.""")
NOT_READY = Message("""KUB054
    the node is not Ready after {seconds} s: {reason}
    Remedy: Run `kubectl describe node` for the details; with a slow SD card, raise
    nodes_ready_seconds in group_data/all.py.
    Meaning: The reason is the one that the node itself reports to the cluster.""")
NODE_GONE = Message("""KUB055
    the node does not answer any more, so the run does not wait for it: {reason}
    Remedy: Check its power and cable, then run the same command again.
    Meaning: The other nodes of the cluster were set up.""")
PODS_NOT_READY = Message("""KUB056
    the cluster's own pods are not ready after {seconds} s: {reason}
    Remedy: Run `kubectl get pods -A` for the details; with a slow SD card, raise
    nodes_ready_seconds and pod_network_seconds in group_data/all.py.
    Meaning: flannel, kube-proxy or CoreDNS does not run on all nodes yet.""")
NO_CONTROL_PLANE = Message("""KUB057
    there are no certificates of a control plane on this node
    Remedy: Run `pyinfra inventory.py deploys/cluster.py`, which makes the cluster.""")
AUTHORITY_EXPIRES = Message("""KUB058
    the certificate authority {name} expires soon ({left}), and kubeadm cannot renew it
    Remedy: Make a new cluster before then: `pyinfra inventory.py deploys/reset.py`, then `pyinfra
    inventory.py deploys/cluster.py`.
    Meaning: kubeadm makes the authorities for ten years. A cluster can be given new ones by
    hand, which kubernetes.io describes under "Manual Rotation of CA Certificates".""")
NOT_RENEWED = Message("""KUB059
    the certificates could not be renewed: {reason}
    Remedy: Correct that, then run the same command again: it continues with what is left.
    Meaning: kubeadm failed, or the disk is full.""")
NOT_BACK = Message("""KUB060
    {what} has not started after {seconds} s: {reason}
    Remedy: Run `sudo journalctl -u kubelet` on this node for the reason, then run the same
    command again.
    Meaning: This part of the control plane was stopped or replaced, so that the kubelet starts it
    with renewed certificates, or in its new version.""")
NOT_ADMITTED = Message("""KUB061
    the kubelet got no new client certificate: {reason}
    Remedy: Run `sudo journalctl -u kubelet` on this node for the reason, then run the same
    command again.
    Meaning: The certificate that it had is back in its place. A clock that is wrong, or a control
    plane that the node does not reach, are the usual reasons.""")
RESET_NOT_CONFIRMED = Message("""KUB062
    the cluster was not deleted: its name was not typed as confirmation
    Remedy: Type {cluster} when asked; without a terminal, add `--data yes={cluster}`.
    Meaning: `-y` alone is not enough to delete a cluster. Nothing was changed.""")
BARE_PODS = Message("""KUB063
    pods that nothing makes again elsewhere are on the node: {pods}
    Remedy: Save what they hold, delete them with `{commands}`, then run the same command again.
    Meaning: A pod without a controller (Deployment, StatefulSet, Job) does not come back once its
    node is drained. Nothing was changed.""")
BUDGET_NEVER_MET = Message("""KUB064
    pods can't be evicted, since their disruption budgets ask for as many pods as there are: {pods}
    Remedy: Raise the replicas (`kubectl scale`), or lower the budget (`kubectl edit pdb`), then run
    the same command again.
    Meaning: The drain would wait in vain. Nothing was changed.""")
NO_ROOM = Message("""KUB065
    no other node has a place for these pods, so they wait until one has: {pods}
    Remedy: Add a worker, or set pods_on_control_plane = True and run
    `pyinfra inventory.py deploys/cluster.py`.
    Meaning: A warning. The pods are Pending meanwhile.""")
NOT_DRAINED = Message("""KUB066
    {node} is not drained after {seconds} s; left are: {pods}
    Remedy: See `kubectl describe pod` and `kubectl get pdb -A`, or raise drain_seconds in
    group_data/all.py; then run the same command again.
    Meaning: The name of the budget that holds a pod is in brackets. The node takes pods again,
    unless somebody else had cordoned it; pods that were evicted run elsewhere.""")
DRAIN_LOST = Message("""KUB067
    the drain of {node} was interrupted: {reason}
    Remedy: Run the same command again: it continues with the drain.
    Meaning: The node is cordoned, and noted as such by bramble (annotation bramble/cordon).""")
REMOVAL_NOT_CONFIRMED = Message("""KUB068
    {node} does not answer, and was not removed from the cluster: that was not confirmed
    Remedy: Switch it on; or type its name when you are asked, or add `--data yes={node}`.
    Meaning: A node that is only off for a while comes back to its cluster, unless it is deleted
    there.""")
NOT_DRAINED_BY = Message("""KUB069
    {control_plane} is not part of this run, so the node was not drained
    Remedy: Leave out --limit, or add `--limit {control_plane}`.
    Meaning: The control plane evicts the node's pods, and deletes it from the cluster. Nothing was
    changed.""")
NODE_OF_ANOTHER_MACHINE = Message("""KUB071
    the cluster has a Ready node {name} on another machine, with the machine-id {machine}
    Remedy: If this board or its SD card is the replacement, run the same command again with
    `--data replace={name}`; if the other machine is to stay, give this one another name in
    inventory.py.
    Meaning: A new SD card has a new machine-id. With the option, the node of the former card is
    deleted from the cluster, its pods are made again elsewhere, and this one joins under its
    name.""")
CLUSTER_UNKNOWN = Message("""KUB079
    it is unknown whether other control planes have a cluster: {others}
    Remedy: Switch them on, or correct what their own lines say; if they were off when the cluster
    was deleted, run `pyinfra inventory.py deploys/reset.py` once more. Then run the same command
    again.
    Meaning: A control plane without files either makes the cluster or joins that of the others.
    Nothing was changed.""")
ETCD_NOT_ASKED = Message("""KUB073
    the members of etcd could not be listed on another control plane: {reason}
    Remedy: Switch on as many control planes as are a majority, see `sudo journalctl -u kubelet` on
    them, then run the same command again; if they are lost, run `pyinfra inventory.py
    deploys/restore.py`, which makes the cluster again from a backup.
    Meaning: Control planes join and leave only while etcd works. Nothing was changed.""")
FILES_LOST = Message("""KUB087
    {files} missing or empty, though etcd has its data
    Remedy: Run `{command}` on this node, which makes them anew, then run the same command again.
    Where kubeadm init was cut off just now, `sudo kubeadm reset -f` removes its remains instead,
    and all data of etcd.
    Meaning: A power cut may empty a file that was just written. Nothing of the cluster is lost.""")
MAJORITY_AWAY = Message("""KUB086
    {count} of {total} control planes do not answer ({nodes}), and etcd needs {needed} of them, so
    the API server does not work
    Remedy: Switch them on, or correct their network. Where too few SD cards are left for that,
    write new ones with deploys/sdcard.py and boot the boards, then run `pyinfra inventory.py
    deploys/backup.py`, which saves what the others have, and `pyinfra inventory.py
    deploys/restore.py`.
    Meaning: etcd works while a majority of its members does. Pods go on as they are meanwhile, but
    nothing in the cluster changes. Once enough control planes answer it works again, and nothing
    else is to be done. Nothing was changed.""")
QUORUM_WOULD_BE_LOST = Message("""KUB074
    etcd would stop without its member {member}: of the {count} others these are healthy: {healthy}
    Remedy: Switch on the other control planes, and wait until `make verify` finds them healthy; or
    remove one that is lost with `pyinfra inventory.py deploys/remove.py --data node=NAME`. Then run
    the same command again.
    Meaning: A majority of the members that remain must be healthy: also before a node leaves, or
    joins anew with another SD card. Nothing was changed.""")
MEMBER_NOT_REMOVED = Message("""KUB075
    etcd did not remove its member {member}: {reason}
    Remedy: Run the same command again.
    Meaning: The member belongs to this node, which has no data of it any more.""")
LEARNER_IN_THE_WAY = Message("""KUB082
    another new control plane, {node}, is part of etcd without a vote, and this run cannot ask it
    whether it is joining now
    Remedy: Run the same command without --limit, with {node} switched on; if it cannot be reached,
    switch it off first.
    Meaning: etcd, the cluster's database, takes one new member at a time. What a join
    that was cut off has left there is removed, but not of a node that is joining. Nothing was
    changed.""")
LEFT_NOT_DELETED = Message("""KUB083
    what an earlier run has left in the cluster could not be deleted: {reason}
    Remedy: Run the same command again.
    Meaning: It is a join token, or encrypted keys of the cluster, made for a join that was cut off.
    Kubernetes deletes a token after 15 minutes, and the keys after two hours.""")
NO_QUORUM_AFTER = Message("""KUB080
    etcd does not work without its former member at {address}: {reason}
    Remedy: See `sudo journalctl -u kubelet` on the control planes, then run the same command again.
    Meaning: The member was removed while a majority of the others was healthy.""")
EVEN_MEMBERS = Message("""KUB081
    etcd then has {count} members, of which {failures} may fail
    Remedy: Write another control plane in its place in inventory.py and run `pyinfra inventory.py
    deploys/cluster.py`; or remove a further one, and then both from inventory.py.
    Meaning: A warning: an even number tolerates no more failures than one less. inventory.py has
    one, three or five control planes.""")
CERTIFICATES_NOT_UPLOADED = Message("""KUB076
    {control_plane} could not upload the certificates for a control plane: {reason}
    Remedy: Run `sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf get nodes` on {control_plane}
    for the reason.
    Meaning: A control plane that joins gets the cluster's keys from there, encrypted.""")
CERTIFICATES_NOT_DELETED = Message("""KUB077
    the uploaded certificates could not be deleted: {reason}
    Remedy: The next run of deploys/cluster.py for all nodes deletes them; without one Kubernetes
    does after two hours.
    Meaning: A warning. They are encrypted, and their key was made for this join alone.""")
NOT_LABELLED = Message("""KUB078
    {node} was not labelled as a control plane: {reason}
    Remedy: See `sudo journalctl -u kubelet` on {node}, then run the same command again.
    Meaning: Its join was cut off at its end, and its kubelet has not registered the node since.""")
