"""
A signed apt repository laid out like pkgs.k8s.io, and a LAB_MIRROR folder around it.

Layout: `core:/stable:/v1.36/deb/` with the flat repository's Packages, Release, InRelease and
Release.key (Debian wiki, "DebianRepository/Format"), `images/*.tar` (docker-archive) and
`kube-flannel.yml`. Everything is kept in a cache, named by what it was made of; the private key is
thrown away after signing.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from lab.errors import LabError
from lab.standin import archives, debs, packages
from lab.standin.debian import debian_kubectl, run

# The versions offered for each minor, oldest first: the last is what apt takes unless told
# otherwise.
VERSIONS: dict[str, tuple[str, ...]] = {
    "1.35": ("1.35.6",),
    "1.36": ("1.36.3", "1.36.4"),
    "1.37": ("1.37.1", "1.37.2"),
}
DEFAULT_MINORS = ("1.36",)
FLANNEL = "kube-flannel.yml"
HASHES = {"MD5Sum": "md5", "SHA1": "sha1", "SHA256": "sha256"}


@dataclass(frozen=True)
class Mirror:
    """
    A folder as LAB_MIRROR takes it.

    + folder: where it is
    + fingerprint: of the key that signed its repositories, 40 hex digits
    """

    folder: Path
    fingerprint: str

    def repository(self, minor: str) -> Path:
        """The repository of a minor, `1.36`."""
        return self.folder / layout(minor)


def layout(minor: str) -> str:
    """A minor's place below the base URL, as at pkgs.k8s.io."""
    return f"core:/stable:/v{minor}/deb"


def architecture() -> str:
    """This machine's, in Debian's words; the nodes' too."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _control_of(deb: Path) -> dict[str, str]:
    text = run(["dpkg-deb", "--field", str(deb)]).decode()
    return dict(re.findall(r"(?m)^([A-Za-z-]+): (.*)$", text))


def _debs(minor: str, kubectl: Path) -> dict[str, bytes]:
    """All packages of one minor: file name → content."""
    machine = architecture()
    fields = _control_of(kubectl)
    original = kubectl.read_bytes()
    made = [packages.kubernetes_cni(machine)]
    found = {}
    for version in VERSIONS[minor]:
        made += [
            packages.kubelet(version, machine),
            packages.kubeadm(version, machine),
            packages.cri_tools(version, machine),
        ]
        own = packages.kubectl_fields(version, fields)
        found[debs.Package(own).file_name] = debs.relabel(original, own)
    return found | {one.file_name: debs.build(one) for one in made}


def _paragraph(path: str, data: bytes) -> str:
    """An entry of Packages."""
    with tempfile.NamedTemporaryFile(suffix=".deb") as file:
        file.write(data)
        file.flush()
        fields = run(["dpkg-deb", "--field", file.name]).decode()
    sums = {"MD5sum": "md5", "SHA1": "sha1", "SHA256": "sha256"}
    listed = "".join(
        f"{name}: {hashlib.new(kind, data).hexdigest()}\n" for name, kind in sums.items()
    )
    return f"{fields.rstrip()}\nFilename: {path}\nSize: {len(data)}\n{listed}\n"


def _release(minor: str, files: Mapping[str, bytes]) -> str:
    head = {
        "Origin": "bramble's lab (stand-in)",
        "Label": f"core:stable:v{minor} (stand-in)",
        "Archive": "deb",
        "Codename": "deb",
        "Date": formatdate(time.time(), usegmt=True),
        "Architectures": architecture(),
        "Description": "stand-ins for Kubernetes' packages, made on this machine",
    }
    text = debs.control(head)
    for name, kind in HASHES.items():
        text += f"{name}:\n" + "".join(
            f" {hashlib.new(kind, data).hexdigest()} {len(data)} {file}\n"
            for file, data in files.items()
        )
    return text


class Signer:
    """A key made on the spot, in a directory of its own that goes with it."""

    def __init__(self, home: Path, expires: str = "never") -> None:
        self.environment = {"GNUPGHOME": str(home)}
        home.chmod(0o700)
        self._gpg(
            "--quick-generate-key",
            "bramble lab, stand-in packages <lab@bramble.invalid>",
            "ed25519",
            "sign",
            expires,
        )
        listed = self._gpg("--with-colons", "--list-secret-keys").decode()
        self.fingerprint = next(
            line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr")
        )

    def _gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        base = [
            "gpg",
            "--batch",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
            "--digest-algo",
            "SHA256",
        ]
        return run([*base, *arguments], self.environment, stdin)

    def key(self) -> bytes:
        """Release.key: the public key in ASCII armour."""
        return self._gpg("--armor", "--export", self.fingerprint)

    def clear(self, data: bytes) -> bytes:
        """InRelease."""
        return self._gpg("--clearsign", stdin=data)

    def detached(self, data: bytes) -> bytes:
        """Release.gpg."""
        return self._gpg("--armor", "--detach-sign", stdin=data)

    def close(self) -> None:
        """End the agent that gpg started for this directory."""
        subprocess.run(
            ["gpgconf", "--kill", "all"],
            env=dict(os.environ) | self.environment,
            capture_output=True,
            check=False,
        )


def write_repository(
    folder: Path, minor: str, content: Mapping[str, bytes], signer: Signer
) -> None:
    """A flat repository of these packages (file name → content), signed."""
    machine = architecture()
    (folder / machine).mkdir(parents=True)
    entries = ""
    for name, data in sorted(content.items()):
        (folder / machine / name).write_bytes(data)
        entries += _paragraph(f"{machine}/{name}", data)
    index = {"Packages": entries.encode(), "Packages.gz": gzip.compress(entries.encode(), mtime=0)}
    release = _release(minor, index).encode()
    index |= {
        "Release": release,
        "InRelease": signer.clear(release),
        "Release.gpg": signer.detached(release),
        "Release.key": signer.key(),
    }
    for name, data in index.items():
        (folder / name).write_bytes(data)


def recipe(minors: Sequence[str]) -> str:
    """
    Changes with whatever a mirror is made of: this package's files, the versions, the architecture.
    """
    digest = hashlib.sha256(repr((sorted(minors), VERSIONS, architecture())).encode())
    own = Path(__file__).parent
    for file in sorted([*own.glob("*.py"), *own.glob("node/*.py"), own / FLANNEL]):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def build(
    cache: Path, sources: Sequence[str], keyring: Path, minors: Sequence[str] = DEFAULT_MINORS
) -> Mirror:
    """
    The mirror folder, from the cache or made anew.

    + cache: the lab's cache directory
    + sources, keyring: Debian's, for kubectl (`lab.debian_mirror.Mirror.lines()` and `.keyring`)
    + minors: such as `1.36`
    """
    unknown = [one for one in minors if one not in VERSIONS]
    if unknown:
        raise LabError(
            f"no stand-in for Kubernetes {', '.join(unknown)}: there are {', '.join(VERSIONS)}"
        )
    folder = cache / f"stand-in-{recipe(minors)}"
    if (folder / "fingerprint").is_file():
        return Mirror(folder, (folder / "fingerprint").read_text().strip())
    debian_kubectl(cache, sources, keyring)
    cache.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix="stand-in-new-", dir=cache))
    with tempfile.TemporaryDirectory(prefix="bramble-gpg-") as home:
        signer = Signer(Path(home))
        for minor in minors:
            write_repository(
                new / layout(minor), minor, _debs(minor, cache / "kubectl.deb"), signer
            )
        signer.close()
    archives.write(
        new / "images",
        archives.names([version for one in minors for version in VERSIONS[one]]),
        architecture(),
    )
    shutil.copy(Path(__file__).parent / FLANNEL, new / FLANNEL)
    (new / "fingerprint").write_text(f"{signer.fingerprint}\n")
    new.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    return Mirror(folder, signer.fingerprint)
