"""The frames of one camera, one after the other.

What was not read in this frame is tried another way in the next.

Rules:

- Where symbols were last is looked at first. A code that is held still costs a hundredth of a frame.
- Beside it there may be others. So the whole is looked at as well, in one frame of ``EVERY``. Before a symbol is
  taken for the only one, ``survey`` looks at all of that very frame.
- Nothing is remembered of what a symbol said. A code renews itself, and each frame says what it shows now.
- A frame that nothing is found in is worth ``budget_ms``. The stages for what is hard take turns, from where they
  stopped in the frame before. The next frame may be better where the next stage might not.
- In a frame that differs from the last, something moves. Its blur by motion is undone before anything else that is
  hard.
- A picture that stands still gets one round of them. Then one frame in ``AGAIN`` is looked at, by one more of them: its
  noise differs, and little else. Of the others, a small copy shows whether anything has moved.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.picture import Grey, Picture, View, grey_of
from vitale_drivers.decoding.regions import Region
from vitale_drivers.decoding.stages import EASY_STAGES, HARD_STAGES, MOVED_STAGE
from vitale_drivers.decoding.survey import Look, Looked, distinct, survey
from vitale_drivers.decoding.symbol import Symbol
from vitale_drivers.decoding.zxing import DATAMATRIX, GLOBAL, LOCAL, QR, read

__all__ = ["MILLISECONDS", "StreamDecoder"]

MILLISECONDS = 16.0
"""Half the time of a frame at 30 a second."""

AROUND = 0.35
"""Of its size, that a symbol may have moved since the last frame."""

KEPT = 15
"""Frames for which the place of a symbol is remembered, half a second: a hand that shakes comes back."""

EVERY = 5

WHERE = "where-it-was"
"""The stage of a symbol that was found so."""

MOST = 4
"""Places that are remembered."""

AGAIN = 4
"""Frames of a picture that stands still, of which one is looked at when all stages have looked at it."""

GLANCE = (80, 45)
"""Columns and rows of the copy by which it is seen whether anything moves: a cell is a few modules wide."""

MOVED = 5
"""Steps of grey by which a cell differs where something moves; of noise and flicker, less than two are left there."""

MOST_THREADS = 4
"""That look at one frame at a time."""

T = TypeVar("T")

HELPERS = min(os.cpu_count() or 1, MOST_THREADS) - 1
"""Threads beside that of the camera."""


class StreamDecoder:
    """Reads one camera's frames; not for several threads at once."""

    def __init__(self, budget_ms: float = MILLISECONDS) -> None:
        """A decoder that spends so many milliseconds of the processor on a frame in which nothing is found."""
        self._surveyed: Picture | None = None
        self._budget = budget_ms / 1000
        self._turn = 0
        self._frames = 0
        self._places: tuple[Symbol, ...] = ()
        self._missed = 0
        self._picture: Picture | None = None
        self._found: list[Symbol] = []
        self._still: npt.NDArray[np.int16] | None = None
        self._tried = 0

    def see(self, frame: npt.NDArray[np.uint8], *, around: bool = False) -> list[Symbol]:
        """The symbols in the next frame.

        Args:
            frame: as for ``decode``.
            around: whether to look at the whole of it in any case.

        Raises:
            ValueError: it is no picture.
        """
        end = time.thread_time() + self._budget
        picture = Picture(grey_of(frame))
        self._frames += 1
        found = distinct(symbol for place in self._places for symbol in _where_it_was(place, picture))
        if not found:
            found = self._look(picture, end)
        elif around or self._frames % EVERY == 0:
            found = distinct([*found, *(symbol for stage in EASY_STAGES for symbol in stage.symbols(picture))])
        self._remember(found)
        self._picture, self._found = picture, found
        return found

    @property
    def at_rest(self) -> bool:
        """True if the next frame need not be looked at, should nothing have moved in it."""
        return not self._places and self._tried >= len(HARD_STAGES) and (self._frames + 1) % AGAIN != 0

    def passes(self, glance: npt.NDArray[np.uint8]) -> bool:
        """Takes the next frame by a small copy of it, at rest.

        False means that something has moved, so that the frame itself is to be looked at.
        """
        if self._still is None or _moves(_glance(glance), self._still):
            return False
        self._frames += 1
        return True

    def survey(self) -> list[Symbol]:
        """All the symbols in the frame that was seen last.

        They are asked for before one of them is taken for the only one.
        """
        if self._picture is None:
            return []
        if self._surveyed is not self._picture:
            self._found, self._surveyed = survey(self._picture, self._found, in_threads), self._picture
        self._remember(self._found)
        return self._found

    def _look(self, picture: Picture, end: float) -> list[Symbol]:
        moves = self._has_moved(picture)
        left = len(HARD_STAGES) - self._tried
        if left <= 0 and self._frames % AGAIN:
            return []
        for stage in EASY_STAGES:
            if found := stage.symbols(picture):
                return found
        if moves and (found := MOVED_STAGE.symbols(picture)):
            return found
        for _ in range(max(left, 1)):
            stage = HARD_STAGES[self._turn]
            if found := stage.symbols(picture):
                return found
            self._turn = (self._turn + 1) % len(HARD_STAGES)
            self._tried += 1
            if time.thread_time() >= end:
                break
        return []

    def _has_moved(self, picture: Picture) -> bool:
        """Tells whether a picture differs from the last that did; each that does gets all stages anew."""
        glance = _glance(picture.half.pixels)
        if self._still is not None and not _moves(glance, self._still):
            return False
        first, self._still, self._tried = self._still is None, glance, 0
        return not first

    def _remember(self, found: list[Symbol]) -> None:
        if found:
            self._places, self._missed = tuple(found[:MOST]), 0
            return
        self._missed += 1
        if self._missed > KEPT:
            self._places = ()


def in_threads(looked: Looked, whole: Sequence[Look], around: Iterable[Look]) -> list[list[Symbol]]:
    """Looks in several threads: this one begins around, the others with the whole; who has done his part helps.

    A look at the whole is one long call of a library. It leaves Python to the many short ones around.
    """
    first, last = _Shared(enumerate(whole)), _Shared(enumerate(around, len(whole)))

    def work(mine: Iterable[tuple[int, Look]], others: Iterable[tuple[int, Look]]) -> list[tuple[int, list[Symbol]]]:
        return [(number, looked(look)) for number, look in chain(mine, others)]

    helpers = [threads().submit(work, first, last) for _ in range(HELPERS)]
    done = work(last, first)
    for helper in helpers:
        # One that has not begun, since another camera has the threads, has nothing left to do.
        if not helper.cancel():
            done += helper.result()
    return [symbols for _, symbols in sorted(done, key=itemgetter(0))]


class _Shared(Iterator[T]):
    """An iterator of which several threads take one after the other."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._lock = threading.Lock()

    def __next__(self) -> T:
        with self._lock:
            return next(self._items)


@cache
def threads() -> Executor:
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="survey")


def _glance(pixels: Grey) -> npt.NDArray[np.int16]:
    return np.asarray(cv2.resize(pixels, GLANCE, interpolation=cv2.INTER_AREA), dtype=np.int16)


def _moves(one: npt.NDArray[np.int16], other: npt.NDArray[np.int16]) -> bool:
    """Tells whether two pictures differ anywhere by more than their light as a whole."""
    difference = one - other
    return bool(np.abs(difference - int(np.median(difference))).max() > MOVED)


def _where_it_was(symbol: Symbol, picture: Picture) -> list[Symbol]:
    height, width = picture.grey.shape
    across = [x for x, _ in symbol.corners]
    down = [y for _, y in symbol.corners]
    place = Region(max(0, int(min(across))), max(0, int(min(down))), int(max(across)) + 1, int(max(down)) + 1)
    region = place.widened(AROUND, width, height)
    if region.right - region.left < 2 or region.bottom - region.top < 2:
        return []
    part = np.ascontiguousarray(picture.grey[region.top : region.bottom, region.left : region.right])
    view = View(part, 1.0, region.left, region.top)
    formats = (DATAMATRIX if symbol.symbology == "datamatrix" else QR,)
    return read(view, WHERE, LOCAL, formats=formats) or read(view, WHERE, GLOBAL, formats=formats)
