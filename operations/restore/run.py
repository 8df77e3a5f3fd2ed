"""Restore a backup on a control plane, step by step; the node knows how far it has come."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.host import Host

import remote
from facts.certificates import STATIC_PODS
from facts.kubeadm import CONFIG, INIT_UNIT, JOIN_UNIT
from facts.kubeadm import RESTORED_FROM as FOLDER
from facts.kubeconfig import AdminCredentials
from facts.restoration import DATA, LEFT, RESTORE_UNIT
from facts.traces import RESET_UNIT
from formats.backup import FILES, SNAPSHOT, Manifest
from formats.etcd import PEER_PORT
from formats.kubeadm.config import Registration, for_node
from messages import restore as messages
from operations import files, teardown
from operations.base import understood
from operations.kubeadm.run import INIT_MINUTES, follow, pull_images
from remote.failures import HostFailure, RemoteFailure
from runs.output import Progress, detail

_MINUTES = 30  # to restore a snapshot on a slow card
_PIECE = 256 * 1024
_RESTORED = f"{DATA}-restored"

# The archive comes on standard input. The folder has its name when all of it is there.
_UNPACK = f"""set -e; umask 077; mkdir -p {FOLDER}.new; cd {FOLDER}.new; find . -mindepth 1 -delete;
tar --no-same-owner --no-same-permissions -xf -"""
_CHECK = f"""set -e; cd {FOLDER}.new; sha256sum --quiet -c - >&2; find . -type f -exec sync {{}} +;
rm -rf {FOLDER}; mv -T {FOLDER}.new {FOLDER}; sync {FOLDER}/.."""

_STEP = f"""s={FOLDER}/step; step() {{ echo "$1" > $s.new; sync $s.new; mv -f $s.new $s;
sync {FOLDER}; }};"""

# A version that was upgraded by hand is not in the file that init was given once.
_KEYS = f"""set -e; umask 022; cd {FOLDER}/{FILES};
find . -type f | while read -r f; do t="/etc/kubernetes/$f"; mkdir -p "${{t%/*}}";
m=600; case $f in *.crt|*.pub) m=644;; esac;
install -m $m "$f" "$t.new"; sync "$t.new"; mv -f "$t.new" "$t"; done;
sed -i 's/^kubernetesVersion: .*/kubernetesVersion: '"$1"'/' {CONFIG}; sync {CONFIG}"""

# Data that is not of this restore is kept. Until the step is noted, all of this may be done again:
# what stands beside the data directory is complete once "unpacked" is there. The token makes it a
# cluster with other IDs: a member of the former one that comes back can't take part in it.
_ASIDE = f"""aside() {{ [ -n "$(ls -A {DATA} 2>/dev/null)" ] || return 0;
a={DATA}-before-$(date -u +%Y%m%dT%H%M%SZ); mkdir -m 700 "$a"; find {DATA} -mindepth 1 -maxdepth 1 \
-exec mv -t "$a" {{}} +; sync -f "$a"; echo "the former data of etcd is kept: $a"; }};"""
_RESTORE = f"""set -e; umask 077; {_STEP} {_ASIDE}
ctl() {{ ctr -n k8s.io "$@"; }}; c=bramble-etcd-restore;
if [ ! -e {FOLDER}/unpacked ]; then rm -rf {_RESTORED};
ctl tasks rm -f $c 2>/dev/null || :; ctl containers rm $c 2>/dev/null || :;
ctl run --rm --net-host --mount type=bind,src={FOLDER},dst=/backup,options=rbind:ro \
--mount type=bind,src=/var/lib,dst=/var/lib,options=rbind:rw "$1" $c etcdutl snapshot restore \
/backup/{SNAPSHOT} --data-dir {_RESTORED} --name "$2" --initial-cluster "$2=$3" \
--initial-advertise-peer-urls "$3" --initial-cluster-token "$(cat /proc/sys/kernel/random/uuid)" \
--bump-revision 1000000000 --mark-compacted;
[ -d {_RESTORED}/member ]; sync -f {_RESTORED}; : > {FOLDER}/unpacked; sync {FOLDER}; fi;
if [ -d {_RESTORED}/member ]; then aside; mkdir -p -m 700 {DATA};
mv -T {_RESTORED}/member {DATA}/member; sync -f {DATA}; fi;
step restored; rm -rf {_RESTORED} {FOLDER}/unpacked"""

# A container that hangs would be waited for.
_KILL = """kill_all() { n=0;
while :; do running=$(ctr -n k8s.io tasks ls | awk '$3 == "RUNNING" {print $1}'); left=;
for p in "$@"; do for c in $(ctr -n k8s.io containers ls -q \
"labels.\\"io.kubernetes.container.name\\"==$p,labels.\\"io.cri-containerd.kind\\"==container"); do
if printf '%s\\n' "$running" | grep -qxF -e "$c"; then left="$left $p";
ctr -n k8s.io tasks kill -s SIGKILL "$c" >/dev/null 2>&1 || :; fi; done; done;
[ -n "$left" ] || return 0;
n=$((n+1)); [ $n -le 30 ] || { echo "still running:$left" >&2; exit 1; }; sleep 1; done; };"""
# A kubelet that is disabled does not start etcd without data after a power cut: workers would be
# told that they have no pods.
_STOP = f"""set -e; {_KILL} systemctl disable --quiet kubelet.service;
sync -f /etc/systemd/system; systemctl stop kubelet.service; kill_all {" ".join(STATIC_PODS)}"""
_START = """systemctl reset-failed kubelet.service 2>/dev/null;
systemctl enable --now --quiet kubelet.service"""

# On another control plane. Once without etcd's manifest, its kubelet does not start etcd again, now
# or after a power cut; it has some seconds to notice. $1 tells one restore from others: if the node
# has left for it, and the data is restored ($3), what is on it has joined the restored cluster. $2:
# the name of the control plane that is restored.
_LEAVE = f"""set -e; umask 077; {_ASIDE} {_KILL} m={LEFT};
[ -z "${{3-}}" ] || [ "$(sed -n 1p $m 2>/dev/null)" != "$1" ] || exit 0;
systemctl stop {INIT_UNIT} {JOIN_UNIT} 2>/dev/null || :;
f=/etc/kubernetes/manifests/etcd.yaml; if [ -e $f ]; then rm $f; sync -f "${{f%/*}}"; fi;
if command -v ctr >/dev/null; then kill_all etcd; sleep 3; kill_all etcd; fi;
aside; rm -rf {FOLDER} {_RESTORED}; mkdir -p "${{m%/*}}"; printf '%s\n' "$1" "$2" > $m.new;
sync $m.new; mv -f $m.new $m; sync "${{m%/*}}\""""
_WHICH = f"stat -c '%i %Z' {FOLDER}/manifest.json; cat {FOLDER}/step 2>/dev/null || :"

# What init was interrupted in is removed by kubeadm, with the data that was restored for it.
_UNDO = f"""set -e; umask 077; {_ASIDE} if [ -s {FOLDER}/step ]; then rm -f {FOLDER}/step;
sync {FOLDER}; else aside; fi"""
_BEGIN = f"set -e; {_STEP} step begun"
_INIT = f"""{_STEP} kubeadm init --config {CONFIG} --skip-token-print \
--ignore-preflight-errors=DirAvailable-{DATA.replace("/", "-")} && step initialized"""
_IMAGE = f"kubeadm config images list --config {CONFIG} | grep -m1 '/etcd:'"
_IMAGE_USED = "sed -n 's/^ *\\(- \\)\\{0,1\\}image: *//p' /etc/kubernetes/manifests/etcd.yaml"


def copy(host: Host, archive: bytes, manifest: Manifest) -> None:
    """
    Put the content of a backup on the node, for root alone; complete, or not at all.

    + archive: the tar archive, not encrypted

    ``HostFailure``: what has arrived is not what was sent.
    """
    here, progress = remote.of(host), Progress(host)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(archive), _PIECE):
            progress.show(f"{start >> 20} of {len(archive) >> 20} MB are on the node")
            yield archive[start : start + _PIECE]

    result = here.stream(StringCommand("sh", "-c", QuoteString(_UNPACK)), chunks=pieces())
    if result.status != 0:
        raise HostFailure(messages.NOT_COPIED(reason=result.last_line))
    try:
        sums = [f"{each.sha256}  {name}\n" for name, each in manifest.members.items()]
        here.run(_CHECK, stdin="".join(sums), seconds=300)
    except RemoteFailure as failure:
        raise HostFailure(messages.NOT_COPIED(reason=failure.args[0])) from failure


def reset(host: Host, user: str) -> bool:
    """
    Remove what a ``kubeadm init`` has left on a node; data that is not of this restore stays.

    + user: whose copy of the administrator's kubeconfig is removed too
    """
    here = remote.of(host)
    copy = here.gather(AdminCredentials(), user).copy
    for line in here.run(_UNDO):
        host.log(line)
    remote.of(host).job(RESET_UNIT).await_earlier(lambda line: detail(host, line), _MINUTES)
    teardown.start_reset(host, copy)
    return teardown.follow_reset(host)


def leave(host: Host, control_plane: Host) -> None:
    """
    Take a control plane out of the former cluster: its etcd is stopped, the data kept beside it.

    + control_plane: the one that is restored, which has the backup already

    Nothing is done to one that this restore has done it to before, once the data is restored: it
    has joined anew since. Until then it may have joined the former cluster again.
    """
    which, *step = remote.of(control_plane).run(_WHICH)
    for line in remote.of(host).run(_LEAVE, which, control_plane.name, *step, seconds=180):
        host.log(line)


def initialize(host: Host, manifest: Manifest, name: str, address: str, has_data: bool) -> bool:
    """
    Make the control plane again of its keys and the snapshot.

    + manifest: of the backup
    + name, address: of the node in the cluster
    + has_data: whether the snapshot is restored already
    """
    here = remote.of(host)
    if not has_data:
        here.run(_KEYS, f"v{manifest.kubernetes}")
        if name != manifest.node:
            _write_configuration(host, Registration(name, address))
        host.log("the keys of the cluster are on the node")
    if not pull_images(host.state, host):
        return False
    if not has_data and not restore_data(host, here.run(_IMAGE)[-1], name, address):
        return False
    here.run(_BEGIN)
    command = ["sh", "-c", _INIT]
    here.job(INIT_UNIT).start("bramble: kubeadm init", command)
    return follow_init(host)


def _write_configuration(host: Host, registration: Registration) -> None:
    """Make kubeadm's configuration, of another control plane, that of this one."""
    here = remote.of(host)
    text = "\n".join(here.run('cat -- "$1"', CONFIG))
    with understood(CONFIG):
        own = for_node(text, registration)
    here.execute(files.write_command(CONFIG, own, "600", "root", "root"))


def follow_init(host: Host) -> bool:
    """Follow the ``kubeadm init`` that runs."""
    return follow(host, "kubeadm init", INIT_UNIT, INIT_MINUTES)


def replace_data(host: Host, name: str, address: str) -> bool:
    """
    Stop the control plane, and restore its data; it is started by ``start``.

    + name, address: of the node in the cluster
    """
    here = remote.of(host)
    image = here.run(_IMAGE_USED)[-1]
    here.run(_STOP, seconds=120)
    host.log("the control plane is stopped")
    return restore_data(host, image, name, address)


def restore_data(host: Host, image: str, name: str, address: str) -> bool:
    """
    Restore the snapshot; former data is kept beside it.

    + image: of etcd, with its tag
    + name, address: of the node in the cluster
    """
    job = remote.of(host).job(RESTORE_UNIT)
    job.await_earlier(lambda line: detail(host, line), _MINUTES)
    words = ["sh", "-c", _RESTORE, "sh", image, name, f"https://{address}:{PEER_PORT}"]
    job.start("bramble: etcdutl snapshot restore", words)

    def show(line: str) -> None:
        if line.startswith("the former data"):
            host.log(line)
        elif line.strip():
            detail(host, line)

    outcome = job.follow(show, _MINUTES)
    if outcome.status == 0:
        host.log("the snapshot is restored")
        return True
    said = [line for line in outcome.lines if line.strip()] or ["it was stopped"]
    raise HostFailure(messages.NOT_RESTORED(reason=said[-1]))


def start(host: Host) -> None:
    """Start the kubelet, now and at every boot: it starts the control plane."""
    remote.of(host).run(_START)


def finish(host: Host) -> None:
    """Remove the backup from the node, and what a restore of another one has noted."""
    remote.of(host).run(f"rm -rf {FOLDER} {FOLDER}.new {_RESTORED} {LEFT}")
