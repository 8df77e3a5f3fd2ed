"""The table at the end of a run, and below it all messages."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tests.cluster.findings import Finding, listed

_STYLES = {"ok": "green", "wrong": "bold red", "skipped": "dim"}


def show(out: Console, places: Sequence[str], findings: Sequence[Finding], seconds: float) -> None:
    """
    Print the findings.

    + places: the columns: the nodes, and this computer
    """
    for rebooted in (False, True):
        some = [finding for finding in findings if finding.rebooted == rebooted]
        if some:
            out.print()
            out.print(_table(places, some, "after a reboot" if rebooted else ""))
    _show_wrong(out, [finding for finding in findings if finding.state == "wrong"])
    _show_skipped(out, [finding for finding in findings if finding.state == "skipped"])
    out.print()
    out.print(_sum(findings, seconds))


def _table(places: Sequence[str], findings: Sequence[Finding], title: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title)
    for place in places:
        table.add_column(place)
    for check in dict.fromkeys(finding.check for finding in findings):
        cells = {finding.where: _cell(finding) for finding in findings if finding.check == check}
        table.add_row(check, *(cells.get(place, "") for place in places))
    return table


def _cell(finding: Finding) -> Text:
    text = {"ok": finding.shown or "ok", "wrong": "WRONG", "skipped": "-"}[finding.state]
    return Text(text, _STYLES[finding.state])


def _show_wrong(out: Console, findings: Sequence[Finding]) -> None:
    """Print each message once, with all the checks that it fails."""
    by_text: dict[tuple[str, bool], list[Finding]] = {}
    for finding in findings:
        by_text.setdefault((finding.text, finding.rebooted), []).append(finding)
    for (text, rebooted), some in by_text.items():
        places = listed(dict.fromkeys(finding.where for finding in some))
        checks = listed(dict.fromkeys(finding.check for finding in some))
        out.print()
        out.print(Text(f"{places}: {checks}{', after the reboot' * rebooted}", "bold red"))
        out.print(Padding(Text(text), (0, 0, 0, 4), expand=False))


def _show_skipped(out: Console, findings: Sequence[Finding]) -> None:
    """Print each reason once, with the checks that were skipped for it."""
    by_reason: dict[str, list[Finding]] = {}
    for finding in findings:
        by_reason.setdefault(finding.text, []).append(finding)
    for reason, some in by_reason.items():
        checks = dict.fromkeys(finding.check for finding in some)
        what = listed(checks) if len(checks) < 5 else f"{len(checks)} checks"
        out.print()
        out.print(Text(f"Skipped ({reason}): {what}", "dim"))


def _sum(findings: Sequence[Finding], seconds: float) -> Text:
    ok, bad, skipped = (sum(each.state == state for each in findings) for state in _STYLES)
    text = f"{ok} of {ok + bad} checks passed, {bad} failed" if bad else f"All {ok} checks passed"
    if skipped:
        text += f", {skipped} were skipped"
    return Text(f"{text}; {seconds:.0f} s", "bold red" if bad else "bold green")
