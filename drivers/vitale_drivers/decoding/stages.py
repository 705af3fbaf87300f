"""The stages in their order: each looks at one view of a picture in one way.

Each has earned its place. ``make bench`` measures the codes that each stage reads and those before it did not, and its
milliseconds. The table in docs/explanation/decoding.md is from there. Stages that read much for their time come first.
A *region* has a tenth of the pixels of the *whole*. Five repairs of it cost less than one search of the whole. A region
is also scaled until its modules are a few pixels wide. It is then read better than the whole, whether the code is near
or far.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from zxingcpp import BarcodeFormat, Binarizer

from vitale_drivers.decoding import zbar
from vitale_drivers.decoding.datamatrix import read_matrix
from vitale_drivers.decoding.motion import find_motion, unmoved
from vitale_drivers.decoding.picture import Grey, Picture, View
from vitale_drivers.decoding.repairs import (
    darkened,
    deblurred,
    flattened,
    lightened,
    refocused,
    sharpened,
    smoothed,
    thickened,
    thresholded,
)
from vitale_drivers.decoding.symbol import Symbol
from vitale_drivers.decoding.zxing import DATAMATRIX, GLOBAL, LOCAL, QR, READY, find_damaged, read

__all__ = ["EASY_STAGES", "HARD_STAGES", "MOVED_STAGE", "STAGES", "Stage"]

Repair = Callable[[Grey], Grey]
Way = tuple[Repair | None, Binarizer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One way to look.

    Attributes:
        name: what it is called in results and measurements.
        where: the whole picture, the whole at half size, a region, or what is busy in one, turned upright.
        region: which region, the likeliest is 0.
        side: pixels of the longer side that the region is brought to.
        repair: what is done to the pixels first.
        binarizer: how zxing-cpp tells black from white.
        ways: repairs after that, each with its binarizer, of which the first that reads anything ends it.
        formats: what is looked for.
        thorough: whether zxing-cpp tries other directions and sizes too.
        squared: whether a region is made as wide as high.
        by_zbar: whether zbar looks, instead of zxing-cpp.
        by_modules: whether a Datamatrix is read by its grid of modules; its region is one of the squares then.
        moved: whether a region's motion during the exposure is found and undone; its side is at most ``side`` then.
        again: whether a symbol with more faults than can be corrected is looked at by itself.
        smaller: the longer side of the picture has at most so many pixels, or the stage is left out.
        larger: it has more than that, or the stage is left out.
    """

    name: str
    where: Literal["whole", "half", "region", "upright"] = "region"
    region: int = 0
    side: int = 256
    repair: Repair | None = None
    binarizer: Binarizer = LOCAL
    ways: tuple[Way, ...] = ()
    formats: tuple[BarcodeFormat, ...] = (QR,)
    thorough: bool = False
    squared: bool = False
    by_zbar: bool = False
    by_modules: bool = False
    moved: bool = False
    again: bool = False
    smaller: int | None = None
    larger: int = 0

    def symbols(self, picture: Picture) -> list[Symbol]:
        """Reads the symbols of a picture by this stage."""
        if self.by_modules:
            return read_matrix(picture, self.region, self.name)
        view = self._view(picture)
        if view is None:
            return []
        if self.repair is not None:
            view = replace(view, pixels=self.repair(view.pixels))
        if self.by_zbar:
            return zbar.read(view, self.name)
        if self.again:
            return self._again(view, picture)
        if self.moved:
            motion = find_motion(view.pixels)
            if motion is None:
                return []
            view = replace(view, pixels=smoothed(unmoved(view.pixels, *motion)))
        for repair, binarizer in self.ways or ((None, self.binarizer),):
            seen = view if repair is None else replace(view, pixels=repair(view.pixels))
            if found := read(seen, self.name, binarizer, formats=self.formats, thorough=self.thorough):
                return found
        return []

    def _again(self, view: View, picture: Picture) -> list[Symbol]:
        for corners in find_damaged(view, self.binarizer, formats=self.formats)[:AGAIN]:
            straight = picture.straightened(corners, self.side)
            for repair, binarizer in _REPAIRS:
                pixels = straight.pixels if repair is None else repair(straight.pixels)
                if found := read(replace(straight, pixels=pixels), self.name, binarizer, formats=self.formats):
                    return found
        return []

    def _view(self, picture: Picture) -> View | None:
        longer = max(picture.grey.shape)
        if longer <= self.larger or (self.smaller is not None and longer > self.smaller):
            return None
        match self.where:
            case "whole":
                return picture.whole
            case "half":
                # Below that, nothing would be left of a code of two pixels a module.
                return picture.half if min(picture.grey.shape) >= HALVED else None
            case "region":
                look = picture.squared if self.squared else picture.region
                return look(self.region, self._side(picture))
            case "upright":
                return picture.upright(self.region, self.side)

    def _side(self, picture: Picture) -> int:
        """Pixels of the longer side.

        A motion is undone as it was seen, for each change of size blurs it more.
        """
        if self.moved and self.region < len(picture.regions):
            return min(self.side, picture.regions[self.region].side)
        return self.side


AGAIN = 2
"""Damaged symbols of a picture that are worth it."""

HALVED = 700
"""Pixels of the shorter side from which on a picture is first read at half its size."""


def _sharp(radius: float, amount: float) -> Repair:
    return lambda pixels: sharpened(pixels, radius, amount)


def _threshold(parts: int, offset: int) -> Repair:
    return lambda pixels: thresholded(pixels, parts, offset)


def _smooth_threshold(parts: int) -> Repair:
    return lambda pixels: thresholded(smoothed(pixels), parts, 0)


def _deblur(radius: float) -> Repair:
    return lambda pixels: deblurred(pixels, radius)


def _refocus(radius: float, noise: float) -> Repair:
    return lambda pixels: refocused(pixels, radius, noise)


def _smooth_light(pixels: Grey) -> Grey:
    return lightened(smoothed(pixels))


def _thick_threshold(parts: int) -> Repair:
    return lambda pixels: thickened(thresholded(pixels, parts, 2))


def _round(degrees: float) -> tuple[Way, ...]:
    """A bottle that stands, and one that lies."""
    return (
        (lambda pixels: flattened(pixels, degrees), GLOBAL),
        (lambda pixels: flattened(pixels, degrees, down=True), GLOBAL),
    )


_REPAIRS: tuple[Way, ...] = (
    (None, LOCAL),
    (_sharp(1.6, 5), LOCAL),
    (_threshold(24, 2), READY),
    (_deblur(2.0), LOCAL),
    (_smooth_threshold(14), READY),
    (_deblur(3.0), LOCAL),
    (darkened, GLOBAL),
)
"""For a symbol by itself."""

EASY_STAGES = (
    Stage(name="half-global", where="half", binarizer=GLOBAL),
    Stage(name="global", where="whole", binarizer=GLOBAL, smaller=1000),
    Stage(name="region", side=200),
)
"""For what nothing is wrong with: 8 in 10 codes at a millisecond or two, on frames with and without a code alike."""

_DM = (DATAMATRIX,)

MOVED_STAGE = Stage(name="moved", side=360, moved=True, ways=((None, LOCAL), (_threshold(16, 0), READY)))
"""For a hand that moves, which others read at a module or less: up to five modules, where there is light enough."""

_ROUND = Stage(name="round", where="upright", side=280, ways=_round(40))
_DAMAGED = Stage(name="again", side=256, repair=_sharp(1.6, 5), again=True)

HARD_STAGES = (
    Stage(name="datamatrix", side=256, formats=_DM, binarizer=GLOBAL, thorough=True),
    Stage(name="threshold", side=200, repair=_threshold(24, 2), binarizer=READY),
    Stage(name="coarse-threshold", side=256, repair=_smooth_threshold(12), binarizer=READY),
    Stage(name="whole-global", where="whole", binarizer=GLOBAL, larger=1000),
    Stage(name="half-local", where="half"),
    Stage(name="smooth-threshold", side=256, repair=_smooth_threshold(20), binarizer=READY),
    Stage(name="finest-threshold", side=400, repair=_threshold(40, 2), binarizer=READY),
    MOVED_STAGE,
    Stage(name="smooth-light-datamatrix", where="whole", formats=_DM, repair=_smooth_light),
    Stage(name="deblur-datamatrix", side=256, formats=_DM, repair=_deblur(2.0)),
    Stage(name="modules", by_modules=True),
    Stage(name="local", where="whole"),
    _ROUND,
    Stage(name="second-datamatrix", region=1, side=320, formats=_DM, thorough=True),
    Stage(name="upright", where="upright", side=280, repair=_smooth_threshold(16), binarizer=READY),
    Stage(name="zbar-threshold", side=256, by_zbar=True, repair=_threshold(24, 2)),
    Stage(name="threshold-datamatrix", side=256, formats=_DM, repair=_threshold(24, 2), binarizer=READY, thorough=True),
    Stage(name="focus-global", side=256, repair=_refocus(3.5, 0.01), binarizer=GLOBAL),
    Stage(name="whole-datamatrix", where="whole", formats=_DM),
    Stage(name="thick", side=320, repair=_thick_threshold(24), binarizer=READY),
    Stage(name="dark", where="whole", repair=darkened, binarizer=GLOBAL),
    Stage(name="region-global", side=320, binarizer=GLOBAL),
    Stage(name="focus", side=256, repair=_refocus(3.0, 0.015)),
    Stage(name="sharp", side=256, repair=_sharp(1.6, 5)),
    Stage(name="squared-sharp", side=256, squared=True, repair=_sharp(1.6, 5)),
    replace(_DAMAGED, name="datamatrix-again", side=320, formats=_DM, repair=_threshold(24, 2), binarizer=READY),
    Stage(name="zbar", side=256, by_zbar=True),
    _DAMAGED,
    Stage(name="second-region", region=1, side=256),
    Stage(name="second-sharp", region=1, side=256, repair=_sharp(1.6, 5)),
    Stage(name="second-threshold", region=1, side=256, repair=_smooth_threshold(16), binarizer=READY),
    Stage(name="second-modules", by_modules=True, region=1),
    Stage(name="light-datamatrix", side=320, formats=_DM, repair=lightened, binarizer=GLOBAL, thorough=True),
    Stage(name="coarse-datamatrix", side=256, formats=_DM, repair=_threshold(12, 2), binarizer=READY, thorough=True),
    Stage(name="sharp-datamatrix", side=320, formats=_DM, repair=_sharp(1.6, 5), thorough=True),
    Stage(name="light", where="whole", repair=lightened, binarizer=GLOBAL),
    Stage(name="deblur", side=256, repair=_deblur(2.0)),
    replace(MOVED_STAGE, name="second-moved", region=1),
    Stage(name="smooth-datamatrix", where="whole", formats=_DM, repair=_smooth_threshold(40), binarizer=READY),
    Stage(name="zbar-half", where="half", by_zbar=True),
    Stage(name="zbar-upright", where="upright", side=280, by_zbar=True),
    Stage(name="thorough", where="whole", smaller=1000, thorough=True),
    Stage(name="thorough-large", where="whole", larger=1400, thorough=True),
    Stage(name="thorough-datamatrix", where="whole", formats=_DM, thorough=True),
)
"""For the rest; what reads most for its time comes first."""

STAGES = (*EASY_STAGES, *HARD_STAGES)
