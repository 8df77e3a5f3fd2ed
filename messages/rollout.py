"""Roll-outs: upgrades, reboots and updates, one node at a time."""

from messages import Message

NODE_AWAY = Message("""ROL001
    nothing was begun, since nodes are not Ready: {nodes}
    Remedy: Switch them on, or see `sudo journalctl -u kubelet` there, then run the same command
    again; a node that does not come back is removed with `pyinfra inventory.py deploys/remove.py
    --data node=NAME`.
    Meaning: One node at a time is away for a reboot, an update or an upgrade, and only while all
    others are Ready. A node that is not Ready can itself be worked on: add `--limit NAME`.""")
CONTROL_PLANE_UNWELL = Message("""ROL002
    nothing was begun, since the API server is not well: {reason}
    Remedy: See `kubectl get --raw '/livez?verbose'`, and `sudo ctr -n k8s.io tasks ls` or `sudo
    journalctl -u kubelet` on the control plane, then run the same command again.
    Meaning: The API server's own check (/livez) fails, with the names of the parts that fail. etcd
    is one of them.""")
OTHER_FAILED = Message("""ROL003
    nothing was begun, since nodes failed in this run: {nodes}
    Remedy: Correct what their red lines say, then run the same command again.
    Meaning: A node that does not answer may be away; a second one would be too much.""")
NOT_READY_AGAIN = Message("""ROL004
    the node is not back in the cluster after {seconds} s: {reason}
    Remedy: See `kubectl describe node` and `sudo journalctl -u kubelet` on the node, then run the
    same command again: it continues with this node.
    Meaning: The node was drained and worked on. It stays cordoned (annotation bramble/cordon), and
    no other node is touched until it is Ready, its pods are Ready, and the API server is well.""")
OF_ANOTHER = Message("""ROL005
    {node} stays cordoned: {whose}
    Remedy: Run `kubectl uncordon {node}` once it may take pods again.
    Meaning: A warning. Only a cordon that the same deploy made is undone by it: an interrupted
    upgrade, for instance, is continued by `pyinfra inventory.py deploys/upgrade.py`.""")
GATEWAY_AWAY = Message("""ROL006
    while {gateway} is rebooted, this computer does not reach {nodes}, nor do they reach the
    internet
    Meaning: A warning. The gateway is rebooted. Nothing is done on the nodes behind it meanwhile,
    and their pods go on running; the connections to them are opened again afterwards.""")
STILL_NEEDED = Message("""ROL007
    the node was rebooted, and still needs a reboot: {reasons}
    Remedy: See `sudo journalctl -b` on the node; an installed kernel that does not start may be
    missing in the boot partition.
    Meaning: A warning. The node is back and works. Another run would reboot it again.""")
STOPPED = Message("""ROL008
    the run stops, since {node} has failed; nodes that are not done: {left}
    Remedy: Correct what the red line of {node} says, then run the same command again: it continues
    there.
    Meaning: Two nodes are never away at the same time. Those not done were not touched.""")
PODS_NOT_BACK = Message("""ROL009
    the node is done, and {seconds} s later pods that were evicted from it are not Ready: {pods}
    Remedy: See `kubectl describe pod`, then run the same command again: it continues with the next
    node.
    Meaning: The node takes pods again. The next one is not drained before they are Ready, since it
    may have the last replicas that still serve. Pods that were not Ready before the first node are
    not waited for.""")
MEMBERS_UNWELL = Message("""ROL010
    {node} is not worked on, since other members of etcd do not answer: {members}
    Remedy: Switch those nodes on, or see `sudo journalctl -u kubelet` there, then run the same
    command again.
    Meaning: One control plane at a time is away, and only while etcd has all others. One that does
    not come back is replaced first.""")
MAJORITY_LOST = Message("""ROL011
    {node} is not worked on, since etcd has {count} members, and stops without one of them
    Remedy: Run `pyinfra inventory.py deploys/cluster.py`, which joins the control planes that are
    missing, then the same command again.
    Meaning: etcd works while a majority of its members does: two tolerate no failure.""")
ADDRESS_STAYS = Message("""ROL012
    no other control plane takes the address {address} from {node}: {reason}
    Remedy: Run `pyinfra inventory.py deploys/cluster.py`, which starts keepalived on all of them,
    then the same command again.
    Meaning: The address moves away before a control plane is worked on, so that the API server
    stays reachable. Where it does not move, see `sudo journalctl -u keepalived` on the others.""")
