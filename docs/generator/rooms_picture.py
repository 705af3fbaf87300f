"""docs/pictures/rooms.svg: the rooms of the house on their floors, drawn from the imports.

Each part of the house is a panel. In it a box is a room or a single module. An arrow is an import that does not follow
from others. A long arrow takes a place of its own on each floor that it passes. It therefore crosses no box.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from docs.generator.house import Floors
from docs.generator.house import rooms as all_rooms
from docs.generator.rooms import inside, short

__all__ = ["picture"]

#: All in pixels.
WIDTH = 1160
MARGIN = 16
TITLE = 30
BOX = 26
FLOOR = 54
GAP = 10
LETTER = 7.1

STYLE = """
    text { font-family: system-ui, sans-serif; font-size: 13px; fill: #1d2733; text-anchor: middle }
    .part { font-weight: 600; text-anchor: start }
    .small { font-weight: 400; fill: #4d5b6a }
    .panel { fill: #ffffff; stroke: #c5ced8 }
    .room { fill: #e8f1f8; stroke: #2f6f9f; stroke-width: 1.2 }
    .module { fill: #ffffff; stroke: #8a97a5 }
    .arrow { stroke: #4d5b6a; stroke-width: 1; fill: none; marker-end: url(#arrow) }
"""

DESCRIPTION = """Each part of the house has its rooms on floors; arrows are imports, and point downwards only.
The tables of the page say the same."""

MARKER = (
    '<marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="6" markerHeight="6" orient="auto">'
    '<path d="M0 0 10 5 0 10z" fill="#4d5b6a"/></marker>'
)

#: A box by its name, or the place of a long arrow on a floor that it passes: importer, imported, floor.
Node = str | tuple[str, str, int]


@dataclass
class Panel:
    """A part of the house, laid out.

    Attributes:
        part: its name.
        x: its left edge.
        width: its width.
        floors: what is drawn of it.
        rows: by floor, from floor 1, what stands there from left to right.
        middles: by box or place, the middle of it.
    """

    part: str
    x: float
    width: float
    floors: Floors
    rows: list[list[Node]] = field(default_factory=list[list[Node]])
    middles: dict[Node, float] = field(default_factory=dict[Node, float])

    @property
    def height(self) -> float:
        """Height of the panel."""
        return TITLE + self.floors.height * FLOOR - (FLOOR - BOX) / 2

    def label(self, child: str) -> str:
        """Text in a box."""
        return short(child, self.part)

    def breadth(self, node: Node) -> float:
        """Width of a box or of a place."""
        return LETTER * len(self.label(node)) + 18 if isinstance(node, str) else 8


def way(importer: str, imported: str, floors: Floors) -> list[Node]:
    """Boxes that an arrow passes, from top to bottom."""
    passed = range(floors.floor[importer] - 1, floors.floor[imported], -1)
    return [importer, *((importer, imported, floor) for floor in passed), imported]


def ways(floors: Floors) -> list[list[Node]]:
    """Paths of all arrows."""
    return [way(child, other, floors) for child in sorted(floors.arrows) for other in sorted(floors.drawn(child))]


def lay_out(panel: Panel) -> None:
    """Puts boxes and places on their floors, near what they are joined to."""
    arrows = ways(panel.floors)
    rows: list[list[Node]] = [[] for _ in range(panel.floors.height)]
    for child, floor in sorted(panel.floors.floor.items()):
        rows[floor - 1].append(child)
    near: dict[Node, list[Node]] = {}
    for arrow in arrows:
        for node in arrow[1:-1]:
            rows[floor_of(panel, node) - 1].append(node)
        for upper, lower in pairwise(arrow):
            near.setdefault(upper, []).append(lower)
            near.setdefault(lower, []).append(upper)
    panel.rows = rows
    for row in rows:
        place(panel, row)
    for _ in range(8):
        for row in (*rows, *reversed(rows)):
            row.sort(key=lambda node: mean([panel.middles[other] for other in near.get(node, [node])]))
            place(panel, row)


def mean(numbers: Sequence[float]) -> float:
    """Rounded, so that every machine puts the same order."""
    return round(math.fsum(numbers) / len(numbers), 3)


def place(panel: Panel, row: Sequence[Node]) -> None:
    """Stands a row in the middle of its panel."""
    x = panel.x + (panel.width - math.fsum(map(panel.breadth, row)) - GAP * (len(row) - 1)) / 2
    for node in row:
        panel.middles[node] = x + panel.breadth(node) / 2
        x += panel.breadth(node) + GAP


def floor_of(panel: Panel, node: Node) -> int:
    """The floor of a box or a place."""
    return panel.floors.floor[node] if isinstance(node, str) else node[2]


def top_of(panel: Panel, node: Node, y: float) -> float:
    """The upper edge of a box or a place, in a panel whose upper edge is at ``y``."""
    return y + TITLE + (panel.floors.height - floor_of(panel, node)) * FLOOR


def ports(panel: Panel, arrows: list[list[Node]], end: int) -> Mapping[tuple[Node, Node], float]:
    """Points at which one end of each arrow touches its box, side by side along the edge.

    ``end`` is 0 for the first piece of an arrow, and -1 for the last.
    """
    pieces: dict[Node, list[Node]] = {}
    for arrow in arrows:
        pieces.setdefault(arrow[end], []).append(arrow[1] if end == 0 else arrow[-2])
    found: dict[tuple[Node, Node], float] = {}
    for box, others in pieces.items():
        others.sort(key=lambda node: panel.middles[node])
        step = min(12.0, (panel.breadth(box) - 12) / max(len(others), 1))
        for index, other in enumerate(others):
            found[box, other] = panel.middles[box] + (index - (len(others) - 1) / 2) * step
    return found


def drawn_arrow(panel: Panel, arrow: list[Node], y: float, leave: float, arrive: float) -> str:
    """The line of an arrow."""
    line = f"M{leave:.0f} {top_of(panel, arrow[0], y) + BOX:.0f}"
    at, bottom = leave, top_of(panel, arrow[0], y) + BOX
    for node in arrow[1:]:
        x, top = (arrive if node is arrow[-1] else panel.middles[node]), top_of(panel, node, y)
        half = (bottom + top) / 2
        line += f"C{at:.0f} {half:.0f} {x:.0f} {half:.0f} {x:.0f} {top:.0f}"
        if node is not arrow[-1]:
            line += f"V{top + BOX:.0f}"
        at, bottom = x, top + BOX
    return f'<path class="arrow" d="{line}"/>'


def rectangle(kind: str, x: float, y: float, width: float, height: float) -> str:
    """A box or the edge of a panel."""
    return f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6"/>'


def drawn(panel: Panel, y: float) -> list[str]:
    """The lines of a panel whose upper edge is at ``y``."""
    floors = panel.floors
    figures = f"{len(floors.arrows)} boxes, {floors.count} arrows, {floors.height} floors"
    name = f'{escape(panel.part)}<tspan class="small" dx="10">{figures}</tspan>'
    lines = [
        rectangle("panel", panel.x, y, panel.width, panel.height),
        f'<text class="part" x="{panel.x + 12:.0f}" y="{y + 20:.0f}">{name}</text>',
    ]
    arrows = ways(floors)
    leaving, arriving = ports(panel, arrows, 0), ports(panel, arrows, -1)
    lines += [drawn_arrow(panel, way, y, leaving[way[0], way[1]], arriving[way[-1], way[-2]]) for way in arrows]
    for child in sorted(floors.arrows):
        kind = "room" if child in all_rooms() else "module"
        wide, middle, top = panel.breadth(child), panel.middles[child], top_of(panel, child, y)
        lines.append(rectangle(kind, middle - wide / 2, top, wide, BOX))
        lines.append(f'<text x="{middle:.0f}" y="{top + 17:.0f}">{escape(panel.label(child))}</text>')
    return lines


def picture() -> str:
    """Draws docs/pictures/rooms.svg."""
    beside = 300.0
    whole = float(WIDTH - 2 * MARGIN)
    storeys: list[list[tuple[str, float]]] = [
        [("vitale_reader.cli", whole)],
        [("vitale_reader.daemon", whole - beside - MARGIN), ("vitale_reader", beside)],
        [("vitale_firmware_sim", whole)],
        [("vitale_drivers", whole)],
        [("vitale_protocol", whole)],
    ]
    y, lines = float(MARGIN), list[str]()
    for storey in storeys:
        x, height = float(MARGIN), 0.0
        for part, width in storey:
            panel = Panel(part, x, width, inside(part))
            lay_out(panel)
            lines += drawn(panel, y)
            x, height = x + width + MARGIN, max(height, panel.height)
        y += height + MARGIN
    size = f'viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" height="{y:.0f}"'
    labels = 'role="img" aria-labelledby="title description"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {labels}>',
        '<title id="title">The rooms of the house</title>',
        f'<desc id="description">{DESCRIPTION}</desc>',
        f"<style>{STYLE}</style>",
        f"<defs>{MARKER}</defs>",
        f'<rect width="{WIDTH}" height="{y:.0f}" fill="#fbfcfd"/>',
    )
    return "\n".join((*head, *lines, "</svg>")) + "\n"
