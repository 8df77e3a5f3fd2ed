"""Verify: what `make verify` finds on a running cluster."""

from __future__ import annotations

from messages import Message
from messages.preflight import SUDO_REMEDY

KEY_REFUSED = Message("""VER001
    {address} refuses your SSH key for {user}
    Remedy: Run `{deploy} --limit {node} --ssh-password-prompt`.
    Meaning: The key that the settings name is not in the user's authorized_keys, or sshd ignores
    that file.""")
UNREACHABLE = Message("""VER003
    the node does not answer at {address}{asked}: {reason}
    Remedy: Check its power and cable, then try `ssh -F .cluster/ssh_config {node}`.""")
GATEWAY_UNREACHABLE = Message("""VER004
    the node is reached through {gateway}, which does not answer
    Remedy: Correct {gateway} first.""")
SUDO_PASSWORD = Message(f"""VER005
    {{user}} may not use sudo without a password: {{reason}}
    Remedy: {SUDO_REMEDY}""")
AUTHORIZED_KEYS_MODE = Message("""VER006
    {path} belongs to {owner} with mode {mode}; expected {user} with mode {expected}
    Remedy: Run `{deploy}`.
    Meaning: sshd ignores keys in a file that others may write.""")
KEY_MISSING = Message("""VER007
    no line of authorized_keys that sshd accepts has your key
    Remedy: Run `{deploy}`.
    Meaning: You still got in, by another key or file. The next login may fail.""")
LOGIN_METHODS_UNKNOWN = Message("""VER008
    sshd does not list the login methods that it accepts: {reason}
    Remedy: Run the same command again in a minute.
    Meaning: sshd refuses connections for a while after many failed ones.""")
PASSWORD_LOGIN = Message("""VER009
    sshd {accepts} {when}, which contradicts password_login
    Remedy: Run `{deploy}`.
    Meaning: Another file in /etc/ssh/sshd_config.d may say otherwise, or sshd was not reloaded.""")

HOSTNAME = Message("""VER010
    the hostname is {now} now and {at_boot} after a reboot; expected {expected}
    Remedy: Run `{deploy}`.
    Meaning: A node registers with Kubernetes by its hostname.""")
ADDRESS_MISSING = Message("""VER011
    {interface} has the addresses {found}; expected {expected}
    Remedy: Run `{deploy}`.
    Meaning: The interface was changed by hand, or another program configures it.""")
ADDRESS_EXTRA = Message("""VER012
    {interface} has {extra} besides {expected}, from another DHCP client
    Remedy: Run `{deploy}`; if it stays, see which programs run there (dhcpcd, networkd).
    Meaning: Two addresses on one interface make packets leave with the wrong one.""")
SWAP_ON = Message("""VER013
    swap is on ({devices}), and the kubelet does not start
    Remedy: Run `{deploy}`.
    Meaning: Kubernetes requires that swap is off.""")
SWAP_AT_BOOT = Message("""VER014
    swap is on after a reboot ({sources})
    Remedy: Run `{deploy}`.
    Meaning: The kubelet does not start then.""")
MODULES = Message("""VER015
    kernel modules are not loaded {when}: {modules}
    Remedy: Run `{deploy}`.
    Meaning: Pods' networks need them.""")
SYSCTL = Message("""VER016
    kernel parameters {when}: {values}; expected 1
    Remedy: Run `{deploy}`.
    Meaning: Without them packets are not forwarded, or pass by iptables' rules. After a reboot the
    last file in /etc/sysctl.d counts.""")

NAME = Message("""VER020
    {name} resolves to {found}; expected {expected}
    Remedy: Run `{deploy}`.
    Meaning: Nodes resolve each other's names in /etc/hosts.""")
NO_DEFAULT_ROUTE = Message("""VER021
    there is no default route: {reason}
    Remedy: Run `{deploy}`.
    Meaning: The node reaches nothing outside its own networks.""")
DEFAULT_ROUTE = Message("""VER022
    the default route is {found}; expected {expected}
    Remedy: Run `{deploy}`.
    Meaning: Somebody changed it, or a second DHCP client runs.""")
NAMESERVERS = Message("""VER023
    /etc/resolv.conf lists {found}; expected {expected}
    Remedy: Run `{deploy}`.
    Meaning: Another program writes that file.""")
DNS = Message("""VER024
    no nameserver resolves {name}, the host of the package archive
    Remedy: Check `nameservers` in group_data/, and the default route.
    Meaning: The nameservers cannot be reached, or cannot resolve the name.""")
ARCHIVE_UNREACHABLE = Message("""VER025
    the package archive {url} cannot be reached: {reason}
    Remedy: Check the default route, then run `{deploy}`.
    Meaning: The node cannot install or upgrade packages.""")
RULES_MISSING = Message("""VER026
    {where} lacks {rules}
    Remedy: Run `{deploy}`.
    Meaning: Without these rules the workers reach nothing outside the cluster's network.""")
CHAIN_UNUSED = Message("""VER027
    no rule in {chain} jumps to {target}, which holds the NAT rules
    Remedy: Run `{deploy}`.
    Meaning: Rules in a chain that nothing jumps to have no effect.""")
RULES_FILE_MISSING = Message("""VER028
    {path} does not exist
    Remedy: Run `{deploy}`.
    Meaning: The NAT rules are restored from that file at boot.""")
RULES_FILE_INVALID = Message("""VER029
    iptables rejects {path}: {reason}
    Remedy: Run `{deploy}`.
    Meaning: The NAT rules would be missing after a reboot.""")

SERVICE_STOPPED = Message("""VER040
    {service} is not running
    Remedy: Run on the node: `{command}`.
    Meaning: Nothing runs on a node without containerd and the kubelet.""")
SERVICE_DISABLED = Message("""VER041
    {service} is not enabled, so it does not start at boot
    Remedy: Run `{deploy}`.
    Meaning: Somebody ran `systemctl disable`.""")
CONTAINERD_SILENT = Message("""VER042
    containerd does not answer: {reason}
    Remedy: Run on the node: `sudo systemctl restart containerd`.
    Meaning: The service runs, but its socket does not answer.""")
CRI = Message("""VER043
    containerd's cri plugin, by which the kubelet starts containers, is {state}
    Remedy: Run `{deploy}`.
    Meaning: A setting in /etc/containerd turns it off, or it could not start: see `sudo journalctl
    -u containerd`.""")
CGROUP_DRIVER = Message("""VER044
    containerd's configuration lacks SystemdCgroup = true
    Remedy: Run `{deploy}`.
    Meaning: containerd and the kubelet have to use the same cgroup driver; otherwise pods are
    stopped again and again.""")

NOT_HELD = Message("""VER050
    `apt upgrade` would upgrade {packages}
    Remedy: Run `{deploy}`.
    Meaning: Kubernetes is upgraded in order, not by apt: its packages are held.""")
NOT_INSTALLED = Message("""VER051
    packages are not installed: {packages}
    Remedy: Run `{deploy}`.""")
VERSION_DIFFERS = Message("""VER052
    {package} is {version}; it is {expected} on {node}
    Remedy: Run `{deploy}`, which completes an upgrade.
    Meaning: All nodes of a cluster should have one version.""")
VERSION_UNEXPECTED = Message("""VER053
    {package} is {version}; the settings ask for {expected}
    Remedy: Run `{deploy}`, or set kubernetes_version in group_data/all.py to the cluster's.
    Meaning: kubernetes_version in group_data/all.py and the cluster differ.""")
NOT_READY = Message("""VER054
    the node is not Ready: {reason}
    Remedy: See, on {node}: `{command}`.
    Meaning: The kubelet reports why.""")
CORDONED = Message("""VER055
    the node accepts no new pods
    Remedy: Run `kubectl uncordon {node}`.
    Meaning: Somebody cordoned or drained it.""")
NODE_ADDRESS = Message("""VER056
    the cluster knows the node at {found}; expected {expected}
    Remedy: On {node}, set --node-ip={expected} in /var/lib/kubelet/kubeadm-flags.env, then run
    `sudo systemctl restart kubelet`.
    Meaning: Other nodes and the API server use that address.""")
CERTIFICATES_UNREADABLE = Message("""VER057
    kubeadm cannot tell when the certificates expire: {reason}
    Remedy: Run `{deploy}`.
    Meaning: A certificate is missing or damaged.""")
CERTIFICATES_EXPIRE = Message("""VER058
    certificates expire soon: {certificates}
    Remedy: Run `{deploy}`.
    Meaning: kubeadm's certificates last a year and are renewed by upgrades.""")
KUBELET_CERTIFICATE_MISSING = Message("""VER059
    there is no {path}
    Remedy: Run `{deploy}`.
    Meaning: The kubelet has no certificate to log in to the API server.""")

KUBELET_CERTIFICATE_EXPIRES = Message("""VER060
    the kubelet's certificate expires in {days} days, though it renews it automatically
    Remedy: Run `{deploy}`.
    Meaning: Once it has expired the node is lost to the cluster.""")
FLANNEL_MISSING = Message("""VER061
    there is no interface flannel.1
    Remedy: {remedy}.
    Meaning: flannel's pod on this node creates the interface; pods reach no other node without
    it.""")
FLANNEL_DOWN = Message("""VER062
    flannel.1 is down
    Remedy: Run on the node: `sudo ip link set flannel.1 up`.
    Meaning: Pods reach no other node.""")
FLANNEL_ADDRESS = Message("""VER063
    flannel.1 sends from {found}; expected {expected}
    Remedy: Run `{deploy}`.
    Meaning: flannel chose another interface.""")
POD_ROUTE = Message("""VER064
    there is no route to {network}, the pods of {other}
    Remedy: {remedy}.
    Meaning: flannel's pod on this node adds the routes.""")
NO_POD_NETWORK = Message("""VER114
    {node} has no network for its pods (podCIDR)
    Remedy: {remedy}.
    Meaning: kube-controller-manager gives each node its network soon after it has joined.""")
JOIN_TOKEN = Message("""VER065
    a join token is left: {tokens}
    Remedy: On {node}, run `sudo kubeadm token delete {arguments}`.
    Meaning: Whoever has it can join a node to the cluster. The deploys delete theirs; what a run
    that was cut off has left, the next run of deploys/cluster.py deletes.""")
KUBECTL = Message("""VER066
    kubectl on {node} fails: {reason}
    Remedy: {remedy}.""")
NODE_UNKNOWN = Message("""VER067
    the cluster does not know the node
    Remedy: Run `{deploy}`.
    Meaning: It never joined, or somebody deleted it.""")

PODS_NOT_READY = Message("""VER070
    test pods are not Ready after {seconds} s: {reason}
    Remedy: See `kubectl get pods -A -o wide` and `kubectl get events -A`.
    Meaning: An image could not be pulled, or a node starts no containers.""")
POD_DNS = Message("""VER071
    a pod on {node} does not resolve names of the cluster: {reason}
    Remedy: {remedy}.
    Meaning: CoreDNS or the pod network does not work.""")
SERVICES = Message("""VER072
    from a pod on {node}, Services do not reach the pods on {nodes}
    Remedy: {remedy}.
    Meaning: kube-proxy or the pod network does not work between these nodes.""")

KUBECONFIG_MISSING = Message("""VER080
    there is no {path}
    Remedy: Run `{deploy}`.
    Meaning: kubectl on this computer needs it.""")
KUBECONFIG_MODE = Message("""VER081
    other users can read {path}
    Remedy: Run `chmod 600 {path}`.
    Meaning: Its key makes everybody who reads it an administrator of the cluster.""")
CONTEXT_MISSING = Message("""VER082
    {path} has no context {context} with a certificate
    Remedy: Run `{deploy}`.
    Meaning: The context was removed or renamed.""")
CONTEXT_SERVER = Message("""VER083
    the context {context} leads to {found}; expected {expected}
    Remedy: Run `{deploy}`.
    Meaning: The file is of another cluster, or the settings changed.""")
API_CERTIFICATE = Message("""VER084
    {server} has another certificate authority than {path}
    Remedy: Run `{deploy}`.
    Meaning: The control plane was made anew, or the address leads to another cluster.""")
API_CERTIFICATE_EXPIRED = Message("""VER112
    the certificate of {server} is not valid now: {reason}
    Remedy: Run `{deploy}`, which renews certificates that have expired, and look at the clocks of
    this computer and of the control plane.
    Meaning: Certificates are valid for one year; each upgrade renews them.""")
API_CERTIFICATE_NAME = Message("""VER113
    the certificate of {server} is not made for that name: {reason}
    Remedy: Run `{deploy}`, which makes it anew.
    Meaning: The address or name came into the settings after the certificate was made.""")
API_SILENT = Message("""VER085
    {server} does not answer ({reason})
    Remedy: {remedy}.
    Meaning: The API server is down, or cannot be reached from this computer.""")
API_REFUSES = Message("""VER086
    {server} refuses your certificate: {status}
    Remedy: Run `{certificates}` if it has expired, else `{deploy}`.
    Meaning: The certificate has expired or is of another cluster.""")
NODES_MISSING = Message("""VER087
    the cluster of the context {context} lacks {nodes}
    Remedy: Run `{deploy}`.
    Meaning: These nodes never joined, or were deleted.""")
PROXY_RUNS = Message("""VER088
    `kubectl proxy` runs on {node} and lets in everybody who reaches it: {command}
    Remedy: Run `{deploy}`, or set kubectl_proxy = True.
    Meaning: It asks nobody for a password or certificate.""")
PROXY_SILENT = Message("""VER089
    {url} does not answer ({reason})
    Remedy: Run `{deploy}`.
    Meaning: The settings turn `kubectl proxy` on, and it does not run.""")

PROXY_REFUSES = Message("""VER090
    {url} answers {status}
    Remedy: Check kubectl_proxy_accept, then run `{deploy}`.
    Meaning: `kubectl proxy` accepts requests only from the addresses of that setting.""")
PROXY_OPEN = Message("""VER091
    `kubectl proxy` serves any host name, so web pages can reach it
    Remedy: Run `{deploy}`.
    Meaning: A page in a browser could use it by DNS rebinding.""")
DOWNLOADS_NOT_KEPT = Message("""VER092
    the downloads that {node} keeps for the other nodes can't be reached there at port {port}
    Remedy: Run `{deploy}`.
    Meaning: share_downloads is in effect, but this node downloads from the sources.""")
ETCD_CUT = Message("""VER093
    etcd has cut its log at a bad record, and may have lost what came after it: {files}
    Remedy: If anything is missing in the cluster, run `{deploy} --data healthy=replace` ({backup});
    if not, delete that file on {node}.
    Meaning: A power cut has damaged the log. etcd keeps a copy of the whole one beside it, and
    starts as if nothing had happened.""")
ETCD_SILENT = Message("""VER104
    the members of etcd could not be listed: {reason}
    Remedy: {remedy}.
    Meaning: Its container does not run, or less than a majority of its members does.""")
ETCD_MEMBER_UNKNOWN = Message("""VER105
    etcd has members that are not control planes in inventory.py: {members}
    Remedy: If their machines are gone, run, with the number in brackets as ID: `kubectl --context
    {context} -n kube-system exec etcd-{node} -- etcdctl --cacert {pki}/ca.crt --cert
    {pki}/server.crt --key {pki}/server.key member remove ID`.
    Meaning: A member that does not answer counts for the majority all the same.""")
ETCD_LEARNER = Message("""VER106
    members of etcd have no vote: {members}
    Remedy: Run `{deploy}`, which joins them anew.
    Meaning: A `kubeadm join` was cut off.""")
ETCD_MEMBER_MISSING = Message("""VER107
    control planes are not members of etcd: {nodes}
    Remedy: Run `{deploy}`.""")
ETCD_UNHEALTHY = Message("""VER108
    of {count} members of etcd these are not healthy: {members}
    Remedy: {remedy}.
    Meaning: The cluster works while a majority is healthy. A member whose node runs may be cut off
    from the others: 2379 and 2380/tcp have to pass between the control planes.""")
ADDRESS_NOT_HELD = Message("""VER109
    no control plane holds control_plane_address {address}{away}
    Remedy: See `sudo journalctl -u keepalived -n 50` on them, and `sudo journalctl -u kubelet`.
    Meaning: Only a control plane whose own API server and etcd work holds it.""")
ADDRESS_HELD_TWICE = Message("""VER110
    {nodes} hold control_plane_address {address} at the same time
    Remedy: Look for what keeps VRRP (protocol 112) from passing between them: a firewall, a cable,
    or `sudo journalctl -u keepalived -n 50`.""")
KEYS_UPLOADED = Message("""VER111
    the cluster's own keys are uploaded, as for a control plane that joins (Secret {secret})
    Remedy: On {node}, run `sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf delete secret -n
    kube-system {secret}`.
    Meaning: They are encrypted, and Kubernetes deletes them after two hours. What a run that was
    cut off has left, the next run of deploys/cluster.py deletes.""")
NO_BACKUP_TIMER = Message("""VER100
    the timer of scheduled backups is not running, or not enabled
    Remedy: Run `{deploy}`.""")
BACKUP_FAILED = Message("""VER101
    the last scheduled backup has failed: {reason}
    Remedy: Correct that, then run `{deploy}`, which makes one.""")
NO_BACKUPS = Message("""VER102
    there is no backup on {node}, in {folder}
    Remedy: Run `{deploy}`.""")
BACKUPS_OLD = Message("""VER103
    the newest backup on {node} is of {taken} UTC
    Remedy: Run `{deploy}`, which makes one, or says why it cannot.
    Meaning: It is older than two periods of backup_schedule.""")
REBOOT_REFUSED = Message("""VER095
    the node does not reboot: {reason}
    Remedy: Run on the node: `sudo systemctl reboot`.""")
REBOOT_TIMEOUT = Message("""VER096
    the node is not back {seconds} s after `reboot`{reason}
    Remedy: Look at its screen, or unplug it and plug it in again.
    Meaning: It hangs while shutting down or booting, or its network does not come up.""")
CHECK_FAILED = Message("""VER098
    the check could not be made: {reason}
    Remedy: Run the same command again, or log in to the node.
    Meaning: A command of the check failed, or the connection was lost.""")
