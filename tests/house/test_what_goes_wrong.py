"""The page of what goes wrong at the counter: each situation is played again, and said in the same words.

The languages take turns; the other column has the same texts of the catalogue.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.situations.counter import Counter, Heard, counter
from tests.situations.play import Row, play, row, rows_of, say_the_same
from tests.situations.situations import SITUATIONS, Situation
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.errors import ReaderUnavailable, ToolMissing

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-goes-wrong.md"
ROWS = rows_of(PAGE.read_text("utf-8"))
ALL = [one for situations in SITUATIONS.values() for one in situations]
#: These end by their own time; the words are said before.
WAITING = ("**Rien n’a pu être lu.**", "**Nothing could be read.**")


@pytest.fixture(scope="module")
def at() -> Iterator[Counter]:
    try:
        with counter() as opened:
            yield opened
    except (ToolMissing, ReaderUnavailable) as missing:
        pytest.skip(f"{missing.detail}: {missing.data.get('remedy', '')}")


def test_the_page_has_them_all() -> None:
    assert {one.english for one in ALL} == ROWS.keys()
    assert len(ALL) >= 40


def test_both_columns_say_the_same() -> None:
    assert [name for name, told in ROWS.items() if not say_the_same(told["fr"], told["en"])] == []


@pytest.mark.parametrize(("number", "one"), list(enumerate(ALL)), ids=[one.english for one in ALL])
def test_a_situation_is_told_as_the_page_says(at: Counter, number: int, one: Situation) -> None:
    language = LANGUAGES[number % len(LANGUAGES)]
    expected = ROWS[one.english][language]
    waits = expected.end.startswith(WAITING) and one.timeout is None

    def enough(heard: Heard) -> bool:
        return waits and len(heard.told) >= len(expected.told)

    found = row(play(at, one, language, enough), language)
    assert found == (Row(expected.told, "**.**") if waits else expected)
