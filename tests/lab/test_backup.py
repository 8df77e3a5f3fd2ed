"""Backups: made, proved, listed, encrypted, on a schedule, copied; cut off anywhere."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyrage
import pytest

from formats import age, backup
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.clusters import all_are_ready, kubectl
from tests.lab.runs import CLUSTER, Run, Watched, build, ok, pyinfra, start
from tests.lab.verifying import verify
from workstation import backups
from workstation.backups import Stored

pytestmark = pytest.mark.slow

INVENTORY = """
control_plane = [("node1", {"address": "192.168.2.11"})]
workers = [("node2", {"address": "192.168.2.12"})]
"""
DEPLOY = ["deploys/backup.py"]
OWN, COPIES = "/var/lib/bramble/backups", "/var/lib/bramble-backups"
KEEP = 3
SERVICE = "bramble-backup.service"
PASSPHRASE = "correct horse battery staple"
POD = "a-secret-of-a-pod"
SECRETS = (POD, b64encode(POD.encode()).decode())  # as etcd may have it


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A cluster whose control plane backs it up every night, with copies on its worker."""
    settings = {"backup_schedule": "daily 03:00", "backup_to": "node2", "backup_newest": KEEP}
    made = new_lab("backup", INVENTORY, in_use=True, topology="router", **settings)
    build(made)
    kubectl(made, "create", "secret", "generic", "hidden", f"--from-literal=key={POD}")
    yield made
    made.down()


def back_up(lab: Lab, *arguments: str) -> Run:
    return pyinfra(lab, "-y", *arguments, deploys=DEPLOY)


def folder(lab: Lab) -> Path:
    return lab.project / ".cluster/backups"


def good(lab: Lab) -> list[Stored]:
    return [each for each in backups.listed(folder(lab)) if each.is_verified]


def on_node(lab: Lab, node: str, place: str) -> list[str]:
    names = ok(lab.ssh(node, f"sudo ls {place} 2>/dev/null || :")).split()
    return sorted(name for name in names if re.search(r"Z\.tar(\.age)?$", name))


def left_over(lab: Lab) -> list[str]:
    """What is there besides complete archives and their manifests."""
    here = [path.name for path in folder(lab).iterdir()]
    there = ok(lab.ssh("node1", f"sudo ls -A {OWN} /var/lib/etcd")).split()
    known = r".*Z\.tar(\.age)?(\.json)?|member|\.copied|.*:"
    return [name for name in [*here, *there] if not re.fullmatch(known, name)]


def listed(lab: Lab) -> list[dict[str, Any]]:
    done = lab.run(["python", "-m", "report.backups", "--json"])
    found: list[dict[str, Any]] = json.loads(ok(done))
    return found


def test_the_first_backup_is_made_and_copied_with_the_schedule(lab: Lab, tmp_path: Path) -> None:
    (made,) = on_node(lab, "node1", OWN)
    assert on_node(lab, "node2", COPIES) == [made]
    modes = "sudo find {} -type f ! -perm 600 ! -name authorized_keys; sudo stat -c %a {}"
    for node, place in (("node1", OWN), ("node2", COPIES)):
        assert ok(lab.ssh(node, modes.replace("{}", place))) == "700", node
    places = {"node1": OWN, "node2": COPIES}
    sums = [
        ok(lab.ssh(*at)) for at in ((n, f"sudo sha256sum {p}/{made}") for n, p in places.items())
    ]
    assert sums[0].split()[0] == sums[1].split()[0]
    again = pyinfra(lab, "-y", deploys=CLUSTER)
    assert all(again.left_alone(node) for node in ("node1", "node2")), again.output
    verified = verify(lab, tmp_path / "report.xml")
    assert verified.status == 0, verified.output


def test_an_archive_holds_the_cluster_and_is_listed(lab: Lab) -> None:
    run = back_up(lab)
    assert run.status == 0, run.output
    (kept,) = good(lab)
    assert kept.manifest is not None
    pem = ok(lab.ssh("node1", "sudo cat /etc/kubernetes/pki/ca.crt"))
    assert sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == kept.manifest.ca
    assert (kept.manifest.node, kept.manifest.address) == ("node1", "192.168.2.11")
    content: dict[str, bytes] = {}
    with kept.path.open("rb") as file:
        for name, piece in backup.unpacked(file):
            content[name] = content.get(name, b"") + piece
    for name in backup.KEYS:
        there = ok(lab.ssh("node1", f"sudo sha256sum /etc/kubernetes/{name}")).split()[0]
        assert kept.manifest.members[f"{backup.FILES}{name}"].sha256 == there, name
    assert any(word.encode() in content[backup.SNAPSHOT] for word in SECRETS)
    rows = listed(lab)
    assert {row["verified"] for row in rows} == {"yes"}
    assert [row["where"].partition(":")[0] for row in rows].count("node1") == 2
    assert {row["objects"] for row in rows} >= {kept.manifest.objects}
    assert left_over(lab) == []


def test_no_secret_is_shown_or_left(lab: Lab) -> None:
    """Encrypted with a passphrase, with all that pyinfra can print."""
    key = lab.project / ".cluster/backup_key"
    key.touch(mode=0o600)
    key.write_text(f"{PASSPHRASE}\n")
    words = ("-vv", "--diff", "--data", "backup_encryption=passphrase", "--data", "backup_to=None")
    with Watched() as watched:
        run = back_up(lab, *words)
    assert run.status == 0, run.output
    assert any("etcdctl" in line for line in watched.seen), "nothing was watched"
    kept = good(lab)[0]
    assert kept.path.suffix == ".age"
    assert kept.manifest is not None
    opened = age.decrypt(kept.path.read_bytes(), PASSPHRASE)
    assert any(word.encode() in opened for word in SECRETS)
    secret = ok(lab.ssh("node1", "sudo sed -n 3p /etc/kubernetes/pki/ca.key"))
    assert len(secret) == 64
    logs = [path.read_text() for path in (lab.project / ".cluster/logs").iterdir()]
    journal = ok(lab.ssh("node1", "sudo journalctl -b --no-pager"))
    unit = ok(lab.ssh("node1", "sudo sh -c 'cat /run/bramble/bramble-backup-now.*'"))
    for text in [run.output, *watched.seen, *logs, journal, unit]:
        for word in (PASSPHRASE, secret, *SECRETS):
            assert word not in text, text[:200]
    plain = [path for path in folder(lab).iterdir() if path.suffix == ".age"]
    assert [path for path in plain if secret.encode() in path.read_bytes()] == []
    places = "/tmp /var/tmp /run /dev/shm /root /home"
    search = f"find {places} -xdev -type f -size -9000k -print0 2>/dev/null"
    grep = f"sudo sh -c '{search} | xargs -0 grep -lF -e {secret}' || :"
    assert ok(lab.ssh("node1", grep)) == ""
    assert left_over(lab) == []
    key.unlink()
    refused = back_up(lab, *words)
    assert refused.status != 0
    assert "BAK005" in codes(refused.output), refused.output


@contextmanager
def writing(lab: Lab) -> Iterator[list[int]]:
    """Make objects all the time, one after another: seq-0, seq-1, …"""
    made: list[int] = []
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            kubectl(lab, "create", "configmap", f"seq-{len(made)}")
            made.append(len(made))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert until(lambda: len(made) > 3, pause=0.1)
        yield made
    finally:
        over.set()
        thread.join()


# etcd on a restored snapshot, on ports of its own: the names of the objects.
RESTORED = """set -e; d=$(mktemp -d); trap 'kill "$p"; rm -rf "$d"' EXIT; cd "$d"; p=
tar -xf OWN/NAME etcd.db; at=/usr/lib/stand-in/etcd; export ETCDCTL_API=3
"$at"/etcdutl snapshot restore etcd.db --data-dir "$d/data" >/dev/null 2>&1
u=http://127.0.0.1:12379
"$at"/etcd --data-dir "$d/data" --listen-client-urls "$u" --advertise-client-urls "$u" \
--listen-peer-urls http://127.0.0.1:12380 >/dev/null 2>&1 & p=$!
until "$at"/etcdctl --endpoints "$u" endpoint health >/dev/null 2>&1; do sleep 1; done
"$at"/etcdctl --endpoints "$u" get /registry/ --prefix --keys-only | grep ."""


def test_a_snapshot_while_objects_are_written_is_a_state_that_was(lab: Lab) -> None:
    with writing(lab) as made:
        run = back_up(lab)
        assert run.status == 0, run.output
        done = len(made)
        assert until(lambda: len(made) > done, pause=0.1)
    kept = good(lab)[0]
    assert kept.manifest is not None
    script = RESTORED.replace("OWN", OWN).replace("NAME", kept.path.name)
    keys = ok(lab.ssh("node1", "sudo sh", stdin=script)).split()
    numbers = sorted(int(key.rpartition("-")[2]) for key in keys if "/seq-" in key)
    assert numbers == list(range(len(numbers)))
    assert 3 < len(numbers) < len(made)
    assert len(keys) == kept.manifest.objects


@pytest.mark.parametrize(
    ("word", "at"),
    [
        ("restoring them", "node1"),
        ("backup on this computer", "here"),
        *(
            pytest.param(word, at, marks=pytest.mark.long)
            for word, at in (
                ("saving the objects", "node1"),
                ("saving the objects", "here"),
                ("restoring them", "here"),
            )
        ),
    ],
)
def test_cut_off_at_each_step_nothing_is_lost(lab: Lab, word: str, at: str) -> None:
    before, there = good(lab), on_node(lab, "node1", OWN)
    run = start(lab, "-y", "-vv", deploys=DEPLOY)
    assert run.stdout is not None
    assert any(word in line for line in run.stdout)
    if at == "node1":
        lab.power_off("node1")
    else:
        os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert len(good(lab)) >= len(before)
    if at == "node1":
        lab.power_on("node1")
        all_are_ready(lab, "node1", "node2")
    assert len(on_node(lab, "node1", OWN)) >= len(there)
    last = back_up(lab)
    assert last.status == 0, last.output
    assert good(lab)[0].path not in {each.path for each in before}
    assert left_over(lab) == []


@contextmanager
def days_later(lab: Lab, days: int) -> Iterator[None]:
    """The service's `date` is days ahead."""
    clock = "/run/clock"
    path = f"{clock}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    script = f"""set -e; d=/run/systemd/system/{SERVICE}.d; mkdir -p {clock} "$d"; cd {clock}
printf '#!/bin/sh\\nexec /usr/bin/date -d "+{days} days" "$@"\\n' > ./date; chmod 755 ./date
printf '[Service]\\nEnvironment=PATH={path}\\n' > "$d/x.conf"; systemctl daemon-reload"""
    ok(lab.ssh("node1", "sudo sh", stdin=script))
    yield
    undo = f"sudo rm -r {clock} /run/systemd/system/{SERVICE}.d; sudo systemctl daemon-reload"
    ok(lab.ssh("node1", undo))


def run_service(lab: Lab) -> int:
    return lab.ssh("node1", f"sudo systemctl start {SERVICE}").returncode


def test_the_timer_starts_it_and_the_newest_are_kept_on_both_nodes(lab: Lab) -> None:
    shown = ok(lab.ssh("node1", "systemctl list-timers --no-pager bramble-backup.timer"))
    assert " 03:00:00 " in shown
    before = on_node(lab, "node1", OWN)
    # The next time comes now.
    soon = "d=/run/systemd/system/bramble-backup.timer.d; mkdir -p $d; cd $d; " + (
        "printf '[Timer]\\nOnCalendar=\\nOnCalendar=*:*:0/5\\nAccuracySec=1s\\n' > x.conf; "
        "systemctl daemon-reload; systemctl restart bramble-backup.timer"
    )
    ok(lab.ssh("node1", "sudo sh", stdin=soon))
    assert until(lambda: on_node(lab, "node1", OWN)[-1] != before[-1], pause=1)
    undo = "rm -r /run/systemd/system/bramble-backup.timer.d; systemctl daemon-reload; "
    ok(lab.ssh("node1", "sudo sh", stdin=f"{undo} systemctl restart bramble-backup.timer"))
    inactive = f"systemctl show -p ActiveState --value {SERVICE}"
    assert until(lambda: ok(lab.ssh("node1", inactive)) == "inactive", pause=1)
    for day in (1, 2):
        with days_later(lab, day):
            assert run_service(lab) == 0
    own = on_node(lab, "node1", OWN)
    assert len(own) == KEEP
    assert on_node(lab, "node2", COPIES) == own


def test_copies_for_a_recipient_leave_the_control_plane_encrypted(lab: Lab) -> None:
    identity = pyrage.x25519.Identity.generate()
    setting = ("--data", f"backup_encryption={identity.to_public()}")
    run = pyinfra(lab, "-y", *setting, deploys=["deploys/backup_schedule.py"])
    assert run.status == 0, run.output
    with days_later(lab, 3):
        assert run_service(lab) == 0
    newest = on_node(lab, "node1", OWN)[-1]
    copy = f"sudo base64 -w0 {COPIES}/{newest}.age"
    opened = age.decrypt(b64decode(ok(lab.ssh("node2", copy))), str(identity))
    assert sha256(opened).hexdigest() in ok(lab.ssh("node1", f"sudo sha256sum {OWN}/{newest}"))
    back = pyinfra(lab, "-y", deploys=["deploys/backup_schedule.py"])
    assert back.status == 0, back.output
    assert run_service(lab) == 0


@pytest.mark.long
def test_a_node_that_is_away_is_noticed_and_gets_its_copies_later(lab: Lab, tmp_path: Path) -> None:
    lab.power_off("node2")
    with days_later(lab, 4):
        assert run_service(lab) != 0
    own = on_node(lab, "node1", OWN)
    lab.power_on("node2")
    all_are_ready(lab, "node1", "node2")
    assert own[-1] not in on_node(lab, "node2", COPIES)
    verified = verify(lab, tmp_path / "report.xml", "-k", "backups")
    assert verified.status != 0
    assert "VER101" in codes(verified.output), verified.output
    drift = lab.run(["python", "-m", "report", "drift", "--json"])
    assert drift.returncode == 2, drift.stdout
    assert "back up the cluster now" in drift.stdout
    run = pyinfra(lab, "-y", deploys=["deploys/backup_schedule.py"])
    assert run.status == 0, run.output
    assert own[-1] in on_node(lab, "node2", COPIES)
    assert lab.run(["python", "-m", "report", "drift"]).returncode == 0


def test_the_key_opens_nothing_but_the_folder_of_copies(lab: Lab) -> None:
    def there(command: str, *options: str) -> Any:
        words = "ssh -F /dev/null -i /etc/bramble/backup-key -o BatchMode=yes "
        words += "-o UserKnownHostsFile=/etc/bramble/backup-known-hosts "
        return lab.ssh("node1", f"sudo {words}{' '.join(options)} bramble-backup@node2 {command}")

    listed_there = lab.ssh("node1", "sudo grep -c . /etc/bramble/backup-known-hosts")
    assert int(ok(listed_there)) >= 1
    for command in ("id", "sh", "'list; id'", "'put x y'", "''"):
        done = there(command, "-o HostKeyAlias=192.168.2.12")
        assert done.returncode != 0, command
        assert "uid=" not in done.stdout
    assert ok(there("list", "-o HostKeyAlias=192.168.2.12")).split()


def test_the_newest_copy_is_fetched_while_the_control_plane_is_away(lab: Lab) -> None:
    newest = [name for name in on_node(lab, "node2", COPIES) if name.endswith(".tar")][-1]
    assert not (folder(lab) / newest).exists()
    lab.power_off("node1")
    identity = pyrage.x25519.Identity.generate()
    run = back_up(lab, "--data", f"backup_encryption={identity.to_public()}")
    assert run.status != 0  # node1 has failed
    assert "RUN016" in codes(run.output), run.output
    kept = folder(lab) / f"{newest}.age"
    with (folder(lab) / newest).open("wb") as file:
        file.write(age.decrypt(kept.read_bytes(), str(identity)))
    with (folder(lab) / newest).open("rb") as file:
        assert backup.verify(file).name == newest
    assert any(row["where"].startswith("node2:") for row in listed(lab))
    lab.power_on("node1")
    all_are_ready(lab, "node1", "node2")


def test_out_of_the_settings_it_goes_and_the_backups_stay(lab: Lab) -> None:
    file = lab.project / "group_data/all.py"
    text = re.sub(r"(?m)^backup_schedule = .*$", 'backup_schedule = "off"', file.read_text())
    file.write_text(re.sub(r"(?m)^backup_to = .*$", "backup_to = None", text))
    own, copies = on_node(lab, "node1", OWN), on_node(lab, "node2", COPIES)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    files = "/usr/local/lib/bramble /etc/bramble/backup-* /etc/systemd/system/bramble-backup*"
    for node in ("node1", "node2"):
        left = ok(lab.ssh(node, f"sudo find {files} -type f 2>/dev/null || :"))
        assert left == "", node
    assert ok(lab.ssh("node1", "systemctl list-timers --no-pager")).count("bramble") == 0
    assert lab.ssh("node2", "getent passwd bramble-backup").returncode != 0
    assert (on_node(lab, "node1", OWN), on_node(lab, "node2", COPIES)) == (own, copies)
    assert ok(lab.ssh("node2", f"sudo stat -c '%U %a' {COPIES}")) == "root 700"
    again = pyinfra(lab, "-y", deploys=CLUSTER)
    assert all(again.left_alone(node) for node in ("node1", "node2")), again.output


def test_nothing_is_deleted_without_the_last_backup_that_was_asked_for(lab: Lab) -> None:
    words = ("-y", "--data", "yes=bramble", "--data", "backup=yes")
    before = good(lab)
    full = f"sudo mount -t tmpfs -o size=8k tmpfs {OWN}"
    ok(lab.ssh("node1", full))
    refused = pyinfra(lab, *words, deploys=["deploys/reset.py"])
    assert refused.status != 0
    assert "BAK014" in codes(refused.output), refused.output
    all_are_ready(lab, "node1", "node2")
    ok(lab.ssh("node1", f"sudo umount {OWN}"))
    run = pyinfra(lab, *words, deploys=["deploys/reset.py"])
    assert run.status == 0, run.output
    assert {each.path for each in good(lab)} - {each.path for each in before}
    assert lab.ssh("node1", "sudo ls /etc/kubernetes/pki/ca.key").returncode != 0
