"""Texts and dates as a medium shows them: kept as they are, made safe to print, and never corrected."""

import re
from datetime import date

from vitale_protocol.media.medium import TEXT_UNUSUAL

__all__ = ["calendar_day", "shown_text"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def shown_text(text: str, warnings: list[str]) -> str | None:
    """The text, or None where it is empty.

    Control characters have no place in a name and could steer a terminal. Each becomes U+FFFD, with a warning.

    Args:
        text: without its padding.
        warnings: takes ``text_unusual``.
    """
    safe = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    if safe != text:
        warnings.append(TEXT_UNUSUAL)
    return safe or None


def calendar_day(year: str, month: str, day: str) -> str | None:
    """``AAAA-MM-JJ`` where four and twice two digits are a day of the calendar, else None."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", f"{year}-{month}-{day}", re.ASCII):
        return None
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None
