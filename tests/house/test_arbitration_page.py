"""The rules of the arbitration: the same in the code, in the explanation, and in the tests that it names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from vitale_reader.daemon.arbitration import hub, leases

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/arbitration.md").read_text(encoding="utf-8")
MACHINES = pytest.mark.parametrize(
    ("heading", "module"), [("Presentations", hub), ("Leases", leases)], ids=["hub", "leases"]
)


@cache
def names_of_tests() -> frozenset[str]:
    """Their names; looked for once, and not by a process that runs none of these tests."""
    return frozenset(
        node.name
        for file in (ROOT / "tests" / "daemon").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )


def rules_of(docstring: str) -> dict[int, str]:
    """The numbered rules of a docstring, as running text."""
    paragraphs = re.split(r"^(\d+)\. +", docstring, flags=re.MULTILINE)[1:]
    pairs = zip(paragraphs[::2], paragraphs[1::2], strict=True)
    return {int(number): " ".join(text.split("\n\n")[0].split()).replace("``", "`") for number, text in pairs}


def table_under(heading: str) -> dict[int, tuple[str, tuple[str, ...]]]:
    """The rows of the table under a heading: the rule, and the tests that it names."""
    section = re.split(rf"^## {heading}$", PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \|$", section, flags=re.MULTILINE)
    return {int(number): (rule, tuple(re.findall(r"`(\w+)`", tests))) for number, rule, tests in rows}


@MACHINES
def test_the_rules_of_the_page_are_those_of_the_code(heading: str, module: object) -> None:
    rules = rules_of(module.__doc__ or "")
    assert [*rules] == [*range(1, len(rules) + 1)]
    assert {number: rule for number, (rule, _) in table_under(heading).items()} == rules


@MACHINES
def test_every_rule_has_its_test(heading: str, module: object) -> None:
    assert module.__doc__
    for number, (_, tests) in table_under(heading).items():
        assert tests, f"rule {number} has no test"
        assert set(tests) <= names_of_tests(), f"rule {number}"
