"""
`make verify`: check the nodes of a cluster against its settings, from outside.

Nothing here knows what the deploys do. `pytest tests/cluster` acts on the cluster of the working
directory, through .cluster/ssh_config. It changes nothing, except that it runs pods in a namespace
of its own, and reboots with `--reboot`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import pytest
from rich.console import Console

import settings
from settings import Cluster, Node
from tests.cluster import table
from tests.cluster.connections import Connections
from tests.cluster.findings import Finding, State, Wrong, message_of
from tests.cluster.kubernetes import Kubernetes

CLUSTER = pytest.StashKey[Cluster]()
FINDINGS = pytest.StashKey[list[Finding]]()
SHOWN = pytest.StashKey[str]()
HERE = "this computer"
# What the later ones depend on is checked first.
ORDER = (
    "access",
    "board",
    "network",
    "containers",
    "kubernetes",
    "control_planes",
    "backups",
    "pods",
    "operator",
    "reboot",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("verify")
    group.addoption(
        "--reboot", action="store_true", help="reboot all nodes, then run all checks again"
    )
    group.addoption(
        "--no-pods", action="store_true", help="run no test pods: skip the checks that need them"
    )
    group.addoption(
        "--pod-image",
        default="busybox:1.37",
        help="what test pods run: any image with busybox's sh, httpd, nslookup, wget (%(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    try:
        config.stash[CLUSTER] = settings.load()
    except settings.SettingsError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[FINDINGS] = []
    if config.option.verbose == 0 and not config.option.collectonly:
        # The table says it all; `-v` gives pytest's own words back, with tracebacks.
        config.option.verbose = -2
        config.option.tbstyle, config.option.reportchars = "no", ""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Name the target first."""
    whose = settings.target(session.config.stash[CLUSTER])
    session.config.get_terminal_writer().line(whose, bold=True)
    if not session.config.option.collectonly:
        try:
            settings.prepare("inventory.py")
        except SystemExit as error:
            raise pytest.UsageError(str(error)) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cluster = metafunc.config.stash[CLUSTER]
    if "node" in metafunc.fixturenames:
        nodes: Sequence[Node] = cluster.nodes
        if metafunc.definition.get_closest_marker("control_plane"):
            nodes = cluster.control_plane
        elif metafunc.definition.get_closest_marker("first_control_plane"):
            nodes = (cluster.first_control_plane,)
        elif metafunc.definition.get_closest_marker("gateway"):
            nodes = (cluster.gateway or cluster.first_control_plane,)  # without one it is skipped
        metafunc.parametrize("node", nodes, ids=[node.name for node in nodes])
    if metafunc.config.option.reboot:
        rounds = (False, True) if "rebooting" not in metafunc.fixturenames else (True,)
        ids = ["rebooted" if each else "now" for each in rounds]
        metafunc.parametrize("rebooted", rounds, ids=ids, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.option.reboot:
        items[:] = [item for item in items if "rebooting" not in getattr(item, "fixturenames", ())]
    if len(config.stash[CLUSTER].control_plane) == 1:
        marker = "several_control_planes"
        items[:] = [item for item in items if item.get_closest_marker(marker) is None]
    # All checks before the reboot, then all again.
    items.sort(
        key=lambda item: (
            params_of(item).get("rebooted", False),
            ORDER.index(item.path.stem.removeprefix("test_")),
        )
    )


def params_of(item: pytest.Item) -> dict[str, Any]:
    """What the test is called with."""
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}


# --- fixtures of the checks -------------------------------------------------------------------


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    """The settings."""
    return pytestconfig.stash[CLUSTER]


@pytest.fixture(scope="session")
def connections(cluster: Cluster) -> Iterator[Connections]:
    made = Connections(cluster)
    made.open(cluster.nodes)
    yield made
    made.close()


@pytest.fixture(scope="session", autouse=True)
def rebooted(
    request: pytest.FixtureRequest, connections: Connections
) -> dict[str, float | Wrong] | None:
    """The result of the reboot by node, in the second round of `--reboot`; else None."""
    if not getattr(request, "param", False):
        return None
    took = connections.reboot()
    Kubernetes(connections).wait_until_ready()
    return took


@pytest.fixture(scope="session")
def rebooting(rebooted: dict[str, float | Wrong] | None) -> dict[str, float | Wrong]:
    """For the checks of the reboot itself."""
    assert rebooted is not None
    return rebooted


@pytest.fixture
def host(node: Node, connections: Connections) -> Any:
    """testinfra's host for the node, as root."""
    if node.name not in connections.hosts:
        pytest.skip(f"no connection to {node.name}")
    return connections.hosts[node.name]


@pytest.fixture(scope="session")
def kubernetes(connections: Connections, rebooted: object) -> Kubernetes:
    """The cluster, through kubectl on the control plane."""
    return Kubernetes(connections)


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Set what the table shows in place of "ok"."""

    def put(text: str) -> None:
        request.node.stash[SHOWN] = text

    return put


# --- findings ------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" or not report.passed:
        error = call.excinfo.value if call.excinfo else None
        item.config.stash[FINDINGS].append(finding(item, error))
        if isinstance(error, Wrong):
            report.longrepr = str(error)
    return report


def finding(item: pytest.Function, error: BaseException | None) -> Finding:
    """The finding of a check that has ended."""
    params = params_of(item)
    state: State = "ok"
    text = ""
    if isinstance(error, pytest.skip.Exception):
        state, text = "skipped", str(error.msg)
    elif error is not None:
        state, text = "wrong", message_of(error)
    return Finding(
        check=(item.function.__doc__ or item.name).splitlines()[0],
        where=params["node"].name if "node" in params else HERE,
        state=state,
        shown=item.stash.get(SHOWN, ""),
        text=text,
        rebooted=params.get("rebooted", False),
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    findings = config.stash[FINDINGS]
    if findings:
        places = [*(node.name for node in config.stash[CLUSTER].nodes), HERE]
        seconds = time.time() - terminalreporter._session_start.time
        table.show(Console(highlight=False), places, findings, seconds)
