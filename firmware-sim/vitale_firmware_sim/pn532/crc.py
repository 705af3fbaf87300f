"""The checksum of type A (ISO/IEC 14443-3 §6.2.4), for programs that exchange raw frames with it."""

__all__ = ["crc_a", "is_unchecked"]

_SHORT_FRAMES = frozenset({0x26, 0x52})
_SELECT_CODES = frozenset({0x93, 0x95, 0x97})
_WHOLE_SELECT = 0x70


def crc_a(frame: bytes) -> bytes:
    """The two bytes that follow a frame."""
    crc = 0x6363
    for byte in frame:
        low = byte ^ crc & 0xFF
        low = (low ^ low << 4) & 0xFF
        crc = crc >> 8 ^ low << 8 ^ low << 3 ^ low >> 4
    return crc.to_bytes(2, "little")


def is_unchecked(frame: bytes) -> bool:
    """True for requests and anticollision: neither they nor their answers have a checksum (§6.4)."""
    if len(frame) == 1:
        return frame[0] in _SHORT_FRAMES
    return len(frame) > 1 and frame[0] in _SELECT_CODES and frame[1] != _WHOLE_SELECT
