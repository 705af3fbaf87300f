"""Finds what else is in a picture that holds a code.

The whole is searched at full size for all formats, then what is left. A second phone may be smaller, farther and darker
than the first. The stage that read the first stops at that. So before one of the codes is believed to be the only one:

- all of the picture is looked at, at full resolution, for QR codes and Datamatrix;
- so it is for Aztec and PDF417, of which none is presented. An INS code may be printed so;
- what was read is covered. The likeliest regions of the rest are looked at as if the first code were not there.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain

import cv2
import numpy as np

from vitale_drivers.decoding.picture import Grey, Picture
from vitale_drivers.decoding.regions import Region
from vitale_drivers.decoding.repairs import lightened, smoothed, thresholded
from vitale_drivers.decoding.stages import STAGES, Stage
from vitale_drivers.decoding.symbol import Symbol
from vitale_drivers.decoding.zxing import AZTEC, DATAMATRIX, GLOBAL, PDF417, QR, READY

__all__ = ["Look", "Looked", "distinct", "one_by_one", "survey"]

WHOLE = (
    Stage(name="survey", where="whole", formats=(QR, DATAMATRIX, AZTEC, PDF417), thorough=True),
    Stage(name="survey-global", where="whole", binarizer=GLOBAL, thorough=True),
    Stage(name="survey-datamatrix", where="whole", binarizer=GLOBAL, formats=(DATAMATRIX,)),
    Stage(name="survey-threshold", where="whole", repair=lambda pixels: thresholded(pixels, 24, 2), binarizer=READY),
    Stage(name="survey-light", where="whole", repair=lightened, binarizer=GLOBAL),
    Stage(
        name="survey-light-datamatrix",
        where="whole",
        repair=lambda pixels: lightened(smoothed(pixels)),
        formats=(DATAMATRIX,),
    ),
    Stage(name="survey-zbar", where="whole", by_zbar=True, smaller=1000),
    Stage(name="survey-zbar-half", where="half", by_zbar=True, larger=1000),
)
"""Those after the first take fifteen milliseconds, and tell modules of two pixels from each other where it cannot; or
have another way with a finder that a finger touches."""

_QR = {"region", "sharp", "smooth-threshold", "region-global", "threshold", "squared-sharp", "zbar"}
_MATRIX = {"light-datamatrix", "coarse-datamatrix", "sharp-datamatrix"}

REST = tuple(stage for stage in STAGES if stage.name in _QR | _MATRIX)
"""Those that read most for their time of a code that was never looked for by itself: tiny, dark, aslant, blurred."""

MODULES = next(stage for stage in STAGES if stage.by_modules)
"""A Datamatrix by its grid of modules: it reads some on paper that no other does. It has regions of its own."""

SAME = 0.8
"""Of what two regions cover together, that both cover: then one of the two is looked at."""

MARGIN = 0.12
"""Of its size, that is covered around a symbol: its quiet zone has edges too."""


Look = tuple[Picture, Stage]
"""A picture, and one way to look at it."""

Looked = Callable[[Look], list[Symbol]]
"""Carries out one look."""

Run = Callable[[Looked, Sequence[Look], Iterable[Look]], Iterable[list[Symbol]]]
"""Carries out looks at the whole, and at what else there is in it, in any order; what they read comes in theirs."""


def one_by_one(looked: Looked, whole: Sequence[Look], around: Iterable[Look]) -> Iterable[list[Symbol]]:
    """Carries out looks in one thread."""
    return map(looked, chain(whole, around))


def survey(picture: Picture, found: Iterable[Symbol], run: Run = one_by_one) -> list[Symbol]:
    """All that can be seen in a picture, ``found`` among it, each code once; ``run`` carries out the looks."""
    seen = distinct(found)
    whole = [(picture, stage) for stage in WHOLE]
    while True:
        read = run(_looked, whole, _around(picture, seen))
        more = distinct([*seen, *chain.from_iterable(read)])
        if len(more) == len(seen):
            return more
        # What was found now is covered in its turn: its edges were the strongest.
        seen, whole = more, []


def _around(picture: Picture, seen: Sequence[Symbol]) -> Iterator[Look]:
    """The looks at the likeliest regions of what is left without the symbols; those that take longest come first."""
    rest = Picture(_without(picture.grey, seen))
    # Covered codes change what counts as busy: a region may be found in one of the two and not in the other.
    squares = [*_numbered(rest, rest.squares), *_numbered(picture, picture.squares, rest.squares, seen)]
    yield from ((place, _at(number, MODULES)) for place, number in squares)
    regions = [*_numbered(rest, rest.regions), *_numbered(picture, picture.regions, rest.regions, seen)]
    yield from ((place, _at(number, stage)) for stage in REST for place, number in regions)


@cache
def _at(region: int, stage: Stage) -> Stage:
    return replace(stage, region=region)


def _numbered(
    picture: Picture, regions: Sequence[Region], others: Sequence[Region] = (), seen: Sequence[Symbol] = ()
) -> Iterator[tuple[Picture, int]]:
    """The numbers of a picture's regions that are not one of the others, and hold no symbol."""
    for number, region in enumerate(regions):
        if not _holds(region, seen) and not any(region.shares(other) > SAME for other in others):
            yield picture, number


def _looked(look: Look) -> list[Symbol]:
    place, stage = look
    return stage.symbols(place)


def _holds(region: Region, symbols: Iterable[Symbol]) -> bool:
    """Tells whether one of the symbols is in a region."""
    for symbol in symbols:
        x, y = np.mean(symbol.corners, axis=0)
        if region.left <= x < region.right and region.top <= y < region.bottom:
            return True
    return False


def distinct(symbols: Iterable[Symbol]) -> list[Symbol]:
    """One for each code: what is seen twice, at two places or by two stages, is seen once."""
    return list({(symbol.symbology, symbol.data): symbol for symbol in reversed([*symbols])}.values())[::-1]


def _without(grey: Grey, symbols: Iterable[Symbol]) -> Grey:
    """A copy of a picture in which symbols are covered in an even grey."""
    rest = grey.copy()
    for symbol in symbols:
        corners = np.array(symbol.corners)
        middle = corners.mean(axis=0)
        outline = np.rint(middle + (corners - middle) * (1 + 2 * MARGIN)).astype(np.int32)
        cv2.fillConvexPoly(rest, outline, 127)
    return rest
