"""Read objects of the cluster with kubectl on the control plane."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api import StringCommand

from facts.base import State, WholeFact, ask, number, raw, text_of

ADMIN_CONF = "/etc/kubernetes/admin.conf"
# A shell assignment, $server: kubectl's option for this control plane's own API server. Of several
# control planes ADMIN_CONF names the address in common, the controller manager's file their own.
OWN_SERVER = """server=$(sed -n 's/^ *server: */--server=/p' \
/etc/kubernetes/controller-manager.conf 2>/dev/null);"""
DELETE_NODE = f"""kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s delete node "$1" \
--ignore-not-found </dev/null"""

# One kubectl per namespace, in parallel: each takes a second to start on a small board.
_SCRIPT = f"""d=$(mktemp -d) || exit 0; trap 'rm -rf "$d"' EXIT; i=0;
for g in "$@"; do
i=$((i+1));
( set -f;
# shellcheck disable=SC2086 # a kind, and its namespace
kubectl --kubeconfig={ADMIN_CONF} --request-timeout=10s get $g --ignore-not-found -o json \
> "$d/$i" 2> "$d/$i.err"; echo $? > "$d/$i.rc" ) &
done; wait;
for n in $(seq $i); do
echo "$(cat "$d/$n.rc") $(base64 -w0 "$d/$n") $(tail -n1 "$d/$n.err" | base64 -w0)"; done"""


@dataclass(frozen=True)
class ClusterObjects(State):
    """
    + answers: False without a cluster, or when its API server does not answer
    + objects: those that were asked for and exist, as plain data; others may be among them
    + why: the last line of kubectl, when there is no answer
    """

    answers: bool
    objects: list[dict[str, Any]]
    why: str = ""


class Objects(WholeFact[ClusterObjects]):
    """
    Read some objects of the cluster: a ``ClusterObjects``.

    + names: each ``NAMESPACE/KIND/NAME`` (``/KIND/NAME`` without a namespace), or a kind alone
      (``nodes``) for all of them
    """

    @classmethod
    def at_once_with(cls, several: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"names": list(dict.fromkeys(name for each in several for name in each["names"]))}

    def command(self, names: list[str]) -> StringCommand:
        groups: dict[str, list[str]] = {}
        lists = []
        for name in names:
            namespace, _, rest = name.partition("/")
            if rest:
                groups.setdefault(namespace, []).append(rest)
            else:
                lists.append(name)
        everywhere = groups.pop("", [])  # kubectl ignores a namespace for these
        if everywhere:
            groups.setdefault(next(iter(groups), ""), []).extend(everywhere)
        words = (" ".join([*(["-n", key] if key else []), *groups[key]]) for key in groups)
        return ask(_SCRIPT, *lists, *words)

    def parse(self, *lines: str) -> ClusterObjects:
        objects: list[dict[str, Any]] = []
        for line in lines:
            status, _, rest = line.partition(" ")
            answer, _, error = rest.partition(" ")
            if number(status) != 0:
                why = text_of(error, "replace").strip()
                return ClusterObjects(False, [], why or "kubectl failed without an error message")
            if answer:
                found = json.loads(raw(answer))
                many = str(found.get("kind", "")).endswith("List")
                objects += found["items"] if many else [found]
        return ClusterObjects(True, objects)
