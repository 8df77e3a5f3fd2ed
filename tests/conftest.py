"""For all tests: none is skipped, and a long run shows its progress."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

# The time of an example depends on the machine and on its other work.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

# Checks of a cluster may be skipped.
CHECKS_A_CLUSTER = Path(__file__).parent / "cluster"
NOT_SKIPPED = (
    "This test was skipped, which counts as a failure: install what it needs with "
    "`make test-tools`, or run it as root"
)


_LONGEST = 3000  # characters of a failure that are shown at once; the summary has all of it


def _may_skip(path: Path) -> bool:
    return path.is_relative_to(CHECKS_A_CLUSTER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not _may_skip(item.path):
        report.outcome = "failed"
        report.longrepr = f"{NOT_SKIPPED}: {call.excinfo.value if call.excinfo else ''}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and not _may_skip(collector.path):
        *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("",)
        report.outcome = "failed"
        report.longrepr = f"{NOT_SKIPPED}: {reason}"
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--progress", action="store_true", help="a line for each test as it begins, with the time"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--progress") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config))


class Progress:
    """Shows the name of each test when it begins, and failures at once, instead of dots."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.started = time.monotonic()
        self.begun = 0
        self.count = 0
        config.option.verbose = -1  # neither dots nor names of pytest's own

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.count = len(items)

    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.count = len(ids)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        if report.failed:
            return "failed" if report.when == "call" else "error", "", ""
        return ("passed", "", "") if report.when == "call" and report.passed else None

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.begun += 1
        self._say(f"{self.begun} of {self.count}: {nodeid.removeprefix('tests/')}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._say(f"FAILED: {report.nodeid}\n{report.longreprtext[-_LONGEST:]}")

    def _say(self, what: str) -> None:
        seconds = int(time.monotonic() - self.started)
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"  {seconds // 60:3}:{seconds % 60:02}  {what}")
            reporter._tw.flush()
