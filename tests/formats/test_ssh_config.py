"""ssh_config, read back by OpenSSH and by pyinfra's client."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path, PurePath, PurePosixPath

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyinfra.connectors.sshuserclient.config import SSHConfig

from formats import ssh_config

names = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
users = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
paths = st.from_regex(r"(/[A-Za-z0-9_.-]+( [A-Za-z0-9_]+)?){1,3}", fullmatch=True).map(
    PurePosixPath
)


def test_file_is_readable() -> None:
    text = ssh_config.render(
        [
            ssh_config.Host("a", [("HostName", "10.0.0.1"), ("ConnectTimeout", 8)]),
            ssh_config.Host("b", [("IdentityFile", PurePosixPath("/my keys/id"))]),
        ],
        comment="one\ntwo",
    )
    assert text == (
        "# one\n# two\n\n"
        "Host a\n  HostName 10.0.0.1\n  ConnectTimeout 8\n\n"
        'Host b\n  IdentityFile "/my keys/id"\n'
    )


@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=names, user=users, path=paths, address=st.ip_addresses(v=4), seconds=st.integers(1, 99))
def test_both_clients_read_what_was_written(
    tmp_path: Path, name: str, user: str, path: PurePosixPath, address: object, seconds: int
) -> None:
    options: list[tuple[str, str | int | PurePath]] = [
        ("HostName", str(address)),
        ("User", user),
        ("IdentityFile", path),
        ("ConnectTimeout", seconds),
    ]
    text = ssh_config.render([ssh_config.Host(name, options)], comment="test")
    parsed = SSHConfig()
    parsed.parse(io.StringIO(text))
    found = parsed.lookup(name)
    expected = (str(address), user, str(path), str(seconds))
    assert expected == (
        found["hostname"],
        found["user"],
        found["identityfile"][0],
        found["connecttimeout"],
    )
    file = tmp_path / "config"
    file.write_text(text)
    command = ["ssh", "-G", "-F", str(file), name]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    openssh = dict(line.split(" ", 1) for line in said.splitlines())
    assert expected == tuple(
        openssh[key] for key in ("hostname", "user", "identityfile", "connecttimeout")
    )


def test_a_host_that_has_moved_keeps_all_but_its_address() -> None:
    hosts = [
        ssh_config.Host("node1", [("HostName", "192.168.1.50"), ("User", "pi")]),
        ssh_config.Host("node10", [("User", "pi"), ("HostName", "192.168.1.51")]),
    ]
    text = ssh_config.render(hosts, comment="x")
    assert ssh_config.moved(text, "node1", "10.0.0.1") == text.replace("192.168.1.50", "10.0.0.1")
    assert ssh_config.moved(text, "node10", "10.0.0.1") == text.replace("192.168.1.51", "10.0.0.1")
    assert ssh_config.moved(text, "node2", "10.0.0.1") == text
