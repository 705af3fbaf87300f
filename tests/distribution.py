"""Order of the tests for processes that each begin with a share of them, and take from others when theirs is done."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def dealt(tests: Iterable[T], hands: int, *, file_of: Callable[[T], Path]) -> Sequence[T]:
    """Deals tests to so many hands of equal size, file by file; the hands one after the other.

    The files that come first are those that take long. So each process begins with some of them, and none is left for
    one of them while the others are done.
    """
    files = [list(file) for _, file in groupby(tests, key=file_of)]
    held: list[list[T]] = [[] for _ in range(hands)]
    for file in files:
        min(held, key=len).extend(file)
    return [*chain.from_iterable(held)]
