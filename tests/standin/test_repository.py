"""The signed repository and the mirror folder around it."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from lab.mirror import archives, packages, repository


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror whose kubectl is a tiny package in place of Debian's, so that nothing is fetched."""
    cache = tmp_path_factory.mktemp("cache")
    tree = tmp_path_factory.mktemp("kubectl")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        "Package: kubectl\nVersion: 1.32.3+ds-2\nArchitecture: all\nDepends: libc6\n"
        "Maintainer: nobody <nobody@example.invalid>\nDescription: kubectl\n"
    )
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/kubectl").write_text("#!/bin/sh\necho v1.32.3\n")
    packages.run(["dpkg-deb", "--build", str(tree), str(cache / "kubectl.deb")])
    return repository.build(cache, cache / "kubectl.deb", ["1.36"])


def apt(tmp_path: Path, mirror: Path, *command: str) -> str:
    """apt with nothing but this repository, checking its signature with its key."""
    for folder in ("lists/partial", "cache/archives/partial", "parts"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    repo = mirror / repository.layout("1.36")
    source = f"deb [signed-by={tmp_path}/key.asc] file:{repo}/ /\n"
    (tmp_path / "key.asc").write_bytes((repo / "Release.key").read_bytes())
    (tmp_path / "sources.list").write_text(source)
    (tmp_path / "status").touch()
    options = {
        "Dir::Etc::sourcelist": tmp_path / "sources.list",
        "Dir::Etc::sourceparts": tmp_path / "parts",
        "Dir::State::lists": tmp_path / "lists",
        "Dir::State::status": tmp_path / "status",
        "Dir::Cache": tmp_path / "cache",
        "APT::Sandbox::User": "root",
    }
    argv = [command[0], *(f"-o{name}={value}" for name, value in options.items()), *command[1:]]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_apt_trusts_the_repository_by_its_key_and_finds_the_packages(
    mirror: Path, tmp_path: Path
) -> None:
    apt(tmp_path, mirror, "apt-get", "update")
    found = apt(tmp_path, mirror, "apt-cache", "show", "kubelet=1.36.4-1.1")
    assert "Depends: kubernetes-cni (>= 1.2.0), mount, util-linux" in found
    names = apt(tmp_path, mirror, "apt-cache", "pkgnames").split()
    assert {"kubelet", "kubeadm", "kubectl", "kubernetes-cni"} <= set(names)
    assert "1.36.4-1.1" in apt(tmp_path, mirror, "apt-cache", "policy", "kubectl")


def test_a_changed_package_list_is_refused(mirror: Path, tmp_path: Path) -> None:
    release = mirror / repository.layout("1.36") / "InRelease"
    original = release.read_bytes()
    release.write_bytes(original.replace(b"Archive: deb", b"Archive: bad"))
    try:
        with pytest.raises(subprocess.CalledProcessError):
            apt(tmp_path, mirror, "apt-get", "update")
    finally:
        release.write_bytes(original)


def test_the_fingerprint_is_that_of_the_key_beside_the_packages(mirror: Path) -> None:
    key = mirror / repository.layout("1.36") / "Release.key"
    assert key.read_text().startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    shown = subprocess.run(
        ["gpg", "--batch", "--show-keys", "--with-colons", str(key)], capture_output=True, text=True
    )
    assert f"fpr:::::::::{(mirror / 'fingerprint').read_text().strip()}:" in shown.stdout


def test_a_second_build_takes_the_first_ones_folder(mirror: Path) -> None:
    before = (mirror / "fingerprint").stat().st_mtime_ns
    cache = mirror.parent
    again = repository.build(cache, cache / "kubectl.deb", ["1.36"])
    assert again == mirror
    assert (mirror / "fingerprint").stat().st_mtime_ns == before


def test_no_private_key_is_kept(mirror: Path) -> None:
    kept = [file.name for file in mirror.parent.rglob("*") if "private" in file.name]
    assert kept == []


def test_a_minor_without_a_stand_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        packages.PackageError, match=r"no stand-in for Kubernetes 1\.20: there are 1\.35"
    ):
        repository.build(tmp_path, tmp_path / "kubectl.deb", ["1.20"])


def test_an_image_archive_names_its_image_and_its_parts_match() -> None:
    name = "registry.k8s.io/pause:3.10.2"
    with tarfile.open(fileobj=io.BytesIO(archives.archive(name, "arm64"))) as archive:
        files = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == [name]
    config = json.loads(files[manifest["Config"]])
    assert manifest["Config"] == f"{hashlib.sha256(files[manifest['Config']]).hexdigest()}.json"
    (layer,) = manifest["Layers"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(files[layer]).hexdigest()}"]
    assert config["architecture"] == "arm64"


def test_kubectl_is_debians_with_the_version_of_its_package(mirror: Path, tmp_path: Path) -> None:
    debs = mirror / repository.layout("1.36") / packages.architecture()
    packages.run(["dpkg-deb", "-x", str(next(debs.glob("kubectl_1.36.4-*"))), str(tmp_path)])
    assert (tmp_path / "usr/bin/kubectl").read_text() == "#!/bin/sh\necho v1.36.4\n"


def test_a_mirror_that_hangs_or_fails_is_asked_again(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, calls, kept = tmp_path / "apt-get", tmp_path / "calls", tmp_path / "cache/kubectl.deb"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program.write_text(f"#!/bin/sh\necho >> {calls}; exec sleep 99\n")
    program.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(packages, "APT_S", 1)
        with pytest.raises(packages.PackageError, match="apt-get took more than 1 s"):
            packages.download("kubectl", kept, ["deb http://127.0.0.1 trixie main"], tmp_path)
    assert len(calls.read_text()) == packages.ATTEMPTS
    deb = mirror.parent / "kubectl.deb"
    program.write_text(f'#!/bin/sh\necho >> {calls}; [ "$(wc -l < {calls})" != 4 ] || exit 1\n')
    with program.open("a") as script:
        script.write(f"cp {deb} kubectl_1_all.deb\n")
    packages.download("kubectl", kept, [], tmp_path)
    assert kept.read_bytes() == deb.read_bytes()


def test_the_cni_plugins_are_debians(mirror: Path, tmp_path: Path) -> None:
    debs = mirror / repository.layout("1.36") / packages.architecture()
    (deb,) = debs.glob("kubernetes-cni_*")
    depends = packages.run(["dpkg-deb", "--field", str(deb), "Depends"]).decode().strip()
    assert depends == "containernetworking-plugins"
    packages.run(["dpkg-deb", "-x", str(deb), str(tmp_path)])
    assert (tmp_path / "opt/cni/bin/bridge").readlink() == Path("/usr/lib/cni/bridge")
