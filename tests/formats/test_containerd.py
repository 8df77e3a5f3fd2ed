"""containerd's config.toml, in each of its versions."""

import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from formats.containerd import (
    Runtime,
    configured,
    has_own_mirrors,
    newest_config_version,
    overridden,
)
from formats.registry_mirrors import CERTS_DIR
from formats.unreadable import Unreadable
from tests.said import saying

PAUSE = "registry.k8s.io/pause:3.10.2"
WANTED = Runtime(PAUSE)
OLD, V2, LTS = "1.7.24~ds1", "2.1.4", "2.3.1"

# Debian 13's package has this.
DEBIAN = """version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
"""

# Docker's containerd.io (1.7) has this, its licence and examples left out.
DOCKER = """#   Copyright The containerd Authors.

disabled_plugins = ["cri"]

#root = "/var/lib/containerd"
#[grpc]
#  address = "/run/containerd/containerd.sock"
"""

# Excerpts of `containerd config default`.
DEFAULT_3 = """version = 3
root = '/var/lib/containerd'
disabled_plugins = []

[grpc]
  address = '/run/containerd/containerd.sock'

[plugins]
  [plugins.'io.containerd.cri.v1.images']
    snapshotter = 'overlayfs'

    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = 'registry.k8s.io/pause:3.10'

    [plugins.'io.containerd.cri.v1.images'.registry]
      config_path = '/etc/docker/certs.d'

  [plugins.'io.containerd.cri.v1.runtime']
    enable_cdi = true

    [plugins.'io.containerd.cri.v1.runtime'.containerd]
      default_runtime_name = 'runc'

      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
          runtime_type = 'io.containerd.runc.v2'

          [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
            BinaryName = ''
            SystemdCgroup = false

    [plugins.'io.containerd.cri.v1.runtime'.cni]
      bin_dirs = ['/usr/lib/cni']
      conf_dir = '/etc/cni/net.d'
"""
DEFAULT_4 = DEFAULT_3.replace("version = 3", "version = 4").replace(
    "[grpc]", "[plugins.'io.containerd.server.v1.grpc']"
)


def cri2(text: str) -> Any:
    return tomllib.loads(text)["plugins"]["io.containerd.grpc.v1.cri"]


def cri3(text: str) -> tuple[Any, Any]:
    plugins = tomllib.loads(text)["plugins"]
    return plugins["io.containerd.cri.v1.images"], plugins["io.containerd.cri.v1.runtime"]


def assert_version_2(text: str) -> None:
    cri = cri2(text)
    assert tomllib.loads(text)["version"] == 2
    assert cri["sandbox_image"] == PAUSE
    assert cri["cni"] == {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"}
    assert cri["containerd"]["runtimes"]["runc"]["runtime_type"] == "io.containerd.runc.v2"
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True


def assert_version_3(text: str) -> None:
    images, runtime = cri3(text)
    assert images["pinned_images"]["sandbox"] == PAUSE
    assert "/opt/cni/bin" in runtime["cni"].get("bin_dirs", [runtime["cni"].get("bin_dir")])
    assert runtime["cni"]["conf_dir"] == "/etc/cni/net.d"
    assert runtime["containerd"]["runtimes"]["runc"]["runtime_type"] == "io.containerd.runc.v2"
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True


@pytest.mark.parametrize(
    ("version", "newest"), [("", 2), (OLD, 2), ("v2.0.0", 3), (V2, 3), (LTS, 4)]
)
def test_each_containerd_has_its_newest_version(version: str, newest: int) -> None:
    assert newest_config_version(version) == newest


def test_a_new_file_says_only_what_is_wanted() -> None:
    assert_version_2(configured(None, WANTED, OLD))
    assert_version_3(configured(None, WANTED, V2))
    assert set(tomllib.loads(configured(None, WANTED, OLD))) == {"version", "plugins"}


def test_a_new_file_for_2_3_is_one_that_2_0_reads_too() -> None:
    assert tomllib.loads(configured(None, WANTED, LTS))["version"] == 3


def test_an_unknown_containerd_gets_what_all_of_them_read() -> None:
    assert_version_2(configured(None, WANTED, ""))


def test_debians_file_keeps_its_other_settings() -> None:
    text = configured(DEBIAN, WANTED, OLD)
    assert_version_2(text)
    assert tomllib.loads(text)["plugins"]["io.containerd.internal.v1.opt"] == {
        "path": "/var/lib/containerd/opt"
    }


def test_a_file_of_version_2_stays_one_under_containerd_2() -> None:
    assert_version_2(configured(DEBIAN, WANTED, V2))


def test_dockers_file_gets_its_interface_back_and_keeps_its_comments() -> None:
    text = configured(DOCKER, WANTED, "1.7.28")
    assert_version_2(text)
    assert tomllib.loads(text)["disabled_plugins"] == []
    assert all(line in text for line in DOCKER.splitlines() if line.startswith("#"))


def test_a_comment_goes_with_the_plugin_that_it_stands_at() -> None:
    text = configured('disabled_plugins = ["cri", # of Docker\n  "aufs", # mine\n]\n', WANTED, OLD)
    assert tomllib.loads(text)["disabled_plugins"] == ["aufs"]
    assert "# mine" in text


def test_other_plugins_stay_disabled() -> None:
    text = configured(
        'version = 3\ndisabled_plugins = ["aufs", "io.containerd.cri.v1.runtime"]', WANTED, V2
    )
    assert tomllib.loads(text)["disabled_plugins"] == ["aufs"]


@pytest.mark.parametrize(("default", "version"), [(DEFAULT_3, V2), (DEFAULT_4, LTS)])
def test_the_default_files_of_containerd_2_keep_the_rest(default: str, version: str) -> None:
    text = configured(default, WANTED, version)
    assert_version_3(text)
    images, runtime = cri3(text)
    assert images["snapshotter"] == "overlayfs"
    assert images["registry"]["config_path"] == "/etc/docker/certs.d"
    assert runtime["enable_cdi"] is True
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["BinaryName"] == ""
    assert runtime["cni"]["bin_dirs"] == ["/opt/cni/bin", "/usr/lib/cni"]
    assert tomllib.loads(text)["version"] == tomllib.loads(default)["version"]


def test_bin_dir_of_containerd_2_0_stays_alone() -> None:
    text = "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dir = '/usr/lib/cni'\n"
    _, runtime = cri3(configured(text, WANTED, "2.0.5"))
    assert runtime["cni"] == {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"}


def test_bin_dir_beside_bin_dirs_which_containerd_refuses_goes() -> None:
    text = (
        "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n"
        "bin_dir = '/usr/lib/cni'\nbin_dirs = ['/opt/cni/bin']\n"
    )
    _, runtime = cri3(configured(text, WANTED, V2))
    assert runtime["cni"] == {"bin_dirs": ["/opt/cni/bin"], "conf_dir": "/etc/cni/net.d"}


def test_every_runtime_on_runcs_shim_has_the_same_cgroups() -> None:
    text = (
        "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.nvidia]\n"
        "runtime_type = 'io.containerd.runc.v2'\n"
        "[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.kata]\n"
        "runtime_type = 'io.containerd.kata.v2'\n"
    )
    runtimes = cri2(configured(text, WANTED, OLD))["containerd"]["runtimes"]
    assert runtimes["nvidia"]["options"] == {"SystemdCgroup": True}
    assert runtimes["kata"] == {"runtime_type": "io.containerd.kata.v2"}


def test_mirrors_are_looked_up_in_our_directory_before_that_of_others() -> None:
    with_mirrors = Runtime(PAUSE, mirrors=True)
    assert cri2(configured(DEBIAN, with_mirrors, OLD))["registry"] == {"config_path": CERTS_DIR}
    images, _ = cri3(configured(DEFAULT_3, with_mirrors, V2))
    assert images["registry"]["config_path"] == f"{CERTS_DIR}:/etc/docker/certs.d"
    again = configured(DEFAULT_3, with_mirrors, V2)
    assert configured(again, with_mirrors, V2) is again


def test_mirrors_of_the_old_kind_are_refused_with_what_to_do() -> None:
    text = (
        "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry.mirrors.'docker.io']\n"
        "endpoint = ['http://x']\n"
    )
    with pytest.raises(Unreadable, match=r"hosts\.toml"):
        configured(text, Runtime(PAUSE, mirrors=True), OLD)
    assert cri2(configured(text, WANTED, OLD))["registry"]["mirrors"]["docker.io"]


@pytest.mark.parametrize(
    ("text", "version", "message"),
    [
        ("version = [", OLD, "FMT001 not valid TOML: Invalid value"),
        ("[plugins.cri]\nsandbox_image = 'x'\n", V2, "FMT042 2.1.4"),
        ("version = 5\n", LTS, "FMT001 version = 5, and only 1 to 4 are known"),
        ("version = 'two'\n", OLD, "FMT001 version = 'two', and only 1 to 4 are known"),
        ("version = '2'\n", OLD, "FMT001 version = '2', and only 1 to 4 are known"),
        ("version = 2.0\n", OLD, "FMT001 version = 2.0, and only 1 to 4 are known"),
        ("version = 3\n", OLD, "FMT041 2"),
        ("version = 4\n", V2, "FMT041 3"),
        (
            "version = 2\n[plugins]\n'io.containerd.grpc.v1.cri' = 3\n",
            OLD,
            "FMT001 a value in place of the table 'io.containerd.grpc.v1.cri'",
        ),
    ],
)
def test_a_file_that_can_not_be_used_is_refused(text: str, version: str, message: str) -> None:
    with saying(message, Unreadable):
        configured(text, WANTED, version)


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("text", [None, "", DEBIAN, DOCKER, DEFAULT_3, DEFAULT_4])
def test_a_second_time_changes_not_a_byte(text: str | None, number: int) -> None:
    version = {2: OLD, 3: V2, 4: LTS}[number]
    have = tomllib.loads(text or "").get("version", 2)
    if have > number:
        return
    once = configured(text, WANTED, version)
    assert configured(once, WANTED, version) is once


KEYS = st.text("abc-", min_size=1, max_size=4)
VALUES = st.recursive(
    st.integers(0, 9) | st.booleans() | st.text("xyz ", max_size=5),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OTHERS = st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), max_size=3)
CRI = {
    2: ["io.containerd.grpc.v1.cri"],
    3: ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"],
}


@given(st.sampled_from([2, 3]), OTHERS, OTHERS, OTHERS)
def test_whatever_others_have_set_is_kept(
    number: int, root: dict[str, Any], plugins: dict[str, Any], cri: dict[str, Any]
) -> None:
    document = {"version": number, **root}
    document["plugins"] = {**plugins, **{name: dict(cri) for name in CRI[number]}}
    version = {2: OLD, 3: V2}[number]
    text = configured(tomlkit.dumps(document), WANTED, version)
    after = tomllib.loads(text)
    assert {key: value for key, value in after.items() if key in root} == root
    for name, value in plugins.items():
        assert after["plugins"][name] == value
    for name in CRI[number]:
        for key, value in cri.items():
            assert after["plugins"][name][key] == value
    (assert_version_2 if number == 2 else assert_version_3)(text)
    assert configured(text, WANTED, version) is text


CRI2 = '[plugins."io.containerd.grpc.v1.cri"]\n'
FORMS = [
    # Dotted keys, inline tables, and both in each other's place.
    CRI2 + 'registry.config_path = "/x"\n',
    CRI2 + 'registry.config_path = "/x"\nregistry.headers.X = ["a"]\nenable_cdi = true\n',
    CRI2 + 'sandbox_image = "x"\ncontainerd.runtimes.runc.options.SystemdCgroup = false\n',
    CRI2 + "containerd.runtimes.runc.options = { BinaryName = 'x', SystemdCgroup = false }\n",
    CRI2 + 'registry = { config_path = "/x" } # keep\ncni = { bin_dir = "a" }\nx = 1\n',
    'plugins."io.containerd.grpc.v1.cri".registry.config_path = "/x"\n',
    'plugins = { "io.containerd.grpc.v1.cri" = { registry = { config_path = "/x" } } }\n',
    '[plugins]\n"io.containerd.grpc.v1.cri" = { cni = { bin_dir = "a" } }\n"x" = { a = 1 }\n',
    '[plugins]\n"io.containerd.grpc.v1.cri".cni.bin_dir = "/x"\n'
    '"io.containerd.grpc.v1.cri".containerd.runtimes.runc.runtime_type = "io.containerd.runc.v2"\n',
    '[plugins."io.containerd.grpc.v1.cri".containerd]\n'
    'runtimes.crun = { runtime_type = "io.containerd.runc.v2" }\nsnapshotter = "native"\n',
    '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]\nBinaryName = "x"\n'
    + CRI2
    + 'registry.config_path = "/x"\n[plugins.other]\na = 1 # its own\n',
]


@pytest.mark.parametrize("mirrors", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_whatever_form_a_file_has_its_settings_stay_where_they_are(
    form: str, mirrors: bool
) -> None:
    before = "version = 2\n" + form
    wanted = Runtime(PAUSE, mirrors=mirrors)
    text = configured(before, wanted, OLD)
    assert configured(text, wanted, OLD) is text
    after = cri2(text)
    assert_version_2(text)
    changed = {"sandbox_image", "bin_dir", "conf_dir", "SystemdCgroup", "config_path"}
    assert leaves(after, changed) - leaves(cri2(before), changed) <= {
        (("containerd", "runtimes", "runc", "runtime_type"), "'io.containerd.runc.v2'")
    }
    assert leaves(cri2(before), changed) <= leaves(after, changed)
    theirs = cri2(before).get("registry", {}).get("config_path")
    paths = [CERTS_DIR] * mirrors + [theirs] * (theirs is not None)
    assert after.get("registry", {}).get("config_path", "") == ":".join(paths)
    assert all((word in text) == (word in before) for word in ("# keep", "# its own"))
    for name, table in tomllib.loads(before)["plugins"].items():
        assert name == "io.containerd.grpc.v1.cri" or tomllib.loads(text)["plugins"][name] == table


def leaves(value: Any, but: set[str], path: tuple[str, ...] = ()) -> set[tuple[Any, str]]:
    """Each value below a table with the way to it, without those of some names."""
    if not isinstance(value, dict):
        return {(path, repr(value))}
    parts = (leaves(item, but, (*path, key)) for key, item in value.items() if key not in but)
    return set().union(*parts)


@pytest.mark.parametrize(
    "form",
    [
        CRI2 + "containerd.runtimes.runc.options = { BinaryName = 'x' } # mine\n",
        '[plugins]\n"io.containerd.grpc.v1.cri".sandbox_image = "x" # mine\n'
        '"io.containerd.grpc.v1.cri".cni.bin_dir = "x"\n',
    ],
)
def test_a_form_that_would_lose_comments_is_refused(form: str) -> None:
    text = f"version = 2\n{form}"
    with pytest.raises(Unreadable, match="without losing comments"):
        configured(text, WANTED, OLD)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (CRI2 + 'sandbox_image = "x#y" # real # one\n', "# real # one"),
        (CRI2 + "sandbox_image = '''x # y''' # real\n", "# real"),
        ('disabled_plugins = [\n  "cri", # no\n  "io.x.y", # why\n]\n' + CRI2, '"io.x.y", # why'),
    ],
)
def test_comments_are_kept_and_nothing_else_is_taken_for_one(text: str, left: str) -> None:
    made = configured(f"version = 2\n{text}", WANTED, OLD)
    assert left in made
    assert "cri" not in tomllib.loads(made).get("disabled_plugins", [])
    assert_version_2(made)


def test_version_1_is_one_that_containerd_1_reads_by_short_names() -> None:
    text = '[plugins.cri]\nsystemd_cgroup = true # mine\n[plugins.linux]\nshim = "x"\n'
    made = tomllib.loads(configured(text, WANTED, OLD))
    assert "version" not in made
    assert made["plugins"]["cri"]["systemd_cgroup"] is False
    assert made["plugins"]["cri"]["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"]
    assert made["plugins"]["linux"] == {"shim": "x"}
    explicit = configured("version = 1\n[plugins.cri]\n", WANTED, OLD)
    assert tomllib.loads(explicit)["plugins"]["cri"]["sandbox_image"] == PAUSE


@pytest.mark.parametrize(
    "text",
    [
        'disabled_plugins = ["cri", "aufs"]\n',
        'required_plugins = ["cri"]\n',
        'disabled_plugins = ["restart"]\n',
        'disabled_plugins = ["linux"]\n\n[cgroup]\n  path = "/x"\n',
    ],
)
def test_short_names_of_plugins_keep_a_file_in_version_1(text: str) -> None:
    made = tomllib.loads(configured(text, WANTED, "1.7.24"))
    assert "version" not in made
    assert [*made["plugins"]] == ["cri"]
    assert "cri" not in made.get("disabled_plugins", ())
    with pytest.raises(Unreadable):
        configured(text, WANTED, "2.0.5")


def test_cgroups_of_the_runtime_that_is_gone_are_switched_off() -> None:
    text = configured("version = 2\n" + CRI2 + "systemd_cgroup = true\n", WANTED, OLD)
    assert cri2(text)["systemd_cgroup"] is False


@pytest.mark.parametrize("version", [OLD, V2, LTS])
def test_what_is_in_effect_is_seen_in_containerds_own_print(version: str) -> None:
    dump = configured(None, WANTED, version)
    assert overridden(dump, WANTED) == []
    (name,) = overridden(dump.replace("SystemdCgroup = true", "SystemdCgroup = false"), WANTED)
    assert name.endswith("containerd.runtimes.runc.options.SystemdCgroup")
    assert overridden(dump.replace("bin_dirs = [", "bin_dir = ''\nbin_dirs = ["), WANTED) == []
    off = 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n' + dump
    assert overridden(off, WANTED) == ["disabled_plugins"]


@pytest.mark.parametrize(
    ("registry", "is_own"),
    [
        ("", False),
        (f'config_path = "{CERTS_DIR}"', False),
        (f'config_path = "{CERTS_DIR}:/etc/docker/certs.d"', False),
        ('config_path = ""', False),
        ('config_path = "/srv/certs.d"', True),
        ('mirrors."docker.io".endpoint = ["http://10.0.0.9:5000"]', True),
        ('configs."registry.lan".auth.username = "me"', True),
    ],
)
@pytest.mark.parametrize("plugin", ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"])
def test_mirrors_of_the_node_itself_are_found(plugin: str, registry: str, is_own: bool) -> None:
    assert has_own_mirrors(f'[plugins."{plugin}".registry]\n{registry}\n') == is_own
    assert not has_own_mirrors(None)
