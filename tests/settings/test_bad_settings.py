"""Mistakes, and the messages that a person sees: file, node, setting, code and values.

+ bad/all.txt, workers.txt: lines added to that file of group_data/; indented below them, the
  messages. "<1>" is the number of the first line added
+ bad/inventory.txt: likewise, of an inventory; with the usual control plane when it has none
+ bad/projects.yaml: what is written into the project folder, by file: added in group_data/, else in
  its place; null removes it
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

import settings
from settings import Problem, fields

BAD = Path(__file__).parent / "bad"
CONTROL_PLANE = (
    'control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]\n'
)
# Where mistakes are found and worded.
HERE = Path(str(settings.__file__)).parent
MODULES = [
    HERE / f"{name}.py"
    for name in (
        "backup_fields", "build", "connector_fields", "fields", "images", "kubernetes_fields",
        "place_fields", "placement", "rules", "sources", "wifi_key",
    )
]  # fmt: skip

Files = dict[str, str | None]


def table(name: str) -> Iterator[tuple[str, list[str]]]:
    """The mistakes of a table, each with what is said of it."""
    text = (BAD / f"{name}.txt").read_text(encoding="utf-8")
    for match in re.finditer(r"((?:(?! {4}).*\n)+)((?: {4}.*\n)+)", text):
        yield match[1], [line.removeprefix("    ") for line in match[2].splitlines()]


def cases() -> Iterator[tuple[str, Files, list[str]]]:
    for group in ("all", "workers"):
        for text, said in table(group):
            yield text.strip(), {f"group_data/{group}.py": text}, said
    for text, said in table("inventory"):
        whole = re.search("^(control_plane|head) *=", text, re.MULTILINE)
        given = text if whole else CONTROL_PLANE + text
        yield text.strip(), {"inventory.py": given}, said
    projects = yaml.safe_load((BAD / "projects.yaml").read_text(encoding="utf-8"))
    for name, files in projects.items():
        yield name, files, files.pop("message")


CASES = list(cases())
# Values that are words of the message: what something is not, or why; and examples.
PROSE = {"need", ("SET005", "kind"), ("SET006", "reason")}
EXAMPLE = re.compile(r"(one|its?|a|an|the|another|names) ")


def compact(problem: Problem) -> str:
    """The message without its words: file, node, setting, code and values."""
    said = problem.text
    values = [
        f"{name}={value}"
        for name, value in said.values.items()
        if not {name, (said.message.code, name)} & PROSE
        and not (name == "instead" and EXAMPLE.match(str(value)))
    ]
    parts = (problem.file, problem.host, problem.setting)
    place = ": ".join(part for part in parts if part)
    line = f"{place}: {said.message.code} {', '.join(values)}".rstrip()
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


def problems_of(project: Path) -> list[str]:
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(project)
    return [compact(problem) for problem in caught.value.problems]


def mistakes(files: Files, project: Path) -> list[str]:
    return [compact(problem) for problem in problems(files, project)]


def problems(files: Files, project: Path) -> tuple[Problem, ...]:
    for name, text in files.items():
        path = project / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(exist_ok=True)
        with path.open("a" if path.parent.name == "group_data" else "w", encoding="utf-8") as file:
            file.write(text)
        if path.parent.name == ".cluster":
            path.chmod(0o600)
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(project)
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(("name", "files", "expected"), CASES, ids=[case[0] for case in CASES])
def test_mistake_has_its_messages(
    name: str, files: Files, expected: list[str], project: Path
) -> None:
    file = project / next(iter(files))
    before = len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0
    found = problems(files, project)
    shown = "\n".join(map(str, found)).lower()
    keys = [text for path, text in files.items() if path.endswith("wifi_psk") and text]
    for secret in ("geheim", *"".join(keys).lower().splitlines()):
        assert secret not in shown
    for number in (1, 2):
        expected = [
            text.replace(f"line <{number}>", f"line {before + number}") for text in expected
        ]
    assert [compact(problem) for problem in found] == expected


def test_every_line_names_its_file_and_a_code() -> None:
    for _, _, said in CASES:
        for line in said:
            place = r"(inventory\.py|group_data/\w+\.\w+)( line \S+)?: "
            assert re.match(rf"{place}.*\b(SET|FMT)\d{{3}}\b", line), line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbfx = 1\n", "line 1: SET102"),
        (b"x = 1\ny = '\xe4'\n", "line 2: SET102"),
        (b"x = '\0'\n", ": SET103 reason=source code string cannot contain null bytes"),
        (b"if True:\n\tx = 1\n        y = 2\n", "line 3: SET103 "),
        (b"def x():\n    return x()\nx()\n", "line 2: SET105 error=RecursionError: "),
        (
            b"class Odd(Exception):\n  pass\nraise Odd('two\\nlines')\n",
            "line 3: SET105 error=Odd: two lines",
        ),
    ],
)
@pytest.mark.parametrize("file", ["inventory.py", "group_data/all.py"])
def test_a_file_that_is_not_python_is_told_by_its_line(
    file: str, content: bytes, said: str, project: Path
) -> None:
    (project / file).write_bytes(content)
    line = next(line for line in problems_of(project) if line.startswith(file))
    assert said in line


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["group_data/all.py"], ["group_data/all.py: SET022 file=group_data/all.py"]),
        (["inventory.py"], ["inventory.py: SET100"]),
    ],
)
@pytest.mark.parametrize("instead", [None, "nothing", "folder"])
def test_a_file_that_is_missing_is_one_mistake(
    files: list[str], said: list[str], instead: str | None, project: Path
) -> None:
    for file in files:
        (project / file).unlink()
        if instead == "nothing" and file != "inventory.py":
            (project / file).write_text("")
        elif instead == "folder":
            (project / file).mkdir()
            said = [f"{file}: SET101 reason=Is a directory"]
    assert problems_of(project) == said


@pytest.mark.parametrize("setting", ["ssh_private_key", "kubeconfig", "flannel_manifest", "image"])
def test_a_path_that_the_system_does_not_let_us_look_at_is_told(
    setting: str, project: Path
) -> None:
    with (project / "group_data/all.py").open("a") as file:
        file.write(f"{setting} = {'./' + 'x' * 300!r}\n")
    (line,) = problems_of(project)
    assert line.startswith(f"group_data/all.py: {setting}: SET073 ")
    assert "reason=File name too long" in line


def test_whatever_a_value_looks_like_its_mistake_is_one_line(project: Path) -> None:
    with (project / "group_data/all.py").open("a") as file:
        file.write("class _Odd:\n    def __repr__(self):\n        return 'a\\nb\\x1b'\n")
        file.write("topology = _Odd()\n")
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(project)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("group_data/all.py: topology: a\\nb\\x1b is not one of ")


RIGHT = """
pod_network = "10.244.0.0/22"
pod_network = "100.64.0.0/10"
service_network = "10.96.0.0/28"
cluster_network = "192.168.2.0/28"
registry_mirrors = {"docker.io": "http://192.168.2.20:5000", "localhost:5000": "http://a.b:1"}
registry_mirrors = {"_default": "https://mirror.lan", "ghcr.io": "http://[fd00::1]:5000"}
nameservers = ("9.9.9.9", "Router")
search_domains = ["home.lan", "home_x.lan."]
resolver_options = ["timeout:1", "attempts:2", "rotate", "edns0", "ndots:0"]
admin_user = "ubuntu"
timezone = "Asia/Kolkata"
timezone = "Etc/GMT+5"
locale = "en_IL.UTF-8"
locale = "sr_RS.UTF-8@latin"
locale = "szl_PL.UTF-8"
locale = "eo.UTF-8"
locale = "ca_ES.UTF-8@valencia"
kubernetes_version = "1.31"
kubernetes_repository = "http://192.168.2.5:8080/k8s/v{minor}/deb"
kubernetes_repository = "https://mirror.lan/k8s/"
kubernetes_repository = "https://mirror.lan/v1.36/deb/"
image_repository = "mirror:5000/k8s.io"
pause_image = "192.168.2.5:5000/pause:3.9"
flannel_manifest = ("http://192.168.2.5:8080/"
    "kube-flannel.yml?x=1&y=(2)")
kubeconfig = "kube/my config"
kubectl_proxy_accept = ["node1.home.lan", "192.168.1.7", "10.0.0.0/8"]
kubelet_config = {"evictionHard": {"memory.available": "5%"}, "systemReserved": {"cpu": "100m"}}
kubelet_config = {"readOnlyPort": 0, "hairpinMode": "none", "maxPods": 50}
kubeadm_timeouts = {"discovery": "1m30s", "tlsBootstrap": "500ms5s"}
ignore_preflight_errors = ["Mem", "swap", "Port-10250", "FileExisting-crictl"]
ignore_preflight_errors = ["FileContent--proc-sys-net-ipv4-ip_forward"]
kubelet_config = {"imageGCLowThresholdPercent": 60, "imageGCHighThresholdPercent": 70}
kubelet_config = {"maxParallelImagePulls": 3, "serializeImagePulls": False}
kubelet_config = {"memorySwap": {"swapBehavior": "LimitedSwap"}, "logging": {"format": "json"}}
kube_proxy_config = {"bindAddress": "0.0.0.0", "metricsBindAddress": "[::]:10249", "portRange": ""}
node_labels = {"a": "", "example.org/b": None, "topology.kubernetes.io/zone": "x"}
"""


@pytest.mark.parametrize("text", re.findall(r"^\w.*\n(?: .*\n)*", RIGHT, re.MULTILINE))
def test_what_is_right_is_taken(text: str, project: Path) -> None:
    with (project / "group_data/all.py").open("a") as file:
        file.write(text)
    settings.load(project)


@pytest.mark.parametrize("workers", [0, 1, 20])
def test_any_number_of_workers_is_taken(workers: int, project: Path) -> None:
    nodes = [(f"w{n}", {"address": f"192.168.2.{20 + n}"}) for n in range(workers)]
    (project / "inventory.py").write_text(
        f"{CONTROL_PLANE}workers = {nodes}\nbase = '192.168.2.'\n"
    )
    assert len(settings.load(project).workers) == workers


def test_a_wifi_name_has_any_characters_but_control_characters() -> None:
    for name in ("a\u00a0b", "\u200b", "\U0001f468\u200d\U0001f33e", "\u3000 x"):
        TypeAdapter(fields.Ssid).validate_python(name)


def test_a_group_may_be_empty(project: Path) -> None:
    (project / "inventory.py").write_text(f"{CONTROL_PLANE}workers = []\nspares = []\n")
    assert settings.load(project).workers == ()


@pytest.mark.parametrize("written", ['{"node2": %s}', '[("node2", %s, {"a": 1})]'])
def test_a_password_of_a_node_is_not_shown(written: str, project: Path) -> None:
    workers = written % {"address": "192.168.2.12", "ssh_password": "geheim"}
    (project / "inventory.py").write_text(f"{CONTROL_PLANE}workers = {workers}\n")
    with pytest.raises(settings.SettingsError, match=r"ssh_password': '…'") as caught:
        settings.load(project)
    assert "geheim" not in str(caught.value)


def test_the_public_half_is_one_line(project: Path) -> None:
    public = key(project).with_suffix(".pub")
    line = public.read_bytes().rstrip()
    for wrong in (line + b"\n" + line + b"\n", line.replace(b" ", b"\n", 1), b""):
        public.write_bytes(wrong)
        assert said_of_key(project, "key") == "SET085 path='key', public='key.pub'"
    public.write_bytes(line + b" J\xe4n\n")
    cluster = settings.load(project)
    assert settings.operator_public_key(cluster).endswith("J�n")


def key(folder: Path, *options: str) -> Path:
    path = folder / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-f", str(path), *(options or ("-N", ""))]
    subprocess.run(command, check=True)
    return path


def said_of_key(project: Path, path: str, *lines: str) -> str:
    with (project / "group_data/all.py").open("a") as file:
        file.write(f"ssh_private_key = {path!r}\n" + "".join(f"{line}\n" for line in lines))
    (line,) = problems_of(project)
    return line.removeprefix("group_data/all.py: ssh_private_key: ")


def test_a_key_that_ssh_takes_is_taken(project: Path) -> None:
    key(project)
    with (project / "group_data/all.py").open("a") as file:
        file.write('ssh_private_key = "key"\n')
    assert settings.load(project).ssh_private_key == Path("key")


def test_a_key_with_a_passphrase_wants_an_agent(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key(project, "-N", "a passphrase")
    assert said_of_key(project, "key") == "SET086 path='key'"
    assert said_of_key(project, "key", "ssh_allow_agent = True") == "SET087 path='key'"


def test_a_key_that_is_none_is_told(project: Path) -> None:
    path = key(project)
    assert said_of_key(project, "key.pub") == "SET081 path='key.pub', private='key'"
    path.chmod(0o644)
    assert said_of_key(project, "key") == "SET083 path='key'"
    path.chmod(0o600)
    (project / "key.pub").rename(project / "own.pub")
    assert said_of_key(project, "key") == "SET085 path='key', public='key.pub'"
    (project / "key.pub").write_text("ssh-ed25519 AAAA another\n")
    assert said_of_key(project, "key") == "SET085 path='key', public='key.pub'"
    path.write_text("not a key\n")
    assert said_of_key(project, "key").startswith("SET084 path='key', reason=")


# How an error with a message is made.
MADE = r"ValueError|invalid\(|not_allowed\(|not_a_url\("


def complaints(module: Path) -> Iterator[range]:
    """The lines of each statement that words a mistake."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        words = (
            (isinstance(node, ast.Raise) and re.search(MADE, ast.unparse(node)))
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield))
            or (isinstance(node, ast.Expr) and ast.unparse(node).startswith("problems.append"))
        )
        if words:
            assert isinstance(node, ast.stmt)
            yield range(node.lineno, (node.end_lineno or node.lineno) + 1)


def test_every_complaint_has_an_example(make_project: Callable[[], Path]) -> None:
    """Runs all cases and looks which lines were reached."""
    reached: set[tuple[str, int]] = set()
    files = {str(path) for path in MODULES}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        reached.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    for _, written, _ in CASES:
        folder = make_project()
        sys.settrace(trace)
        try:
            mistakes(written, folder)
        finally:
            sys.settrace(before)
    without = [
        f"{path.name} line {lines.start}"
        for path in MODULES
        for lines in complaints(path)
        if not any((str(path), line) in reached for line in lines)
    ]
    assert not without, without
