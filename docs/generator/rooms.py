"""docs/explanation/rooms.md: the rooms of the four packages, their jobs and their arrows."""

from docs.generator.house import Floors, floors_of, is_within, job, rooms, size
from docs.generator.markdown import GENERATED, table

__all__ = ["SHOWN", "inside", "page"]

INTRODUCTION = """
Folders are rooms: what belongs together lies together. A room holds at most fifteen modules. Its docstring says its
job, and in the line "For other rooms" what others may import: its door. Imports point downwards only, without a circle.
Each folder of tests has the name of the room that it tests. Contracts and tests check all of it; why it is so stands in
[ADR 0023](../adr/0023-rooms-with-doors.md).

![The rooms of each package on their floors, with arrows to what they import](../pictures/rooms.svg)

An arrow of the picture means "imports"; it is left out where it follows from others.
"""

FIGURES = """
A room counts once, whatever lies in it; so does a module that lies beside the rooms. An arrow leads from one of them to
another that it imports. Floors are the longest way down.
"""

#: The parts of the house from top to bottom, by name, and what is left out of each: it is shown by itself.
SHOWN: dict[str, tuple[str, ...]] = {
    "vitale_reader.cli": (),
    "vitale_reader.daemon": (),
    "vitale_reader": ("vitale_reader.__main__", "vitale_reader.cli", "vitale_reader.daemon"),
    "vitale_firmware_sim": (),
    "vitale_drivers": (),
    "vitale_protocol": (),
}


def inside(part: str) -> Floors:
    """The rooms and modules of a part."""
    return floors_of(part, without=SHOWN[part])


def short(module: str, part: str) -> str:
    """The name of a room or module within its part."""
    return module.removeprefix(f"{part}.")


def figures(part: str) -> tuple[str, ...]:
    """A part's line in the table of figures."""
    floors = inside(part)
    tops = [child for child in floors.arrows if child in rooms()]
    beside = len(floors.arrows) - len(tops)
    sizes = [size(room) for room in rooms() if any(is_within(room, top) for top in tops)]
    counted = (len(tops), beside, floors.count, floors.height, sum(sizes) + beside, max(*sizes, beside))
    return f"`{part}`", *map(str, counted)


def section(part: str) -> str:
    """A part: its job and the table of its rooms, the highest floor first."""
    floors = inside(part)
    order = sorted(floors.arrows, key=lambda child: (-floors.floor[child], child))
    rows = [row for child in order for row in rows_of(child, part, floors)]
    head = ("floor", "", "modules", "job", "imports")
    return f"## `{part}`\n\n{job(part)}\n\n{table(head, rows)}"


def rows_of(child: str, part: str, floors: Floors) -> list[tuple[str, ...]]:
    """The lines of a room and of those in it."""
    arrows = ", ".join(f"`{short(other, part)}`" for other in sorted(floors.arrows[child]))
    if child not in rooms():
        return [(str(floors.floor[child]), f"`{short(child, part)}`", "", job(child), arrows)]
    first = (str(floors.floor[child]), f"**`{short(child, part)}`**", str(size(child)), job(child), arrows)
    within = [room for room in rooms() if room.startswith(f"{child}.")]
    return [first, *(("", f"`{short(room, part)}`", str(size(room)), job(room), "") for room in within)]


def page() -> str:
    """Renders the page docs/explanation/rooms.md."""
    head = ("part", "rooms", "modules beside them", "arrows", "floors", "modules in all", "largest room")
    parts = [GENERATED, "# The rooms of the house", INTRODUCTION.strip(), "## In figures", FIGURES.strip()]
    parts += [table(head, map(figures, SHOWN)), *map(section, SHOWN)]
    return "\n\n".join(parts) + "\n"
