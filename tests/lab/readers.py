"""The programs of a node that read its files, asked what they make of a text.

    with Readers() as ask:
        ask("resolv_conf", ["nameserver 1.1.1.1\\n"])

They are those of the virtual nodes' root file system, in a mount and a network namespace of their
own: nothing of this machine is changed, nothing is listened to outside.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from lab import rootfs

_SCRIPT = Path(__file__).with_name("readers_inside.py")

# An overlay over the root file system, which ends with the namespace.
_ENTER = """set -e; ip link set lo up; mount -t tmpfs readers /mnt; cd /mnt; mkdir over work root;
mount -t overlay readers -o lowerdir="$1",upperdir=/mnt/over,workdir=/mnt/work root;
mount --rbind /dev root/dev; cp "$2" root/readers.py; exec chroot root python3 /readers.py"""


class Readers:
    """The readers; to be closed."""

    def __enter__(self) -> Readers:
        script = ["sh", "-c", _ENTER, "enter", str(rootfs.build(print)), str(_SCRIPT)]
        self._inside = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", *script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._inside.stdin is not None
        self._inside.stdin.close()
        self._inside.wait()

    def __call__(self, reader: str, texts: list[str]) -> list[Any]:
        """The reader's answer to each text."""
        assert self._inside.stdin is not None
        assert self._inside.stdout is not None
        print(json.dumps([reader, texts]), file=self._inside.stdin, flush=True)
        answers = json.loads(self._inside.stdout.readline())
        assert isinstance(answers, list), answers
        assert len(answers) == len(texts)
        return answers
