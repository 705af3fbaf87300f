"""The one place where zbar is called, by pyzbar.

It is a second decoder of QR codes, with other weaknesses than zxing-cpp's. zbar itself is a library of the system on
Linux. Without it, or without pyzbar, the stages that use it read nothing, and the others do as they would.

Two things are refused that zbar does by itself:

- it guesses the encoding of bytes that are not ASCII, and gives them in another. What is not ASCII counts for nothing;
- it joins the parts of a code in several symbols, and gives what it has of incomplete codes.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from vitale_drivers.decoding.picture import View
from vitale_drivers.decoding.symbol import Corners, Symbol

if TYPE_CHECKING:
    from pyzbar.pyzbar import Decoded

__all__ = ["has_zbar", "read"]

_LEAST = 20
"""Pixels: zbar raises on less, and a code is larger."""


def has_zbar() -> bool:
    """Tells whether zbar can be used here."""
    return _decoder() is not None


def read(view: View, stage: str) -> list[Symbol]:
    """The QR codes in a view whose bytes zbar leaves alone; none where there is no zbar."""
    decoder = _decoder()
    if decoder is None or min(view.pixels.shape) < _LEAST:
        return []
    try:
        found = decoder(view.pixels)
    except ValueError:  # pyzbar, of an orientation that is in no list of its own
        return []
    return [_symbol(one, view, stage) for one in found if one.type == "QRCODE" and one.data.isascii()]


@cache
def _decoder() -> Callable[[object], Sequence["Decoded"]] | None:
    try:
        # Late, for it loads a library of the system, which need not be there.
        from pyzbar import pyzbar  # noqa: PLC0415
    except (ImportError, OSError):
        return None
    return lambda pixels: pyzbar.decode(pixels, symbols=[pyzbar.ZBarSymbol.QRCODE])


def _symbol(found: "Decoded", view: View, stage: str) -> Symbol:
    place = found.rect
    right, bottom = place.left + place.width, place.top + place.height
    corners: Corners = (
        view.point(place.left, place.top),
        view.point(right, place.top),
        view.point(right, bottom),
        view.point(place.left, bottom),
    )
    return Symbol(found.data, found.data.decode("ascii"), "qr", corners, stage)
