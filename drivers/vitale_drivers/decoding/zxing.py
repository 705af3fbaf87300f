"""The one place where zxing-cpp is called: from the pixels of a view to symbols.

Formats are restricted to what a patient may show, which is the biggest lever on speed. ``QRCodeModel2``, not the family
``QRCode``: Micro QR and rMQR are so small that textures pass for them. For the same reason anything else of fewer than
``LEAST_BYTES`` counts for nothing. INS and 2D-Doc have a hundred and more.
"""

import numpy as np
import zxingcpp
from zxingcpp import BarcodeFormat, BarcodeFormats, Binarizer, TextMode

from vitale_drivers.decoding.appended import sequence_of
from vitale_drivers.decoding.picture import Grey, View
from vitale_drivers.decoding.symbol import Corners, Symbol

__all__ = ["AZTEC", "DATAMATRIX", "GLOBAL", "LOCAL", "PDF417", "QR", "READY", "find_damaged", "read", "read_drawn"]

QR = BarcodeFormat.QRCodeModel2
DATAMATRIX = BarcodeFormat.DataMatrix
AZTEC = BarcodeFormat.AztecCode
PDF417 = BarcodeFormat.PDF417

GLOBAL = Binarizer.GlobalHistogram
LOCAL = Binarizer.LocalAverage
READY = Binarizer.BoolCast
"""For pixels that are black and white already."""

LEAST_BYTES = 12

DRAWN = 3
"""Pixels of a module that is drawn."""

_NAMES = {
    QR: "qr",
    BarcodeFormat.QRCode: "qr",
    DATAMATRIX: "datamatrix",
    AZTEC: "aztec",
    BarcodeFormat.Aztec: "aztec",
    PDF417: "pdf417",
    BarcodeFormat.CompactPDF417: "pdf417",
}


def read(
    view: View,
    stage: str,
    binarizer: Binarizer,
    *,
    formats: tuple[BarcodeFormat, ...] = (QR,),
    thorough: bool = True,
) -> list[Symbol]:
    """The symbols in a view.

    Args:
        view: where to look.
        stage: said of what is found.
        binarizer: how to tell black from white.
        formats: what to look for.
        thorough: whether to try other directions and a smaller picture too.
    """
    found = zxingcpp.read_barcodes(
        view.pixels,
        formats=BarcodeFormats(formats),
        binarizer=binarizer,
        try_rotate=thorough,
        try_downscale=thorough,
        try_invert=True,
        text_mode=TextMode.Plain,
    )
    return [_symbol(one, view, stage) for one in found if _NAMES[one.format] == "qr" or len(one.bytes) >= LEAST_BYTES]


def find_damaged(view: View, binarizer: Binarizer, *, formats: tuple[BarcodeFormat, ...] = (QR,)) -> list[Corners]:
    """The corners of symbols in a view that have more faults than can be corrected.

    They are corners in the picture, not in the view.
    """
    found = zxingcpp.read_barcodes(
        view.pixels,
        formats=BarcodeFormats(formats),
        binarizer=binarizer,
        text_mode=TextMode.Plain,
        return_errors=True,
    )
    return [_corners(one, view) for one in found if not one.valid]


def read_drawn(drawn: Grey, corners: Corners, stage: str) -> list[Symbol]:
    """The Datamatrix that was drawn as it should be.

    It has a pixel a module, and nothing but its quiet zone around it.

    Args:
        drawn: its modules and a quiet zone of one.
        corners: where it is in the picture.
        stage: said of what is found.
    """
    pixels = np.repeat(np.repeat(drawn, DRAWN, axis=0), DRAWN, axis=1)
    found = zxingcpp.read_barcodes(
        pixels,
        formats=BarcodeFormats(DATAMATRIX),
        binarizer=READY,
        is_pure=True,
        try_rotate=False,
        try_downscale=False,
        try_invert=False,
        text_mode=TextMode.Plain,
    )
    # A symbol that is no more than drawn is given all the same, without content and not valid.
    good = [one for one in found if one.valid and len(one.bytes) >= LEAST_BYTES]
    return [Symbol(one.bytes, one.text, "datamatrix", corners, stage) for one in good]


def _corners(found: zxingcpp.Barcode, view: View) -> Corners:
    place = found.position
    points = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
    first, second, third, fourth = (view.point(point.x, point.y) for point in points)
    return first, second, third, fourth


def _symbol(found: zxingcpp.Barcode, view: View, stage: str) -> Symbol:
    name = _NAMES[found.format]
    sequence = sequence_of(found) if name == "qr" else None
    return Symbol(found.bytes, found.text, name, _corners(found, view), stage, sequence)
