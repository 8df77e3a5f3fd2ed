"""Preflight: what a check finds before anything is changed."""

from __future__ import annotations

from messages import Message

NOT_READY = Message("""PRE001
    the node failed preflight checks ({checks}), and nothing was changed on it
    Remedy: Correct what the failures above name, then run the same command again.
    Meaning: `deploys/cluster.py` changes only nodes without failures. Each failure is shown
    before this message, with its own code and remedy.""")
UNREAD = Message("""PRE002
    the check could not read the node's state: {reason}
    Meaning: The node did not answer the question, or answered in an unexpected form. Log in and
    see which program prints that.""")
SUDO_REMEDY = """Run on the node: `echo '{user} ALL=(ALL) NOPASSWD: ALL' | sudo tee
    /etc/sudoers.d/010_{user}-nopasswd`."""
SUDO_PASSWORD = Message(f"""PRE003
    sudo asks {{user}} for a password ({{reason}}), and all other checks need root
    Remedy: {SUDO_REMEDY}
    Meaning: bramble does not type passwords during a run.""")
OTHER_RUN = Message("""PRE004
    {run} is changing this node, so its state may not last
    Remedy: Wait until that run has ended: until then no other run changes the node.
    Meaning: Two runs that change a node at the same time would undo each other's work.""")

SAME_MACHINE = Message("""PRE010
    {node} and {others} are the same machine
    Remedy: Correct the wrong address in inventory.py.""")
SAME_HOSTNAME = Message("""PRE011
    the hostname {hostname} is also that of {others}
    Remedy: The run renames this node to {node}; check that its SD card is not a copy.
    Meaning: Boards from one image have one name until the run names them. A copied card has more in
    common than the name: its machine-id and SSH host keys.""")
SAME_HARDWARE_ADDRESS = Message("""PRE012
    {interface} has the hardware address {address}, which {other_interface} of {other} has too
    Remedy: Remove the setting that assigns it (`grep -ri mac /etc/netplan /etc/NetworkManager
    /etc/network`), or give the virtual machine another one.
    Meaning: Two machines with one hardware address (MAC) on a switch get each other's packets.
    Boards have different ones: somebody set it, or copied a file that does.""")

UNTESTED_SYSTEM = Message("""PRE020
    {system} has not been tested
    Remedy: Use {image} if something does not work.
    Meaning: The node runs neither Debian, Raspberry Pi OS nor Ubuntu. It may work.""")
OLD_SYSTEM = Message("""PRE021
    {system} is too old for current Kubernetes releases
    Remedy: Write {image} to its SD card.""")
CONTROL_PLANE_MEMORY = Message("""PRE022
    {size} MB of memory, and kubeadm requires {required} MB for the control plane
    Remedy: Use a board with 2 GB or more as control plane, or set {setting}: it may then be slow or
    run out of memory.
    Meaning: kubeadm refuses to make a control plane on a board with 1 GB. The API server and etcd
    need most of that.""")
CONTROL_PLANE_MEMORY_IGNORED = Message("""PRE023
    {size} MB of memory, and kubeadm requires {required} MB for the control plane:
    ignore_preflight_errors skips that check
    Remedy: Expect the control plane to be slow or to run out of memory.""")
WORKER_MEMORY = Message("""PRE024
    {size} MB of memory, of which the kubelet and containerd leave little for pods
    Remedy: Use a board with 1 GB or more.
    Meaning: The worker joins the cluster, but pods on it are soon stopped for want of memory.""")
CONTROL_PLANE_PROCESSORS = Message("""PRE025
    {count} processor, and kubeadm requires {required} for the control plane
    Remedy: Use a board with more processors as control plane, or set {setting}.
    Meaning: kubeadm refuses to make a control plane on a board with one processor.""")
CONTROL_PLANE_PROCESSORS_IGNORED = Message("""PRE026
    {count} processor, and kubeadm requires {required} for the control plane:
    ignore_preflight_errors skips that check
    Remedy: Expect the control plane to be slow.""")
READ_ONLY = Message("""PRE027
    {paths} cannot be written
    Remedy: Reboot the node; if it happens again, replace the SD card.
    Meaning: The kernel mounts a file system read-only after errors (`sudo dmesg | grep -i mmc`),
    and a worn-out SD card refuses writes. Copy what you need from it first.""")
LITTLE_SPACE = Message("""PRE028
    {free} MB are free for /var, which is little for container images
    Remedy: Free some space (`df -h`, `sudo apt-get clean`), or use a larger SD card.""")
IMAGE_GARBAGE_COLLECTION = Message("""PRE029
    {free} of {total} MB are free for /var, and below {percent} % the kubelet deletes images, then
    evicts pods
    Remedy: Free some space (`df -h`).
    Meaning: The kubelet frees disk space at these limits: see kubernetes.io, Node-pressure
    Eviction.""")
DISK_NOT_MEASURED = Message("""PRE030
    the write latency is unknown, because no file could be written to /var/tmp
    Remedy: See `df -h /var/tmp`.""")
SLOW_DISK = Message("""PRE031
    a small write takes {milliseconds} ms, so {effect}
    Remedy: Use an SD card of class A1 or A2 or an SSD, or stop what else writes (`sudo iotop`).
    Meaning: etcd waits for each of its writes and sends a heartbeat every 100 ms: on a slower disk
    the control plane restarts its leader election.""")

MEMORY_CGROUP_OFF = Message("""PRE040
    the memory cgroup is off
    Remedy: The run adds {argument} to {path} and reboots this node once.
    Meaning: The kubelet needs the memory cgroup, which Raspberry Pis turn off by default. Nothing
    has to be done.""")
MEMORY_CGROUP_PENDING = Message("""PRE041
    the memory cgroup is off until the next boot, for which {path} turns it on
    Remedy: The run reboots this node once.
    Meaning: The kernel's command line was changed since the last boot. Nothing has to be done.""")
CLOCK_OFF = Message("""PRE042
    the clock is {distance}
    Remedy: The run waits for time synchronization once the network is set up; if the clock stays
    wrong, see `timedatectl timesync-status`.
    Meaning: Certificates are not yet valid on a clock that is behind. If NTP (UDP port 123) is
    blocked, `sudo date -u -s '…'` sets the clock.""")

NETWORKD = Message("""PRE050
    systemd-networkd manages {interface} and does not release it automatically
    Remedy: Hand it to NetworkManager, from which bramble can take it: install network-manager on
    the node, write `renderer: NetworkManager` into its file in /etc/netplan, and reboot it.
    Meaning: ifupdown is to configure the interface. networkd would remove ifupdown's addresses when
    it starts again, and the node would be out of reach.""")
NETWORK_OVERLAP = Message("""PRE051
    {interface} is on {network}, which overlaps {setting} {desired}
    Remedy: Choose another {setting} (group_data/), or take {interface} down unless you reach the
    node through it.
    Meaning: A VPN, a bridge of Docker's or Wi-Fi uses addresses of the cluster: the node would send
    the cluster's packets there.""")
CONTROL_PLANE_UNREACHABLE = Message("""PRE052
    {name} ({address}) cannot be reached from this node: {reason}
    Remedy: Check the cables and the switch, and the firewalls of both nodes (`sudo iptables-save`).
    Meaning: A worker joins by the control plane's address on the cluster's network.""")
API_SERVER_UNREACHABLE = Message("""PRE053
    {name} answers, but its API server ({address}) cannot be reached from this node: {reason}
    Remedy: Check the firewalls of both nodes (`sudo iptables-save`).
    Meaning: The control plane is finished, and something drops packets to its port.""")
API_SERVER_STARTS = Message("""PRE056
    {name} refused the connection to its API server ({address}) a moment ago
    Remedy: The run waits for it; if the join fails, check the firewalls of both nodes (`sudo
    iptables-save`).
    Meaning: {name} refuses while its API server is not started, as after a boot: it answers on
    {name} itself now.""")
PACKAGE_SERVERS_UNREACHABLE = Message("""PRE054
    package servers cannot be reached: {servers}
    Remedy: Check the default route (`ip route`), the nameservers, and apt's proxy.
    Meaning: The node fetches packages from these servers. A warning if the run may correct it (it
    sets the default route and the nameservers), or where nothing is left to fetch.""")
REGISTRIES_UNREACHABLE = Message("""PRE055
    container registries cannot be reached: {servers}
    Remedy: Check the default route (`ip route`), or set registry_mirrors or image_archives in
    group_data/all.py.
    Meaning: containerd pulls the images of Kubernetes from there. With image_archives this computer
    sends them, and no registry is needed.""")

FIREWALL_DROPS = Message("""PRE060
    on {node} {rules}
    Remedy: Allow it: `{command}`.
    Meaning: The check follows the rules of the node's firewall (iptables, nftables, ufw, firewalld)
    for everything that the nodes and pods of a cluster send to each other. The rule that is named
    drops some of it; the command is for the program that manages that rule.""")

PROXY_PORT_TAKEN = Message("""PRE070
    {program} listens on port {port}, which {setting} names
    Remedy: Choose another port, or stop the program (`sudo ss -ltnp sport = :{port}`).""")
FLANNEL_PORT_TAKEN = Message("""PRE071
    {program} listens on port {port}, where flannel answers its health checks
    Remedy: Stop the program (`sudo ss -ltnp sport = :{port}`).
    Meaning: Kubernetes would restart flannel again and again.""")
PORTS_TAKEN = Message("""PRE072
    other programs listen on ports that Kubernetes needs: {ports}
    Remedy: Stop them (`sudo ss -ltnp`).
    Meaning: kubeadm refuses to start before these ports are free.""")
DOWNLOADS_PORT_TAKEN = Message("""PRE077
    {program} listens on port {port}, where downloads are kept for the other nodes
    Remedy: Stop the program (`sudo ss -ltnp sport = :{port}`), or set share_downloads = False in
    group_data/all.py.
    Meaning: Each node downloads from the sources.""")
OTHER_KUBERNETES = Message("""PRE073
    {name}, another Kubernetes distribution, is installed
    Remedy: Uninstall it: {command}.
    Meaning: Two kubelets on one node stop each other's containers.""")
API_SERVER_DOWN = Message("""PRE074
    the control plane is complete, but its API server does not answer
    Remedy: The run waits for it; if it stays down, see `sudo journalctl -u kubelet`. After a year
    without an upgrade its certificates have expired: run `pyinfra inventory.py
    deploys/certificates.py`.
    Meaning: After a boot the API server takes a minute or two to start on a small board.""")
OTHER_POD_NETWORK = Message("""PRE075
    containerd uses the first file in /etc/cni/net.d, and {file} comes before flannel's
    Remedy: Remove it: `sudo rm /etc/cni/net.d/{file}`.
    Meaning: Pods on this node would not be on flannel's network.""")
LEFTOVERS = Message("""PRE076
    an earlier cluster left {leftovers}
    Remedy: Remove it: `{command}`.
    Meaning: `kubeadm reset` leaves the pod network's files and interfaces and kube-proxy's rules.
    They may mislead the packets of the new cluster.""")
ADDRESS_OF_ANOTHER = Message("""PRE078
    another machine has control_plane_address {address}
    Remedy: Set it to a free address in group_data/all.py, or give the other machine another one.
    Meaning: Something answers there that is no control plane of this cluster.""")
ADDRESS_HELD_TWICE = Message("""PRE079
    {nodes} hold control_plane_address {address} at the same time
    Remedy: Look for what keeps VRRP (protocol 112) from passing between them: a firewall, a cable,
    or `sudo journalctl -u keepalived`.
    Meaning: Each of them believes that the others are away. The nodes reach one of them at random.
    """)
