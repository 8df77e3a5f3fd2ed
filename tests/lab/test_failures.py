"""One node in trouble costs that node alone; the exit status says so; the next run mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab.api import Lab
from messages import codes
from tests.lab.runs import Run, changes, differences, fresh, ok, pyinfra, snapshot, start


@pytest.fixture(scope="module")
def shared(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    lab = new_lab("fail")
    lab.up()
    yield lab
    lab.down()


@pytest.fixture
def blank(shared: Lab) -> Lab:
    for node in ("node1", "node2", "node3"):
        shared.mend(node)
    fresh(shared)
    return shared


def is_configured(lab: Lab, node: str) -> None:
    assert ok(lab.ssh(node, "sudo ifquery --state eth0")) == "eth0=eth0"
    assert "dns=none" in ok(lab.ssh(node, "cat /etc/NetworkManager/conf.d/*"))


@pytest.mark.slow
def test_a_worker_out_of_reach_from_the_start(blank: Lab) -> None:
    blank.cut("node3")
    run = pyinfra(blank, "-y")
    assert run.status != 0
    last = run.output.splitlines()[-1]
    assert (last.split(":")[0], codes(last)) == ("node3", ["RUN016"])
    is_configured(blank, "node1")
    is_configured(blank, "node2")
    blank.mend("node3")
    assert pyinfra(blank, "-y").status == 0
    is_configured(blank, "node3")
    assert changes(blank) == []


@pytest.mark.long
def test_a_worker_cut_off_in_the_middle(blank: Lab) -> None:
    running = start(blank, "-y")
    assert running.stdout is not None
    seen = []
    for line in running.stdout:
        seen.append(line)
        if "Apply network changes" in line:  # the gateway's, which comes first
            blank.cut("node3")
            break
    seen += running.communicate()[0].splitlines(keepends=True)
    output = "".join(seen)
    assert running.returncode != 0
    assert Run(running.returncode, output).counts("node3")[2] == 1, output
    assert any("[node3]" in line and codes(line) for line in seen), output
    is_configured(blank, "node2")
    blank.mend("node3")
    assert pyinfra(blank, "-y").status == 0
    is_configured(blank, "node3")
    assert changes(blank) == []


def test_a_gateway_that_failed_leaves_its_workers_as_they_are(blank: Lab) -> None:
    stanza = "iface eth0 inet static\n    address 192.168.2.99/24\n"
    ok(blank.ssh("node1", "sudo tee /etc/network/interfaces.d/mine", stdin=stanza))
    before = snapshot(blank, "node2", "node3")
    run = pyinfra(blank, "-y")
    assert run.status != 0
    assert any("/etc/network/interfaces.d/mine" in line for line in run.lines("node1")), run.output
    for worker in ("node2", "node3"):
        assert any(codes(line) == ["RUN009"] for line in run.lines(worker)), run.output
    assert differences(before, snapshot(blank, "node2", "node3")) == []
    ok(blank.ssh("node1", "sudo rm /etc/network/interfaces.d/mine"))
    assert pyinfra(blank, "-y").status == 0
    is_configured(blank, "node3")


def test_what_one_worker_refuses_the_others_get(blank: Lab) -> None:
    stanza = "iface eth0 inet dhcp\n"
    ok(blank.ssh("node2", "sudo tee /etc/network/interfaces.d/mine.bak", stdin=stanza))
    run = pyinfra(blank, "-y")
    assert run.status != 0
    said = [line for line in run.lines("node2") if "/etc/network/interfaces.d/mine.bak" in line]
    assert len(said) == 1, run.output
    is_configured(blank, "node3")


def test_nothing_is_done_and_so_said_when_nobody_is_there_to_say_yes(blank: Lab) -> None:
    before = snapshot(blank, "node2")
    run = pyinfra(blank)
    assert run.status != 0
    assert codes(run.output)[-1] == "RUN018"
    assert differences(before, snapshot(blank, "node2")) == []


def test_a_changed_host_key_is_refused_with_the_remedy(blank: Lab) -> None:
    known = blank.project / ".cluster" / "known_hosts"
    text = known.read_text()
    keys = {
        line.split()[0]: line.split(maxsplit=1)[1] for line in text.splitlines() if line.strip()
    }
    one, two = (
        next(name for name in keys if node in name) for node in ("192.168.2.12", "192.168.2.13")
    )
    known.write_text(text.replace(keys[one], keys[two], 1))
    try:
        run = pyinfra(blank, "-y", deploys=["deploys/ssh_access.py"])
    finally:
        known.write_text(text)
    assert run.status != 0
    assert "ssh-keygen -R 192.168.2.12 -f .cluster/known_hosts" in run.output  # pyinfra's words
    assert codes(run.output.splitlines()[-1]) == ["RUN016"]
    assert run.left_alone("node3")
