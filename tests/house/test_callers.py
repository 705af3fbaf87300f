"""Whatever a module defines has a caller in the product: what only tests call is dead, or a door that nobody uses."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

#: Where callers are looked for, and the packages whose definitions need one.
CALLERS = ("vitale_reader", "drivers", "protocol", "firmware-sim", "examples", "docs")
OWNERS = CALLERS[:4]

#: Called from outside, each by whom.
FROM_OUTSIDE = {
    "vitale_drivers/contract.py": "drivers of others, by pytest",
    "vitale_reader/resolvers/contract.py": "resolvers of others, by pytest",
}

#: Called by tests alone, each with its reason.
FROM_TESTS = {
    # Pages play this side in JavaScript: the tests hold them, and the core, against it.
    "protocol/vitale_protocol/web/handshake.py: ClientHandshake",
    "protocol/vitale_protocol/web/rotation.py: sign_rotation",
    # Pictures by which decoders are compared and the yardstick measures.
    "firmware-sim/vitale_firmware_sim/camera/picture.py: empty_scenes",
}

#: A place in an entry point, a command or a lazy export.
PLACE = re.compile(r"[\w.]+:(\w+)|(\w+)")


def definitions(tree: ast.Module) -> Iterator[str]:
    """Functions and classes of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("__"):
            yield node.name


def uses(tree: ast.Module) -> Iterator[str]:
    """Names that a module uses, also by a string that is a name and nothing else; its ``__all__`` is no use."""
    exported = {
        id(constant)
        for node in tree.body
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets)
        for constant in ast.walk(node)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
                yield name
            case ast.ImportFrom(names=names):
                yield from (alias.name for alias in names)
            case ast.Constant(value=str(text)) if id(node) not in exported and (found := PLACE.fullmatch(text)):
                yield found[1] or found[2]
            case _:
                pass


def without_a_caller(sources: dict[str, str], elsewhere: frozenset[str] = frozenset()) -> set[str]:
    """Definitions in the files that no file uses; ``elsewhere`` are names that something else uses."""
    trees = {name: ast.parse(source) for name, source in sources.items()}
    used = set(elsewhere).union(*map(uses, trees.values()))
    return {f"{name}: {one}" for name, tree in trees.items() for one in definitions(tree) if one not in used}


def test_each_definition_of_the_product_has_a_caller(root: Path) -> None:
    sources = {
        file.relative_to(root).as_posix(): file.read_text(encoding="utf-8")
        for folder in CALLERS
        for file in (root / folder).rglob("*.py")
    }
    assert sources
    points = frozenset(re.findall(r":(\w+)", (root / "setup.cfg").read_text(encoding="utf-8")))

    found = without_a_caller(sources, points)
    assert FROM_TESTS == {
        one for one in found if one.startswith(OWNERS) and not any(f"{place}:" in one for place in FROM_OUTSIDE)
    }


def test_a_definition_without_a_caller_would_be_found() -> None:
    dead = {"a.py": "__all__ = ['dead', 'alive']\ndef dead(): ...\ndef alive(): ...\n", "b.py": "import a\na.alive()\n"}

    assert {"a.py: dead"} == without_a_caller(dead)
    assert set[str]() == without_a_caller(dead, frozenset({"dead"}))
