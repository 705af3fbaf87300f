"""Texts and dates as a medium shows them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.media.display_text import calendar_day, shown_text
from vitale_protocol.media.medium import TEXT_UNUSUAL


@given(st.text())
def test_a_text_is_kept_but_for_what_steers_terminals(text: str) -> None:
    warnings: list[str] = []
    shown = shown_text(text, warnings) or ""

    assert len(shown) == len(text)
    assert (shown == text) == (warnings == [])
    assert warnings in ([], [TEXT_UNUSUAL])
    assert "\x1b" not in shown


@given(st.dates())
def test_every_day_of_the_calendar(day: date) -> None:
    assert calendar_day(f"{day.year:04}", f"{day.month:02}", f"{day.day:02}") == day.isoformat()


@pytest.mark.parametrize(
    "parts",
    [
        ("1977", "02", "30"),
        ("1977", "00", "01"),
        ("77", "01", "01"),
        ("1977", "1", "01"),
        ("", "", ""),
        ("١٩٧٧", "01", "01"),
    ],
)
def test_what_is_no_day(parts: tuple[str, str, str]) -> None:
    assert calendar_day(*parts) is None
