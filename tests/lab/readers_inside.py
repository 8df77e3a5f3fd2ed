"""Runs inside the nodes' root file system (tests/lab/readers.py): a list of texts a line, a list of
answers a line. By Python's own means alone."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path("/run/readers")
PORT = 2222


def write(path: str, text: str) -> None:
    """Another file each time, for the C library looks at a file again when it is another one."""
    new = Path(path + ".new")
    new.write_bytes(text.encode("utf-8", "surrogateescape"))
    new.replace(path)


class State(ctypes.Structure):
    """The beginning of struct __res_state, resolv.h."""

    _fields_ = (
        ("retrans", ctypes.c_int),
        ("retry", ctypes.c_int),
        ("options", ctypes.c_ulong),
        ("nscount", ctypes.c_int),
        ("nsaddr_list", ctypes.c_ubyte * 48),
        ("id", ctypes.c_ushort),
        ("dnsrch", ctypes.c_char_p * 7),
        ("defdname", ctypes.c_char * 256),
        ("pfcode", ctypes.c_ulong),
        ("ndots", ctypes.c_uint, 4),
        ("nsort", ctypes.c_uint, 4),
        ("bits", ctypes.c_uint, 24),
        ("sort_list", ctypes.c_uint * 20),
        ("unused", ctypes.c_void_p * 2),
        ("res_h_errno", ctypes.c_int),
        ("vcsock", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("ext_nscount", ctypes.c_ushort),
        ("nsmap", ctypes.c_ushort * 3),
        ("nssocks", ctypes.c_int * 3),
        ("nscount6", ctypes.c_ushort),
        ("nsinit", ctypes.c_ushort),
        ("nsaddrs", ctypes.c_void_p * 3),
        ("rest", ctypes.c_ubyte * 256),
    )


def resolv_conf(texts: list[str]) -> list[dict[str, Any]]:
    """What res_ninit(3) has understood: servers, search list, numbers, flags."""
    libc = ctypes.CDLL("libc.so.6")
    ninit = getattr(libc, "__res_ninit")
    found = []
    for text in texts:
        write("/etc/resolv.conf", text)
        state = State()
        assert ninit(ctypes.byref(state)) == 0
        servers = []
        for place in range(state.nscount):
            raw = bytes(state.nsaddr_list[16 * place : 16 * place + 16])
            if state.nsaddrs[place]:
                six = ctypes.string_at(state.nsaddrs[place], 28)
                servers.append(socket.inet_ntop(socket.AF_INET6, six[8:24]))
            else:
                servers.append(socket.inet_ntop(socket.AF_INET, raw[4:8]))
        search = [each.decode("utf-8", "surrogateescape") for each in state.dnsrch if each]
        numbers = {"ndots": state.ndots, "timeout": state.retrans, "attempts": state.retry}
        found.append(
            {"servers": servers, "search": search, "flags": state.options, "numbers": numbers}
        )
    return found


def hosts(texts: list[str]) -> list[dict[str, list[str]]]:
    """The addresses that each of some names has, IPv4 and IPv6."""
    write("/etc/nsswitch.conf", "hosts: files\n")
    found = []
    for text in texts:
        write("/etc/hosts", text)
        known = {}
        for name in ("node1", "node2", "alias"):
            addresses = set()
            for family in (socket.AF_INET, socket.AF_INET6):
                try:
                    answers = socket.getaddrinfo(name, None, family)
                except socket.gaierror:
                    continue
                addresses |= {str(answer[4][0]) for answer in answers}
            known[name] = sorted(addresses)
        found.append(known)
    return found


def fstab(texts: list[str]) -> list[bool]:
    """Whether systemd would turn swap on at boot."""
    Path("/proc/swaps").touch()
    generator = "/usr/lib/systemd/system-generators/systemd-fstab-generator"
    found = []
    for text in texts:
        write("/run/fstab", text)
        shutil.rmtree("/run/generated", ignore_errors=True)
        Path("/run/generated").mkdir()
        environment = {**os.environ, "SYSTEMD_FSTAB": "/run/fstab"}
        subprocess.run([generator, *["/run/generated"] * 3], env=environment, check=False)
        found.append(any(Path("/run/generated").glob("swap.target.*/*.swap")))
    return found


def ssh_keygen(texts: list[str]) -> list[str]:
    """New keys of these types: private half at HOME/TYPE, public half as the answer."""
    HOME.mkdir(mode=0o700, exist_ok=True)
    found = []
    for kind in texts:
        path = HOME / kind
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)]
        subprocess.run(command, check=True)
        found.append(path.with_suffix(".pub").read_text().strip())
    return found


def authorized_keys(texts: list[str]) -> list[bool]:
    """Whether sshd lets root in by one of the keys of ``ssh_keygen``."""
    Path("/run/sshd").mkdir(exist_ok=True)
    if not (HOME / "host").exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", HOME / "host"], check=True
        )
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": PORT,
        "HostKey": HOME / "host",
        "AuthorizedKeysFile": HOME / "authorized_keys",
        "PermitRootLogin": "yes",
        "UsePAM": "no",
        "StrictModes": "no",
        "PerSourcePenalties": "no",
        "PermitUserEnvironment": "no",
        "LogLevel": "QUIET",
    }
    (HOME / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    with subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", HOME / "config"]) as sshd:
        while socket.socket().connect_ex(("127.0.0.1", PORT)):
            assert sshd.poll() is None, "sshd has ended"
            time.sleep(0.05)
        found = [logs_in(text) for text in texts]
        sshd.terminate()
    return found


def logs_in(text: str) -> bool:
    """Whether a key of those in HOME opens it, once this is authorized_keys."""
    write(str(HOME / "authorized_keys"), text)
    keys = [path.with_suffix("") for path in HOME.glob("*.pub") if path.stem != "host"]
    named = [word for path in keys for word in ("-i", str(path))]
    quiet = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"]
    options = [word for option in (*quiet, "IdentitiesOnly=yes") for word in ("-o", option)]
    command = ["ssh", "-v", "-F", "none", "-p", str(PORT), *named, *options, "127.0.0.1", "true"]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return b"Authenticated to 127.0.0.1" in done.stderr


for line in sys.stdin:
    reader, asked = json.loads(line)
    answer = globals()[reader](asked)
    print(json.dumps(answer), flush=True)
