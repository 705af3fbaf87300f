import enum
from collections.abc import Sequence

class ZBarSymbol(enum.IntEnum):
    QRCODE = 64

class Rect:
    left: int
    top: int
    width: int
    height: int

class Decoded:
    data: bytes
    type: str
    rect: Rect

def decode(image: object, symbols: Sequence[ZBarSymbol] | None = None) -> list[Decoded]: ...
