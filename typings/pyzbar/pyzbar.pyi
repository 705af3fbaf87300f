import enum
from collections.abc import Sequence

class ZBarSymbol(enum.IntEnum):
    QRCODE = 64

class Decoded:
    data: bytes
    type: str

def decode(image: object, symbols: Sequence[ZBarSymbol] | None = None) -> list[Decoded]: ...
