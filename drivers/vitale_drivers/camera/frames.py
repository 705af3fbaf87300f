"""Processing of one camera's pictures: their liveness, the codes in them, and the preview.

Previews are made only while a request waits, at the pace that was ordered, and are not kept.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from vitale_drivers.base import Preview, PreviewPicture, Progress, Report
from vitale_drivers.camera.capture import Pixels, Shot
from vitale_drivers.camera.codes_in_view import MEDIA
from vitale_drivers.camera.liveness import Liveness, is_dark
from vitale_drivers.camera.settings import CameraSettings
from vitale_drivers.camera.structured_append import SeenSymbol
from vitale_drivers.readers.presence import Presence
from vitale_protocol.errors import ReaderUnavailable
from vitale_protocol.events import CodeOutline
from vitale_protocol.problems import Problem

__all__ = ["DARK", "FramePipeline", "SymbolDecoder", "outline"]

DARK = Problem(ReaderUnavailable.reason, "camera-dark")

_ALL = frozenset(MEDIA)

_MOST_DAMAGED = 30
"""Pictures in a row."""

_GLANCE = 8
"""How many times smaller a glance at a picture is."""

_MOST_OUTLINES = 16
"""Codes of a picture that are drawn for people."""

_FASTEST = 0.1
"""Seconds between two pictures for people: to make one takes as long as to read one."""


class SymbolDecoder(Protocol):
    """Finds the codes in consecutive pictures of one camera; ``vitale_drivers.decoding.StreamDecoder``."""

    @property
    def at_rest(self) -> bool:
        """True if the next picture need not be looked at, should nothing have moved in it."""
        ...

    def passes(self, glance: Pixels, /) -> bool:
        """Takes a small copy of the next picture; true if nothing has moved, and this was all of it."""
        ...

    def see(self, frame: Pixels, /, *, around: bool) -> Sequence[SeenSymbol]:
        """The codes in one picture, grey; ``around``: wherever they are, not only where one was before."""
        ...

    def survey(self) -> Sequence[SeenSymbol]:
        """All the codes in the picture that was seen last, however long it takes to see them."""
        ...


class FramePipeline:
    """Looks at the pictures of one camera, from each opening to its closing.

    Attributes:
        is_sure: whether the latest picture proves that the camera works. No code is believed before: the first picture
            after an opening may be the last one of long ago.
        reported_dark: whether the black picture was reported.
    """

    def __init__(
        self, reader: str, decoder: Callable[[], SymbolDecoder], presence: Presence, settings: CameraSettings
    ) -> None:
        """Stores; ``decoder`` makes one for each opening."""
        self.is_sure = False
        self.reported_dark = False
        self._reader = reader
        self._make_decoder = decoder
        self._decoder: SymbolDecoder | None = None
        self._grey: Pixels | None = None
        self._presence = presence
        self._settings = settings
        self._liveness = Liveness(0.0, settings.dark)
        self._dark = self._told_dark = False
        self._damaged = 0
        self._preview: Preview | None = None
        self._preview_at = 0.0
        self._outlines: tuple[CodeOutline, ...] = ()
        self._size = (1, 1)

    def open(self, *, still: float) -> None:
        """Starts anew when a camera opens, which has stopped after so many seconds without change; 0 for never."""
        self._decoder = self._make_decoder()
        self._liveness = Liveness(still, self._settings.dark)
        self._damaged = 0
        self._outlines = ()
        self.is_sure = self._dark = False

    def close(self) -> None:
        """Drops the decoder when the camera closes."""
        self._decoder = self._grey = None

    def examine(self, shot: Shot) -> bool:
        """Takes a picture; false where it is damaged.

        Raises:
            ReaderUnavailable: the camera delivers nothing that is worth looking at any more.
        """
        glance = self._passed(shot)
        grey = shot.picture.grey() if glance is None else None
        if glance is None and grey is None:
            self._damaged += 1
            if self._damaged >= _MOST_DAMAGED:
                raise ReaderUnavailable("the camera's pictures are damaged", variant="camera")
            return False
        self._damaged = 0
        self._outlines = ()
        self._grey = grey
        self._judge(shot, grey, glance)
        return True

    def _passed(self, shot: Shot) -> Pixels | None:
        """A small copy of a picture in which nothing has moved; else None.

        Such a picture need not be looked at.
        """
        if self._decoder is None or not self._decoder.at_rest:
            return None
        glance = shot.picture.glance()
        return glance if glance is not None and self._decoder.passes(glance) else None

    def _judge(self, shot: Shot, grey: Pixels | None, glance: Pixels | None) -> None:
        # A JPEG is compared as it came, for it is short; of what is not compressed, the light alone.
        compared = shot.picture.pixels if grey is None else min(shot.picture.pixels, grey, key=np.size)
        dark = is_dark(grey) if grey is not None else glance is not None and is_dark(glance, smaller=_GLANCE)
        verdict = self._liveness.saw(compared, dark=dark, now=shot.at)
        if verdict == "still":
            raise ReaderUnavailable("the camera's picture stands still", variant="camera-still")
        self.is_sure = verdict != "unsure"
        self._dark = verdict == "dark"

    def decode(self, *, simple: bool) -> Sequence[SeenSymbol]:
        """The codes in the picture; ``simple``: there was but one lately, and that is what is presented.

        Otherwise there may be another one beside it, which makes it ambiguous. Or it is a poster, and the phone is
        beside it.
        """
        if self._decoder is None or self._grey is None:
            return ()
        height, width = self._grey.shape[:2]
        self._size = (width, height)
        return self._outlined(self._decoder.see(self._grey, around=not simple))

    def survey(self) -> tuple[Sequence[SeenSymbol], float]:
        """All the codes in the picture that was decoded last, and the seconds that it took to see them."""
        began = time.monotonic()
        seen = () if self._decoder is None else self._outlined(self._decoder.survey())
        return seen, time.monotonic() - began

    def _outlined(self, seen: Sequence[SeenSymbol]) -> Sequence[SeenSymbol]:
        """The same, once it was noted where they are."""
        if self._preview is not None:
            found = [outline(symbol.corners, self._size) for symbol in seen[:_MOST_OUTLINES]]
            self._outlines = tuple(each for each in found if each is not None)
        return seen

    def preview(self, order: Preview) -> None:
        """Takes an order for pictures, which replaces the one before."""
        self._preview = order if order.every > 0 else None
        self._preview_at = 0.0

    def pictures(self, shot: Shot, at: float, now: float) -> list[Report]:
        """Returns the preview of a picture: the picture itself, or a sign that it is dark."""
        wanted = self._presence.wanted(now, _ALL)
        return [*self._darkness(wanted=wanted), *self._picture(shot, at, now, wanted=wanted)]

    def _darkness(self, *, wanted: bool) -> list[Report]:
        if not self._dark:
            self.reported_dark = False
        if not self._dark or self.reported_dark or not wanted:
            return []
        self.reported_dark = self._told_dark = True
        return [Progress(reader=self._reader, step="retry", problem=DARK)]

    def sees_again(self) -> bool:
        """True once after the black picture was reported and the camera sees something."""
        again = self._told_dark and self.is_sure and not self._dark
        self._told_dark = self._told_dark and not again
        return again

    def _picture(self, shot: Shot, at: float, now: float, *, wanted: bool) -> list[Report]:
        preview = self._preview
        if preview is not None and now >= preview.until:
            preview = self._preview = None
        if preview is None or not wanted or shot.at < self._preview_at:
            return []
        self._preview_at = shot.at + max(preview.every, _FASTEST)
        jpeg = shot.picture.jpeg()
        return (
            []
            if jpeg is None
            else [PreviewPicture(reader=self._reader, at=at - (now - shot.at), jpeg=jpeg, codes=self._outlines)]
        )


def outline(corners: Sequence[tuple[float, float]], size: tuple[int, int]) -> CodeOutline | None:
    """Corners in pixels as parts of a picture's width and height; None where they are not four.

    A code at the edge of the picture may have corners beyond it.
    """
    width, height = size
    match [(round(x / width, 4), round(y / height, 4)) for x, y in corners]:
        case [one, two, three, four]:
            return one, two, three, four
        case _:
            return None
