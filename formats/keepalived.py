"""
keepalived's configuration: an address that one of several control planes holds at a time.

Source: keepalived.conf(5).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

API_PORT = 6443

# How a file that bramble wrote begins.
HEAD = "# Written by bramble: changes made here are undone by its next run.\n"

# All begin as BACKUP, which nopreempt needs: the address does not move back to a board that
# returns. The priority decides only among nodes that begin at the same time. /livez includes etcd,
# and is open to everyone; a busy board may be slow to answer, so only the third failure counts.
# The holder repeats that it has the address: else a node that took it for a while, cut off from the
# holder, stays in the others' neighbour tables.
_CONFIGURATION = (
    HEAD
    + """\
global_defs {{
  script_user nobody
  enable_script_security
}}
vrrp_script api_server {{
  script "/usr/bin/curl -sfk -m 4 -o /dev/null https://127.0.0.1:{port}/livez"
  interval 3
  timeout 5
  fall 3
  rise 2
}}
vrrp_instance kubernetes_api {{
  state BACKUP
  nopreempt
  interface {interface}
  virtual_router_id {router}
  priority {priority}
  advert_int 1
  garp_master_refresh 30
  unicast_src_ip {own}
  unicast_peer {{
{peers}
  }}
  virtual_ipaddress {{
    {shared}/32 dev {interface}
  }}
  track_script {{
    api_server
  }}
}}
"""
)


def configuration(
    shared: str, interface: str, own: str, peers: Sequence[str], priority: int
) -> str:
    """
    Write the file of one node.

    + shared: the address
    + interface: by which this node has it
    + own: this node's own address there
    + peers: those of the other nodes; none: this one has nobody to tell that it holds the address
    + priority: 1 to 254; the highest of those that begin together gets the address
    """
    # Only the first peer of a line is read. Without peers it would multicast, and another
    # keepalived of the network with this number would keep it from the address.
    lines = "\n".join(f"    {peer}" for peer in peers or [shared])
    return _CONFIGURATION.format(
        port=API_PORT,
        interface=interface,
        router=int(IPv4Address(shared)) % 255 + 1,  # 1 to 255
        priority=priority,
        own=own,
        peers=lines,
        shared=shared,
    )
