"""Copies of backups: what sends them, what takes them, and what the timer's files say."""

from __future__ import annotations

import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pyrage
import pytest

from facts.backup_schedule import PERIODS_S, ScheduleState, overdue
from formats import age, backup, backup_schedule
from formats.authorized_keys import key as parse_key
from operations.backup import schedule
from tests.formats.test_backup import CONTENTS, manifest, packed
from tests.shell import shell

HERE = Path(schedule.__file__).parent
COPY, RECEIVE, TURN = ((HERE / f"{name}.sh").read_text() for name in ("copy", "receive", "turn"))
# The other node is another folder. It notes its requests; the file "away" keeps it from answering,
# "cut" ends the connection in the middle of a file.
SSH = r"""for request; do :; done; while [ "${1#bramble-backup@}" = "$1" ]; do shift; done; shift
[ ! -e AT/away ] || exit 255
echo "$*" >> AT/requests
if [ -e AT/cut ] && [ "$1" = put ]; then head -c 100 | sh AT/receive.sh KEEP "$*"; exit 255; fi
exec sh AT/receive.sh KEEP "$*"
"""


def real_age(recipient: object) -> str:
    """The program age, in Python."""
    import sys

    code = (
        "import sys, pyrage; a = sys.argv; r = pyrage.x25519.Recipient.from_str(a[a.index("
        "'--recipient') + 1]); out = a[a.index('--output') + 1]; "
        "open(out, 'wb').write(pyrage.encrypt(open(a[-1], 'rb').read(), [r]))"
    )
    return f'exec {sys.executable} -c "{code}" "$@"'


class Pair:
    """A control plane with some backups, and the node that takes copies."""

    def __init__(self, root: Path, keep: int = 3) -> None:
        self.own, self.other = root / "own", root / "other"
        self.tools = root / "tools"
        for folder in (self.own, self.other, self.tools):
            folder.mkdir()
        receive = RECEIVE.replace("/var/lib/bramble-backups", str(self.other))
        (self.tools / "receive.sh").write_text(receive)
        self.ssh = SSH.replace("AT", str(self.tools)).replace("KEEP", str(keep))
        self.copy = COPY.replace("/var/lib/bramble/backups", str(self.own))

    def make(self, day: int) -> str:
        taken = manifest().taken.replace(day=day)
        text = backup.render(manifest(taken=taken))
        path = self.own / backup.file_name("bramble", taken)
        path.write_bytes(packed(CONTENTS, text))
        with path.open("rb") as file:
            beside = backup.render(backup.beside(manifest(taken=taken), backup.digest(file)))
        # As archive.sh writes it: the last two lines are about the archive, and about itself.
        head, _, tail = beside.rpartition(' "archive":')
        digest = "".join(tail.partition('"sum"')[0].split()).removesuffix(",")
        Path(f"{path}.json").write_text(backup.sealed(f'{head}"archive":{digest}}}'))
        return path.name

    def send(self, recipient: str = "") -> subprocess.CompletedProcess[str]:
        program = real_age(recipient)
        words = ("192.168.2.12", recipient)
        return shell(self.copy, *words, tools=self.tools, ssh=self.ssh, age=program)

    def requests(self) -> list[str]:
        path = self.tools / "requests"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.split()[0] for line in found]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".copied"))


def test_what_the_other_node_lacks_is_copied_once(pair: Pair) -> None:
    first, second = pair.make(1), pair.make(2)
    done = pair.send()
    assert done.returncode == 0, done.stderr
    assert names(pair.other) == names(pair.own)
    assert (pair.own / ".copied").read_text() == f"{second}\n"
    with (pair.other / first).open("rb") as file:
        backup.verify(file)
    assert {path.stat().st_mode & 0o77 for path in pair.other.iterdir()} == {0}
    assert pair.requests() == ["list", "put", "put", "put", "put"]
    assert pair.send().returncode == 0
    assert pair.requests() == ["list"]


def test_for_a_recipient_only_what_is_encrypted_leaves_the_node(pair: Pair) -> None:
    identity = pyrage.x25519.Identity.generate()
    name = pair.make(1)
    done = pair.send(str(identity.to_public()))
    assert done.returncode == 0, done.stderr
    assert names(pair.other) == [f"{name}.age", f"{name}.age.json"]
    content = (pair.other / f"{name}.age").read_bytes()
    assert age.decrypt(content, str(identity)) == (pair.own / name).read_bytes()
    beside = backup.parse((pair.other / f"{name}.age.json").read_text())
    assert beside.archive == backup.Digest(sha256(content).hexdigest(), len(content))
    pair.requests()
    assert pair.send(str(identity.to_public())).returncode == 0
    assert pair.requests() == ["list"]
    assert names(pair.own) == [name, f"{name}.json"]


def test_with_a_recipient_set_later_those_that_are_not_encrypted_age_out(pair: Pair) -> None:
    identity = pyrage.x25519.Identity.generate()
    for day in range(1, 4):
        pair.make(day)
    assert pair.send().returncode == 0
    for day in range(4, 8):
        pair.make(day)
        oldest = sorted(pair.own.glob("*Z.tar"))[0]
        oldest.unlink()
        Path(f"{oldest}.json").unlink()
        assert pair.send(str(identity.to_public())).returncode == 0
        assert len({name.split(".")[0] for name in names(pair.other)}) == 3
    pair.requests()
    assert pair.send(str(identity.to_public())).returncode == 0
    assert pair.requests() == ["list"]
    assert {name.partition(".")[2] for name in names(pair.other)} == {"tar.age", "tar.age.json"}


def test_a_node_that_was_away_gets_all_of_them_later(pair: Pair) -> None:
    pair.make(1)
    (pair.tools / "away").touch()
    assert pair.send().returncode != 0
    assert not (pair.own / ".copied").exists()
    pair.make(2)
    assert pair.send().returncode != 0
    (pair.tools / "away").unlink()
    assert pair.send().returncode == 0
    assert names(pair.other) == names(pair.own)


def test_cut_off_in_a_file_the_earlier_copies_stay(pair: Pair) -> None:
    pair.make(1)
    assert pair.send().returncode == 0
    before = names(pair.other)
    pair.make(2)
    (pair.tools / "cut").touch()
    assert pair.send().returncode != 0
    assert names(pair.other) == before
    (pair.tools / "cut").unlink()
    (pair.other / ".new.cut-off").touch()
    assert pair.send().returncode == 0
    assert names(pair.other) == names(pair.own)


def test_the_newest_are_kept(pair: Pair) -> None:
    made = [pair.make(day) for day in range(1, 6)]
    assert pair.send().returncode == 0
    assert names(pair.other) == sorted(each for name in made[2:] for each in (name, f"{name}.json"))
    (pair.other / "bramble-20990101T000000Z.tar").touch()  # the clock was ahead then
    made.append(pair.make(6))
    assert pair.send().returncode == 0
    assert made[-1] in names(pair.other)


@pytest.mark.parametrize(
    "asked",
    [
        "", "list /etc", "ls", "put", "put x", "put /etc/passwd 00", "put .ssh 00", "put ../x 00",
        "put a/../b-20261130T031500Z.tar 00", "put authorized_keys 00", "put x.json 00",
        "list; id", "put $(id)Z.tar 00", "put -Z.tar x y", "sh -c id", "put *Z.tar 00",
    ],
)  # fmt: skip
def test_nothing_else_is_taken(pair: Pair, asked: str) -> None:
    pair.make(1)
    pair.send()
    before = names(pair.other)
    script = (pair.tools / "receive.sh").read_text()
    done = subprocess.run(
        ["sh", "-c", script, "receive", "3", asked], input="x", text=True, capture_output=True
    )
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert names(pair.other) == before


def test_a_copy_is_never_replaced(pair: Pair) -> None:
    name = pair.make(1)
    pair.send()
    before = (pair.other / name).read_bytes()
    script = (pair.tools / "receive.sh").read_text()
    for target in (name, f"{name}.json"):
        request = f"put {target} {sha256(b'other').hexdigest()}"
        done = subprocess.run(
            ["sh", "-c", script, "receive", "3", request], input=b"other", capture_output=True
        )
        assert done.returncode != 0
    assert (pair.other / name).read_bytes() == before


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    service = backup_schedule.service(
        ["/bin/sh", "/dev/null", "7", "100%$HOME", 'a "b"'], ["/bin/sh", "/dev/null", "", "age1 x"]
    )
    timer = backup_schedule.timer("03:00")
    (tmp_path / f"{backup_schedule.NAME}.service").write_text(service)
    (tmp_path / f"{backup_schedule.NAME}.timer").write_text(timer)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"{backup_schedule.NAME}.timer"],
        cwd=tmp_path,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert '"100%%$$HOME" "a \\"b\\""' in service


def test_the_authorized_key_starts_one_command_alone() -> None:
    blob = "AAAAC3NzaC1lZDI1NTE5AAAAIKdm+RnC4r7a3pX0l8kYb0zO2ZcE2gH2X3i3m1kz0y4a"
    command = 'sh /x 7 "$SSH_ORIGINAL_COMMAND"'.replace('"', '\\"')
    line = f'restrict,from="192.168.2.11",command="{command}" ssh-ed25519 {blob} c'
    assert [option.partition("=")[0] for option in parse_key(line).options] == [
        "restrict",
        "from",
        "command",
    ]


NOW = 1_800_000_000


def state(**changes: object) -> ScheduleState:
    values: dict[str, object] = {
        "enabled": True, "active": True, "failed": False, "newest": NOW - 86_000,
        "copied": NOW - 86_000, "now": NOW,
    }  # fmt: skip
    return ScheduleState(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("observed", "copies", "due"),
    [
        (state(), True, False),
        (state(failed=True), False, True),
        (state(newest=None), False, True),
        (state(newest=NOW - PERIODS_S - 1), False, True),
        (state(newest=NOW - PERIODS_S + 60), False, False),
        (state(copied=None), False, False),
        (state(copied=None), True, True),
        (state(copied=NOW - PERIODS_S - 1), True, True),
        (state(newest=NOW + 90_000), False, False),
    ],
)
def test_a_backup_is_overdue_after_two_periods(
    observed: ScheduleState, copies: bool, due: bool
) -> None:
    assert bool(overdue([observed], copies)) == due


def test_of_several_control_planes_the_newest_backup_counts() -> None:
    never, late = state(newest=None, copied=None), state(newest=NOW - PERIODS_S - 1)
    assert overdue([never, state()], copies=True) == ""
    assert overdue([late, never, state()], copies=True) == ""
    assert overdue([late, never], copies=False) != ""
    assert overdue([state(), state(failed=True)], copies=False) != ""


CURL = """for url; do :; done; echo "$url" >> AT/asked
case "$url" in WELL) exit 0;; esac; exit 7"""


@pytest.mark.parametrize(
    ("well", "before", "turn"),
    [
        (["11"], [], True),
        (["11", "12", "13"], ["11"], False),
        (["12", "13"], ["11"], True),
        (["12", "13"], ["11", "12"], False),
        (["13"], ["11", "12"], True),
        (["11"], ["11"], False),
        ([], [], False),
    ],
)
def test_the_first_control_plane_that_is_well_makes_the_backup(
    tmp_path: Path, well: list[str], before: list[str], turn: bool
) -> None:
    own = f"192.168.2.1{len(before) + 1}"
    urls = "|".join(f"*.{each}:6443/livez" for each in well) or "none"
    curl = CURL.replace("AT", str(tmp_path)).replace("WELL", urls)
    others = [f"192.168.2.{each}" for each in before]
    done = shell(TURN, own, *others, tools=tmp_path, curl=curl, sleep="exit 0")
    assert (done.returncode == 0) == turn, done.stderr
    asked = (tmp_path / "asked").read_text().split()
    assert asked[0] == f"https://{own}:6443/livez"
    # What has started only now is waited for, for some time.
    assert len(asked) == 1 + 6 * len(others) or not turn


def test_only_several_control_planes_take_turns() -> None:
    command = ["/bin/sh", "/archive.sh"]
    turn = ["/bin/sh", "/turn.sh", "192.168.2.12", "192.168.2.11"]
    assert "ExecCondition" not in backup_schedule.service(command)
    lines = backup_schedule.service(command, condition=turn).splitlines()
    at = lines.index("ExecCondition=/bin/sh /turn.sh 192.168.2.12 192.168.2.11")
    assert lines[at + 1].startswith("ExecStart=")
