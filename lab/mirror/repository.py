"""
A signed apt repository laid out like pkgs.k8s.io, and a LAB_MIRROR folder around it.

Layout: `core:/stable:/v1.36/deb/` with the flat repository's Packages, InRelease and Release.key
(Debian wiki, "DebianRepository/Format"), `images/*.tar` (docker-archive) and `kube-flannel.yml`.
Everything is kept in a cache, named by what it was made of; the private key is not kept.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path

from lab.mirror import archives, packages

# The versions offered for each minor, oldest first: apt takes the last unless told otherwise.
VERSIONS: dict[str, tuple[str, ...]] = {
    "1.35": ("1.35.6",),
    "1.36": ("1.36.3", "1.36.4"),
    "1.37": ("1.37.1", "1.37.2"),
}
FLANNEL = "kube-flannel.yml"
GPG = ["gpg", "--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase="]
OWNER = "bramble lab, stand-in packages <lab@bramble.invalid>"


def layout(minor: str) -> str:
    """Return a minor's place below the base URL, as at pkgs.k8s.io."""
    return f"core:/stable:/v{minor}/deb"


def _index(folder: Path) -> bytes:
    """Return Packages, for the packages below a folder."""
    text = ""
    for deb in sorted(folder.rglob("*.deb")):
        data = deb.read_bytes()
        text += packages.run(["dpkg-deb", "--field", str(deb)]).decode()
        text += f"Filename: {deb.relative_to(folder)}\nSize: {len(data)}\n"
        text += f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    return text.encode()


def _release(minor: str, files: dict[str, bytes]) -> bytes:
    text = f"Origin: bramble's lab (stand-in)\nLabel: core:stable:v{minor} (stand-in)\n"
    text += f"Archive: deb\nCodename: deb\nDate: {formatdate(time.time(), usegmt=True)}\n"
    text += f"Architectures: {packages.architecture()}\nSHA256:\n"
    for file, data in files.items():
        text += f" {hashlib.sha256(data).hexdigest()} {len(data)} {file}\n"
    return text.encode()


def _write_repository(folder: Path, minor: str, kubectl: Path, home: dict[str, str]) -> None:
    """Write the signed repository of a minor; home: where gpg has its key."""
    debs = folder / packages.architecture()
    debs.mkdir(parents=True)
    packages.build("kubernetes-cni", packages.CNI_VERSION, debs)
    for version in VERSIONS[minor]:
        packages.build("kubelet", version, debs)
        packages.build("kubeadm", version, debs)
        packages.build_kubectl(kubectl, version, debs)
    index = _index(folder)
    files = {"Packages": index, "Packages.gz": gzip.compress(index, mtime=0)}
    release = _release(minor, files)
    files["InRelease"] = packages.run([*GPG, "--clearsign"], home, release)
    files["Release.key"] = packages.run([*GPG, "--armor", "--export"], home)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def recipe(minors: Sequence[str]) -> str:
    """Return what changes with whatever a mirror is made of: files, versions, architecture."""
    made_of = repr((sorted(minors), VERSIONS, packages.architecture()))
    digest = hashlib.sha256(made_of.encode())
    for file in sorted([*packages.HERE.rglob("*"), *Path(__file__).parent.rglob("*")]):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def build(cache: Path, kubectl: Path, minors: Sequence[str]) -> Path:
    """
    Return the folder for LAB_MIRROR, from the cache or made anew.

    + cache: the lab's cache directory
    + kubectl: Debian's package
    + minors: such as `1.36`
    """
    if unknown := [one for one in minors if one not in VERSIONS]:
        there = ", ".join(VERSIONS)
        raise packages.PackageError(
            f"no stand-in for Kubernetes {', '.join(unknown)}: there are {there}"
        )
    folder = cache / f"stand-in-{recipe(minors)}"
    if (folder / "fingerprint").is_file():
        return folder
    new = Path(tempfile.mkdtemp(prefix="stand-in-new-", dir=cache))
    with tempfile.TemporaryDirectory(prefix="bramble-gpg-") as scratch:
        home = {"GNUPGHOME": scratch}
        packages.run([*GPG, "--quick-generate-key", OWNER, "ed25519", "sign", "never"], home)
        listed = packages.run([*GPG, "--with-colons", "--list-secret-keys"], home).decode()
        fingerprint = listed.partition("\nfpr:")[2].split(":")[8]
        for minor in minors:
            _write_repository(new / layout(minor), minor, kubectl, home)
        ended = ["gpgconf", "--kill", "all"]  # the agent that gpg started for this directory
        subprocess.run(ended, env=dict(os.environ) | home, capture_output=True, check=False)
    versions = [version for one in minors for version in VERSIONS[one]]
    archives.write(new / "images", archives.names(versions), packages.architecture())
    shutil.copy(packages.HERE / FLANNEL, new / FLANNEL)
    (new / "fingerprint").write_text(f"{fingerprint}\n")
    new.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    return folder
