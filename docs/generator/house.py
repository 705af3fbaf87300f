"""The rooms of the house as the code has them: their purposes, their doors, and which imports which."""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import grimp

__all__ = ["PACKAGES", "Floors", "door", "floors_of", "graph", "is_front", "is_within", "job", "rooms", "size"]

_ROOT = Path(__file__).parents[2]

#: Source root of each package.
PACKAGES = {
    "vitale_reader": ".",
    "vitale_firmware_sim": "firmware-sim",
    "vitale_drivers": "drivers",
    "vitale_protocol": "protocol",
}


@cache
def graph() -> grimp.ImportGraph:
    """Graph of the imports between the modules of the four packages."""
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def rooms() -> list[str]:
    """Every room, the packages among them: a folder with modules in it."""
    return sorted(module for module in graph().modules if graph().find_children(module))


def is_within(module: str, room: str) -> bool:
    """True if a module or room is a room, or lies in it."""
    return f"{module}.".startswith(f"{room}.")


def size(room: str) -> int:
    """Number of modules in a room itself, without its ``__init__``."""
    return len(graph().find_children(room) - set(rooms()))


def _tree(module: str) -> ast.Module:
    path = _ROOT.joinpath(PACKAGES[module.partition(".")[0]], *module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def job(module: str) -> str:
    """The first paragraph of the docstring of a room or a module."""
    paragraph = (ast.get_docstring(_tree(module)) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`")


def door(room: str) -> frozenset[str]:
    """The modules and rooms in a room that others may import.

    The line "For other rooms" of its docstring names them.
    """
    line = re.search(
        r"^For other rooms: (.*?)(?:\n\n|\Z)", ast.get_docstring(_tree(room)) or "", re.DOTALL | re.MULTILINE
    )
    return frozenset(re.findall(r"``(\w+)``", line[1])) if line else frozenset()


def is_front(room: str) -> bool:
    """True if a room offers names of its own, in the ``__all__`` of its ``__init__``."""
    targets = [target for node in _tree(room).body if isinstance(node, ast.Assign) for target in node.targets]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


@dataclass(frozen=True, slots=True)
class Floors:
    """The children of a package, rooms and single modules, by what they import of one another.

    Attributes:
        arrows: for each child the others that it imports, itself or what is in it.
        floor: for each child the number of its floor; those that import no other are on floor 1.
    """

    arrows: Mapping[str, frozenset[str]]
    floor: Mapping[str, int]

    @property
    def height(self) -> int:
        """Number of floors: the longest way down."""
        return max(self.floor.values(), default=0)

    @property
    def count(self) -> int:
        """Number of arrows between the rooms."""
        return sum(map(len, self.arrows.values()))

    def drawn(self, child: str) -> frozenset[str]:
        """The arrows of a child without those that follow from others: which it imports through another one too."""
        through = {far for near in self.arrows[child] for far in self._below(self.arrows[near])}
        return self.arrows[child] - through

    def _below(self, children: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for child in children:
            found |= {child} | self._below(self.arrows[child])
        return found


def floors_of(package: str, *, without: Iterable[str] = ()) -> Floors:
    """The floors of a package.

    Args:
        package: its name.
        without: children that are left out: those that are told by themselves.

    Raises:
        ValueError: there is a circle.
    """
    children = sorted(graph().find_children(package) - set(without))
    arrows = {
        child: frozenset(other for other in children if child != other and _imports(child, other)) for child in children
    }
    floor: dict[str, int] = {}
    while len(floor) < len(children):
        ready = [child for child in children if child not in floor and arrows[child] <= floor.keys()]
        if not ready:
            raise ValueError(f"a circle among the children of {package}")
        floor |= {child: 1 + max((floor[below] for below in arrows[child]), default=0) for child in ready}
    return Floors(arrows, floor)


def _imports(importer: str, imported: str) -> bool:
    return graph().direct_import_exists(importer=importer, imported=imported, as_packages=True)
