"""Rooms are small, have doors, and the tests lie in rooms of the same names."""

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generator import house
from vitale_reader.cli.root import COMMANDS

#: Modules in a room, without its ``__init__``: what one looks over at a glance.
MOST = 15

#: Folders of tests that look at all rooms, at the checkout or at programs.
NO_ROOMS = {"benchmarks", "end_to_end", "examples", "fuzz", "house", "mutants", "platforms", "rig"}

#: The room whose tests lie in each folder of tests.
PACKAGE_OF = {
    "cli": "vitale_reader.cli",
    "client": "vitale_reader.client",
    "daemon": "vitale_reader.daemon",
    "diagnosis": "vitale_reader.diagnosis",
    "drivers": "vitale_drivers",
    "firmware_sim": "vitale_firmware_sim",
    "protocol": "vitale_protocol",
    "resolvers": "vitale_reader.resolvers",
    "service": "vitale_reader.service",
    "metrics": "vitale_reader.metrics",
    "web": "vitale_reader.web",
}

#: What the doors are for besides imports: modules that drivers and plug-ins of others build on.
FOR_OTHERS = {"vitale_drivers.contract", "vitale_drivers.kit", "vitale_reader.resolvers.licensed_plugins"}


def entries(root: Path) -> set[str]:
    """Modules that are found by name: entry points, the commands of the command line, the programs of workers."""
    parser = configparser.ConfigParser()
    parser.read(root / "setup.cfg", encoding="utf-8")
    groups = parser["options.entry_points"]
    points = [
        line.partition("=")[2].strip() for group in groups.values() for line in group.splitlines() if line.strip()
    ]
    commands = {f"vitale_reader.cli.{entry.place.partition(':')[0]}" for entry in COMMANDS.values()}
    return (
        {point.partition(":")[0] for point in points}
        | commands
        | {
            "vitale_drivers.host.worker",
            "vitale_reader.web.dashboard.process",
            "vitale_reader.web.extension.packing",
            "vitale_reader.web.gateway",
        }
    )


def uses(root: Path) -> set[tuple[str, str]]:
    """Who loads which module; those that nobody imports are loaded by the empty name."""
    found = {
        (importer, used) for importer in MODULES for used in house.graph().find_modules_directly_imported_by(importer)
    }
    return (
        found
        | {("vitale_reader.cli.root", used) for used in entries(root) if used.startswith("vitale_reader.cli.")}
        | {("", used) for used in entries(root) | FOR_OTHERS}
    )


MODULES = sorted(house.graph().modules)
ROOMS = house.rooms()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_looked_over_at_a_glance(room: str) -> None:
    assert house.size(room) <= MOST


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_its_job(room: str) -> None:
    assert house.job(room)


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_leads_to_what_is_in_the_room(room: str) -> None:
    assert {f"{room}.{name}" for name in house.door(room)} - house.graph().find_children(room) <= {f"{room}.main"}


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "vitale_reader"])
def test_others_come_through_the_door(room: str, root: Path) -> None:
    """Whoever is not in the room imports what its door names, or the names of the room itself where it has some."""
    open_to_all = {f"{room}.{name}" for name in house.door(room)} | ({room} if house.is_front(room) else set[str]())
    by_the_window = [
        f"{importer} imports {used}"
        for importer, used in sorted(uses(root))
        if house.is_within(used, room) and importer and not house.is_within(importer, room)
        if used not in open_to_all and not any(house.is_within(used, name) for name in open_to_all - {room})
    ]

    assert [] == by_the_window


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "vitale_reader"])
def test_a_door_is_no_wider_than_it_is_used(room: str, root: Path) -> None:
    used = {used for importer, used in uses(root) if not house.is_within(importer, room)}
    idle = {name for name in house.door(room) if not any(house.is_within(module, f"{room}.{name}") for module in used)}

    assert idle <= {"main"}


def test_tests_lie_where_what_they_test_lies(root: Path) -> None:
    folders = {file.parent.relative_to(root / "tests") for file in (root / "tests").rglob("test_*.py")} - {Path()}
    assert folders, "no tests"
    tops = {folder.parts[0] for folder in folders}
    assert tops <= NO_ROOMS | PACKAGE_OF.keys()

    rooms = [
        ".".join((PACKAGE_OF[top], *rest)) for top, *rest in (folder.parts for folder in folders) if top not in NO_ROOMS
    ]
    assert set[str]() == set(rooms) - set(ROOMS)


#: Parts that are told of another after they were made, each with its reason. Nothing else is.
TOLD_LATER = {
    # A call opens the dashboard, whose pages call: one of the two is there first.
    "vitale_reader/daemon/dashboard/entrance.py: Entrance.listens_by",
    # The end of a daemon is prepared before what it ends.
    "vitale_reader/daemon/lifecycle.py: Ending.take_along",
}


def late_setters(source: str) -> Iterator[str]:
    """Public methods that do nothing but keep what they are given: circles that no import shows."""
    for owner in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)):
        for method in owner.body:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_") and _keeps(method):
                yield f"{owner.name}.{method.name}"


def _keeps(method: ast.FunctionDef) -> bool:
    given = {argument.arg for argument in method.args.args + method.args.kwonlyargs} - {"self"}
    work = method.body[1:] if ast.get_docstring(method) else method.body
    return bool(work) and all(
        isinstance(line, ast.Assign)
        and all(isinstance(target, ast.Attribute) for target in line.targets)
        and isinstance(line.value, ast.Name)
        and line.value.id in given
        for line in work
    )


def test_no_part_of_the_daemon_is_told_of_another_after_it_was_made(root: Path) -> None:
    """Records of what is observed are no parts: a transport keeps the connection that asyncio made."""
    found = {
        f"{file.relative_to(root).as_posix()}: {setter}"
        for file in sorted((root / "vitale_reader" / "daemon").rglob("*.py"))
        for setter in late_setters(file.read_text(encoding="utf-8"))
    }

    assert TOLD_LATER == found


def test_a_setter_that_comes_late_would_be_found() -> None:
    code = 'class A:\n    def use(self, b: int) -> None:\n        """Docs of it."""\n        self._b = b\n'
    assert ["A.use"] == [*late_setters(code)]
    assert [] == [*late_setters(code.replace("self._b = b", "self._b = b + 1"))]


def test_the_composition_sets_nothing_afterwards(root: Path) -> None:
    """What is set on a part that was made before is a circle that no import shows."""
    daemon = root / "vitale_reader" / "daemon"
    files = [daemon / "app.py", *sorted((daemon / "composition").glob("*.py"))]
    assert 1 < len(files), "no builders"
    assigned = [
        ast.unparse(node)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    ]

    assert [] == assigned
