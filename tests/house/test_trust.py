"""The page of who can do what: each line names a test, and the test exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "trust.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
HEADS = (
    "somebody who can write to the database",
    "whose clock is wrong",
    "somebody on the network",
    "another user of the machine",
    "a paired client",
    "a driver",
    "which workers are confined",
    "somebody who floods",
    "a page of the web",
)


def lines() -> list[str]:
    """The lines of the tables of the section, without their heads."""
    section = PAGE.read_text("utf-8").split("## Who can do what", 1)[1].split("\n## ", 1)[0]
    return [line for line in section.splitlines() if line.startswith("| ") and not line.endswith("| |")]


def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_whoever_may_attack_has_a_table() -> None:
    text = PAGE.read_text("utf-8")
    assert [head for head in HEADS if f"| {head}" not in text] == []


@pytest.mark.parametrize("line", lines())
def test_each_line_names_a_test_that_there_is(line: str) -> None:
    found = NAMED.findall(line)
    assert len(found) == 1, line
    ((file, name),) = found
    assert (ROOT / file).is_file(), file
    assert name in functions_of(ROOT / file), name


def test_a_test_that_there_is_not_would_be_found() -> None:
    assert "test_nothing_of_the_kind" not in functions_of(ROOT / "tests" / "daemon" / "clients" / "test_registry.py")
