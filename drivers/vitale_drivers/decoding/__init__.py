"""Optical decoding: pictures in, symbols out; no device, no state but what ``StreamDecoder`` says of itself.

For other rooms: what is named here, and no module.
"""

from vitale_drivers.decoding.cascade import decode
from vitale_drivers.decoding.stream import StreamDecoder
from vitale_drivers.decoding.symbol import Corners, Sequence, Symbol
from vitale_drivers.decoding.zbar import has_zbar

__all__ = ["Corners", "Sequence", "StreamDecoder", "Symbol", "decode", "has_zbar"]
