"""Boards that start from a card: what they then are, and what is left on the card."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import settings
from lab import disk
from lab.api import Lab
from lab.errors import LabError
from lab.waiting import until
from settings import first_boot
from tests.cards import images
from tests.lab.runs import ok

# A stranger's key is not taken: what known_hosts had before the first boot is all that counts.
STRICT = ["-o", "StrictHostKeyChecking=yes"]

# Where a key that was on the card could have been left, for anybody on the board to read.
PUBLIC = "/boot /var/lib/cloud /run/cloud-init /var/log /etc /home /tmp /usr/local"


@pytest.fixture(scope="module")
def boards(new_lab: Callable[..., Lab]) -> Lab:
    lab = new_lab("card", timezone="Asia/Kolkata")
    lab.up()
    return lab


def write_card(lab: Lab, name: str, *data: str) -> Path:
    """A card for the node, written as a person writes one, from a small image into a file.

    + data: settings of this card alone, "name=value"
    """
    image = lab.project / "image.img"
    if not image.exists():
        images.make(image)
    card = lab.project / f"{name}.img"
    card.unlink(missing_ok=True)
    wanted = [f"node={name}", f"file={card}", f"image={image}", *data]
    pairs = [word for each in wanted for word in ("--data", each)]
    ok(lab.run(["pyinfra", "@local", "deploys/sdcard.py", "-y", *pairs]))
    return card


def strictly(lab: Lab, name: str, command: str) -> str:
    """What the command prints on the node, whose host key has to be the known one."""
    ssh = lab.ssh_command(name, command)
    return ok(lab.run([ssh[0], "-o", "BatchMode=yes", *STRICT, *ssh[1:]]))


def left_on_the_card(lab: Lab, name: str) -> str:
    folder = disk.boot_partition(lab.name, name)
    return "".join(file.read_text() for file in sorted(folder.iterdir()))


def is_as_its_card_says(lab: Lab, name: str, address: str) -> None:
    """The node, to whoever knows it by .cluster/ alone."""
    assert strictly(lab, name, "hostname; whoami; sudo -n whoami").split() == [name, "pi", "root"]
    assert f"inet {address}/24 " in strictly(lab, name, "ip -o -4 address show eth0")
    assert strictly(lab, name, "date +%z; cat /etc/timezone").split() == ["+0530", "Asia/Kolkata"]
    sshd = strictly(lab, name, "sudo sshd -T").splitlines()
    assert "passwordauthentication no" in sshd
    assert "PRIVATE KEY" not in left_on_the_card(lab, name)
    assert strictly(lab, name, f"grep -rIl 'PRIVATE KEY' {PUBLIC} 2>/dev/null || true") == ""


def test_a_board_is_what_its_card_says(boards: Lab) -> None:
    card = write_card(boards, "node2", "locale=en_IN.UTF-8")
    assert "PRIVATE KEY" in images.get(card, "user-data")
    assert images.get(card, "cmdline.txt") == images.COMMAND_LINE.replace(
        "\n", " cgroup_enable=memory\n"
    )
    boards.fresh("node2", card)
    is_as_its_card_says(boards, "node2", "192.168.2.12")
    assert "LANG=en_IN.UTF-8\n" in strictly(boards, "node2", "locale 2>&1")
    route = strictly(boards, "node2", "ip route show default")
    assert route.startswith("default via 192.168.2.11 dev eth0")


def test_no_password_opens_it(boards: Lab) -> None:
    ssh = boards.ssh_command("node2", "true")
    only = ["-o", "PubkeyAuthentication=no", "-o", "BatchMode=yes", *STRICT]
    done = boards.run([ssh[0], *only, *ssh[1:]])
    assert "Permission denied (publickey)" in done.stderr


def test_the_boards_are_different_machines(boards: Lab) -> None:
    ids = {strictly(boards, name, "cat /etc/machine-id") for name in ("node1", "node2", "node3")}
    keys = {
        strictly(boards, name, "cat /etc/ssh/ssh_host_*_key.pub")
        for name in ("node1", "node2", "node3")
    }
    assert len(ids) == len(keys) == 3


def test_the_second_boot_changes_nothing(boards: Lab) -> None:
    before = left_on_the_card(boards, "node2")
    boards.reboot("node2")
    is_as_its_card_says(boards, "node2", "192.168.2.12")
    assert left_on_the_card(boards, "node2") == before
    assert strictly(boards, "node2", "ls /var/lib/cloud/scripts/per-boot") == ""


def test_a_first_boot_that_loses_power_is_finished_at_the_next(boards: Lab) -> None:
    """Pulled when cloud-init has put the host key in place, and not come to its end yet."""
    card = write_card(boards, "node2")
    key = disk.directory(boards.name, "node2") / "upper/etc/ssh/ssh_host_ed25519_key"
    boards.power_off("node2")
    disk.wipe(boards.name, "node2")
    with ThreadPoolExecutor() as pool:
        booting = pool.submit(boards.fresh, "node2", card)
        assert until(key.exists, pause=0.002)
        boards.power_off("node2")
        with pytest.raises(LabError, match="LAB021"):
            booting.result()
    assert "PRIVATE KEY" in left_on_the_card(boards, "node2"), "it had come to its end already"
    boards.power_on("node2")
    is_as_its_card_says(boards, "node2", "192.168.2.12")


def test_hypriotos_dialect_gives_the_same_board(boards: Lab) -> None:
    """Read by today's cloud-init, which understands it too. The board starts twice by itself."""
    before = strictly(boards, "node3", "cat /etc/machine-id")
    boards.fresh("node3", write_card(boards, "node3", "image_dialect=cloud-init-0.7.9"))

    def started_twice() -> bool:
        state = next(each for each in boards.status() if each.plan.name == "node3").status
        return state.boots > 1 and state.state == "running"

    assert until(started_twice)
    is_as_its_card_says(boards, "node3", "192.168.2.13")
    assert "eth0=eth0" in strictly(boards, "node3", "sudo ifquery --state").split()
    assert strictly(boards, "node3", "cat /etc/machine-id") != before
    assert "nameserver 8.8.8.8" in strictly(boards, "node3", "cat /etc/resolv.conf")


def test_cloud_init_finds_no_fault_with_the_cards(boards: Lab) -> None:
    """Its own schemas, those of the version that Debian 13 and Raspberry Pi OS have."""
    cluster = settings.load(boards.project)
    check = "cat > card && cloud-init schema --config-file card --schema-type"
    for name in ("node1", "node2"):
        files = first_boot.boot_files(cluster, cluster.node(name))
        for kind, file in (("cloud-config", "user-data"), ("network-config", "network-config")):
            done = boards.ssh("node1", f"{check} {kind}", stdin=files[file])
            assert "Valid schema card" in ok(done)
    old = first_boot.boot_files(cluster, cluster.node("node2"), "cloud-init-0.7.9")["user-data"]
    assert "Valid schema card" in ok(boards.ssh("node1", f"{check} cloud-config", stdin=old))
    wrong = files["network-config"].replace("dhcp4: false", "dhcp4: perhaps")
    assert boards.ssh("node1", f"{check} network-config", stdin=wrong).returncode != 0
