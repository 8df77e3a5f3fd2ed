"""The same, asked of the real iptables, in a network namespace of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from formats.iptables import parse_save
from tests import needs
from tests.formats.test_iptables_chains import BACK, HEAD, KUBERNETES, NOTHING, OUT, judged

Shell = Callable[[str, str], str]

# As Docker and an administrator leave their tables.
FOREIGN = """*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -s 172.17.0.0/16 -m comment --comment "it's \\"his\\"" -j ACCEPT
-A FORWARD -j REJECT
-A DOCKER-USER -j RETURN
COMMIT
*nat
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
*mangle
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
"""


@pytest.fixture
def sh() -> Iterator[Shell]:
    """Run a command with a text as its input, where no other rules are and none can get out."""
    needs.here("iptables-restore", "unshare", "nsenter")
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo ready; exec sleep 3600"], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"ready\n"

    def run(command: str, text: str = "") -> str:
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "sh", "-c", command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}\n{text}"
        return done.stdout

    yield run
    holder.kill()
    holder.communicate()


def rules_of(saved: str) -> list[str]:
    """iptables-save without what changes by itself: dates, counters of built-in chains."""
    lines = [line for line in saved.splitlines() if not line.startswith("#")]
    return [line.split(" [")[0] if line.startswith(":") else line for line in lines]


def foreign_of(saved: str) -> list[str]:
    return [line for line in rules_of(saved) if "BRAMBLE" not in line]


def test_rules_of_others_stay_to_the_byte_and_ours_are_there_once(sh: Shell) -> None:
    sh("iptables-restore", FOREIGN)
    before = sh("iptables-save", "")
    sh("iptables-restore --noflush", HEAD.repair(parse_save(before)))
    after = sh("iptables-save", "")
    assert foreign_of(after) == rules_of(before)
    assert HEAD.repair(parse_save(after)) == ""
    assert parse_save(after)["filter"].rules["FORWARD"][0] == "-A FORWARD -j BRAMBLE-FORWARD"
    sh("iptables-restore --noflush", NOTHING.repair(parse_save(after)))
    assert rules_of(sh("iptables-save", "")) == rules_of(before)


@pytest.mark.parametrize(
    "drift",
    [
        "iptables -D BRAMBLE-FORWARD 1",
        "iptables -A BRAMBLE-FORWARD -j DROP",
        "iptables -F BRAMBLE-FORWARD",
        "iptables -D FORWARD -j BRAMBLE-FORWARD",
        "iptables -A FORWARD -j BRAMBLE-FORWARD",
        "iptables -D FORWARD 1; iptables -A FORWARD -j BRAMBLE-FORWARD",
        "iptables -t nat -F; iptables -t nat -X",
        "iptables -D BRAMBLE-FORWARD 1; iptables -A BRAMBLE-FORWARD -i eth0 -o wlan0 -j ACCEPT",
    ],
)
def test_drift_is_mended_and_nothing_else(sh: Shell, drift: str) -> None:
    sh("iptables-restore", FOREIGN)
    sh("iptables-restore --noflush", HEAD.repair({}))
    good = sh("iptables-save", "")
    sh(drift, "")
    drifted = sh("iptables-save", "")
    assert rules_of(drifted) != rules_of(good)
    sh("iptables-restore --noflush", HEAD.repair(parse_save(drifted)))
    mended = sh("iptables-save", "")
    assert HEAD.repair(parse_save(mended)) == ""
    assert foreign_of(mended) == foreign_of(drifted)


def test_the_file_can_be_restored_over_and_over(sh: Shell) -> None:
    sh("iptables-restore", FOREIGN)
    sh("iptables-restore --noflush", HEAD.repair({}))
    good = sh("iptables-save", "")
    for _ in range(2):
        sh("iptables-restore --noflush", HEAD.restore_file())
    assert rules_of(sh("iptables-save", "")) == rules_of(good)


def test_a_change_of_the_rules_is_made_beside_a_clusters_own(sh: Shell) -> None:
    kubernetes = "".join(  # nfacct wants a counter that kube-proxy has made before
        line for line in KUBERNETES.splitlines(keepends=True) if "nfacct" not in line
    )
    sh("iptables-restore", kubernetes)
    sh("iptables-restore --noflush", HEAD.repair(parse_save(kubernetes)))
    before = sh("iptables-save", "")
    fewer = judged(OUT, BACK.replace("wlan0", "wlan1"))
    sh("iptables-restore --noflush", fewer.repair(parse_save(before)))
    after = sh("iptables-save", "")
    assert fewer.repair(parse_save(after)) == ""
    assert foreign_of(after) == foreign_of(before)
    assert "BRAMBLE-POSTROUTING" not in after
