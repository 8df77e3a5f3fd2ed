"""Settings of the whole cluster. Each comment says: what it is, allowed values, default, when to
change it. Those that may differ by node can be overridden in a file named after a group
(workers.py) and at a host in inventory.py; `--data name=value` overrides everything for one run."""

# --- network -------------------------------------------------------------------------------------

# How the nodes are connected. "nat": by a switch; one node, the gateway, routes for the others.
# "router": by a router of the cluster's own, which routes for all. Default: "nat".
topology = "nat"

# The network between the nodes: IPv4 with prefix length, with room for every node. Default:
# 192.168.2.0/24. Change it if another network of yours has these addresses.
cluster_network = "192.168.2.0/24"

# Each node's interface on that network. Default: "eth0". May differ by node.
cluster_interface = "eth0"

# The router's address on the cluster network: the default gateway with topology "router", unused
# with "nat". Default: 192.168.2.1.
router = "192.168.2.1"

# DNS servers: up to three addresses; "router" stands for `router`, or with topology "nat" for
# `uplink_gateway`. Default: Google's, then the router. Change them if your network blocks those.
# May differ by node, as the next two.
nameservers = ["8.8.8.8", "8.8.4.4", "router"]

# Domains that are appended to short names. Default: none.
search_domains: list[str] = []

# Options of resolv.conf(5), such as "timeout:1". Default: none.
resolver_options: list[str] = []

# Networks of the pods (a /24 for each node) and of the services: IPv4, overlapping with no other
# network here. Defaults: 10.244.0.0/16 (flannel's) and 10.96.0.0/12 (kubeadm's). Change them before
# the cluster is made, if these addresses are in use elsewhere.
pod_network = "10.244.0.0/16"
service_network = "10.96.0.0/12"

# --- gateway: only with topology "nat"; it is the node with an uplink_address (inventory.py) ------

# The gateway's interface to the network in front of the cluster. Default: "wlan0", a Pi's Wi-Fi.
# Change it to "eth1" for a USB adapter.
uplink_interface = "wlan0"

# That network (usually your home network, with this computer in it), and the router on it.
# Defaults: 192.168.1.0/24 and 192.168.1.1. Change them to what your router uses.
uplink_network = "192.168.1.0/24"
uplink_gateway = "192.168.1.1"

# How the gateway gets its uplink_address. "dhcp": from the router, which must reserve it for the
# gateway. "static": the gateway sets it, and the router must not hand it out. Default: "dhcp".
uplink_method = "dhcp"

# Name of the Wi-Fi network, 1 to 32 bytes. Default: None, the uplink is a cable. Set it before you
# write the gateway's SD card.
wifi_ssid = None

# "wpa2", for networks with WPA2 or with WPA2 and WPA3; "wpa3", for WPA3 alone (the radio must have
# SAE: `iw list`). Default: "wpa2".
wifi_security = "wpa2"

# True if the network does not announce its name. Default: False.
wifi_hidden = False

# File with the Wi-Fi key as its only line (8 to 63 characters, or 64 hexadecimal digits), readable
# for you alone, and ignored by git. Default: .cluster/wifi_psk. Create it with:
#   mkdir -p -m 700 .cluster && install -m 600 /dev/stdin .cluster/wifi_psk
wifi_psk_file = ".cluster/wifi_psk"

# Country whose radio rules apply: two letters of ISO 3166, such as "US" or "DE". Default: None; it
# is required with wifi_ssid, since the radio stays off without it.
wifi_country = None

# --- access --------------------------------------------------------------------------------------

# User on every node, with sudo without a password; not root. Default: "pi". May differ by node.
admin_user = "pi"

# Your SSH private key, such as "~/.ssh/id_ed25519". Default: None, one is generated in .cluster/.
ssh_private_key = None

# True: the key has a passphrase, and an SSH agent holds it (`ssh-add`). Default: False.
ssh_allow_agent = False

# SSH password logins. True: allowed; False: forbidden, after the key has been tested; None: as the
# image has it. Default: None.
password_login = None

# Seconds after which a network or SSH change is rolled back unless a new connection confirms it: 5
# to 900. Default: 60. Increase it for a slow DHCP server or radio.
guard_seconds = 60

# --- SD cards (deploys/sdcard.py) ----------------------------------------------------------------

# Time zone and locale of the boards, such as "Europe/Lisbon" and "pt_PT.UTF-8". Defaults:
# "Etc/UTC" and "C.UTF-8".
timezone = "Etc/UTC"
locale = "C.UTF-8"

# What is written to the SD card. "raspios": Raspberry Pi OS Lite, 64-bit; "hypriotos": HypriotOS of
# 2018, too old for current Kubernetes; or path or URL of your own .img (also .xz, .zip, .gz, .zst).
# Default: "raspios".
image = "raspios"

# SHA-256 of your own image, or the URL of its publisher's checksum file. Default: None; required if
# the image is a URL.
image_checksum = None

# cloud-init in your own image: "cloud-init" (current), "cloud-init-0.7.9" (HypriotOS). Default:
# "cloud-init".
image_dialect = "cloud-init"

# --- Kubernetes ----------------------------------------------------------------------------------

# A minor version ("1.36": its newest patch release) or a release ("1.36.4"). Default: "1.36", the
# newest that works with Debian 13's containerd. Change it for an upgrade: deploys/upgrade.py.
kubernetes_version = "1.36"

# The apt repository ({minor} is replaced by the minor version), and the fingerprint of the key that
# signs it. Defaults: those of pkgs.k8s.io. Change them for a mirror.
kubernetes_repository = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"
kubernetes_key_fingerprint = "DE15B14486CD377B9E876E1A234654DA9A296436"

# The registry of the control plane's images, and the sandbox image of every pod, which is the one
# that `kubeadm config images list` names. Defaults: those of registry.k8s.io. Change them for a
# registry of your own.
image_repository = "registry.k8s.io"
pause_image = "registry.k8s.io/pause:3.10.2"

# Mirrors that containerd asks before a registry: {"registry.k8s.io": "http://mirror:5000"}.
# Default: none. Set them if the nodes can't reach the registries.
registry_mirrors: dict[str, str] = {}

# True: the gateway (with topology "router" the first control plane) keeps the packages and images
# that nodes download, for the other nodes: each comes through the uplink once. False: each node
# downloads from the sources. Default: None, True with "nat" and False with "router".
share_downloads = None

# Folder on this computer with image archives (*.tar, from `docker save`), which are sent to the
# nodes. Default: None. Set it if the nodes can't reach any registry.
image_archives = None

# True: install Docker Engine as well, on the same containerd. Default: False.
docker = False

# Host name of the API server in every node's /etc/hosts; not a node's name. Default:
# "kubernetes-api". Don't change it in an existing cluster: the certificates contain it.
control_plane_endpoint = "kubernetes-api"

# Address of the API server that several control planes have in common: one of them holds it, and
# another takes it over when that one fails. In cluster_network; no other machine's, and in no DHCP
# server's range. Default: None, for one control plane; required for three or five.
control_plane_address = None

# flannel's manifest (URL or path), and its SHA-256. Defaults: release v0.28.9. Change both
# together.
flannel_manifest = (
    "https://github.com/flannel-io/flannel/releases/download/v0.28.9/kube-flannel.yml"
)
flannel_checksum = "1c06a15a771009c263bdb1f51c928af46f7606fe969f3963652167938d536aaa"

# Seconds to wait for the pods of flannel, kube-proxy and CoreDNS, then for the nodes to be Ready:
# 30 to 3600. Defaults: 300. Increase them for slow SD cards or a slow uplink.
pod_network_seconds = 300
nodes_ready_seconds = 300

# deploys/certificates.py renews certificates that are valid for fewer days: 1 to 364. Default: 60.
renew_days = 60

# Seconds after which a drain that does not end is undone: 30 to 3600. Default: 300. Increase it for
# pods that take long to end.
drain_seconds = 300

# True: pods may run on the control plane as well. False: only on workers. Default: None, False
# unless several control planes are the only nodes. Useful in a small cluster.
pods_on_control_plane = None

# Labels, {"name": "value"}; None as a value removes one. Default: none. May differ by node: the
# workers' are in group_data/workers.py.
node_labels: dict[str, str | None] = {}

# The kubeconfig on this computer, and the name of the context that is added to it. Defaults:
# ~/.kube/config, "bramble".
kubeconfig = "~/.kube/config"
kube_context = "bramble"

# True: run `kubectl proxy` on the control plane. It has no authentication: whoever reaches its port
# controls the cluster. Default: False.
kubectl_proxy = False

# Its port: 1024 to 65535, none of Kubernetes' own. Default: 8080.
kubectl_proxy_port = 8080

# Host names and networks that a browser may use in the proxy's URL. This does not restrict who can
# connect. Default: localhost and your home network.
kubectl_proxy_accept = ["localhost", "192.168.1.0/24"]

# Additional fields of KubeletConfiguration and KubeProxyConfiguration. Defaults: none. For experts.
kubelet_config: dict[str, object] = {}
kube_proxy_config: dict[str, object] = {}

# Fields of kubeadm's `timeouts`, such as {"kubeletHealthCheck": "8m0s"}. Default: none. Increase
# them if kubeadm gives up on a slow SD card.
kubeadm_timeouts: dict[str, str] = {}

# kubeadm preflight checks that only warn. Default: none. ["Mem"] allows a control plane with 1 GB,
# which may be slow or run out of memory.
ignore_preflight_errors: list[str] = []

# False: continue without the kernel's memory cgroup. Default: True. Only for virtual nodes whose
# kernel is not theirs.
memory_cgroup = True

# --- backups (deploys/backup.py, and before each upgrade) -----------------------------------------

# How many of the newest backups are kept, here in .cluster/backups and on each node that has some:
# 1 to 1000. Default: 7. Of how many weeks the newest is kept here besides: 0 to 520. Default: 4.
backup_newest = 7
backup_weekly = 4

# A backup holds every key of the cluster. "off": it is not encrypted; "passphrase": with the
# passphrase in backup_key_file, or that you are asked for; or to a recipient: the public key that
# `age-keygen` prints ("age1..."), or an SSH public key. Default: "off".
backup_encryption = "off"

# File with the passphrase as its only line, or with the recipient's secret key (which only a
# restore needs), readable for you alone. Default: .cluster/backup_key.
backup_key_file = ".cluster/backup_key"

# "daily 03:00": a control plane makes a backup at this time of its clock, without this computer.
# Default: "off".
backup_schedule = "off"

# The node that gets a copy of those, such as "node2", so that a dead SD card does not take them
# along. Whoever is root there can read them, unless they are encrypted to a recipient. Default:
# None.
backup_to = None

# --- pyinfra's connection: derived from the settings above; do not change ------------------------

ssh_config_file = ".cluster/ssh_config"  # generated from the inventory before each run
ssh_known_hosts_file = ".cluster/known_hosts"
ssh_strict_host_key_checking = "accept-new"  # a new node's key is stored, a changed one refused
ssh_look_for_keys = False
