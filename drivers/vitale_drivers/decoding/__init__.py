"""Optical decoding: pictures in, symbols out; no device, no state but what ``StreamDecoder`` says of itself."""

from vitale_drivers.decoding.cascade import decode
from vitale_drivers.decoding.stream import StreamDecoder
from vitale_drivers.decoding.symbol import Corners, Sequence, Symbol

__all__ = ["Corners", "Sequence", "StreamDecoder", "Symbol", "decode"]
