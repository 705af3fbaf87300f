"""Rooms are small, have doors, and the tests lie in rooms of the same names."""

import ast
import configparser
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
