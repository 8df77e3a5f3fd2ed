"""The script that ends a board's first boot, run beside a boot partition of its own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import settings
from settings import first_boot, images


class Board:
    """A folder that stands for a board: the script's paths lead into it, and its commands only say
    what they were called with."""

    def __init__(self, folder: Path, files: dict[str, str], boot: str = "boot/firmware") -> None:
        self.folder = folder
        self.boot = folder / boot
        self.key = folder / "ssh/ssh_host_ed25519_key"
        for path in (folder / "boot/firmware", folder / "ssh", folder / "bin"):
            path.mkdir(parents=True)
        for name, text in files.items():
            (self.boot / name).write_text(text)
        script = first_boot._ENDING.read_text()
        for real, mine in (
            ("boot=/boot/firmware", f"boot={folder}/boot/firmware"),
            ("|| boot=/boot", f"|| boot={folder}/boot"),
            ("/etc/ssh/", f"{folder}/ssh/"),
        ):
            assert real in script
            script = script.replace(real, mine)
        self.script = folder / "bramble-first-boot"
        self.script.write_text(script)
        for name in ("systemctl", "rfkill", "nmcli", "cancel-rename"):
            command = folder / "bin" / name
            command.write_text(
                f'#!/bin/sh\necho "{name} $*" >> {folder}/called\n[ "$2" != is-enabled ]\n'
            )
            command.chmod(0o755)

    def end(self) -> list[str]:
        """Run the script; gives the commands that it called."""
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        subprocess.run(["sh", str(self.script)], check=True, env={"PATH": path})
        return (self.folder / "called").read_text().splitlines()


@pytest.fixture
def cluster(project: Path) -> settings.Cluster:
    with (project / "group_data/all.py").open("a") as file:
        file.write('wifi_ssid = "home"\nwifi_country = "NO"\n')
    (project / ".cluster").mkdir()
    (project / ".cluster/wifi_psk").write_text("a good passphrase\n")
    (project / ".cluster/wifi_psk").chmod(0o600)
    return settings.load(project)


Make = Callable[..., Board]


@pytest.fixture
def make(tmp_path: Path, cluster: settings.Cluster) -> Make:
    def board(dialect: images.Dialect = "cloud-init", boot: str = "boot/firmware") -> Board:
        files = first_boot.boot_files(cluster, cluster.first_control_plane, dialect)
        return Board(tmp_path / "board", files, boot)

    return board


@pytest.mark.parametrize(
    ("dialect", "boot"), [("cloud-init", "boot/firmware"), ("cloud-init-0.7.9", "boot")]
)
def test_no_key_stays_on_the_boot_partition(
    make: Make, cluster: settings.Cluster, dialect: str, boot: str
) -> None:
    board = make(dialect, boot)
    before = yaml.safe_load((board.boot / "user-data").read_text())
    board.end()
    psk = cluster.wifi_psk()
    assert psk is not None
    for file in board.boot.iterdir():
        if file.is_file():
            text = file.read_text()
            assert "PRIVATE KEY" not in text
            assert (
                settings.host_key(cluster, cluster.first_control_plane).private.splitlines()[1]
                not in text
            )
            assert psk.get_secret_value() not in text
    after = yaml.safe_load((board.boot / "user-data").read_text())
    kept = before.keys() - {"ssh_keys", "write_files"}
    assert after == {name: before[name] for name in kept} | {"ssh_deletekeys": False}
    assert (board.boot / "user-data").read_text().startswith("#cloud-config\n")
    assert sorted(file.name for file in board.boot.iterdir() if file.is_file()) == sorted(
        first_boot.boot_files(cluster, cluster.first_control_plane, dialect)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("security", ["wpa2", "wpa3"])
def test_the_network_config_says_the_same_without_its_key(
    security: str, project: Path, tmp_path: Path, cluster: settings.Cluster
) -> None:
    with (project / "group_data/all.py").open("a") as file:
        file.write(f'wifi_security = "{security}"\n')
    cluster = settings.load(project)
    files = first_boot.boot_files(cluster, cluster.first_control_plane, "cloud-init")
    board = Board(tmp_path / "board", files)
    before = (board.boot / "network-config").read_text()
    (secret,) = re.findall(r"(?m)^ *password: (.*)$", before)
    board.end()
    after = (board.boot / "network-config").read_text()
    there = yaml.safe_load(before.replace(secret, "was-here-until-the-first-boot"))
    assert yaml.safe_load(after) == there
    assert not any(secret in file.read_text() for file in board.boot.iterdir() if file.is_file())


def test_the_cards_host_key_replaces_another(make: Make, cluster: settings.Cluster) -> None:
    board = make()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(board.key)], check=True
    )
    called = board.end()
    key = settings.host_key(cluster, cluster.first_control_plane)
    assert board.key.read_text() == key.private
    assert board.key.stat().st_mode & 0o777 == 0o600
    assert board.key.with_suffix(".pub").read_text().split() == key.public.split()[:2]
    assert called.index("systemctl try-restart ssh") < called.index("systemctl enable --now ssh")


def test_the_cards_host_key_stays_when_it_is_there(make: Make, cluster: settings.Cluster) -> None:
    board = make()
    key = settings.host_key(cluster, cluster.first_control_plane)
    board.key.write_text(key.private)
    board.key.chmod(0o600)
    before = board.key.stat().st_ino
    assert "systemctl try-restart ssh" not in board.end()
    assert board.key.stat().st_ino == before


def test_a_first_boot_that_was_cut_off_has_its_end_at_the_next(
    make: Make, cluster: settings.Cluster
) -> None:
    """Between the user-data and the network-config, say."""
    board = make()
    script = board.script.read_text()
    cut = script.replace("if [ -f $boot/network-config ]", "kill -9 $$\nif true")
    assert cut != script
    board.script.write_text(cut)
    with pytest.raises(subprocess.CalledProcessError):
        board.end()
    board.script.write_text(script)
    board.end()
    assert board.key.read_text() == settings.host_key(cluster, cluster.first_control_plane).private
    assert "was-here-until" in (board.boot / "network-config").read_text()
    assert not board.script.exists()


def test_the_script_is_gone_afterwards(make: Make) -> None:
    board = make()
    board.end()
    assert not board.script.exists()


def test_the_radio_is_turned_on_for_every_country(make: Make) -> None:
    assert "rfkill unblock wifi" in make().end()


def test_nobody_is_asked_for_a_users_name(make: Make) -> None:
    assert "cancel-rename pi" in make().end()


def test_a_card_without_files_does_no_harm(tmp_path: Path) -> None:
    assert Board(tmp_path / "board", {}).end()[-1] == "systemctl enable --now ssh"
