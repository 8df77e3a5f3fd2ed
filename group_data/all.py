"""Settings of every node. A file named after a group overrides them for that group, and a host's
own data in inventory.py overrides both. `--data name=value` overrides everything, for one run."""

# --- the network ---------------------------------------------------------------------------------

# "nat": a switch joins the nodes, and one of them, the gateway, routes for the others through its
# second interface. "router": a router of their own joins the nodes and routes for them.
topology = "nat"

# The network between the nodes, and the interface by which a node is on it.
cluster_network = "192.168.2.0/24"
cluster_interface = "eth0"

# The router's address on the cluster network: every node's gateway with topology "router".
router = "192.168.2.1"

# At most three. The word "router" stands for the router: `router` above, or with topology "nat"
# `uplink_gateway`.
nameservers = ["8.8.8.8", "8.8.4.4", "router"]

# Domains in which short names are looked up, and options of resolv.conf(5) such as "timeout:1".
search_domains: list[str] = []
resolver_options: list[str] = []

# Kubernetes' own networks. Neither may overlap with any network here.
pod_network = "10.244.0.0/16"
service_network = "10.96.0.0/12"

# --- the gateway, with topology "nat": the node with an `uplink_address` (inventory.py) --------

# The network in front of the cluster (the home network, on which you are), the gateway's interface
# on it, and the router there.
uplink_interface = "wlan0"
uplink_network = "192.168.1.0/24"
uplink_gateway = "192.168.1.1"

# "dhcp": the router there hands out the gateway's uplink_address (reserve it); "static": the
# gateway sets it itself.
uplink_method = "dhcp"

# The Wi-Fi network's name. None: the uplink is a cable.
wifi_ssid = None

# "wpa2", which a network of WPA2 and WPA3 takes too; "wpa3" for one that takes nothing else (ask
# whether the board's radio can: `iw list` names SAE). True: the network does not announce its name.
wifi_security = "wpa2"
wifi_hidden = False

# The file with the Wi-Fi key as its one line (8 to 63 characters, or 64 hexadecimal digits).
# The key is a secret: it stands in this file alone, which git ignores and you alone can read:
#   mkdir -p -m 700 .cluster && install -m 600 /dev/stdin .cluster/wifi_psk
wifi_psk_file = ".cluster/wifi_psk"

# Where you are, as two letters ("US", "DE"): the radio stays off until it knows.
wifi_country = None

# --- access --------------------------------------------------------------------------------------

# The user that the cards are made with: SSH by key only, sudo without a password.
admin_user = "pi"

# Your own private key, such as "~/.ssh/id_ed25519". None: one is made in .cluster/.
ssh_private_key = None

# Passwords over SSH: False forbids them, once the key is proved to open the node; None leaves that
# as the image has it.
password_login = None

# A change that could cut the connection goes back by itself after so many seconds (5 to 900), when
# the node can't be reached as it should be by then. A slow DHCP server or radio needs its time.
guard_seconds = 60

# --- the cards: what deploys/sdcard.py writes ----------------------------------------------------

# Where the boards are ("Europe/Lisbon"), for their clocks, and their language ("pt_PT.UTF-8").
timezone = "Etc/UTC"
locale = "C.UTF-8"

# "raspios": Raspberry Pi OS Lite, 64-bit. "hypriotos": HypriotOS of 2018, as in the old recipe; too
# old for today's Kubernetes. Or your own: the path or the URL of an .img, or of one packed as .xz,
# .zip, .gz or .zst.
image = "raspios"

# Of an image of your own: its SHA-256 as it is at that place, or the URL of the file that holds it
# (None is enough for a file on this computer), and which cloud-init is in it: "cloud-init" (of
# today) or "cloud-init-0.7.9".
image_checksum = None
image_dialect = "cloud-init"

# --- Kubernetes ----------------------------------------------------------------------------------

# A minor ("1.36": its newest patch) or one release ("1.36.4"). Debian 13's containerd is certain
# to work up to 1.36; a newer minor wants containerd 2.
kubernetes_version = "1.36"

# Where the packages come from ({minor} is the one above), and the fingerprint of the key that they
# are signed with. The key is fetched on each run, and refused when it is another one.
kubernetes_repository = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"
kubernetes_key_fingerprint = "DE15B14486CD377B9E876E1A234654DA9A296436"

# Where the images of the control plane come from, and the image of every pod's sandbox.
image_repository = "registry.k8s.io"
pause_image = "registry.k8s.io/pause:3.10.2"

# Without the internet: mirrors asked before a registry, {"registry.k8s.io": "http://mirror:5000"},
# and a folder here with image archives (*.tar, as `docker save` makes them).
registry_mirrors: dict[str, str] = {}
image_archives = None

# True: Docker Engine too, on the same containerd.
docker = False

# A name for the API server, in every node's /etc/hosts.
control_plane_endpoint = "kubernetes-api"

# The pod network: flannel's manifest, and the checksum (SHA-256) of that very file.
flannel_manifest = (
    "https://github.com/flannel-io/flannel/releases/download/v0.28.9/kube-flannel.yml"
)
flannel_checksum = "1c06a15a771009c263bdb1f51c928af46f7606fe969f3963652167938d536aaa"

# How many seconds (30 to 3600) the pods of flannel, kube-proxy and CoreDNS have to come up, and
# then the nodes to be Ready. Slow cards and links need more: images are fetched meanwhile.
pod_network_seconds = 300
nodes_ready_seconds = 300

# True: pods may run on the control plane as well, for a small cluster.
pods_on_control_plane = False

# Labels of the nodes; None takes one away. (group_data/workers.py has the workers'.)
node_labels: dict[str, str | None] = {}

# The kubeconfig on this computer that gets a context for the cluster, and the context's name.
kubeconfig = "~/.kube/config"
kube_context = "bramble"

# True: `kubectl proxy` on the control plane. It asks nobody who they are: whoever reaches its port
# rules the cluster. `kubectl_proxy_accept` says which Host names a browser may use, not who may
# come in.
kubectl_proxy = False
kubectl_proxy_port = 8080
kubectl_proxy_accept = ["localhost", "192.168.1.0/24"]

# Fields of Kubernetes' own configuration that shall be otherwise, and preflight checks that shall
# only warn: ["Mem"] for a control plane with 1 GB, which may then be slow, or run out of memory.
kubelet_config: dict[str, object] = {}
kube_proxy_config: dict[str, object] = {}
kubeadm_timeouts: dict[str, str] = {}
ignore_preflight_errors: list[str] = []

# False: go on without the kernel's memory cgroup (virtual nodes whose kernel is not theirs).
memory_cgroup = True

# --- how pyinfra connects: derived, not for changing ---------------------------------------------

ssh_config_file = ".cluster/ssh_config"  # written from the inventory before each run
ssh_known_hosts_file = ".cluster/known_hosts"
ssh_strict_host_key_checking = (
    "accept-new"  # a node not seen before is remembered; a change refused
)
ssh_allow_agent = False  # True: when ssh_private_key has a passphrase and an agent holds it
ssh_look_for_keys = False
