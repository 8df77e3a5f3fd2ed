"""Debian's own kubectl, fetched by apt with apt's usual checks, and how tools are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError


def run(
    argv: Sequence[str], environment: Mapping[str, str] | None = None, stdin: bytes = b""
) -> bytes:
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            env=dict(os.environ) | dict(environment or {}),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise LabError(
            f"{argv[0]} is missing: apt-get install {'gnupg' if argv[0] == 'gpg' else 'apt'}"
        ) from None
    if done.returncode:
        raise LabError(
            f"{' '.join(argv[:2])} failed: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout


def debian_kubectl(cache: Path, sources: Sequence[str], keyring: Path) -> bytes:
    """
    Debian's own kubectl package, fetched once by apt with its usual checks.

    + sources: sources.list lines for the nodes' release (`lab.debian_mirror`)
    + keyring: the archive's keys
    """
    kept = cache / "kubectl.deb"
    if kept.is_file():
        return kept.read_bytes()
    with tempfile.TemporaryDirectory(prefix="bramble-apt-") as scratch:
        base = Path(scratch)
        for folder in ("lists/partial", "cache/archives/partial", "parts"):
            (base / folder).mkdir(parents=True)
        lines = (
            re.sub(r"^deb\s+(\[[^]]*\]\s+)?", f"deb [signed-by={keyring}] ", one) for one in sources
        )
        (base / "sources.list").write_text("".join(f"{line}\n" for line in lines))
        (base / "status").touch()
        options = {
            "Dir::Etc::sourcelist": base / "sources.list",
            "Dir::Etc::sourceparts": base / "parts",
            "Dir::State::lists": base / "lists",
            "Dir::State::status": base / "status",
            "Dir::Cache": base / "cache",
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
        run([*apt, "update"])
        subprocess.run([*apt, "download", "kubectl"], cwd=base, capture_output=True, check=False)
        found = sorted(base.glob("kubectl_*.deb"))
        if not found:
            raise LabError("apt could not download Debian's kubectl: is the mirror reachable?")
        cache.mkdir(parents=True, exist_ok=True)
        shutil.move(found[0], kept)
    return kept.read_bytes()
