"""The node's side of the rollback guard: state saved and restored, half a message ignored."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand

from formats import keepalived
from messages import network
from operations import guard
from operations.guard import Step, as_steps, transaction
from tests.formats.test_iptables_real import FOREIGN, Shell, rules_of, sh

__all__ = ["sh"]
STATE = Path(transaction.__file__).parent / "state.sh"


def run(script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], input=stdin, capture_output=True, text=True)


def seen(folder: Path) -> list[str]:
    """Everything below a folder, with kind, mode, time and content."""
    script = "find . -printf '%p %y %m %l ' -type f -printf '%T@ ' -exec md5sum {} \\; -o -print"
    return sorted(run(f"cd {folder} && {script}").stdout.splitlines())


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A file for few, a link, and a folder that is not for everybody."""
    folder = tmp_path / "etc"
    (folder / "keys").mkdir(parents=True, mode=0o700)
    (folder / "file").write_bytes(b"old\xff\n")
    (folder / "file").chmod(0o640)
    (folder / "link").symlink_to("file")
    (folder / "gone").write_text("goes\n")
    return folder


def kept(etc: Path, *names: str) -> Path:
    """The saved state of some paths."""
    kept = etc.parent / "kept"
    (kept / "old").mkdir(parents=True)
    (kept / "paths").write_text("".join(f"{etc}/{name}\n" for name in names))
    for name in ("interfaces", "prefixes", "reload"):
        (kept / name).touch()
    assert run(f". {STATE}; save {kept}").returncode == 0
    return kept


NAMES = ("file", "link", "gone", "keys", "keys/new", "made/here/too")


def change_all(etc: Path) -> None:
    (etc / "file").unlink()
    (etc / "file").write_text("new\n")
    (etc / "link").unlink()
    (etc / "link").write_text("new\n")
    (etc / "gone").unlink()
    (etc / "keys").chmod(0o755)
    (etc / "keys" / "new").write_text("new\n")
    (etc / "made" / "here").mkdir(parents=True)
    (etc / "made" / "here" / "too").write_text("new\n")


def test_everything_is_restored_byte_for_byte(etc: Path) -> None:
    before = seen(etc)
    state = kept(etc, *NAMES)
    change_all(etc)
    assert seen(etc) != before
    assert run(f". {STATE}; restore {state} boot").returncode == 0
    assert seen(etc) == before


def test_an_interrupted_restore_is_repeated(etc: Path) -> None:
    before = seen(etc)
    state = kept(etc, *NAMES)
    change_all(etc)
    cut = f". {STATE}; mv() {{ kill -9 $$; }}; restore {state} boot"
    assert run(cut).returncode != 0
    assert seen(etc) != before
    assert run(f". {STATE}; restore {state} boot").returncode == 0
    assert seen(etc) == before


def test_a_folder_that_became_a_link_is_not_followed(etc: Path) -> None:
    (etc / "keys" / "mine").write_text("old\n")
    state = kept(etc, "keys/mine")
    shutil.rmtree(etc / "keys")
    other = etc.parent / "other"
    other.mkdir()
    (etc / "keys").symlink_to(other)
    assert run(f". {STATE}; restore {state} boot").returncode != 0
    assert list(other.iterdir()) == []


def test_a_home_behind_a_link_gets_its_folder_back(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    before = seen(tmp_path / "disk")
    state = kept(tmp_path / "home", ".ssh", ".ssh/authorized_keys")
    (tmp_path / "disk" / ".ssh").mkdir()
    (tmp_path / "disk" / ".ssh" / "authorized_keys").write_text("new\n")
    assert run(f". {STATE}; restore {state} boot").returncode == 0
    assert seen(tmp_path / "disk") == before


def test_own_chains_are_restored_and_those_of_others_stay(sh: Shell, tmp_path: Path) -> None:
    own = """*filter
:BRAMBLE-FORWARD - [0:0]
-A BRAMBLE-FORWARD -s 10.0.0.0/8 -j ACCEPT
-I FORWARD 2 -j BRAMBLE-FORWARD
COMMIT
"""
    sh("iptables-restore", FOREIGN)
    sh("iptables-restore --noflush", own)
    before = rules_of(sh("iptables-save", ""))
    (tmp_path / "rules").write_text(sh("iptables-save", ""))
    sh("iptables -F BRAMBLE-FORWARD; iptables -D FORWARD -j BRAMBLE-FORWARD", "")
    sh("iptables -t nat -N BRAMBLE-INPUT; iptables -t nat -A INPUT -j BRAMBLE-INPUT", "")
    sh(f". {STATE}; run={tmp_path}/now; mkdir $run; restore_rules BRAMBLE {tmp_path}/rules", "")
    assert rules_of(sh("iptables-save", "")) == before


@pytest.fixture
def pending(etc: Path) -> Path:
    """A guard with a pending change, on folders of its own; the file has changed since."""
    folder = etc.parent
    script = (STATE.parent / "guard.sh").read_text()
    for place, instead in (
        ("/var/lib/bramble/guard", "guard"),
        ("/run/bramble/guard", "run"),
        ("/etc/systemd/system", "units"),
    ):
        script = script.replace(place, f"{folder}/{instead}")
    state = kept(etc, "file")
    (state / "id").write_text("id\n")
    for name in ("guard", "run", "units", "bin"):
        (folder / name).mkdir()
    state.rename(folder / "guard" / "pending")
    (folder / "run" / "id").write_text("id\n")
    (folder / "guard.sh").write_text(f"PATH={folder}/bin:$PATH\n{script}")
    shutil.copy(STATE, folder)
    for name in ("systemctl", "sync"):
        (folder / "bin" / name).write_text("#!/bin/sh\n")
        (folder / "bin" / name).chmod(0o755)
    (etc / "file").write_text("new\n")
    return folder


def test_a_timer_that_comes_after_the_confirmation_changes_nothing(pending: Path) -> None:
    (pending / "guard" / "pending" / "network").write_text("")
    assert run(f"sh {pending}/guard.sh confirm").stdout == "confirmed\n"
    assert run(f"sh {pending}/guard.sh rollback").returncode == 0
    assert (pending / "etc" / "file").read_text() == "new\n"
    assert list((pending / "guard").iterdir()) == []


def test_a_confirmation_after_the_timer_comes_too_late(pending: Path) -> None:
    (pending / "guard" / "previous").mkdir()
    assert run(f"sh {pending}/guard.sh rollback").returncode == 0
    assert (pending / "etc" / "file").read_bytes() == b"old\xff\n"
    assert run(f"sh {pending}/guard.sh confirm").stdout == "late\n"
    assert [path.name for path in (pending / "guard").iterdir()] == ["previous"]


def test_a_boot_goes_on_with_what_a_power_cut_has_left(pending: Path) -> None:
    (pending / "guard" / "pending").rename(pending / "guard" / "restoring")
    assert run(f"sh {pending}/guard.sh boot").returncode == 0
    assert (pending / "etc" / "file").read_bytes() == b"old\xff\n"
    assert list((pending / "guard").iterdir()) == []


def test_a_power_cut_before_all_is_cleared_away_leaves_the_next_boots_unit(pending: Path) -> None:
    unit = pending / "units" / "bramble-guard.service"
    unit.touch()
    (pending / "bin" / "sync").write_text("#!/bin/sh\nkill -9 $PPID\n")
    assert run(f"sh {pending}/guard.sh rollback").returncode != 0
    assert (pending / "guard" / "restoring").is_dir()
    assert unit.exists()
    (pending / "bin" / "sync").write_text("#!/bin/sh\n")
    assert run(f"sh {pending}/guard.sh boot").returncode == 0
    assert list((pending / "guard").iterdir()) == []
    assert not unit.exists()


WLAN0_HAS_IT = "eth0 \nwlan0 192.168.1.1\n"
BY_WLAN0 = "default via 192.168.1.1 dev wlan0 "
BY_ANOTHER = "default via 192.168.2.9 dev eth0 "
NO_ROUTE = "NET027|interface=eth0|gateway=192.168.2.1"
CHECK = """. {guard} > /dev/null; kept={kept}
ip() {{ cat {kept}/routes; }}; answers() {{ true; }}; resolves() {{ {resolves}; }}; sleep() {{ :; }}
failed_check"""


@pytest.mark.parametrize(
    ("had", "desired", "routes", "resolves", "reason"),
    [
        # One of two default routes is given up: names must resolve by the other one.
        ("eth0 wlan0", WLAN0_HAS_IT, BY_WLAN0, False, "NET029"),
        # Another interface gets the default route instead.
        ("eth0", WLAN0_HAS_IT, BY_WLAN0, False, "NET029"),
        ("eth0", WLAN0_HAS_IT, BY_WLAN0, True, ""),
        ("eth0", "eth0 192.168.2.1\n", BY_ANOTHER, True, NO_ROUTE),
        ("eth0", "", "", True, "NET028"),
        # The change removes the only interface that had a default route.
        ("eth0", "eth0 \n", "", False, ""),
    ],
)  # fmt: skip
def test_what_a_node_could_do_before_it_must_still_do(
    tmp_path: Path, had: str, desired: str, routes: str, resolves: bool, reason: str
) -> None:
    (tmp_path / "pending").mkdir()
    lines = [f"default {interface}" for interface in had.split()]
    (tmp_path / "pending" / "expected").write_text("\n".join([*lines, "names", ""]))
    (tmp_path / "pending" / "default-routes").write_text(desired)
    (tmp_path / "routes").write_text(routes)
    script = (STATE.parent / "guard.sh").read_text().partition("case $1 in")[0]
    (tmp_path / "guard.sh").write_text(script)
    shutil.copy(STATE, tmp_path)
    asked = CHECK.format(
        guard=tmp_path / "guard.sh", kept=tmp_path, resolves="true" if resolves else "false"
    )
    said = run(
        f"set --; cd {tmp_path}; here={tmp_path}; {asked.replace('. ', 'here=.; . ', 1)}"
    ).stdout
    assert said.strip() == reason


def test_a_node_that_has_not_begun_yet_has_not_rolled_back(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "new").mkdir(parents=True)
    (kept / "new" / "id").write_text("id\n")
    ask = transaction._STATE.replace("/var/lib/bramble/guard", str(kept))
    ask = ask.replace("/run/bramble/guard", str(tmp_path / "run")).replace("sleep 0.25", ":")
    at_work = f"exec 9> {tmp_path}/run.lock; flock 9; set -- id; ( exec 9>&-; {ask} )"
    assert run(at_work).stdout == "running\n"
    assert run(f"set -- id; {ask}").stdout == "restored\n"


@pytest.mark.parametrize("place", ["previous", "access"])
def test_a_power_cut_after_the_confirmation_is_no_rollback(tmp_path: Path, place: str) -> None:
    """What /run had is gone after it."""
    kept = tmp_path / "kept"
    (kept / place).mkdir(parents=True)
    (kept / place / "id").write_text("id\n")
    ask = transaction._STATE.replace("/var/lib/bramble/guard", str(kept))
    ask = ask.replace("/run/bramble/guard", str(tmp_path / "run"))
    assert run(f"set -- id; {ask}").stdout == "confirmed\n"
    assert run(f"set -- another; {ask}").stdout == "restored\n"


def test_the_shared_address_of_control_planes_is_not_saved_or_set_again(
    sh: Shell, tmp_path: Path
) -> None:
    """Another node has it by then."""
    shared = "192.0.2.100/32"
    configuration = keepalived.configuration("192.0.2.100", "eth0", "192.0.2.11", [], 100)
    (tmp_path / "keepalived.conf").write_text(configuration)
    (tmp_path / "state.sh").write_text(
        STATE.read_text().replace("/etc/keepalived/keepalived.conf", f"{tmp_path}/keepalived.conf")
    )
    (tmp_path / "routes.eth0").touch()
    sh("ip link add eth0 type bridge && ip link set eth0 up", "")
    both = f"ip address add 192.0.2.11/24 dev eth0; ip address add {shared} dev eth0; "
    use = f". {tmp_path}/state.sh; run={tmp_path}; state={tmp_path}; "
    saved = sh(f"{both}{use}addresses eth0", "")
    assert saved == "192.0.2.11/24\n"
    for earlier in (saved, f"{saved}{shared}\n"):  # and of a folder that has it
        (tmp_path / "addresses.eth0").write_text(earlier)
        there = "ip address flush dev eth0; ip address add 192.0.2.11/24 dev eth0; "
        assert sh(f"{there}{use}is_restored eth0 && addresses eth0", "") == saved
        gone = "sleep() { :; }; ip address flush dev eth0; "
        assert (
            sh(f"{use}{gone}bring_up eth0; ip -o -4 address show dev eth0", "").count("inet") == 1
        )


def test_a_change_that_has_no_room_is_not_made(tmp_path: Path) -> None:
    made = tmp_path / "made"
    script = transaction._START.replace("/run/bramble", str(tmp_path / "run"))
    whole = f"put guard.sh <<.\n{transaction._base64(f'echo $1 > {made}')}.\nput x <<.\n!\n.\n"
    whole += f"put y <<.\n{transaction._base64('')}.\n# whole\n"
    assert run(f"set -- id 8 new moves; {script}", whole).returncode != 0
    assert not made.exists()


def test_half_of_a_change_is_not_made(tmp_path: Path) -> None:
    """The operator's computer disappears while it sends the change."""
    made = tmp_path / "made"
    script = transaction._START.replace("/run/bramble", str(tmp_path / "run"))
    whole = f"put guard.sh <<.\n{transaction._base64(f'echo $1 > {made}')}.\n# whole\n"
    for length in range(len(whole) - 1):
        assert run(f"set -- id 8 new moves; {script}", whole[:length]).returncode != 0
        assert not made.exists()
    assert run(f"set -- id 8 new moves; {script}", whole).returncode == 0
    assert made.read_text() == "begin\n"
    assert list((tmp_path / "run").iterdir()) == []


def test_interfaces_are_last_and_every_byte_arrives(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write = StringCommand("cat", ">", str(file), _stdin="a 'b' $c\n.\nno line's end")
    up = Step("test", "-s", str(file), what="eth0", interface="eth0", gateway="192.168.2.1")
    steps = [up, *as_steps([write], str(file), what="a file")]
    change = transaction._Change("id", "a file", "192.168.2.12", None, None, False, 60, 0)
    run(f"cd {tmp_path}; put() {{ base64 -d > $1; }}; {transaction._folder(steps, change)}")
    assert run(f"sh {tmp_path}/apply.sh").returncode == 0
    assert file.read_text() == "a 'b' $c\n.\nno line's end"
    assert (tmp_path / "paths").read_text() == f"{file}\n"
    assert (tmp_path / "default-routes").read_text() == "eth0 192.168.2.1\n"


def test_each_reason_of_a_node_is_a_message_with_its_values() -> None:
    scripts = [STATE.parent / "guard.sh", STATE.parents[1] / "interfaces" / "ifup.py"]
    text = "".join(path.read_text() for path in scripts)
    lines = re.findall(r"NET\d{3}(?:\|\w+=[^|\"; ]+)*", text)
    assert len(set(lines)) > 8
    for line in lines:
        message, values = transaction._parsed(line)
        assert message is not None, line
        assert message.fields - {"seconds", "change"} == values.keys() - {"change"}, line


def test_a_reason_without_a_code_is_what_a_command_printed() -> None:
    said = transaction._reason("ifup: eth0 | failed=1")(change="eth0", seconds="3")
    assert said.message is network.ROLLED_BACK
    assert said.values["reason"] == "ifup: eth0 | failed=1"


def test_what_undo_must_not_undo_is_a_change_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is kept for it, keys and sshd are not; nothing follows a change that failed."""
    applied: list[list[str]] = []

    def apply(host: Any, steps: Sequence[Step], seconds: float) -> bool:
        applied.append([step.what for step in steps])
        return steps[0].what != "fails"

    monkeypatch.setattr(transaction, "apply", apply)
    keys, sshd = (Step("true", what=what, network=False) for what in ("keys", "sshd"))
    eth0, fails = Step("true", what="eth0"), Step("true", what="fails")
    nobody: Any = None
    assert guard._apply(nobody, nobody, [keys, eth0, sshd], 60)
    assert guard._apply(nobody, nobody, [keys], 60)
    assert not guard._apply(nobody, nobody, [fails, keys], 60)
    assert applied == [["eth0"], ["keys", "sshd"], ["keys"], ["fails"]]
