"""The Wi-Fi key stands in no process list, log, diff or world-readable file, on either side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from shlex import quote

import pytest

import settings
from lab.api import Lab
from report import result
from tests.lab.runs import NETWORK, Run, Watched, ok, pyinfra

KEY = "correct horse battery"
# Lists files that everybody can read and that contain what comes by standard input. xargs has none.
OPEN_FILES = """umask 077; secret=$(mktemp -p /run); cat > "$secret"
find / /run /tmp /dev/shm -xdev -type f -perm /o+r -size -4096k -print0 |
xargs -0 grep -lFaf "$secret" 2>/dev/null; rm "$secret\""""
PLANTED = "/var/tmp/planted"


@pytest.fixture(scope="module")
def wifi(new_lab: Callable[..., Lab]) -> Iterator[tuple[Lab, str, Run, Run, set[str]]]:
    lab = new_lab("wifi")
    group_data = lab.project / "group_data" / "all.py"
    text = group_data.read_text()
    for line, wanted in (
        ("wifi_ssid = None", 'wifi_ssid = "Your ssid"'),
        ("wifi_country = None", 'wifi_country = "DE"'),
    ):
        assert line in text
        text = text.replace(line, wanted)
    group_data.write_text(text)
    (lab.project / ".cluster").mkdir(mode=0o700, exist_ok=True)
    key = lab.project / ".cluster" / "wifi_psk"
    key.touch(mode=0o600)
    key.write_text(f"{KEY}\n")
    psk = settings.load(lab.project).wifi_psk()
    assert psk is not None
    lab.up(workers=0)
    seen = ["pyinfra", "inventory.py", *NETWORK, "--dry", "--diff", "-vv", "--limit", "node1"]
    with Watched() as watched:
        done = lab.run(seen, env={result.VARIABLE: str(lab.project / ".cluster" / "result.json")})
        dry = Run(done.returncode, done.stdout + done.stderr)
        run = pyinfra(lab, "-y", "--diff", "-vv", "--limit", "node1")
    yield lab, psk.get_secret_value(), dry, run, watched.seen
    lab.down()


Wifi = tuple[Lab, str, Run, Run, set[str]]


def test_the_key_arrives(wifi: Wifi) -> None:
    lab, psk, dry, run, _ = wifi
    assert dry.status == 0, dry.output
    assert run.status == 0, run.output
    files = "/etc/network/interfaces.d/* /etc/wpa_supplicant/*"
    search = f"sudo sh -c 'grep -lFf - {files} 2>/dev/null'"
    found = ok(lab.ssh("node1", search, stdin=f"{psk}\n"))
    assert found
    for path in found.split():
        assert ok(lab.ssh("node1", f"sudo stat -c '%a %U' {path}")) == "600 root"


def test_no_log_or_diff_shows_it(wifi: Wifi) -> None:
    lab, psk, dry, run, _ = wifi
    journal = ok(lab.ssh("node1", "sudo journalctl -b --no-pager"))
    debug = lab.project / "pyinfra-debug.log"
    data = (lab.project / ".cluster" / "result.json").read_text()
    assert "modify /etc/hosts" in data
    logs = [data, *(log.read_text() for log in (lab.project / ".cluster" / "logs").iterdir())]
    assert any("Will modify /etc/hosts" in log for log in logs)
    seen = [dry.output, run.output, journal, *logs]
    for text in [*seen, debug.read_text() if debug.exists() else ""]:
        assert KEY not in text
        assert psk not in text
    assert "contains a secret" in dry.output


def test_no_process_list_shows_it(wifi: Wifi) -> None:
    _, psk, _, _, seen = wifi
    assert any("iptables" in line or "systemd-run" in line for line in seen), "nothing was watched"
    assert not [line for line in seen if KEY in line or psk in line]


def test_no_open_file_holds_it(wifi: Wifi) -> None:
    lab, psk, *_ = wifi
    for secret in (KEY, psk):
        ok(lab.ssh("node1", f"cat > {PLANTED}", stdin=secret))
        found = ok(lab.ssh("node1", f"sudo sh -c {quote(OPEN_FILES)}", stdin=secret + "\n"))
        ok(lab.ssh("node1", f"rm {PLANTED}"))
        assert found.split() == [PLANTED]
        for path in lab.project.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o077:
                assert secret.encode() not in path.read_bytes(), path


def test_a_second_run_changes_nothing(wifi: Wifi) -> None:
    lab, *_ = wifi
    done = pyinfra(lab, "-y", "--limit", "node1")
    assert done.status == 0, done.output
    assert done.left_alone("node1")


def test_wpa_supplicant_takes_wpa3_and_a_hidden_network(wifi: Wifi) -> None:
    """The program that reads the file is asked, at an interface where it can do no harm."""
    lab, *_ = wifi
    group_data = lab.project / "group_data" / "all.py"
    text = group_data.read_text().replace('wifi_security = "wpa2"', 'wifi_security = "wpa3"')
    group_data.write_text(text.replace("wifi_hidden = False", "wifi_hidden = True"))
    run = pyinfra(lab, "-y", "--diff", "-vv", "--limit", "node1", deploys=NETWORK)
    assert run.status == 0, run.output
    assert KEY not in run.output
    read = (
        "sudo wpa_supplicant -B -P /run/asked.pid -f /run/asked.log -dd -D wired -i lo "
        "-c /etc/wpa_supplicant/bramble-wlan0.conf && sudo pkill -F /run/asked.pid; "
        "sudo cat /run/asked.log"
    )
    said = ok(lab.ssh("node1", read))
    for words in ("key_mgmt: 0x400", "scan_ssid=1", "ieee80211w=2", "ssid='Your ssid'"):
        assert words in said, said
    assert "ailed to parse" not in said
