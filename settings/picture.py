"""Draw the cluster from its settings: `make picture`.

One SVG for each topology that the inventory has the addresses for. Colours and fonts are
attributes, which every renderer knows; a browser with a dark theme replaces the colours. Nothing
of a Wi-Fi is shown but that it is one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from ipaddress import IPv4Address
from pathlib import Path

from settings import sources
from settings.build import build
from settings.model import Cluster, Node
from settings.run import ending_the_program

_FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
_FIXED = "ui-monospace, 'SF Mono', 'DejaVu Sans Mono', monospace"


@dataclass(frozen=True)
class _Look:
    """How a class of shapes looks: fill and stroke in light and dark, other attributes in both."""

    light: tuple[str, str]
    dark: tuple[str, str]
    others: str = ""

    def attributes(self) -> str:
        fill, stroke = self.light
        return f'fill="{fill}" stroke="{stroke}"' + (f" {self.others}" if self.others else "")


def _of_text(light: str, dark: str, size: str, family: str, weight: str = "normal") -> _Look:
    font = f'font-family="{family}" font-size="{size}" font-weight="{weight}"'
    return _Look((light, "none"), (dark, "none"), font)


_BOX = 'stroke-width="1.5"'
_CABLE = 'stroke-width="2.5" stroke-linecap="round"'
_LOOKS = {
    "paper": _Look(("#ffffff", "none"), ("#12181f", "none")),
    "box": _Look(("#f3f5f8", "#8a98a8"), ("#1d2630", "#6b7b8c"), _BOX),
    "worker": _Look(("#f2f7f0", "#4c8b3f"), ("#16241a", "#6fb861"), _BOX),
    "control_plane": _Look(("#fdeef1", "#c51a4a"), ("#2c1620", "#f0658a"), _BOX),
    "cable": _Look(("none", "#8a98a8"), ("none", "#6b7b8c"), _CABLE),
    "radio": _Look(("none", "#8a98a8"), ("none", "#6b7b8c"), f'{_CABLE} stroke-dasharray="2 7"'),
    "name": _of_text("#1f2933", "#e6ebf0", "16", _FONT, "600"),
    "soft": _of_text("#5c6b7a", "#9fb0c0", "12.5", _FONT),
    "number": _of_text("#1f2933", "#e6ebf0", "13", _FIXED),
    "route": _of_text("#c51a4a", "#f0658a", "13", _FIXED),
}
_DARK = "\n".join(
    f"    .{name} {{ fill: {look.dark[0]}; stroke: {look.dark[1]} }}"
    for name, look in _LOOKS.items()
)
_STYLE = f"@media (prefers-color-scheme: dark) {{\n{_DARK}\n  }}"

_ROW = 6  # boards side by side
_GAP = 28
_MARGIN = 36
_LINE = 21  # from one line of text to the next


@dataclass(frozen=True)
class _Box:
    """A device.

    + kind: its class: "control_plane", "worker", or "box" for what is no node
    + lines: (class of the text, text) below its name
    """

    name: str
    lines: Sequence[tuple[str, str]]
    kind: str = "box"
    x: float = 0
    y: float = 0
    width: float = 0

    @property
    def height(self) -> float:
        return 44 + _LINE * len(self.lines)

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def needs(self) -> float:
        """The width that its texts take, by the widest letters of these sizes."""
        longest = max((len(text) for _, text in self.lines), default=0)
        return max(9.6 * len(self.name), 8.0 * longest) + 36

    def at(self, x: float, y: float, width: float) -> _Box:
        return _Box(self.name, self.lines, self.kind, x, y, width)

    def draw(self) -> Iterator[str]:
        yield (
            f'<rect class="{self.kind}" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="9" {_LOOKS[self.kind].attributes()}/>'
        )
        yield _text("name", self.middle, self.y + 27, self.name)
        for number, (style, text) in enumerate(self.lines, start=1):
            yield _text(style, self.middle, self.y + 28 + _LINE * number, text)


@dataclass
class _Sheet:
    """What is drawn: the cables lie under the boxes."""

    width: float
    height: float = _MARGIN
    cables: list[str] = field(default_factory=list)
    things: list[str] = field(default_factory=list)

    def cable(self, *points: tuple[float, float], radio: bool = False) -> None:
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        kind = "radio" if radio else "cable"
        self.cables.append(f'<path class="{kind}" d="M{path}" {_LOOKS[kind].attributes()}/>')

    def put(self, box: _Box) -> None:
        self.things += box.draw()
        self.height = max(self.height, box.bottom)

    def label(self, x: float, y: float, text: str) -> None:
        self.things.append(_text("soft", x, y, text, "start"))

    def svg(self, title: str) -> str:
        width, height = self.width, self.height + _MARGIN
        body = "\n".join([*self.cables, *self.things])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
            f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">\n'
            f"<title>{escape(title)}</title>\n<style>\n  {_STYLE}\n</style>\n"
            f'<rect class="paper" width="{width:g}" height="{height:g}" rx="14" '
            f"{_LOOKS['paper'].attributes()}/>\n{body}\n</svg>\n"
        )


def draw(cluster: Cluster) -> str:
    """The text of an SVG: boards with their interfaces and addresses, what joins them, and where
    each one's default route leads."""
    boards = [_board(cluster, node) for node in cluster.nodes if node != cluster.gateway]
    above = _above(cluster)
    bar = _bar(cluster)
    width = max(box.needs() for box in [*boards, *above])
    rows = _rows(boards)
    beside = _GAP if len(rows) > 1 else 0  # for the cables of the second row
    half = max(len(rows[0]) * (width + _GAP) - _GAP, bar.needs()) / 2 + beside
    center = _MARGIN + half
    # The operator is right of the router, which is above all others.
    sheet = _Sheet(center + max(half, 1.5 * width + 3 * _GAP) + _MARGIN)
    y = _draw_above(sheet, cluster, above, center, width)
    bar = bar.at(center - half, y, 2 * half)
    sheet.put(bar)
    _draw_rows(sheet, rows, bar, width)
    for note in _notes(cluster):
        sheet.height += 34
        sheet.label(_MARGIN, sheet.height, note)
    names = ", ".join(node.name for node in cluster.nodes)
    return sheet.svg(f"The cluster with topology {cluster.topology}: {names}")


def _notes(cluster: Cluster) -> Iterator[str]:
    """What no single board has."""
    if cluster.control_plane_address:
        planes = ", ".join(node.name for node in cluster.control_plane)
        held = f"one of {planes}" if len(cluster.control_plane) > 1 else planes
        yield f"{cluster.control_plane_endpoint} {cluster.control_plane_address}: held by {held}"
    yield f"inside the cluster: pods {cluster.pod_network}, services {cluster.service_network}"


def _rows(boards: Sequence[_Box]) -> list[Sequence[_Box]]:
    """The boards in rows of about the same length."""
    rows = math.ceil(len(boards) / _ROW)
    columns = math.ceil(len(boards) / rows)
    return [boards[start : start + columns] for start in range(0, len(boards), columns)]


def _bar(cluster: Cluster) -> _Box:
    """What joins the boards."""
    what = "switch" if cluster.topology == "nat" else "its ports, or a switch"
    return _Box(f"{what}  ·  {cluster.cluster_network}", [])


def _board(cluster: Cluster, node: Node) -> _Box:
    """A board as it is once it is deployed, its uplink first."""
    lines = []
    for each in reversed(cluster.interfaces(node)):
        address = each.address.ip if each.address else node.uplink_address
        leased = "" if each.address else " (DHCP)"
        lines.append(("number", f"{each.name} {address}{leased}"))
    lines.append(("route", f"default via {cluster.default_gateway(node)}"))
    roles = [node.role.replace("_", " "), *(["gateway (NAT)"] if cluster.is_gateway(node) else [])]
    if roles != ["worker"]:
        lines.append(("soft", ", ".join(roles)))
    return _Box(node.name, lines, node.role)


def _above(cluster: Cluster) -> list[_Box]:
    """The router, the operator beside it, and the gateway below them, if there is one."""
    operator = _Box("your computer", [("soft", "inventory.py, pyinfra")])
    if cluster.gateway is None:
        return [_router("the cluster's router", cluster.router), operator]
    return [
        _router("your router", cluster.uplink_gateway),
        operator,
        _board(cluster, cluster.gateway),
    ]


def _router(name: str, address: IPv4Address) -> _Box:
    return _Box(name, [("number", str(address)), ("soft", "to the internet")])


def _draw_above(
    sheet: _Sheet, cluster: Cluster, above: Sequence[_Box], center: float, width: float
) -> float:
    """Draw router, operator and the gateway; give the y at which the last one's cable ends."""
    router = above[0].at(center - width / 2, _MARGIN, width)
    operator = above[1].at(center + width / 2 + 3 * _GAP, _MARGIN, width)
    sheet.cable((router.middle, _MARGIN + 30), (operator.middle, _MARGIN + 30))
    sheet.put(router)
    sheet.put(operator)
    last = router
    if cluster.gateway:
        last = above[2].at(router.x, router.bottom + 64, width)
        uplink = cluster.interfaces(cluster.gateway)[-1]
        sheet.cable((center, router.bottom), (center, last.y), radio=uplink.wifi)
        kind = "Wi-Fi" if uplink.wifi else "cable"
        sheet.label(center + 14, router.bottom + 37, f"{kind}  ·  {cluster.uplink_network}")
        sheet.put(last)
    sheet.cable((center, last.bottom), (center, last.bottom + 46))
    return last.bottom + 46


def _draw_rows(sheet: _Sheet, rows: Sequence[Sequence[_Box]], bar: _Box, width: float) -> None:
    """The boards below the bar that joins them."""
    left = bar.middle - (len(rows[0]) * (width + _GAP) - _GAP) / 2
    top = bar.bottom + 34
    for row in rows:
        for column, box in enumerate(row):
            placed = box.at(left + column * (width + _GAP), top, width)
            # To a lower row, cables come down between the boxes above.
            x = placed.middle if row is rows[0] else placed.x - _GAP / 2
            turn = (placed.middle, top - 17)
            sheet.cable((x, bar.bottom), (x, top - 17), turn, (placed.middle, top))
            sheet.put(placed)
        top = sheet.height + 34


def _text(style: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text class="{style}" {place} {_LOOKS[style].attributes()}>{escape(text)}</text>'


def pictures(project: Path) -> dict[str, str]:
    """
    Draw the cluster, and with a gateway also the same nodes behind a router, if it has an address.

    + returns: the text of each drawing by file name
    + raises ``SettingsError``
    """
    cluster = build(sources.read(project, "inventory.py", {}))
    drawn = [cluster]
    if cluster.topology == "nat" and cluster.router in cluster.cluster_network:
        nodes = [node.model_copy(update={"uplink_address": None}) for node in cluster.nodes]
        drawn.append(cluster.model_copy(update={"topology": "router", "nodes": tuple(nodes)}))
    return {f"topology-{each.topology}.svg": draw(each) for each in drawn}


def main() -> None:
    """Draw the cluster of the working directory: `python -m settings.picture FOLDER`."""
    folder = Path(sys.argv[1])
    with ending_the_program():
        for name, text in pictures(Path.cwd()).items():
            (folder / name).write_text(text, encoding="utf-8")
            print(f"{folder / name}")


if __name__ == "__main__":
    main()
