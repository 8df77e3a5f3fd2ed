"""Settings of every node. A file named after a group overrides them for that group, and a host's
own data in inventory.py overrides both. `--data name=value` overrides everything, for one run."""

# --- the network ---------------------------------------------------------------------------------

# "nat": a switch joins the nodes, and the head leads them out through its second interface.
# "router": a router of their own joins the nodes and leads them out.
topology = "nat"

# The network between the nodes, and the interface by which a node is on it.
cluster_network = "192.168.2.0/24"
cluster_interface = "eth0"

# The router's address on the cluster network: every node's gateway with topology "router".
router = "192.168.2.1"

# At most three. The word "router" stands for the router: `router` above, or with topology "nat"
# the head's `uplink_gateway`.
nameservers = ["8.8.8.8", "8.8.4.4", "router"]

# Domains in which short names are looked up, and options of resolv.conf(5) such as "timeout:1".
search_domains: list[str] = []
resolver_options: list[str] = []

# Kubernetes' own networks. Neither may overlap with any network here.
pod_network = "10.244.0.0/16"
service_network = "10.96.0.0/12"

# --- access --------------------------------------------------------------------------------------

# The user that the cards are made with: SSH by key only, sudo without a password.
admin_user = "pi"

# Your own private key, such as "~/.ssh/id_ed25519". None: one is made in .cluster/.
ssh_private_key = None

# --- how pyinfra connects: derived, not for changing ---------------------------------------------

ssh_config_file = ".cluster/ssh_config"  # written from the inventory before each run
ssh_known_hosts_file = ".cluster/known_hosts"
ssh_strict_host_key_checking = (
    "accept-new"  # a node not seen before is remembered; a change refused
)
ssh_allow_agent = False  # True: when ssh_private_key has a passphrase and an agent holds it
ssh_look_for_keys = False
