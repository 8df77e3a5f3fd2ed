"""Settings: inventory.py, group_data/ and ``--data``."""

from __future__ import annotations

from messages import Message

_WIFI_KEY_FILE = """Write wifi_psk_file = ".cluster/wifi_psk", and the key into that file:
    `mkdir -p -m 700 .cluster && install -m 600 /dev/stdin .cluster/wifi_psk` (type the key, Enter,
    Ctrl-D)."""

# --- one value ------------------------------------------------------------------------------------

OUT_OF_RANGE = Message("""SET001
    {value} is out of range ({range})
    Remedy: Write a value in this range.
    Meaning: The number is smaller or larger than the setting allows.""")
NOT_ONE_OF = Message("""SET002
    {value} is not one of {allowed}
    Remedy: Write {instead}.
    Meaning: The setting takes one of a few words.""")
WRONG_TYPE = Message("""SET003
    {value} is not {kind}
    Remedy: Write {instead}.
    Meaning: The value is of another Python type: text and addresses stand in quotes, numbers and
    True or False do not, lists in [...], mappings in {...}.""")
TRAILING_COMMA = Message("""SET004
    {value} is a tuple
    Remedy: Remove the comma behind the value.
    Meaning: In Python a comma behind a value makes a tuple of it.""")
INVALID = Message("""SET005
    {value} is not {kind}
    Remedy: Write {instead}.
    Meaning: The value does not have the form that the setting takes. The remedy shows the
    nearest correct value, or an example.""")
NOT_ALLOWED = Message("""SET006
    {value} cannot be used: {reason}
    Remedy: Write {instead}.
    Meaning: The value is well-formed, but has another meaning to Debian, Kubernetes or pyinfra.""")
RESERVED_RANGE = Message("""SET007
    {value} cannot be used: {range} is reserved
    Remedy: Write {instead}.
    Meaning: Loopback, link-local, multicast and the ranges above are not for nodes (RFC 6890).""")
NO_PREFIX = Message("""SET008
    {value} has no prefix length
    Remedy: Write {instead}.
    Meaning: A network is an address and the length of its prefix, 192.168.2.0/24.""")
HOST_BITS = Message("""SET009
    {value} is an address in a network, not the network
    Remedy: Write {instead}.
    Meaning: The address of a network has only zeros behind its prefix.""")
SECRET_NOT_A_PATH = Message("""SET010
    the value is not the path of a file
    Remedy: Write the path of a file that holds it.
    Meaning: The setting names a file. The secret itself does not belong into the settings, so
    the value is not shown.""")
GIVEN_TWICE = Message("""SET011
    {value} is given twice
    Remedy: Remove one of the two.
    Meaning: The list names one thing twice.""")
TOO_MANY = Message("""SET012
    {count} are too many: at most {most} are used
    Remedy: Leave some out.
    Meaning: The C library asks three nameservers. A pod has room for 32 search domains, three of
    which are the cluster's own.""")
NOT_SUPPORTED = Message("""SET013
    {value} is not supported here
    Remedy: {remedy}
    Meaning: bramble derives how a node is reached from its own settings and writes
    .cluster/ssh_config from them.""")

# --- where a setting stands -----------------------------------------------------------------------

UNKNOWN_SETTING = Message("""SET020
    no such setting
    Remedy: {remedy}
    Meaning: No setting has this name. The settings are in group_data/, each with its comment.""")
ARGUMENT_OF_PYINFRA = Message("""SET125
    pyinfra would take it for an argument of every operation
    Remedy: Remove it.
    Meaning: Names such as _sudo or _ignore_errors are pyinfra's own. bramble gives each of its
    operations what it needs; another value would hide failures or do its work elsewhere.""")
MISSING = Message("""SET021
    missing
    Remedy: Write {instead}.
    Meaning: The setting has no value. In group_data/ every setting has its line; `git diff`
    shows what was removed.""")
FILE_EMPTY = Message("""SET022
    the file is missing or sets nothing
    Remedy: Restore it: `git checkout {file}`.
    Meaning: All settings that the file should hold are missing.""")
OF_ONE_NODE = Message("""SET023
    the setting belongs to one node
    Remedy: Move it to its node in inventory.py: ("node2", {{"{name}": ...}}).
    Meaning: Each node has an address of its own, so it cannot be set for several.""")
OF_THE_CLUSTER = Message("""SET025
    {value} is set for some nodes only, and must be the same for the whole cluster
    Remedy: Move it to group_data/all.py.
    Meaning: All nodes must have the same value, or the cluster does not work.""")
GROUP_IN_GROUP_DATA = Message("""SET026
    nodes are listed in inventory.py
    Remedy: Move the list there.
    Meaning: group_data/ holds the settings of groups, not their members.""")
SETTING_IN_INVENTORY = Message("""SET027
    the name is that of the setting {name}
    Remedy: Write it in group_data/all.py.
    Meaning: inventory.py holds groups of nodes. A setting in it has no effect.""")
UNKNOWN_GROUP = Message("""SET028
    no group has this name
    Remedy: {remedy}
    Meaning: pyinfra reads a file of group_data/ for the group of the same name.""")

NOT_GROUP_DATA = Message("""SET029
    the file is not read: group_data/ is Python
    Remedy: Write its settings in {instead}, as `name = value`, and remove it.
    Meaning: pyinfra reads only the files of group_data/ whose names end in .py.""")

# --- the nodes ------------------------------------------------------------------------------------

NOT_A_NODE_LIST = Message("""SET030
    {value} is not a list of nodes
    Remedy: Write {instead}.
    Meaning: A group in inventory.py is a list of nodes.""")
NOT_A_NODE = Message("""SET031
    {value} is not a node
    Remedy: Write {instead}.
    Meaning: A node is its name and one mapping with all its data; the names in it are in
    quotes.""")
MISNAMED_GROUP = Message("""SET032
    the value is not a list of nodes
    Remedy: Write {instead} = [...].
    Meaning: The name is nearly that of a group.""")
GROUP_ALL = Message("""SET033
    every node is in this group automatically
    Remedy: Remove it.
    Meaning: pyinfra makes the group "all" itself.""")
LISTED_TWICE = Message("""SET034
    listed {times} times in {group}
    Remedy: Give each node its own name.
    Meaning: Two nodes of one name would be one node.""")
IN_TWO_GROUPS = Message("""SET035
    listed in both control_plane and workers
    Remedy: Remove it from one of them.
    Meaning: A node is either a control plane or a worker.""")
IN_NO_GROUP = Message("""SET036
    listed neither in control_plane nor in workers
    Remedy: List it in {instead}.
    Meaning: Only the nodes of these two groups are part of the cluster.""")
NO_SUCH_NODE = Message("""SET039
    no node {name} in the inventory
    Remedy: Write {instead}.
    Meaning: The nodes are listed in inventory.py.""")
NO_SUCH_LIMIT = Message("""SET040
    {pattern} is neither a node nor a group
    Remedy: Write {instead}.
    Meaning: pyinfra would run on no node, and report success.""")

# --- networks and addresses -----------------------------------------------------------------------

OVERLAP = Message("""SET050
    {network} overlaps {name} {other}
    Remedy: Choose another network.
    Meaning: Two networks that share addresses cannot be routed. Docker and other software may
    use private ranges too.""")
NETWORK_TOO_SMALL = Message("""SET051
    {network} is too small for {need}
    Remedy: Write {instead}.
    Meaning: Each node needs an address; of the pod network each node takes a /24.""")
NETWORK_TOO_LARGE = Message("""SET052
    {network} is too large for {need}
    Remedy: Write {instead}.
    Meaning: kubeadm and the API server limit the size of the networks.""")
NOT_IN_NETWORK = Message("""SET053
    {address} is not in {name} {network}
    Remedy: Write {instead}.
    Meaning: The address belongs to another network than the interface that gets it.""")
NOT_A_HOST_ADDRESS = Message("""SET054
    {address} is the {role} address of {name} {network}
    Remedy: Write {instead}.
    Meaning: The first and the last address of a network are not for machines.""")
ADDRESS_TAKEN = Message("""SET055
    {address} is taken by {owner}
    Remedy: Choose another address.
    Meaning: Two machines with one address cannot be reached reliably.""")
INTERFACE_TWICE = Message("""SET058
    {value} is the uplink_interface too
    Remedy: Write another interface for one of the two.
    Meaning: The cluster network and the uplink are two networks on two interfaces.""")
NAMESERVER_IN_CLUSTER = Message("""SET059
    {server} is in {name} {network}
    Remedy: Write the address of a resolver outside the cluster.
    Meaning: A node cannot resolve names at a service of the cluster that it is about to start.""")
NAMESERVER_LOOP = Message("""SET060
    nameserver {server} is {node} itself
    Remedy: Write the address of a resolver on another machine.
    Meaning: Pods get the node's list of nameservers, and CoreDNS would ask itself in a loop.""")
NAME_TAKEN = Message("""SET061
    {value} is the name of a node
    Remedy: Write another name.
    Meaning: control_plane_endpoint is a name of its own, so that it can move to another node.""")
OTHER_MINOR = Message("""SET062
    {url} has no packages of kubernetes_version {version}
    Remedy: Write v{{minor}} in place of v{minor}.
    Meaning: A repository of Kubernetes' packages holds one minor version.""")
NOT_RELEASED = Message("""SET063
    Kubernetes {version} is not released
    Remedy: Write {instead}.
    Meaning: bramble installs Kubernetes 1.31 and later: kubeadm reads configuration v1beta4.""")

# --- files that the settings name -----------------------------------------------------------------

NOT_A_FILE = Message("""SET070
    {path} is not a file
    Remedy: Write {instead}.
    Meaning: Nothing is at that path, or a folder. Relative paths begin at the folder of
    inventory.py.""")
NOT_A_FOLDER = Message("""SET071
    {path} is not a folder
    Remedy: Write {instead}.
    Meaning: Nothing is at that path, or a file. Relative paths begin at the folder of
    inventory.py.""")
NO_ARCHIVES = Message("""SET072
    {path} holds no image archives ({pattern})
    Remedy: Make them with `docker save`, or write None.
    Meaning: With image_archives set, the nodes import their container images from this folder.""")
PATH_UNUSABLE = Message("""SET073
    {path} cannot be used: {reason}
    Remedy: Write another path, or correct its permissions.
    Meaning: The operating system refused to look at the path or to run the program.""")
NOT_A_KUBECONFIG = Message("""SET074
    {path} is not a kubeconfig: {reason}
    Remedy: Write another path, such as ~/.kube/config.
    Meaning: bramble adds a context to the file and must be able to read it.""")
CHECKSUM_MISSING = Message("""SET075
    missing: an image that is downloaded needs a checksum
    Remedy: Write the publisher's SHA-256, or the URL of the file that holds it.
    Meaning: Without a checksum a damaged or replaced image would be written unnoticed.""")
WIFI_KEY_UNREADABLE = Message(f"""SET076
    the file that it names cannot be read ({{reason}})
    Remedy: {_WIFI_KEY_FILE}
    Meaning: The value is not shown: it may be the key itself, written here by mistake.""")
WIFI_KEY_PUBLIC = Message("""SET077
    other users can read the Wi-Fi key in {path}
    Remedy: Run `chmod 600 {path}`.
    Meaning: The Wi-Fi key is a secret.""")
WIFI_KEY_INVALID = Message("""SET078
    the Wi-Fi key in {path} is not valid (its length is {length})
    Remedy: Write one line of 8 to 63 ASCII characters, or 64 hexadecimal digits.
    Meaning: The limits are those of WPA2 and WPA3.""")
WIFI_KEY_HASHED = Message("""SET079
    the key in {path} is a hash, and WPA3 needs the passphrase
    Remedy: Write the passphrase into the file.
    Meaning: WPA2 takes both; SAE, which WPA3 uses, takes only the passphrase.""")
WIFI_COUNTRY_MISSING = Message("""SET080
    missing: the radio stays off without a country
    Remedy: Write a country code such as "US".
    Meaning: The country decides which channels the radio may use.""")
KEY_IS_PUBLIC = Message("""SET081
    {path} is the public half of a key
    Remedy: Write {private}.
    Meaning: ssh_private_key names the private half.""")
KEY_UNREADABLE = Message("""SET082
    you cannot read {path}
    Remedy: Run `sudo chown $USER {path}`.
    Meaning: The private key belongs to another user.""")
KEY_NOT_PRIVATE = Message("""SET083
    other users can read {path}, and ssh refuses such a key
    Remedy: Run `chmod 600 {path}`.
    Meaning: The private key is a secret.""")
NOT_A_KEY = Message("""SET084
    {path} is not a private key that can be used ({reason})
    Remedy: Make another key with `ssh-keygen -t ed25519 -f ~/.ssh/id_bramble` and write its path,
    or write None.
    Meaning: ssh-keygen cannot read the file, or paramiko does not support keys of its type.""")
PUBLIC_HALF_WRONG = Message("""SET085
    {public} is not the one line of this key's public half
    Remedy: Run `ssh-keygen -y -f {path} > {public}`.
    Meaning: The public half is read from the file beside the private key.""")
KEY_NEEDS_AGENT = Message("""SET086
    {path} has a passphrase
    Remedy: Write ssh_allow_agent = True and run `ssh-add {path}`.
    Meaning: bramble does not ask for passphrases; an SSH agent can hold the key.""")
KEY_NOT_IN_AGENT = Message("""SET087
    {path} has a passphrase, and no SSH agent holds the key
    Remedy: Run `ssh-add {path}`.
    Meaning: ssh_allow_agent is True, so the key is taken from an SSH agent.""")
NO_SSH_KEYGEN = Message("""SET088
    ssh-keygen is not installed
    Remedy: Run `sudo apt-get install openssh-client` (macOS has it).
    Meaning: bramble makes its SSH keys with ssh-keygen.""")
PATH_NOT_FOR_SSH = Message("""SET089
    the path contains {characters}, which an SSH configuration file cannot hold
    Remedy: Move it to another path.
    Meaning: The path is written into .cluster/ssh_config, which OpenSSH and pyinfra read.""")
KEY_PAIR_DAMAGED = Message("""SET122
    {path} and {path}.pub are not a key pair
    Remedy: Restore both from a backup, or remove both: the next run makes new ones.
    Meaning: bramble makes the pair once. The nodes accept only the key that they know: a new one is
    installed with a password login (`--ssh-password-prompt`), or with a new SD card.""")
HOST_KEY_CHANGED = Message("""SET090
    {node} ({address}) has another host key than the one in .cluster/known_hosts
    Remedy: If you know that its SD card was written again, run `ssh-keygen -R {address} -f
    .cluster/known_hosts`.
    Meaning: The SD card was written again, another machine has the address, or somebody
    intercepts the connection.""")

# --- control plane and gateway --------------------------------------------------------------------

GROUP_HEAD = Message("""SET091
    the group head is now called control_plane
    Remedy: Write `control_plane = [...]` in its place.
    Meaning: The role of the head was split in two: the group `control_plane` lists the node on
    which Kubernetes' control plane runs, and the gateway, with topology `nat`, is the node that
    has an `uplink_address`. One node may be both, as in the inventory that comes with bramble.""")
GROUP_DATA_HEAD = Message("""SET092
    there is no group head any more
    Remedy: Move its settings to group_data/all.py, and remove the file.
    Meaning: The settings of the uplink and of Wi-Fi are the cluster's: they stand in
    `group_data/all.py`, under the gateway.""")
PODS_ON_HEAD = Message("""SET093
    the setting is now called pods_on_control_plane
    Remedy: Remove it, and write `pods_on_control_plane = ...` in group_data/all.py.
    Meaning: The setting was renamed with the group `head`, which is now `control_plane`.""")
NO_CONTROL_PLANE = Message("""SET094
    the group control_plane has no node
    Remedy: Write control_plane = [("node1", {{"address": "192.168.2.11"}})], with your node.
    Meaning: The group `control_plane` in `inventory.py` lists the node on which `kubeadm init`
    makes the cluster.""")
CONTROL_PLANE_QUORUM = Message("""SET095
    control_plane has {count} nodes ({nodes}): etcd's quorum is {quorum} of them, which tolerates
    {failures} failures
    Remedy: Leave one, three or five nodes there, and write the others in workers.
    Meaning: etcd, which stores the cluster's state, stops when less than a majority of its
    members is left: two tolerate no failure, and four tolerate one, as three do. More than five
    make each write slower.""")
CONTROL_PLANE_ADDRESS_MISSING = Message("""SET134
    control_plane has {count} nodes, and they have no address in common
    Remedy: Set it to an address in {network} that no machine has and no DHCP server hands out.
    Meaning: The nodes reach the API server at this address, which one control plane holds at a
    time: when that one fails, another takes it over.""")
NO_GATEWAY = Message("""SET097
    topology "nat" needs a gateway, and no node has an uplink_address
    Remedy: Write "uplink_address": "192.168.1.32" at the node with a second interface, such as
    {node}; or topology = "router" in group_data/all.py.
    Meaning: With topology `nat` one node, the gateway, is on two networks: it routes for all the
    others, and is reached at its `uplink_address`. It may be the control plane or a worker.""")
SEVERAL_GATEWAYS = Message("""SET098
    {nodes} have an uplink_address, and only the gateway has one
    Remedy: Remove it from all but one of them.
    Meaning: With topology `nat` exactly one node routes for the others: the one that has an
    `uplink_address`.""")

NO_UPLINK = Message("""SET099
    topology "router" has no gateway, so no node has an uplink
    Remedy: Remove uplink_address here, or write topology = "nat" in group_data/all.py.
    Meaning: With topology `router` a router of the cluster's own connects all nodes. One of the
    nodes is the gateway only with topology `nat`.""")

# --- Python ---------------------------------------------------------------------------------------

FILE_MISSING = Message("""SET100
    the file is not in this folder
    Remedy: Run the command in the folder of inventory.py.
    Meaning: bramble reads inventory.py and group_data/ in the working directory.""")
FILE_UNREADABLE = Message("""SET101
    the file cannot be read ({reason})
    Remedy: Correct its permissions, or put the file there.
    Meaning: The operating system refused to read it.""")
NOT_UTF8 = Message("""SET102
    the file is not UTF-8 without a byte order mark
    Remedy: Save it as UTF-8.
    Meaning: Python reads its source as UTF-8.""")
NOT_PYTHON = Message("""SET103
    not valid Python ({reason})
    Remedy: Correct the line: text and addresses in quotes, one setting a line.
    Meaning: inventory.py and group_data/ are Python.""")
UNDEFINED_NAME = Message("""SET104
    the name {name} is not defined
    Remedy: {remedy}
    Meaning: A word without quotes is the name of something else in Python.""")
PYTHON_ERROR = Message("""SET105
    {error}
    Remedy: Correct the line.
    Meaning: Running the file raised this Python error.""")
ENDS_THE_PROGRAM = Message("""SET106
    the file ends the program
    Remedy: Remove exit() from it.
    Meaning: bramble runs the file to read the settings from it.""")
SETS_NOTHING = Message("""SET107
    the line sets nothing
    Remedy: Write {instead}.
    Meaning: Python accepts the line, and it has no effect.""")
COMMA_MISSING = Message("""SET108
    a {sign} is missing between {first} and {second}
    Remedy: Write it.
    Meaning: Python joins two texts without a comma between them to one.""")
KEY_TWICE = Message("""SET109
    {key} is given {times} times in one {{...}}
    Remedy: Leave one of them.
    Meaning: Python silently keeps the last one.""")

# --- the command line -----------------------------------------------------------------------------

DATA_FORM = Message("""SET110
    {value} is not a setting
    Remedy: Write --data name=value.
    Meaning: `--data` sets a setting for one run.""")
OVERRIDES_UNREADABLE = Message("""SET111
    the file that BRAMBLE_OVERRIDES names cannot be read: {reason}
    Remedy: Write {{"name": value}} into it, or unset BRAMBLE_OVERRIDES.
    Meaning: The environment variable BRAMBLE_OVERRIDES names a JSON file of settings.""")
NOT_FOR_NODES = Message("""SET112
    the deploy writes an SD card in this computer
    Remedy: Run `pyinfra @local {deploy}`.
    Meaning: The deploy does not run on the nodes.""")
NO_CARD = Message("""SET113
    {given} given
    Remedy: Write --data node=node1 --data device=/dev/sdX, or --data file=node1.img.
    Meaning: deploys/sdcard.py needs the node whose SD card it writes, and either the disk that
    is the card or the image file to make.""")
FOLDER_UNUSABLE = Message("""SET114
    {path}: {reason}
    Remedy: Correct its permissions, or move it away.
    Meaning: bramble keeps keys and files that it makes in .cluster/.""")
RADIO_WITHOUT_WIFI = Message("""SET115
    {interface} is a Wi-Fi interface and wifi_ssid is None, so {node} will have no uplink
    Remedy: Set wifi_ssid and wifi_country, then run the same command again (README.md, Wi-Fi for
    the gateway).
    Meaning: The SD card is written; without Wi-Fi the board has no uplink after its first boot.""")
WIFI_KEY_IN_SETTINGS = Message(f"""SET116
    the Wi-Fi key does not belong in a settings file
    Remedy: {_WIFI_KEY_FILE}
    Meaning: Settings may be published; the key is a secret. It stands in a file of its own,
    which git ignores.""")
NOT_AN_INVENTORY = Message("""SET117
    {value} is not an inventory file
    Remedy: Run `pyinfra inventory.py {deploy}`, with `--limit NAME` for one node.
    Meaning: The deploys take the nodes and their addresses from inventory.py. Only
    deploys/sdcard.py runs on this computer, `@local`.""")
NOT_IN_PART = Message("""SET118
    {deploy} deletes the whole cluster, not a part of it
    Remedy: Leave out --limit and --exclude.
    Meaning: Workers whose control plane was deleted would go on looking for it.""")
NO_NODE_TO_REMOVE = Message("""SET119
    no node is given
    Remedy: Write --data node=NAME; the nodes are {nodes}.
    Meaning: deploys/remove.py removes one node from the cluster.""")
LAST_CONTROL_PLANE = Message("""SET120
    {node} is the last control plane
    Remedy: Run `pyinfra inventory.py deploys/reset.py`, if the whole cluster is to be deleted.
    Meaning: The cluster can't exist without it.""")
GATEWAY_STAYS = Message("""SET136
    {node} is the gateway
    Remedy: Remove {others} instead. To replace the board of {node}, write a new SD card for it with
    deploys/sdcard.py, then run `pyinfra inventory.py deploys/cluster.py`.
    Meaning: The other nodes reach the internet through the gateway, and this computer reaches them
    through it, so it stays in the inventory; there it is a control plane. Nothing was changed.""")
WRONG_OPTION = Message("""SET121
    {value} is not possible
    Remedy: Write {instead}, or leave it out.""")
NO_NODE_FOR_COPIES = Message("""SET130
    {name} is not a node that can keep copies of the backups of {first}
    Remedy: Write {instead}.
    Meaning: The copies are for the day on which the control plane's disk is dead, so they are on
    another node.""")
COPIES_WITHOUT_SCHEDULE = Message("""SET131
    copies are made of scheduled backups, and backup_schedule is "off"
    Remedy: Set backup_schedule, or backup_to = None.""")
COPIES_WITH_PASSPHRASE = Message("""SET132
    the node cannot encrypt the copies: it does not have the passphrase
    Remedy: Set backup_encryption to a recipient ("age1...", from `age-keygen`), or set backup_to =
    None.
    Meaning: A recipient's public key is no secret, so the control plane can have it.""")
SECRET_KEY_IN_SETTINGS = Message("""SET133
    this is a secret key
    Remedy: Write its public key ("age1...") here, and the secret key into backup_key_file.""")
NOT_RESTORABLE = Message("""SET135
    {node} is not a control plane
    Remedy: Write {control_planes}.
    Meaning: --data node=NAME names the control plane that deploys/restore.py restores; without it
    that is the first one that answers. The others join it anew.""")
NOT_REPLACEABLE = Message("""SET123
    {node} is the only control plane
    Remedy: Run `pyinfra inventory.py deploys/restore.py`, which makes the same cluster again from a
    backup.
    Meaning: --data replace=NAME is for a node without which the cluster works meanwhile.""")
