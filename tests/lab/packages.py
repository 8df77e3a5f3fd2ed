"""Packages of a test's own, and an apt source on a node that has them and nothing else."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.api import Lab
from tests.lab.runs import ok

SOURCE = "/srv/updates"

# Kubernetes' source stays; Debian's is set aside, so that only these packages have updates.
_TAKE = f"""set -e; rm -rf {SOURCE}; mkdir -p {SOURCE}; base64 -d | tar -C {SOURCE} -x;
mkdir -p /srv/aside; cd /etc/apt;
mv sources.list sources.list.d/debian* /srv/aside/ 2>/dev/null || :;
echo 'deb [trusted=yes] file:{SOURCE} ./' > /etc/apt/sources.list.d/lab.list"""
AGE = "touch -d '2 hours ago' /var/lib/apt/lists"


@dataclass
class Package:
    """
    A package for all architectures.

    + scripts: maintainer scripts by name, and debconf's templates
    + files: by path; those in /etc are its configuration files
    """

    name: str
    version: str
    scripts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    depends: str = ""

    def build(self, folder: Path) -> Path:
        """Build it into a folder."""
        with tempfile.TemporaryDirectory() as scratch:
            tree = Path(scratch)
            control = f"Package: {self.name}\nVersion: {self.version}\nArchitecture: all\n"
            control += "Maintainer: lab <lab@bramble.invalid>\nDescription: of a test\n"
            control += f"Depends: {self.depends}\n" if self.depends else ""
            settings = "".join(f"{path}\n" for path in self.files if path.startswith("/etc/"))
            control_files = {"control": control, "conffiles": settings, **self.scripts}
            found = {f"DEBIAN/{name}": text for name, text in control_files.items()}
            found |= {path.lstrip("/"): text for path, text in self.files.items()}
            for path, text in found.items():
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_text(text)
                (tree / path).chmod(0o755 if text.startswith("#!") else 0o644)
            command = ["dpkg-deb", "--root-owner-group", "-z1", "--build", str(tree), str(folder)]
            subprocess.run(command, check=True, capture_output=True)
        return folder / f"{self.name}_{self.version}_all.deb"


def offer(lab: Lab, node: str, *packages: Package) -> None:
    """Let the node's apt source have exactly these packages; the node's lists are not fetched."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, index, archive = Path(scratch), "", io.BytesIO()
        for each in packages:
            data = (file := each.build(folder)).read_bytes()
            fields = ["dpkg-deb", "--field", str(file)]
            index += subprocess.run(fields, check=True, capture_output=True, text=True).stdout
            index += f"Filename: ./{file.name}\nSize: {len(data)}\n"
            index += f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        (folder / "Packages").write_text(index)
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(folder, ".")
    sent = base64.b64encode(archive.getvalue()).decode()
    ok(lab.ssh(node, f"sudo sh -c {_quoted(_TAKE)}; sudo {AGE}", stdin=sent))


def install(lab: Lab, node: str, *packages: Package) -> None:
    """Install packages, whatever else the node has of them."""
    offer(lab, node, *packages)
    names = " ".join(each.name for each in packages)
    # In a service there is no terminal on which a package could ask.
    run = "sudo systemd-run --quiet --wait env DEBIAN_FRONTEND=noninteractive"
    ok(lab.ssh(node, "sudo apt-get -q update"))
    ok(lab.ssh(node, f"{run} apt-get -q -y -o Dpkg::Use-Pty=0 install {names}"))


def versions(lab: Lab, node: str, *names: str) -> dict[str, str]:
    """The completely installed versions."""
    form = "'${db:Status-Abbrev}${Package} ${Version}\\n'"
    listed = lab.ssh(node, f"dpkg-query -W -f {form} {' '.join(names)}").stdout
    rows = [line[3:].split() for line in listed.splitlines() if line[1:3] == "i "]
    return {name: version for name, version in rows}


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"
