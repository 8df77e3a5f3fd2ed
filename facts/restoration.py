"""Read how far a restore of the control plane has come, and whether etcd's data is damaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from facts.base import State, WholeFact, number, one_of, text_of
from facts.kubeadm import RESTORED_FROM
from formats.backup import Manifest, parse
from formats.unreadable import Unreadable

DATA = "/var/lib/etcd"
RESTORE_UNIT = "bramble-etcd-restore"
# On a control plane that has left the former cluster: for which restore, and of which one.
LEFT = "/var/lib/bramble/left-for-restore"
STEPS = ("", "restored", "begun", "initialized")

# etcd cuts its log at the first bad record, keeps the whole one as *.broken, and runs on.
_SCRIPT = f"""date +%s;
base64 -w0 {RESTORED_FROM}/manifest.json 2>/dev/null; echo;
s=$(cat {RESTORED_FROM}/step 2>/dev/null); echo "$s";
sed -n 2p {LEFT} 2>/dev/null | base64 -w0; echo;
if [ -n "$(ls -A {DATA} 2>/dev/null)" ]; then echo data; else echo -; fi;
find {DATA}/member/wal -name '*.broken' 2>/dev/null"""


@dataclass(frozen=True)
class RestorationState(State):
    """
    + now: the node's clock, in seconds since 1970
    + manifest: of the backup that an interrupted restore has put on the node; "" without one
    + step: what it has done after that: the data is restored; kubeadm init was begun; it has ended
    + has_data: whether there is anything in etcd's data directory
    + broken: logs that etcd has cut at a bad record, as they were before
    + left_for: the control plane for whose restore this one has left the former cluster; "": none
    """

    now: int
    manifest: str
    step: Literal["", "restored", "begun", "initialized"]
    has_data: bool
    broken: tuple[str, ...] = ()
    left_for: str = ""

    @property
    def backup(self) -> Manifest | None:
        """What that manifest says; None also if it can't be read: the backup is copied again."""
        try:
            return parse(self.manifest)
        except Unreadable:
            return None


class Restoration(WholeFact[RestorationState]):
    """Read how far a restore has come: a ``RestorationState``."""

    script = (_SCRIPT,)

    def parse(
        self, now: str, manifest: str, step: str, left: str, data: str, *broken: str
    ) -> RestorationState:
        return RestorationState(
            now=number(now),
            manifest=text_of(manifest),
            step=cast(Literal["", "restored", "begun", "initialized"], one_of(step, *STEPS)),
            has_data=one_of(data, "data", "-") == "data",
            left_for=text_of(left).strip(),
            broken=broken,
        )
