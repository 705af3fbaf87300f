"""Tests that every system plays need nothing that Windows lacks, nor do the fixtures that they ask for.

What a test reaches is looked at: its own text, the functions, classes and constants of the tests that it names, and its
fixtures. ``make test-elsewhere`` plays the same tests under a stand-in for Windows.
"""

import ast
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import POSIX_FIXTURES, POSIX_ROOMS

STAND_IN = "tests/platforms/stand_in/sitecustomize.py"

#: What Windows has under the same name, and does otherwise.
OTHERWISE = {
    "S_IMODE": "modes of files",
    "st_mode": "modes of files",
    "st_uid": "users of files",
    "umask": "modes of files",
    "fsync": "folders that are written to the disk",
    "raise_signal": "signals",
    "send_signal": "signals",
    "symlink": "links, which take a privilege there",
    "symlink_to": "links, which take a privilege there",
}
#: What of the tests stands for more than it shows.
STANDS_FOR = {
    "slot_of": "a card is moved through a Unix socket",
    "station_with_a_slot": "a card is moved through a Unix socket",
}
#: Modes by which a file is its owner's alone; on Windows they say nothing, and do no harm.
HARMLESS = {0o600, 0o700}
PATHS = re.compile(r"^/proc/|^#!/|^/bin/|^/usr/bin/")
#: Marks of tests that are not played there.
LEFT_OUT = re.compile(r"\bposix(_only)?\b|\bAS_ROOT\b|\.(pcscd|soak)\b|sys\.platform [!=]=|\bon_linux\b")
#: What of ``tests/posix.py`` is on every system.
EVERYWHERE = {"NOBODY", "OWN_DOOR", "posix_only"}
#: What goes another way where there are no Unix sockets.
EITHER_WAY = {"unix_line"}

POSIX = "tests.posix."

Method = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class Module:
    """A module of the tests: what it defines, and what it takes from others of them."""

    path: Path
    tree: ast.Module
    defined: dict[str, Definition] = field(default_factory=dict[str, Definition])
    taken: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    @classmethod
    def read(cls, path: Path) -> "Module":
        """Reads it; what stands under a condition on the platform is not looked at."""
        made = cls(path, ast.parse(path.read_text("utf-8")))
        for node in made.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                made.defined[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                made.defined.update({each.id: node for each in targets if isinstance(each, ast.Name)})
            elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("tests"):
                made.taken.update({each.asname or each.name: (str(node.module), each.name) for each in node.names})
        return made

    @functools.cached_property
    def fixtures(self) -> dict[str, ast.FunctionDef]:
        """Fixtures by name."""
        return {
            name: node
            for name, node in self.defined.items()
            if isinstance(node, ast.FunctionDef) and "fixture" in " ".join(map(ast.unparse, node.decorator_list))
        }


@dataclass(frozen=True)
class Text:
    """A piece of text: the node, what of it Windows has not, the names that it uses, the methods of a class."""

    node: ast.AST
    lacked: frozenset[str]
    names: frozenset[str]
    methods: tuple[Method, ...]


class Looked:
    """The tests, and what each of them reaches that Windows has not."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules: dict[Path, Module] = {}
        # By the number of the node, which stays the same as long as it is kept.
        self._texts: dict[int, Text] = {}
        # For each folder of tests, by the number of the module and the name.
        self._places: dict[Path, dict[tuple[int, str], tuple[tuple[Module, ast.AST], ...]]] = {}
        self._above: dict[Path, list[Module]] = {}
        self._lacking, self._without = lacking(root)

    def module(self, path: Path) -> Module:
        """A module, read once."""
        if path not in self._modules:
            self._modules[path] = Module.read(path)
        return self._modules[path]

    def tests(self, path: Path) -> Iterator[tuple[str, ast.AST]]:
        """The tests of a file that every system plays."""
        module = self.module(path)
        marks = module.defined.get("pytestmark")
        if marks is not None and LEFT_OUT.search(ast.unparse(marks)):
            return
        for name, node in module.defined.items():
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or is_left_out(node):
                continue
            if isinstance(node, ast.FunctionDef) and name.startswith("test_"):
                yield name, node
            if isinstance(node, ast.ClassDef) and name.startswith("Test"):
                for each in node.body:
                    if isinstance(each, ast.FunctionDef) and each.name.startswith("test_") and not is_left_out(each):
                        yield f"{name}::{each.name}", each

    def needs(self, path: Path, node: ast.AST) -> set[str] | None:
        """What a test reaches; None where one of its fixtures has it left out."""
        found, seen = set[str](), set[int]()
        waiting, uncalled = [(self.module(path), node)], list[tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef]]()
        used, places = set[str](), self._places.setdefault(path.parent, {})
        while waiting:
            module, node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            text = self._read(node)
            if isinstance(node, ast.ClassDef):  # its methods are looked at when somebody names them
                uncalled += [(module, each) for each in text.methods]
                used.add("__init__")
            found |= text.lacked
            if text.names & POSIX_FIXTURES:
                return None
            used |= text.names
            for name in text.names:
                asked = id(module), name
                if asked not in places:
                    places[asked] = tuple(self._defined(module, name, path.parent))
                waiting += places[asked]
            waiting += [(module, method) for module, method in uncalled if method.name in used]
        return found

    def _read(self, node: ast.AST) -> Text:
        """A piece of text, looked at once; of a class without its methods."""
        if id(node) not in self._texts:
            parts, methods = [node], tuple[Method, ...]()
            if isinstance(node, ast.ClassDef):
                methods = tuple(each for each in node.body if isinstance(each, Method))
                parts = [each for each in node.body if each not in methods]
            text = [each for part in parts for each in unguarded(part)]
            self._texts[id(node)] = Text(node, frozenset(self._lacked(text)), frozenset(named(text)), methods)
        return self._texts[id(node)]

    def _conftests(self, folder: Path) -> list[Module]:
        """The ``conftest.py`` of a folder and of those above, the nearest first."""
        if folder not in self._above:
            above = [] if folder == self._root / "tests" else self._conftests(folder.parent)
            own = folder / "conftest.py"
            self._above[folder] = [self.module(own), *above] if own.exists() else above
        return self._above[folder]

    def _defined(self, module: Module, name: str, folder: Path) -> Iterator[tuple[Module, ast.AST]]:
        """Where a name is defined, for tests of a folder; fixtures come from the ``conftest.py`` above as well."""
        if name in EITHER_WAY:
            return
        if name in module.taken:
            source, original = module.taken[name]
            path = self._root.joinpath(*source.split(".")).with_suffix(".py")
            if path == self._root / "tests" / "posix.py":
                if original not in EVERYWHERE:
                    yield module, ast.Name(f"{POSIX}{original}")
            elif path.exists() and original in self.module(path).defined:
                yield self.module(path), self.module(path).defined[original]
        elif name in module.defined:
            yield module, module.defined[name]
        else:
            above = next((each for each in self._conftests(folder) if name in each.fixtures), None)
            if above is not None:
                yield above, above.fixtures[name]

    def _lacked(self, text: Iterable[ast.AST]) -> Iterator[str]:
        """What of a text is not on Windows."""
        for each in text:
            if isinstance(each, ast.Name) and (each.id in STANDS_FOR or each.id.startswith(POSIX)):
                yield STANDS_FOR.get(each.id, each.id)
            elif isinstance(each, ast.Attribute):
                if isinstance(each.value, ast.Name) and each.attr in self._lacking.get(each.value.id, ()):
                    yield f"{each.value.id}.{each.attr}"
                elif each.attr in OTHERWISE:
                    yield OTHERWISE[each.attr]
            elif isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "chmod":
                if not {mode.value for mode in each.args if isinstance(mode, ast.Constant)} & HARMLESS:
                    yield OTHERWISE["umask"]
            elif isinstance(each, ast.Import | ast.ImportFrom):
                modules = [each.module or ""] if isinstance(each, ast.ImportFrom) else [one.name for one in each.names]
                yield from (f"import {name}" for name in modules if name in self._without)
            elif isinstance(each, ast.Constant) and isinstance(each.value, str) and PATHS.search(each.value):
                yield each.value.splitlines()[0]


def unguarded(node: ast.AST) -> Iterator[ast.AST]:
    """All that is in a piece of text, but for what stands under a condition on the platform."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        if not (isinstance(each, ast.If | ast.IfExp) and "sys.platform" in ast.unparse(each.test)):
            waiting += ast.iter_child_nodes(each)


def named(text: Iterable[ast.AST]) -> Iterator[str]:
    """Names that a text uses: variables, arguments, attributes, and fixtures that a mark asks for."""
    for each in text:
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.arg):
            yield each.arg
        elif isinstance(each, ast.Call) and ast.unparse(each.func).endswith(("usefixtures", "getfixturevalue")):
            yield from (str(one.value) for one in each.args if isinstance(one, ast.Constant))
        elif isinstance(each, ast.Attribute):
            yield each.attr


def is_left_out(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a mark leaves it out on Windows."""
    return LEFT_OUT.search(" ".join(map(ast.unparse, node.decorator_list))) is not None


def lacking(root: Path) -> tuple[Mapping[str, frozenset[str]], frozenset[str]]:
    """Names that standard modules have not on Windows, and modules that are not there, as the stand-in says it."""
    tables = dict[str, ast.expr]()
    for node in ast.parse((root / STAND_IN).read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            ours = zip(node.value.keys, node.value.values, strict=True)
            tables |= {
                ast.unparse(node.targets[0]): value for key, value in ours if ast.unparse(key or value) == "'win32'"
            }
    names = tables["NAMES"]
    assert isinstance(names, ast.Dict)
    words = {
        str(ast.literal_eval(key)): frozenset(ast.literal_eval(value.args[0]).split())
        for key, value in zip(names.keys, names.values, strict=True)
        if key is not None and isinstance(value, ast.Call)
    }
    return words, frozenset(re.findall(r"'(\w+)'", ast.unparse(tables["MODULES"])))


def rooms(root: Path) -> list[Path]:
    """The rooms that the workflow has played on Windows and macOS."""
    workflow = (root / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    (told,) = re.findall(r"--junit-xml=results.xml ([\w/\s]+?)\n *- ", workflow)
    return [root / room for room in told.split()]


def test_tests_that_windows_plays_need_nothing_that_it_lacks(root: Path) -> None:
    looked, count, needing = Looked(root), 0, list[str]()
    for room in rooms(root):
        for file in sorted(room.rglob("test_*.py")):
            for name, node in looked.tests(file):
                needs = looked.needs(file, node)
                count += needs is not None
                needing += [f"{file.relative_to(root)}::{name}: {need}" for need in sorted(needs or ())]
    assert count > 1_500
    assert [] == needing


#: Rooms that are about the repository itself and its tools, which are those of Linux.
AT_HOME = {"alerts", "fuzz", "house", "mutants", "rig", "situations"} | POSIX_ROOMS


def test_every_room_with_tests_that_every_system_plays_is_played_there(root: Path) -> None:
    made = re.findall(r"addprefix tests/, ([\w ]+)\)", (root / "Makefile").read_text("utf-8"))
    assert {room.name for room in rooms(root)} - {"platforms"} == set(made[0].split())
    all_rooms = {file.relative_to(root / "tests").parts[0] for file in (root / "tests").rglob("*/test_*.py")}
    assert all_rooms - AT_HOME == {room.name for room in rooms(root)}
