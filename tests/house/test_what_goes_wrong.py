"""The page of what goes wrong at the counter: each situation is played again, and said in the same words.

The languages take turns; the other column has the same texts of the catalogue. Every text that a reading can show is
shown by a situation, or it is said why none does.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.situations.counter import Counter, Heard, counter
from tests.situations.deeds import Deed
from tests.situations.play import Playing, Row, can_be_played, page, play, play_together, row, rows_of, say_the_same
from tests.situations.situations import SITUATIONS, Situation
from tests.situations.texts import ELSEWHERE, counter_texts, with_equals
from vitale_protocol.catalogue import LANGUAGES, Language
from vitale_protocol.errors import ReaderUnavailable, ToolMissing

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-goes-wrong.md"
TEXT = PAGE.read_text("utf-8")
ROWS = rows_of(TEXT)
ALL = [one for situations in SITUATIONS.values() for one in situations]
#: These end by their own time; the words are said before.
WAITING = ("**Rien n’a pu être lu.**", "**Rien n’a été présenté.**", "**Nothing could be read.**", "**Nothing was pres")


@pytest.fixture(scope="module")
def at() -> Iterator[Counter]:
    try:
        with counter() as opened:
            yield opened
    except (ToolMissing, ReaderUnavailable) as missing:
        pytest.skip(f"{missing.detail}: {missing.data.get('remedy', '')}")


@pytest.fixture(scope="module")
def together(at: Counter) -> dict[str, Heard]:
    """Situations that take their time, played at once."""
    return play_together(at, [playing(one) for one in ALL if can_be_played(at, one)])


def expected(one: Situation) -> Row:
    return ROWS[one.english][playing_language(one)]


def playing_language(one: Situation) -> Language:
    return LANGUAGES[ALL.index(one) % len(LANGUAGES)]


def waits(one: Situation) -> bool:
    told = expected(one)
    # Where a request has longer than others to hear it all, a busy machine may end it before it has.
    ends_by_itself = told.end.startswith(WAITING) or one.desk is not None or one.said > Situation.said
    return bool(told.told) and ends_by_itself and one.timeout is None


def playing(one: Situation) -> Playing:
    said = expected(one).told

    def enough(heard: Heard) -> bool:
        return len(heard.told) >= len(said)

    return Playing(one, playing_language(one), enough if waits(one) else None)


def errors(told: Row) -> set[str]:
    return {key for key in told.keys if key.startswith("errors.")}


def with_others(at: Counter, one: Playing) -> dict[str, Heard]:
    return play_together(at, [one])


@pytest.mark.parametrize(("played", "together"), [(play, 0), (with_others, 1)], ids=["alone", "together"])
def test_what_does_not_settle_is_cleared_away(played: Callable[[Counter, Playing], object], together: int) -> None:
    done: list[str] = []

    def note(what: str) -> Deed:
        return lambda _: done.append(what)

    class Restless:
        def settle(self, *_: int) -> None:
            done.append("settle")
            raise AssertionError("the desk does not settle")

    one = replace(ALL[0], before=note("before"), clear=note("clear"), lying=1, together=together)
    with pytest.raises(AssertionError, match="does not settle"):
        played(cast("Counter", Restless()), Playing(one, "en"))

    assert ["before", "settle", "clear", "settle"] == done


def test_the_page_has_them_all() -> None:
    assert {one.english for one in ALL} == ROWS.keys()
    assert page(ROWS) == TEXT


def test_both_columns_say_the_same() -> None:
    assert [name for name, told in ROWS.items() if not say_the_same(told["fr"], told["en"])] == []


def test_every_text_of_a_reading_is_shown_by_a_situation() -> None:
    shown = with_equals(key for told in ROWS.values() for key in told["fr"].keys)
    assert counter_texts() - shown == ELSEWHERE.keys()


@pytest.mark.parametrize("one", ALL, ids=[one.english for one in ALL])
def test_a_situation_is_told_as_the_page_says(at: Counter, one: Situation, request: pytest.FixtureRequest) -> None:
    if not can_be_played(at, one):
        pytest.skip("umockdev is not installed (apt-get install umockdev), or this user may not write to /run/lock")
    heard = request.getfixturevalue("together")[one.english] if one.together else play(at, playing(one))
    found = row(heard, playing_language(one))
    said = expected(one)
    assert said.told == found.told
    # What breaks off on a busy machine and begins again says "detected" and "reading" no second time.
    assert said.keys >= found.keys
    if not waits(one):
        assert said.end == found.end
        assert errors(said) == errors(found)
