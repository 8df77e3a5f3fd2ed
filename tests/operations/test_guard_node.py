"""What the guard runs on a node: the old state kept and put back, and half a message not heeded."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from operations.guard import Step, keeping, transaction
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
    """The state of some paths, kept as the guard does it."""
    kept = etc.parent / "kept"
    (kept / "old").mkdir(parents=True)
    (kept / "paths").write_text("".join(f"{etc}/{name}\n" for name in names))
    for name in ("interfaces", "prefixes", "live"):
        (kept / name).touch()
    assert run(f". {STATE}; keep {kept}").returncode == 0
    return kept


NAMES = ("file", "link", "gone", "keys", "keys/new", "made/here/too")


def spoil(etc: Path) -> None:
    (etc / "file").unlink()
    (etc / "file").write_text("new\n")
    (etc / "link").unlink()
    (etc / "link").write_text("new\n")
    (etc / "gone").unlink()
    (etc / "keys").chmod(0o755)
    (etc / "keys" / "new").write_text("new\n")
    (etc / "made" / "here").mkdir(parents=True)
    (etc / "made" / "here" / "too").write_text("new\n")


def test_all_is_put_back_byte_for_byte(etc: Path) -> None:
    before = seen(etc)
    state = kept(etc, *NAMES)
    spoil(etc)
    assert seen(etc) != before
    assert run(f". {STATE}; put_back {state} boot").returncode == 0
    assert seen(etc) == before


def test_putting_back_that_was_cut_off_is_begun_again(etc: Path) -> None:
    before = seen(etc)
    state = kept(etc, *NAMES)
    spoil(etc)
    cut = f". {STATE}; mv() {{ kill -9 $$; }}; put_back {state} boot"
    assert run(cut).returncode != 0
    assert seen(etc) != before
    assert run(f". {STATE}; put_back {state} boot").returncode == 0
    assert seen(etc) == before


def test_a_folder_that_became_a_link_is_not_followed(etc: Path) -> None:
    (etc / "keys" / "mine").write_text("old\n")
    state = kept(etc, "keys/mine")
    shutil.rmtree(etc / "keys")
    other = etc.parent / "other"
    other.mkdir()
    (etc / "keys").symlink_to(other)
    assert run(f". {STATE}; put_back {state} boot").returncode != 0
    assert list(other.iterdir()) == []


def test_a_home_behind_a_link_gets_its_folder_back(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    before = seen(tmp_path / "disk")
    state = kept(tmp_path / "home", ".ssh", ".ssh/authorized_keys")
    (tmp_path / "disk" / ".ssh").mkdir()
    (tmp_path / "disk" / ".ssh" / "authorized_keys").write_text("new\n")
    assert run(f". {STATE}; put_back {state} boot").returncode == 0
    assert seen(tmp_path / "disk") == before


def test_own_chains_are_put_back_and_those_of_others_stay(sh: Shell, tmp_path: Path) -> None:
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
    sh(f". {STATE}; run={tmp_path}/now; mkdir $run; put_rules BRAMBLE {tmp_path}/rules", "")
    assert rules_of(sh("iptables-save", "")) == before


@pytest.fixture
def armed(etc: Path) -> Path:
    """A node's guard, armed, on folders of its own; the file has changed since."""
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
    state.rename(folder / "guard" / "armed")
    (folder / "run" / "id").write_text("id\n")
    (folder / "guard.sh").write_text(f"PATH={folder}/bin:$PATH\n{script}")
    shutil.copy(STATE, folder)
    for name in ("systemctl", "sync"):
        (folder / "bin" / name).write_text("#!/bin/sh\n")
        (folder / "bin" / name).chmod(0o755)
    (etc / "file").write_text("new\n")
    return folder


def test_a_timer_that_comes_after_the_confirmation_changes_nothing(armed: Path) -> None:
    (armed / "guard" / "armed" / "network").write_text("")
    assert run(f"sh {armed}/guard.sh confirm").stdout == "confirmed\n"
    assert run(f"sh {armed}/guard.sh restore").returncode == 0
    assert (armed / "etc" / "file").read_text() == "new\n"
    assert list((armed / "guard").iterdir()) == []


def test_a_confirmation_that_comes_after_the_timer_is_told_so(armed: Path) -> None:
    (armed / "guard" / "previous").mkdir()
    assert run(f"sh {armed}/guard.sh restore").returncode == 0
    assert (armed / "etc" / "file").read_bytes() == b"old\xff\n"
    assert run(f"sh {armed}/guard.sh confirm").stdout == "the confirmation came too late\n"
    assert [path.name for path in (armed / "guard").iterdir()] == ["previous"]


def test_a_boot_goes_on_with_what_a_power_cut_has_left(armed: Path) -> None:
    (armed / "guard" / "armed").rename(armed / "guard" / "restoring")
    assert run(f"sh {armed}/guard.sh boot").returncode == 0
    assert (armed / "etc" / "file").read_bytes() == b"old\xff\n"
    assert list((armed / "guard").iterdir()) == []


def test_a_power_cut_before_all_is_cleared_away_leaves_the_next_boots_unit(armed: Path) -> None:
    unit = armed / "units" / "bramble-guard.service"
    unit.touch()
    (armed / "bin" / "sync").write_text("#!/bin/sh\nkill -9 $PPID\n")
    assert run(f"sh {armed}/guard.sh restore").returncode != 0
    assert (armed / "guard" / "restoring").is_dir()
    assert unit.exists()
    (armed / "bin" / "sync").write_text("#!/bin/sh\n")
    assert run(f"sh {armed}/guard.sh boot").returncode == 0
    assert list((armed / "guard").iterdir()) == []
    assert not unit.exists()


ONE_LEADS_OUT = "eth0 \nwlan0 192.168.1.1\n"
BY_WLAN0 = "default via 192.168.1.1 dev wlan0 "
BY_ANOTHER = "default via 192.168.2.9 dev eth0 "
OBJECTION = """. {guard} > /dev/null; kept={kept}
ip() {{ cat {kept}/routes; }}; answers() {{ true; }}; resolves() {{ {resolves}; }}; sleep() {{ :; }}
objection"""


@pytest.mark.parametrize(
    ("had", "wanted", "routes", "resolves", "reason"),
    [
        # One of two ways out is given up: the other one still has to lead to names.
        ("eth0 wlan0", ONE_LEADS_OUT, BY_WLAN0, False, "names"),
        # Another interface is to lead out instead.
        ("eth0", ONE_LEADS_OUT, BY_WLAN0, False, "names"),
        ("eth0", ONE_LEADS_OUT, BY_WLAN0, True, ""),
        ("eth0", "eth0 192.168.2.1\n", BY_ANOTHER, True, "192.168.2.1 by eth0"),
        ("eth0", "", "", True, "no default route any more"),
        # What is to lead nowhere takes the way out with it.
        ("eth0", "eth0 \n", "", False, ""),
    ],
)  # fmt: skip
def test_what_a_node_could_do_before_it_has_to_do_still(
    tmp_path: Path, had: str, wanted: str, routes: str, resolves: bool, reason: str
) -> None:
    (tmp_path / "armed").mkdir()
    lines = [f"default {interface}" for interface in had.split()]
    (tmp_path / "armed" / "expected").write_text("\n".join([*lines, "names", ""]))
    (tmp_path / "armed" / "wanted").write_text(wanted)
    (tmp_path / "routes").write_text(routes)
    script = (STATE.parent / "guard.sh").read_text().partition("case $1 in")[0]
    (tmp_path / "guard.sh").write_text(script)
    shutil.copy(STATE, tmp_path)
    asked = OBJECTION.format(
        guard=tmp_path / "guard.sh", kept=tmp_path, resolves="true" if resolves else "false"
    )
    said = run(
        f"set --; cd {tmp_path}; here={tmp_path}; {asked.replace('. ', 'here=.; . ', 1)}"
    ).stdout
    assert reason in said
    assert bool(said) == bool(reason)


def test_a_node_that_has_not_begun_yet_has_not_gone_back(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "new").mkdir(parents=True)
    (kept / "new" / "id").write_text("id\n")
    look = transaction._LOOK.replace("/var/lib/bramble/guard", str(kept))
    look = look.replace("/run/bramble/guard", str(tmp_path / "run")).replace("sleep 0.25", ":")
    at_work = f"exec 9> {tmp_path}/run.lock; flock 9; set -- id; ( exec 9>&-; {look} )"
    assert run(at_work).stdout == "running\n"
    assert run(f"set -- id; {look}").stdout == "back\n"


def test_a_change_that_has_no_room_is_not_made(tmp_path: Path) -> None:
    made = tmp_path / "made"
    script = transaction._START.replace("/run/bramble", str(tmp_path / "run"))
    whole = f"put guard.sh <<.\n{transaction._base64(f'echo $1 > {made}')}.\nput x <<.\n!\n.\n"
    whole += f"put y <<.\n{transaction._base64('')}.\n# whole\n"
    assert run(f"set -- id 8 new moves; {script}", whole).returncode != 0
    assert not made.exists()


def test_half_of_a_change_is_not_made(tmp_path: Path) -> None:
    """The laptop is gone in the middle of sending it."""
    made = tmp_path / "made"
    script = transaction._START.replace("/run/bramble", str(tmp_path / "run"))
    whole = f"put guard.sh <<.\n{transaction._base64(f'echo $1 > {made}')}.\n# whole\n"
    for length in range(len(whole) - 1):
        assert run(f"set -- id 8 new moves; {script}", whole[:length]).returncode != 0
        assert not made.exists()
    assert run(f"set -- id 8 new moves; {script}", whole).returncode == 0
    assert made.read_text() == "arm\n"
    assert list((tmp_path / "run").iterdir()) == []


def test_interfaces_are_last_and_every_byte_arrives(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write = StringCommand("cat", ">", str(file), _stdin="a 'b' $c\n.\nno line's end")
    up = Step("test", "-s", str(file), what="eth0", interface="eth0", gateway="192.168.2.1")
    steps = [up, *keeping([write], str(file), what="a file")]
    change = transaction._Change("id", "a file", "192.168.2.12", None, None, False, 60, 0)
    run(f"cd {tmp_path}; put() {{ base64 -d > $1; }}; {transaction._folder(steps, change)}")
    assert run(f"sh {tmp_path}/apply.sh").returncode == 0
    assert file.read_text() == "a 'b' $c\n.\nno line's end"
    assert (tmp_path / "paths").read_text() == f"{file}\n"
    assert (tmp_path / "wanted").read_text() == "eth0 192.168.2.1\n"
