"""Docstrings begin with a noun or a verb, say something, and have sentences that are read once."""

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

#: The folders whose docstrings are held to the rules.
FOLDERS = [
    "protocol",
    "drivers",
    "firmware-sim",
    "vitale_reader",
    "examples",
    "docs",
]

#: First words of a subordinate clause, which stands for no noun and no verb.
CLAUSES = {"how", "what", "when", "where", "whether", "which", "who", "whom", "whose", "why"}

#: Fewer words than this repeat the name at best.
FEWEST = 4

#: More words than this make a sentence that has to be read twice.
LONGEST = 19

_WORD = re.compile(r"[\w'’-]+")
_ITEM = re.compile(r"^\s*(?:[-*] |\d+\. |\*{0,2}[\w`./-]+(?: \([\w., ]+\))?: )")
_LITERAL = re.compile(r"={4}|[├└]|\|---")

_OWNERS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(source: str) -> Iterator[tuple[str, str]]:
    """Name and docstring of a module, its classes and its functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _OWNERS) and (text := ast.get_docstring(node)):
            yield getattr(node, "name", "<module>"), text


def sentences(text: str) -> Iterator[str]:
    """Sentences of a docstring; tables, trees and literal blocks have none."""
    literal = False
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        literal = (literal and paragraph.startswith(" ")) and not paragraph.lstrip().startswith("- ")
        if not literal and not _LITERAL.search(paragraph):
            yield from _sentences_of_paragraph(paragraph)
        literal = literal or paragraph.endswith("::")


def _sentences_of_paragraph(paragraph: str) -> Iterator[str]:
    items = [""]
    for line in paragraph.splitlines():
        if _ITEM.match(line):
            items.append("")
        items[-1] += f" {line.strip()}"
    for item in items:
        yield from re.split(r"(?<=[.!?])\s+|\s·\s", item)


def mistakes(source: str) -> Iterator[str]:
    """Breaches of the rules in the docstrings of a module."""
    for name, text in docstrings(source):
        words = _WORD.findall(text)
        if words[0].lower() in CLAUSES:
            yield f"{name}: begins with {words[0]!r}"
        if len(words) < FEWEST:
            yield f"{name}: says too little: {text!r}"
        yield from (f"{name}: too long: {one.strip()}" for one in sentences(text) if len(_WORD.findall(one)) > LONGEST)


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_follow_the_rules_of_style(folder: str, root: Path) -> None:
    modules = sorted((root / folder).rglob("*.py"))
    assert modules
    found = [
        f"{module.relative_to(root)}: {mistake}"
        for module in modules
        for mistake in mistakes(module.read_text(encoding="utf-8"))
    ]
    assert [] == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What a card says, in words.", "f: begins with 'What'"),
        ("Its name.", "f: says too little: 'Its name.'"),
        (f"Returns {'very ' * 18}much.", f"f: too long: Returns {'very ' * 18}much."),
        (f"Returns the value.\n\n    - {'a ' * 19}b.", f"f: too long: - {'a ' * 19}b."),
    ],
)
def test_a_breach_of_the_rules_is_found(text: str, expected: str) -> None:
    assert [expected] == list(mistakes(f'def f():\n    """{text}"""\n'))


def test_literal_blocks_and_tables_have_no_sentences() -> None:
    text = f"Returns the value, as in::\n\n    {'a ' * 40}\n\n    {'b ' * 40}\n\nIt is small.\n\n==== ====\n{'c ' * 40}"
    assert ["Returns the value, as in::", "It is small."] == [one.strip() for one in sentences(text) if one.strip()]


#: Names of classes that stand twice, for the same thing at two places.
TWICE = {
    "Connection": "the SDK's, for asyncio and blocking",
    "Lease": "the same lease, at the hub and in the SDK",
    "Leases": "those of the hub, and those of a connection",
    "MyBench": "what the docstrings of two contract suites call the class of their reader",
    "Offspring": "one for each kind of system, in one module",
    "Presentation": "the SDK's, for asyncio and blocking",
}


def test_a_class_has_a_name_of_its_own(root: Path) -> None:
    """What only its module sees is called as it likes."""
    modules = [file for folder in FOLDERS[:4] for file in (root / folder).rglob("*.py")]
    names = Counter(
        name for file in modules for name in re.findall(r"^\s*class ([A-Z]\w*)", file.read_text("utf-8"), re.MULTILINE)
    )
    assert names

    assert set(TWICE) == {name for name, times in names.items() if times > 1}
