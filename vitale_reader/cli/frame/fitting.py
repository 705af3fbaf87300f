"""Text fitted to a terminal: paragraphs wrapped between words, tables as long as they fit, else records."""

import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

__all__ = ["colour", "fits", "longest_words", "paragraph", "records", "terminal_width"]

#: What a table adds to each column, and to the whole: borders, and a space on either side.
_COLUMN_FRAME: Final = 3
_FRAME: Final = 1
_INDENT: Final = "  "


def colour() -> bool | None:
    """False where colours are unwanted (https://no-color.org) or unknown, None where the stream decides."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def terminal_width(stream: IO[Any]) -> int:
    """The columns of the terminal behind a stream: those of ``COLUMNS`` where it is set, 80 where nothing tells."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or shutil.get_terminal_size().columns
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


def paragraph(text: str, width: int, indent: str = "", hanging: str = "") -> str:
    """Wraps a text between words. Ids, paths and addresses stay whole, so that they can be copied.

    Args:
        text: one line, or several that are wrapped one by one.
        width: columns of the terminal.
        indent: before the first line of each.
        hanging: before the others; as ``indent`` where it is empty.
    """
    return "\n".join(
        textwrap.fill(
            line,
            width,
            initial_indent=indent,
            subsequent_indent=hanging or indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    )


def longest_words(rows: Sequence[Sequence[str]]) -> list[int]:
    """The length of the longest word in each column of the rows, their head among them."""
    return [
        max((len(word) for cell in column for word in cell.split()), default=0) for column in zip(*rows, strict=True)
    ]


def fits(rows: Sequence[Sequence[str]], width: int) -> bool:
    """True if a table of the rows, their head among them, breaks no word."""
    longest = longest_words(rows)
    return sum(longest) + _COLUMN_FRAME * len(longest) + _FRAME <= width


def records(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, colon: str) -> Iterator[str]:
    """Each row as its first cell, and the others below it with the names of their columns."""
    for row in rows:
        yield paragraph(row[0], width)
        for name, cell in zip(columns[1:], row[1:], strict=True):
            yield paragraph(f"{name}{colon}{cell}", width, _INDENT, _INDENT * 2)
