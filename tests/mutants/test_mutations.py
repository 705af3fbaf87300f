"""The mutator: what it changes, what it leaves alone, and that a seed chooses the same sample."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import importers
from tests.mutants.mutations import mutants, sample


@pytest.mark.parametrize(
    ("source", "operator", "changed"),
    [
        ("x < 2", "boundary", "x <= 2"),
        ("x == y", "comparison", "x != y"),
        ("x is None", "comparison", "x is not None"),
        ("x and y", "and/or", "x or y"),
        ("x + y", "arithmetic", "x - y"),
        ("y if x else z", "negation", "y if not x else z"),
        ("f(True)", "constant", "f(False)"),
        ("f(127)", "constant", "f(128)"),
        ("f('code')", "text", "f('code-mutant')"),
        ("f(x, y)", "swapped arguments", "f(y, x)"),
    ],
)
def test_each_operator(source: str, operator: str, changed: str) -> None:
    assert (operator, f"v = {changed}") in [(one.operator, one.source) for one in mutants(f"v = {source}")]


def test_statements_are_removed() -> None:
    found = mutants("def f(x):\n    x.clear()\n    x += y\n    raise x\n")
    assert [(one.operator, one.line) for one in found] == [
        ("removed call", 1),
        ("removed assignment", 1),
        ("removed raise", 1),
    ]
    assert found[0].diff.splitlines() == [" def f(x):", "-    x.clear()", "+    pass", "     x += y"]


def test_what_says_and_does_nothing_is_left_alone() -> None:
    outside = '"""A module of 3."""\nfrom a import b\n__all__ = ["x"]\n'
    inside = 'def f(x: "int") -> "str":\n    """A sum of 2."""\n'
    assert mutants(outside + inside) == []


def test_a_seed_chooses_the_same_sample() -> None:
    every = mutants("\n".join(f"x{number} = {number}" for number in range(100)))
    assert len(every) == 100
    assert sample(every, 10, 1) == sample(every, 10, 1) != sample(every, 10, 2)
    assert [one.line for one in sample(every, 10, 1)] == sorted(one.line for one in sample(every, 10, 1))
    assert sample(every, 1_000, 1) == every


def test_a_module_is_tried_with_its_own_tests_or_with_all_that_import_it() -> None:
    module, own = Path("protocol/vitale_protocol/tlv.py"), Path("tests/protocol/test_tlv.py")
    assert importers(module) == [own]
    wide = importers(module, wide=True)
    assert own in wide
    assert Path("tests/protocol/media/test_vitale_card.py") in wide
    assert Path("tests/protocol/test_apdu.py") not in wide
