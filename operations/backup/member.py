"""Choose the control plane on which the cluster is backed up."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import inventory, state

from facts.etcd import EtcdMembers
from facts.livez import Livez
from formats import etcd
from operations.base import HostFailure, read_together


def healthiest(control_planes: Mapping[str, str]) -> str:
    """
    Return the first control plane of this run whose API server is well, and whose etcd has a vote
    and answers. If there is none, the first that has an etcd; else the first, "" without one.

    + control_planes: addresses by name, in the order of preference
    """
    present = [name for name in control_planes if inventory.get_host(name) in state.active_hosts]
    silent = []
    for name in present if len(control_planes) > 1 else ():
        other = inventory.get_host(name)
        try:
            observed, unwell = read_together((other, EtcdMembers, {}), (other, Livez, {}))
        except HostFailure:
            continue
        own = etcd.at(observed.members, control_planes[name])
        if not unwell and any(each.is_started_voter and each.is_healthy for each in own):
            return name
        if observed.state != "absent":
            silent.append(name)
    return next(iter(silent or present), "")
