"""Symbol read in a picture, with its raw bytes and its place."""

from dataclasses import dataclass, field

__all__ = ["Corners", "Sequence", "Symbol"]

Corners = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""Points (x, y) in pixels of the picture: top left, top right, bottom right, bottom left, as the symbol is read."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """The place of a symbol among several that are one message (structured append, ISO/IEC 18004 section 8).

    Attributes:
        index: from 0.
        count: how many symbols there are, 2 to 16.
        parity: the same in all symbols of a message: the exclusive or of its bytes.
    """

    index: int
    count: int
    parity: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol.

    Attributes:
        data: its bytes; a byte mode is not interpreted, an ECI not applied.
        text: the same as text, by its ECI or by what is likely. It is to be shown, never to be transported.
        symbology: ``qr`` or ``datamatrix``; of what stands beside one, also ``aztec`` or ``pdf417``.
        corners: where it is.
        stage: the name of the stage that read it.
        sequence: its place among several, where it is one of several.
    """

    data: bytes = field(repr=False)
    text: str = field(repr=False)
    symbology: str
    corners: Corners
    stage: str
    sequence: Sequence | None = None
