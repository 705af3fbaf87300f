"""Findings of the diagnosis: each that the code makes is in the catalogue, and each of the catalogue is made."""

import ast
from pathlib import Path

from vitale_protocol import catalogue

ROOT = Path(__file__).parents[2]
FILES = [*(ROOT / "vitale_reader" / "diagnosis").rglob("*.py"), *(ROOT / "drivers" / "vitale_drivers").rglob("*.py")]


def literals() -> set[str]:
    """Every string in the sources of the diagnosis and of the drivers."""
    trees = [ast.parse(file.read_text("utf-8")) for file in FILES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def ids() -> set[str]:
    """What the code names as the id of a row."""
    found = set[str]()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.keyword(arg="id", value=ast.Constant(value=str(name))):
                    found.add(name)
                case ast.keyword(
                    arg="id", value=ast.IfExp(ast.expr(), ast.Constant(str(one)), ast.Constant(str(other)))
                ):
                    found |= {one, other}
                case _:
                    pass
    return found


def asserted() -> set[str]:
    """Every string in the tests that name a finding, but for those of this room, which look at words alone."""
    tests = ROOT / "tests"
    files = [file for file in tests.rglob("test_*.py") if "house" not in file.parts] + [*tests.rglob("desks.py")]
    quoted = [f'"{finding}"' for finding in catalogue.findings()]
    texts = [text for text in (file.read_text("utf-8") for file in files) if any(map(text.count, quoted))]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_each_finding_is_named_by_a_test_that_shows_it() -> None:
    """A name in a test is no proof; a finding that no test names is one that nobody has seen."""
    assert set() == catalogue.findings() - asserted()


def test_each_finding_of_the_code_has_words_and_the_other_way_round() -> None:
    assert ids() - catalogue.findings() == set()
    assert catalogue.findings() - literals() == set()
