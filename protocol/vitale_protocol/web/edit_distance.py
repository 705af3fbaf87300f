"""The edit distance of two names, by which one is near to another."""

from typing import Final

__all__ = ["NEAR", "distance"]

#: Edits: one letter more, less or other. Two are a pair of letters exchanged, or a hyphen for a dot and a letter.
NEAR: Final = 2


def distance(one: str, other: str) -> int:
    """The edits that lead from one text to the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        before, row[0] = row[0], place
        for column, with_letter in enumerate(other, 1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (letter != with_letter)),
            )
    return row[-1]
