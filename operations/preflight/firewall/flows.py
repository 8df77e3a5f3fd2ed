"""
The traffic that a cluster needs, as the firewall of one node sees it.

Source: kubernetes.io, "Ports and Protocols"; flannel's documentation of its vxlan backend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from formats.shared_downloads import PORT as DOWNLOADS
from operations.preflight.firewall.chains import Hook, Stage
from operations.preflight.firewall.packets import CHOSEN_PORTS, MADE_UP, Packet, network_span

SSH_PORT, API_PORT, KUBELET_PORT, FLANNEL_PORT = 22, 6443, 10250, 8472
ETCD_PORTS = (2379, 2380)
VRRP = "vrrp"  # protocol 112, which has no ports
DNS_PORT, PROBE_PORT = 53, 8080  # CoreDNS's: of its service, of its health
_TRANSLATING = -100  # the priority of DNAT, and of reverting SNAT in an answer
_REPLY, _LATER = frozenset({"syn", "ack"}), frozenset({"ack"})
_LOOPBACK = "127.0.0.1"
_INTERNET = "64.0.0.0/3"  # stands for the internet: it has no private or special networks


@dataclass(frozen=True)
class Site:
    """
    A node on its networks.

    + name, address, interface: on the cluster's network
    + cluster, pods, services: the cluster's network, the pod network, the service network
    + control_planes: addresses of the nodes with an API server, by name
    + common_address: held by one of those at a time; None: there is none
    + peers: the other nodes' addresses by name
    + hardware: hardware addresses by node, as far as they are known
    + own_pods: the pod network of this node; None: not known, then all of ``pods``
    + uplink, uplink_network: by which it routes for the others; None: it is no gateway
    + nameservers: those of the other nodes
    + downloads: the node that keeps them for all
    """

    name: str
    address: str
    interface: str
    cluster: str
    pods: str
    services: str
    control_planes: Mapping[str, str]
    peers: Mapping[str, str]
    hardware: Mapping[str, str] = field(default_factory=dict)
    own_pods: str | None = None
    uplink: str | None = None
    uplink_network: str | None = None
    nameservers: Sequence[str] = ()
    downloads: str | None = None
    common_address: str | None = None

    @property
    def is_control_plane(self) -> bool:
        """Whether it is one of ``control_planes``."""
        return self.name in self.control_planes

    @property
    def endpoint(self) -> tuple[str, str]:
        """Where a gateway leads the operator's kubectl: the node's name and the address; the name
        is empty where several nodes may have it."""
        if self.common_address:
            return "", self.common_address
        return next(iter(self.control_planes.items()))


@dataclass(frozen=True)
class Allowed:
    """
    What a rule has to accept: networks rather than single nodes; empty fields: any.

    + side: "dport" or "sport"
    + ports: none: all traffic between the networks; of VRRP that protocol
    + established: all answers
    """

    protocol: str = ""
    side: str = ""
    ports: tuple[int, ...] = ()
    source: str | None = None
    destination: str | None = None
    in_interface: str = ""
    out_interface: str = ""
    established: bool = False


@dataclass(frozen=True)
class PacketPath:
    """
    One packet of a flow.

    + reply: whether it is an answer
    + stages: the hooks on its way
    """

    reply: bool
    stages: Sequence[Stage]
    allowed: Allowed


@dataclass(frozen=True)
class Flow:
    """
    + words: "6443/tcp from node2 (192.168.2.12)"
    + paths: all of them have to pass
    + certain: False: of addresses or ports of which the dropped ones may not be used
    + beside: a flow that passes, as bramble uses it; where the rules drop it, it goes another way,
      and this one with it
    """

    words: str
    paths: Sequence[PacketPath]
    certain: bool = True
    beside: Flow | None = None


@dataclass(frozen=True)
class _End:
    """
    One end of a flow.

    + interface: by which this node reaches it; empty: it is this node
    + addresses: its own; None: not known
    + network: what a rule names for it
    """

    interface: str
    addresses: str | None
    network: str | None
    hardware: str | None = None


def needed(site: Site) -> Iterator[Flow]:
    """Yield all flows that the firewall of a node has to accept."""
    here = _End("", site.address, None)
    for name, address in site.peers.items():
        there = _End(site.interface, address, site.cluster, site.hardware.get(name))
        who = f"{name} ({address})"
        if site.is_control_plane:
            yield _flow(f"{API_PORT}/tcp from {who}", "tcp", API_PORT, there, here)
            yield _flow(f"{KUBELET_PORT}/tcp to {who}", "tcp", KUBELET_PORT, here, there)
        if name in site.control_planes:
            yield _flow(f"{API_PORT}/tcp to {who}", "tcp", API_PORT, here, there)
            yield _flow(f"{KUBELET_PORT}/tcp from {who}", "tcp", KUBELET_PORT, there, here)
        if site.is_control_plane and name in site.control_planes:
            yield from _between_control_planes(site, who, here, there)
        if site.common_address:
            yield from _at_common_address(site, name, here, there)
        if site.name == site.downloads:
            yield _flow(f"{DOWNLOADS}/tcp from {who}", "tcp", DOWNLOADS, there, here)
        elif name == site.downloads:
            yield _flow(f"{DOWNLOADS}/tcp to {who}", "tcp", DOWNLOADS, here, there)
        yield _flow(f"{FLANNEL_PORT}/udp from {who}", "udp", FLANNEL_PORT, there, here, False)
        yield _flow(f"{FLANNEL_PORT}/udp to {who}", "udp", FLANNEL_PORT, here, there, False)
        if site.uplink:
            yield from _routed(site, who, there)
    yield from _pods(site)
    yield from _alone(site)
    yield from _operator(site)


def _between_control_planes(site: Site, who: str, here: _End, there: _End) -> Iterator[Flow]:
    """Yield etcd's traffic, and who holds the common address."""
    for port in ETCD_PORTS:
        yield _flow(f"{port}/tcp from {who}", "tcp", port, there, here)
        yield _flow(f"{port}/tcp to {who}", "tcp", port, here, there)
    if site.common_address:
        yield _flow(f"{VRRP} from {who}", VRRP, None, there, here, False)
        yield _flow(f"{VRRP} to {who}", VRRP, None, here, there, False)


def _at_common_address(site: Site, peer: str, here: _End, there: _End) -> Iterator[Flow]:
    """Yield the flows to the API server that are addressed to no node's own address."""
    words = f"{API_PORT}/tcp to {site.common_address}"
    if site.is_control_plane:
        server = replace(here, addresses=site.common_address)
        yield _flow(f"{words} from {peer}", "tcp", API_PORT, there, server)
    if peer in site.control_planes:
        server = replace(there, addresses=site.common_address)
        yield _flow(f"{words}, held by {peer}", "tcp", API_PORT, here, server)


def _alone(site: Site) -> Iterator[Flow]:
    """Yield the flows of a control plane to itself."""
    if not site.is_control_plane:
        return
    own = _End("lo", site.address, None, "")
    for port, end in (
        (API_PORT, own),
        (KUBELET_PORT, own),
        (ETCD_PORTS[0], replace(own, addresses=_LOOPBACK)),
    ):
        words = f"{port}/tcp from this node itself ({end.addresses})"
        yield _flow(words, "tcp", port, end, end)


def _operator(site: Site) -> Iterator[Flow]:
    """Yield the flow of the operator's kubectl; the gateway forwards it to a node behind it."""
    operator = _End(site.uplink or site.interface, None, None)
    here = _End("", site.uplink_network or site.address, None)
    login = _flow(f"{SSH_PORT}/tcp from this computer", "tcp", SSH_PORT, operator, here)
    words = f"{API_PORT}/tcp from this computer"
    name, address = site.endpoint
    if site.uplink and address != site.address:
        there = _End(site.interface, address, site.cluster, site.hardware.get(name))
        words += f" to {name} ({address})" if name else f" to {address}"
        flow = _flow(words, "tcp", API_PORT, operator, there, dnat=True)
        yield replace(flow, certain=False, beside=login)
    elif site.is_control_plane:
        server = replace(here, addresses=site.common_address) if site.common_address else here
        flow = _flow(words, "tcp", API_PORT, operator, server)
        yield replace(flow, certain=False, beside=login)


def _pods(site: Site) -> Iterator[Flow]:
    here = _End("", site.own_pods or site.pods, None)
    own = _End("cni0", site.own_pods or site.pods, site.pods, MADE_UP)
    for name, address in site.control_planes.items():
        words = f"{API_PORT}/tcp from its pods"
        if name == site.name:
            yield _flow(words, "tcp", API_PORT, own, replace(here, addresses=site.address))
        else:
            there = _End(site.interface, address, site.cluster, site.hardware.get(name))
            words += f" to {name} ({address})"
            yield _flow(words, "tcp", API_PORT, own, there, snat=True)
    yield _flow(f"{PROBE_PORT}/tcp to its pods", "tcp", PROBE_PORT, here, own)
    yield _services(site)
    far = _End("flannel.1", site.pods, site.pods, MADE_UP)
    for protocol, port in (("udp", DNS_PORT), ("tcp", DNS_PORT), ("tcp", None)):
        what = f"{port or 'all'}/{protocol}"
        yield _flow(f"{what} from pod to pod", protocol, port, own, own)
        if site.peers:
            yield _flow(f"{what} from other nodes' pods", protocol, port, far, own)
            yield _flow(f"{what} to other nodes' pods", protocol, port, own, far)


def _services(site: Site) -> Flow:
    """The packet of a pod to a service, until kube-proxy translates its destination."""
    packet = Packet(
        "udp",
        source=network_span(site.own_pods or site.pods),
        destination=network_span(site.services),
        sport=CHOSEN_PORTS,
        dport=(DNS_PORT, DNS_PORT),
        in_interface="cni0",
        flags=frozenset(),
        hardware=MADE_UP,
    )
    stages = [Stage("prerouting", packet, high=_TRANSLATING - 1)]
    allowed = Allowed("udp", "dport", (), site.pods, site.services, "cni0")
    path = PacketPath(False, stages, allowed)
    return Flow(f"{DNS_PORT}/udp from its pods to services", [path], certain=False)


def _routed(site: Site, who: str, there: _End) -> Iterator[Flow]:
    """Yield the flows of a node behind this gateway: packages, images, DNS."""
    assert site.uplink
    for protocol, port, addresses in (
        ("tcp", 80, [_INTERNET]),
        ("tcp", 443, [_INTERNET]),
        ("udp", DNS_PORT, site.nameservers),
    ):
        for address in addresses:
            far = _End(site.uplink, address, None)
            named = "the internet" if address == _INTERNET else address
            words = f"{port}/{protocol} from {who} to {named}"
            yield _flow(words, protocol, port, there, far, snat=True)


def _flow(
    words: str,
    protocol: str,
    port: int | None,
    client: _End,
    server: _End,
    answered: bool = True,
    snat: bool = False,
    dnat: bool = False,
) -> Flow:
    """
    + port: None: any
    + answered: whether the server answers in the same connection
    + snat, dnat: whether the client's, or the server's, address is translated here
    """
    ask = Packet(
        protocol,
        source=network_span(client.addresses) if client.addresses else None,
        destination=network_span(server.addresses) if server.addresses else None,
        sport=CHOSEN_PORTS,
        dport=(port, port) if port else (1, 65535),
        in_interface=client.interface,
        out_interface=server.interface,
        flags=frozenset({"syn"}) if protocol == "tcp" else frozenset(),
        hardware=client.hardware,
        from_here=not client.interface or client.interface == "lo",
        to_here=not server.interface or server.interface == "lo",
    )
    # Pods may use any port between them.
    between_pods = client.network is not None and client.network == server.network
    ports = () if between_pods or port is None else (port,)
    paths = [_path(False, ask, client, server, ("dport", ports), dnat)]
    if answered:
        answer = replace(
            ask,
            source=ask.destination,
            destination=ask.source,
            sport=ask.dport,
            dport=ask.sport,
            in_interface=ask.out_interface,
            out_interface=ask.in_interface,
            state="ESTABLISHED",
            flags=_REPLY if protocol == "tcp" else frozenset(),
            hardware=server.hardware,
            from_here=ask.to_here,
            to_here=ask.from_here,
        )
        paths.append(_path(True, answer, server, client, ("sport", ports), snat))
        more = replace(ask, state="ESTABLISHED", flags=_LATER if protocol == "tcp" else frozenset())
        paths.append(_path(False, more, client, server, ("dport", ports), dnat))
    return Flow(words, paths, port is not None or protocol == VRRP)


def _path(
    reply: bool,
    packet: Packet,
    sender: _End,
    receiver: _End,
    ports: tuple[str, tuple[int, ...]],
    translated: bool,
) -> PacketPath:
    allowed = Allowed(
        packet.protocol,
        *ports,
        sender.network,
        receiver.network,
        sender.interface,
        receiver.interface,
    )
    return PacketPath(reply, list(_stages(packet, translated)), allowed)


def _stages(packet: Packet, translated: bool) -> Iterator[Stage]:
    inner, outer = packet.in_interface, packet.out_interface
    if inner == outer == "lo":  # out of the node, and in again
        yield from _stages(replace(packet, in_interface="", to_here=True), False)
        yield from _stages(replace(packet, out_interface=""), False)
        return
    arriving = replace(packet, out_interface="")
    if inner:
        yield from _bridged(packet, inner, ("prerouting", "input"))
        yield Stage("ingress", arriving)
        if translated:  # before that it is addressed to this node; SNAT keeps the port if possible
            early = replace(arriving, destination=None, to_here=True)
            yield Stage("prerouting", early, high=_TRANSLATING - 1)
            yield Stage("prerouting", arriving, low=_TRANSLATING)
        else:
            yield Stage("prerouting", arriving)
        yield Stage("forward", packet) if outer else Stage("input", arriving)
    else:
        yield Stage("output", packet)
    if outer:
        yield Stage("postrouting", replace(packet, in_interface=None if inner else ""))
        yield Stage("egress", replace(packet, in_interface=""))
        yield from _bridged(packet, outer, ("output", "postrouting"))


def _bridged(packet: Packet, interface: str | None, hooks: tuple[Hook, Hook]) -> Iterator[Stage]:
    """Yield the hooks of the bridge cni0, which has an interface for each pod."""
    if interface == "cni0":
        for hook in hooks:
            yield Stage(
                hook, replace(packet, in_interface=None, out_interface=None), family="bridge"
            )
