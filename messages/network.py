"""Network: interfaces, rollback guard, name resolution, iptables rules."""

from __future__ import annotations

from messages import Message

# --- interfaces --------------------------------------------------------------------------------

NO_INTERFACE = Message("""NET005
    interface {interface} does not exist on this node (found: {found})
    Remedy: Plug the adapter in, or set the interface to {suggestion}.""")
INTERFACE_IS_PORT = Message("""NET006
    interface {interface} is a port of {master}
    Remedy: Name another interface in the settings; or change the node's own network configuration
    so that {interface} has the address that {master} has now, and reboot it.
    Meaning: A bridge or a bond uses the interface, so an address on it would have no effect.""")
INTERFACES_FILE_INVALID = Message("""NET007
    {error}: ifupdown stops reading there
    Remedy: Correct that line or remove the file, then run the same command again.
    Meaning: ifupdown ignores everything behind a mistake in the files under /etc/network, so a
    definition written there might have no effect.""")
INTERFACE_REDIRECTED = Message("""NET008
    {place} overrides the settings of {interface}: it {effect}
    Remedy: Remove that line, then run the same command again.
    Meaning: A line of the interfaces files maps or renames the interface, or makes it a port of
    a bridge or bond.""")
DEFINED_TWICE = Message("""NET009
    {interface} is also defined in {place}, and ifupdown would apply both definitions
    Remedy: Remove that definition (or the file, if it is a stray copy), then run the same command
    again.
    Meaning: Definitions of an interface add up in ifupdown. Those by others are never removed
    automatically, except those that cloud-init generated.""")
DEFINITION_INHERITED = Message("""NET010
    {place}: {heir} inherits from {interface}, whose definition there is to be removed
    Remedy: Write what it inherits into the definition of {heir}, then run the same command again.
    Meaning: Another definition in the interfaces files depends on the one that is replaced.""")
MARKED_LINES_BROKEN = Message("""NET011
    {path} cannot be changed: {problem}
    Meaning: In files that others write too, bramble's lines stand between two marks. Somebody has
    edited these marks, so it is not known which lines may be replaced.""")

# --- rollback guard ----------------------------------------------------------------------------

CHANGE_PENDING = Message("""NET020
    a change of {change} was not confirmed and is being rolled back
    Remedy: Run the same command again in a minute, or reboot the node to roll back at once.
    Meaning: An earlier run was interrupted before it could confirm its change of the network.
    The node restores the state before that change.""")
CHANGE_NOT_STARTED = Message("""NET021
    {change}: the change was not started: {reason}
    Meaning: The node could not save its present state or start its timer. Nothing was changed.""")
ROLLED_BACK = Message("""NET022
    rolled back after {seconds} s: {reason} (change of {change})
    Meaning: A command of the change failed, with the line that is shown. The node has restored
    the state before the change.""")
ROLLBACK_NOT_SEEN = Message("""NET023
    {address} does not answer after the change of {change}, which was not confirmed
    Remedy: Power the node off and on: it restores the state before the change when it boots.
    Meaning: The node does not answer at its previous address although the time for its rollback
    is over.""")
CHANGE_BY_ANOTHER_RUN = Message("""NET024
    another run is changing the network of this node
    Remedy: Run the same command again when that run is done.
    Meaning: A node makes one change of its network at a time. Nothing was changed.""")
CHANGE_WITHOUT_SPACE = Message("""NET025
    the node has no space in {path} for its state before the change
    Remedy: Make room (`df -h {path}` shows how much there is), then run the same command again.
    Meaning: The node saves what it would need to roll back. Nothing was changed.""")
GATEWAY_SILENT = Message("""NET026
    rolled back after {seconds} s: the gateway {gateway} does not answer (change of {change})
    Remedy: Correct the gateway (uplink_gateway, router), or switch it on, then run the same command
    again.
    Meaning: After the change, neither ping nor ARP reached the default gateway, which a node
    needs for everything outside of its network. The state before the change was restored.""")
ROUTE_MISSING = Message("""NET027
    rolled back after {seconds} s: {interface} has no default route via {gateway} (change of
    {change})
    Remedy: See what set another one with `journalctl -b` on the node, then run the same command
    again.
    Meaning: The interface came up without the default route of the settings: something else
    configures it too. The state before the change was restored.""")
DEFAULT_ROUTE_LOST = Message("""NET028
    rolled back after {seconds} s: the node had no default route any more (change of {change})
    Remedy: Correct the gateway (uplink_gateway, router), then run the same command again.
    Meaning: The node had a default route before, and the change did not remove the interface
    that it used. The state before the change was restored.""")
NAMES_UNRESOLVED = Message("""NET029
    rolled back after {seconds} s: names no longer resolved (change of {change})
    Remedy: Correct nameservers: use one that answers from this network, then run the same command
    again.
    Meaning: The name of the node's package archive resolved before the change and not after it.
    The state before the change was restored.""")
ADDRESS_SILENT = Message("""NET060
    rolled back after {seconds} s: {address} did not answer: {why} (change of {change})
    Remedy: Correct the address, the prefix or the rules that the change sets; if they are right
    and the network is slow (DHCP, Wi-Fi), raise guard_seconds.
    Meaning: No new SSH connection to the address could be opened in time: the change cut the
    node off. The state before the change was restored.""")
ADDRESS_TAKEN = Message("""NET061
    rolled back after {seconds} s: another machine ({machine}) has the address {address} (change of
    {change})
    Remedy: Choose an address that no other machine has, then run the same command again.
    Meaning: The address answered before the node had it, or with a host key that is not the
    node's. The state before the change was restored.""")
KEY_NOT_ACCEPTED = Message("""NET062
    rolled back after {seconds} s: a new connection needed a password (change of {change})
    Remedy: Check that ssh_private_key is the key that opens the node, then run the same command
    again.
    Meaning: A change of SSH keys or of sshd is confirmed with the key alone: otherwise it could
    lock you out once passwords are refused. The state before the change was restored.""")
RESTARTED_UNCONFIRMED = Message("""NET063
    rolled back after {seconds} s: the node was restarted before the confirmation (change of
    {change})
    Remedy: Run the same command again.
    Meaning: A node that boots with an unconfirmed change restores the state before it.""")
CHANGE_TOO_SLOW = Message("""NET064
    rolled back after {seconds} s: the change did not finish in time (change of {change})
    Remedy: Raise guard_seconds, then run the same command again.
    Meaning: The commands of the change still ran when the time for it was over. The state before
    the change was restored.""")
NO_LEASE = Message("""NET065
    rolled back after {seconds} s: {interface} got no address by DHCP within {patience} s (change of
    {change})
    Remedy: Check its cable, or its Wi-Fi network and key, then run the same command again.
    Meaning: No DHCP server answered on the interface, or it is not connected to its network. The
    state before the change was restored.""")
DEFAULT_ROUTE_TAKEN = Message("""NET066
    rolled back after {seconds} s: {interface} cannot get the default route, which {other} has
    (change of {change})
    Remedy: Run deploys/cluster.py for all nodes, which removes {other} when the settings no longer
    have it, or delete the gateway of {other} from its own configuration.
    Meaning: The kernel takes one default route of each metric, so the interface would not come
    up. The state before the change was restored.""")

# --- name servers ------------------------------------------------------------------------------

UDHCPC_OVERWRITES = Message("""NET031
    udhcpc has configured an interface and overwrites /etc/resolv.conf at each renewal
    Remedy: Install dhcpcd-base, remove udhcpc, reboot the node, then run the same command again.
    Meaning: The DHCP client udhcpc has no setting that makes it leave /etc/resolv.conf alone.""")
RESOLVER_LINK_UNKNOWN = Message("""NET032
    /etc/resolv.conf is a link to {target}, where no permanent name servers can be set
    Remedy: Run `sudo rm /etc/resolv.conf`, then run the same command again.
    Meaning: The file belongs to a program that bramble cannot configure, or that does not run.""")
RESOLVER_FOREIGN = Message("""NET033
    /etc/resolv.conf is written by an unknown program ({line!r})
    Remedy: Stop the program or make it leave the file alone (tailscale: `sudo tailscale set
    --accept-dns=false`), run `sudo sed -i '/^[#;]/d' /etc/resolv.conf`, then run the same command
    again.
    Meaning: A comment in the file says that a program owns it, which would overwrite what is
    set. Examples: tailscale, ConnMan, the agent of a cloud.""")
NETWORK_MANAGER_DNS = Message("""NET034
    NetworkManager has dns={value}, although {path} sets dns=none
    Remedy: Remove the line that overrides it: `NetworkManager --print-config` names the file.
    Meaning: Another configuration file of NetworkManager is read later, so NetworkManager would
    continue to overwrite /etc/resolv.conf.""")
RESOLVED_OPTIONS = Message("""NET035
    /etc/resolv.conf belongs to systemd-resolved, which does not support the options {options}
    Remedy: Remove them from resolver_options.
    Meaning: systemd-resolved generates the file and has no setting for resolver options.""")
RESOLVER_IMMUTABLE = Message("""NET036
    /etc/resolv.conf is immutable
    Remedy: Run `sudo chattr -i /etc/resolv.conf`, then run the same command again.
    Meaning: Somebody locked the file with chattr +i.""")

# --- names of nodes ----------------------------------------------------------------------------

HOSTS_CONFLICT = Message("""NET042
    {path}, line {line}: {name} has the address {found}, not {desired}
    Remedy: Remove the name from that line, or change inventory.py, then run the same command again.
    Meaning: A line that bramble did not write contradicts the inventory.""")
CLOUD_INIT_HOSTS = Message("""NET043
    cloud-init maps {name} to 127.0.1.1 at each boot (manage_etc_hosts: localhost)
    Remedy: Run `sudo touch /etc/cloud/cloud-init.disabled`, then run the same command again.
    Meaning: A node's own name has to resolve to its address in the cluster, and cloud-init would
    undo that at the next boot.""")

# --- iptables ----------------------------------------------------------------------------------

RULE_INVALID = Message("""NET050
    iptables rules cannot be set: {problem}
    Meaning: The node's own iptables refuses the rule, does not add it, or bramble cannot put it
    into a chain of its own. iptables' words are part of the message. Typical causes: a misspelled
    option; -6, -h or -V in a rule; a jump into a chain that bramble fills.""")
TWO_BACK_ENDS = Message("""NET052
    iptables is iptables-{used}, but iptables-{other} has rules too (table {tables})
    Remedy: See them with `sudo iptables-{other}-save` and remove them, or choose one back end with
    `sudo update-alternatives --config iptables`.
    Meaning: The rules of both back ends filter packets, and each of them shows its own alone.""")
RULES_OF_NFT = Message("""NET053
    table {table} has rules that iptables cannot show
    Remedy: See them with `sudo nft list table ip {table}` and move them to a table of their own.
    Meaning: Somebody added rules with nft to a table that belongs to iptables.""")
IPTABLES_FAILED = Message("""NET054
    iptables-save failed: {reason}""")
NO_NETWORK_NAMESPACE = Message("""NET055
    the rules cannot be tested in a network namespace: {reason}
    Remedy: Use a kernel with CONFIG_NET_NS: Kubernetes needs it too.
    Meaning: New rules are first loaded in a network namespace of their own, where they cannot cut
    the connection.""")

# --- the address of control planes ---------------------------------------------------------------

KEEPALIVED_OF_OTHERS = Message("""NET067
    {path} was not written by bramble
    Remedy: Move the file away if nobody needs it, then run the same command again.
    Meaning: keepalived reads one file, and holds control_plane_address for bramble. Somebody uses
    it for another address.""")
KEEPALIVED_REFUSES = Message("""NET068
    keepalived refuses its configuration: {reason}
    Remedy: Run `keepalived --version` on this node: 2.2 and 2.3, Debian's, accept it.
    Meaning: The file was checked before it was installed, and nothing was changed.""")
