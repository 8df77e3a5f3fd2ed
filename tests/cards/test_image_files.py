"""Cards as image files, made by the command that a person types."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import settings
from formats import card_record
from messages import codes
from messages import run as run_messages
from messages import sdcard as messages
from settings import first_boot
from tests.cards import images
from tests.cards.runs import Run, cut, interrupt

BOOT = slice(images.BOOT_START, images.BOOT_START + images.BOOT_SIZE)
INTERRUPTED = str(run_messages.INTERRUPTED())
NODE2 = {"user-data", "meta-data", "network-config"}


def outside(path: Path) -> tuple[bytes, bytes]:
    """What is before and behind the boot partition."""
    content = path.read_bytes()
    return content[: BOOT.start], content[BOOT.stop :]


def test_a_dry_run_then_a_run_then_a_second_run(
    sdcard: Run, project: Path, image: Path, packed: Path
) -> None:
    """Of one node: the image, its files, and a second run."""
    card: dict[str, object] = {"node": "node2", "file": "node2.img", "image": packed}
    made = project / "node2.img"

    shown = sdcard("--dry", **card).stdout
    assert "node2.img: image file (new)" in shown
    assert "is a radio" not in shown
    assert "Will write own.img.xz (25.2 MB), and verify it\n" in shown
    assert "for node2: user-data, meta-data, network-config, cmdline.txt" in shown
    assert not made.exists()
    assert not (project / ".cluster/known_hosts").exists(), "a plan makes no board known"

    done = sdcard(**card)
    assert done.returncode == 0
    assert "node2.img is now the card of node2" in done.stdout
    assert outside(made) == outside(image)
    cluster = settings.load(project)
    node = cluster.node("node2")
    files = first_boot.boot_files(cluster, node)
    assert files.keys() == NODE2
    for name, text in files.items():
        assert images.get(made, name) == text
    line = first_boot.cmdline(cluster, node, images.COMMAND_LINE)
    assert "cgroup_enable=memory" in line
    assert images.get(made, "cmdline.txt") == line
    assert images.names(made) == NODE2 | {"cmdline.txt", "config.txt", card_record.FILE}
    assert "Host node2" in (project / ".cluster/ssh_config").read_text()
    known = (project / ".cluster/known_hosts").read_text()
    assert settings.host_key(cluster, node).public.split()[1] in known
    assert made.stat().st_mode & 0o777 == 0o600, "it holds secrets"

    content = made.read_bytes()
    again = sdcard("-y", "--json", **card)
    assert again.returncode == 0
    assert "node2.img is up to date: node node2, image own.img.xz" in again.stdout
    assert '"no_change": 1' in again.stdout
    assert made.read_bytes() == content

    (project / "group_data/workers.py").write_text('nameservers = ["9.9.9.9"]\n')
    images.put(made, "cmdline.txt", "console=tty1\n")
    planned = sdcard("--dry", "--diff", **card)
    assert "files on its boot partition differ: network-config, cmdline.txt\n" in planned.stdout
    assert "+ console=tty1 cgroup_enable=memory" in planned.stdout
    assert "(contains a secret, which is not shown)" in planned.stdout
    assert "9.9.9.9" not in planned.stdout
    changed = sdcard("-y", "--json", **card)
    assert "partition differ: network-config, cmdline.txt\n" in changed.stdout
    assert "Written" not in changed.stdout, "a changed setting costs a file, not the card"
    assert "9.9.9.9" in images.get(made, "network-config")
    assert "PRIVATE KEY" not in shown + done.stdout + again.stdout + changed.stdout


@pytest.mark.parametrize("size", [card_record.HEAD, 10 * images.MB, images.SIZE])
def test_an_interrupted_card_is_written_again_by_the_next_run(
    sdcard: Run, project: Path, image: Path, packed: Path, size: int
) -> None:
    """Cut when so much of the file is there; with all of it, while it is read back or filled."""
    made = project / "node1.img"
    card: dict[str, object] = {"node": "node1", "file": "node1.img", "image": packed}
    cut(project, lambda: made.exists() and made.stat().st_size >= size, **card)
    assert card_record.marked(made.read_bytes()) == "node1"
    assert not (project / ".cluster/known_hosts").exists()
    done = sdcard(**card)
    assert messages.NOT_COMPLETE.code in codes(done.stdout)
    assert done.returncode == 0
    assert outside(made) == outside(image)


@pytest.fixture
def publisher(packed: Path) -> Iterator[str]:
    """The URL of the image, with its checksum beside it, as publishers have it."""
    checksum = sha256(packed.read_bytes()).hexdigest()
    packed.with_name(f"{packed.name}.sha256").write_text(f"{checksum}  {packed.name}\n")
    handler = partial(SimpleHTTPRequestHandler, directory=str(packed.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{packed.name}"
        server.shutdown()


def test_ctrl_c_at_the_question_of_pyinfra_exits_with_a_failure(
    project: Path, packed: Path
) -> None:
    status, said = interrupt(project, "Press enter", node="node2", file="node2.img", image=packed)
    assert status == 1
    assert said.splitlines()[-1] == INTERRUPTED
    assert not (project / "node2.img").exists()
    assert "Traceback" not in said


def test_an_image_is_downloaded_once_and_only_with_its_checksum(
    sdcard: Run, project: Path, image: Path, publisher: str
) -> None:
    card: dict[str, object] = {"node": "node3", "file": "node3.img", "image": publisher}
    wrong = sdcard(**card, image_checksum="0a" * 32)
    assert wrong.returncode == 1
    assert codes(wrong.stdout) == [messages.WRONG_CHECKSUM.code]
    assert not (project / "node3.img").exists()
    assert list((project / ".cluster/downloads").iterdir()) == []

    done = sdcard(**card, image_checksum=f"{publisher}.sha256")
    assert done.returncode == 0
    assert f"Will download {publisher}" in done.stdout
    assert "Downloaded, checksum correct: " in done.stdout
    assert outside(project / "node3.img") == outside(image)
    again = sdcard("--dry", **{**card, "file": "other.img"}, image_checksum=f"{publisher}.sha256")
    assert "Will download" not in again.stdout


def test_an_image_that_its_publisher_has_replaced_is_refused_with_the_remedy(
    sdcard: Run, project: Path, publisher: str, packed: Path
) -> None:
    card: dict[str, object] = {"node": "node3", "file": "node3.img", "image": publisher}
    card["image_checksum"] = f"{publisher}.sha256"
    said = packed.with_name(f"{packed.name}.sha256")
    right = said.read_text()
    said.write_text(f"{'0a' * 32}  {packed.name}\n")
    assert sdcard(**card).returncode == 1
    said.write_text(right)

    told = sdcard(**card)
    assert told.returncode == 1
    (place,) = (project / ".cluster/downloads").iterdir()
    assert codes(told.stdout) == [messages.REPLACED_IMAGE.code]
    assert str(place) in told.stdout
    assert not (project / "node3.img").exists()
    of_a_file = sdcard(**{**card, "image": packed})
    assert codes(of_a_file.stdout) == [messages.REPLACED_IMAGE.code]
    place.unlink()
    assert sdcard("--dry", **card).returncode == 0


def test_a_gateway_that_would_not_be_on_your_network_is_told(sdcard: Run, packed: Path) -> None:
    done = sdcard("--dry", node="node1", file="node1.img", image=packed)
    assert codes(done.stdout) == ["SET115"]
    assert done.returncode == 0


def test_a_file_that_is_no_card_is_kept(sdcard: Run, project: Path, packed: Path) -> None:
    (project / "thesis.odt").write_text("Chapter 1")
    done = sdcard(node="node1", file="thesis.odt", image=packed)
    assert done.returncode == 1
    assert messages.FOREIGN_FILE(path="thesis.odt") in done.stdout
    assert (project / "thesis.odt").read_text() == "Chapter 1"


def test_a_wrong_checksum_writes_nothing(sdcard: Run, project: Path, packed: Path) -> None:
    wrong = "0a" * 32
    done = sdcard(node="node1", file="node1.img", image=packed, image_checksum=wrong)
    assert done.returncode == 1
    assert codes(done.stdout) == [messages.WRONG_CHECKSUM.code]
    assert wrong in done.stdout
    assert not (project / "node1.img").exists()
    assert done.stdout.splitlines()[-1].startswith("this computer: failed. ")


def test_an_image_with_an_empty_command_line_is_refused(
    sdcard: Run, project: Path, image: Path
) -> None:
    (project / "own.img").write_bytes(image.read_bytes())
    images.put(project / "own.img", "cmdline.txt", "")
    done = sdcard(node="node1", file="node1.img", image="own.img")
    assert done.returncode == 1
    assert codes(done.stdout)[-1] == messages.BAD_COMMAND_LINE.code
    assert card_record.marked((project / "node1.img").read_bytes()) == "node1"


def test_a_node_that_is_not_in_the_inventory_is_refused(
    sdcard: Run, project: Path, packed: Path
) -> None:
    done = sdcard(node="node7", file="node1.img", image=packed)
    assert done.returncode == 1
    assert "node7" in done.stdout
    assert codes(done.stdout) == ["SET039"]
    assert "SD card of" not in done.stdout
    assert "an image file" not in done.stdout
    assert not (project / "node1.img").exists()
