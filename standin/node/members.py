"""
The members of etcd, read and changed as by kubeadm: through the etcd Pods that the API knows.

Source: etcd's documentation ("API reference"), kubernetes.io, "kubeadm implementation details".
"""

from __future__ import annotations

from .addons import PODS
from .client import Client, Unreachable
from .common import Obj, root, text
from .config import Config
from .init import seconds, wait_for

ADVERTISED = "kubeadm.kubernetes.io/etcd.advertise-client-urls"


class Members:
    """A cluster's etcd; each change is tried for two minutes, then Fatal with etcd's reason."""

    def __init__(self, api: Client, config: Config) -> None:
        self.limit, self.seen = seconds(config, "etcdAPICall"), list[Obj]()
        pods = f"{PODS}?labelSelector=component%3Detcd"
        limit = seconds(config, "kubernetesAPICall")
        found = wait_for(lambda: api.request("GET", pods)["items"], limit, text("no-etcd-pods"))
        own = f"{config.directory}/etcd/healthcheck-client"
        user = {"client-certificate": f"{own}.crt", "client-key": f"{own}.key"}
        authority = root(f"{config.directory}/etcd/ca.crt").read_bytes()
        urls = [one["metadata"]["annotations"][ADVERTISED] for one in found]
        self.clients = [Client(url, authority, user) for url in urls]
        self.peer = f"https://{config.init['localAPIEndpoint']['advertiseAddress']}:2380"
        self.name = config.init["nodeRegistration"]["name"]

    def _ask(self, what: str, **body: object) -> list[Obj]:
        """Ask the first member that answers; return all of them, this node's alone as seen."""
        for client in self.clients:
            try:
                answer = client.request("POST", f"/v3/cluster/member/{what}", body)
            except Unreachable as error:
                last = error
                continue
            members: list[Obj] = answer["members"]
            self.seen = [one for one in members if self.peer in one["peerURLs"]]
            return members
        raise last

    def _list(self) -> list[Obj]:
        return self._ask("list", linearizable=True)

    def check(self) -> None:
        """Fatal unless a quorum answers; a Pod may be left of one that is no member any more."""
        members = str(wait_for(self._list, self.limit, "etcd cluster is not healthy: "))
        self.clients = [one for one in self.clients if f"//{one.host}:" in members]

    def add(self) -> str:
        """Add this node as a learner, unless it is there; return --initial-cluster for it."""
        self.check()

        def added() -> list[Obj]:
            listed = self._list()
            return listed if self.seen else self._ask("add", peerURLs=[self.peer], isLearner=True)

        members = wait_for(added, self.limit, "")
        names = {one["peerURLs"][0]: one.get("name") or f"{int(one['ID']):x}" for one in members}
        names[self.peer] = self.name
        return ",".join(f"{name}={url}" for url, name in names.items())

    def promote(self) -> None:
        """Make this node a voter, once it has started."""

        def is_started() -> bool:
            self._list()
            return not self.seen[0].get("isLearner") or "name" in self.seen[0]

        own = self.seen[0]["ID"]
        wait_for(is_started, self.limit, text("etcd-not-started", number=f"{int(own):x}"))
        if self.seen[0].get("isLearner"):
            wait_for(lambda: self._ask("promote", ID=own), self.limit, "")

    def remove(self) -> None:
        """Remove this node, unless it is the last one."""

        def is_gone() -> bool:
            is_last = len(self._list()) < 2
            return is_last or not self.seen or bool(self._ask("remove", ID=self.seen[0]["ID"]))

        wait_for(is_gone, self.limit, "")
