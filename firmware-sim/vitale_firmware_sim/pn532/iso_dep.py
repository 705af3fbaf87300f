"""The card's end of ISO/IEC 14443-4: blocks of the half-duplex protocol in, blocks out, command APDUs in between.

The rules quoted are those of §7.5. The engine is pure. Its caller moves the blocks, waits for the card, and reports an
answer (``finish``) or a delay (``extend``). No answer is an empty block, since a card that does not understand stays
silent.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

__all__ = [
    "FRAME_SIZES",
    "IsoDepCard",
    "IsoDepState",
    "ats_frame_index",
    "ats_waiting_index",
    "frame_size",
    "frame_waiting_time",
]

# §5.1, table 1: the frame sizes that FSDI and FSCI name, CRC included.
FRAME_SIZES: Final = (16, 24, 32, 40, 48, 64, 96, 128, 256)
_CRC: Final = 2

_CARRIER_HZ: Final = 13_560_000
_CHAINING, _DID, _NAD = 0x10, 0x08, 0x04
_S_DESELECT: Final = 0xC2
_S_WTX: Final = 0xF2
_R_ACK: Final = 0xA2
# §7.3: a multiplier of the waiting time goes up to 59.
_MAX_WTXM: Final = 59


def frame_size(index: int) -> int:
    """The frame size in bytes, CRC included, that FSDI or FSCI names; values for future use mean the largest."""
    return FRAME_SIZES[min(index, len(FRAME_SIZES) - 1)]


def frame_waiting_time(index: int) -> float:
    """§7.2: the seconds that FWI names; 15 is for future use and means 4."""
    return 4096 / _CARRIER_HZ * 2.0 ** (4 if index > 14 else index)


def ats_frame_index(ats: bytes) -> int:
    """FSCI of an answer to select (§5.2.3); 2 where the card does not say."""
    return ats[1] & 0x0F if len(ats) > 1 else 2


def ats_waiting_index(ats: bytes) -> int:
    """FWI of an answer to select (§5.2.5); 4 where the card does not say."""
    if len(ats) < 2 or not ats[1] & 0x20:
        return 4
    at = 3 if ats[1] & 0x10 else 2
    return ats[at] >> 4 if len(ats) > at else 4


class IsoDepState(Enum):
    """State of an exchange."""

    READY = "waiting for a block"
    WORKING = "the card works on a command"
    DESELECTED = "the reader has ended the protocol"


class IsoDepCard:
    """Block numbers, chaining in both directions, waiting time extensions, repetition and deselection.

    Args:
        begin: is given each complete command APDU; its answer comes later, by ``finish``.
        reader_frame_size: how many bytes the reader takes in one frame, CRC included (FSD).
        did: the number that the reader gave this card in RATS or ATTRIB.
        max_command: bytes of command data beyond which the card falls silent.
    """

    def __init__(
        self, begin: Callable[[bytes], None], reader_frame_size: int, did: int = 0, max_command: int = 65_544
    ) -> None:
        self.state = IsoDepState.READY
        self._begin = begin
        self._room = reader_frame_size - _CRC
        self._did = did
        self._max_command = max_command
        # Rule C: a card begins with 1.
        self._number = 1
        self._prefix = b""
        self._command = b""
        self._last = b""
        self._rest = b""
        self._endless = False

    def receive(self, block: bytes) -> bytes:
        """Takes a block and gives the answer; empty for none, or for none yet while ``state`` is WORKING."""
        if self.state is IsoDepState.DESELECTED or not self._addressed(block):
            return b""
        pcb = block[0] & ~_DID
        body = block[1 + len(self._prefix) :]
        if pcb & 0xE2 == 0x02:
            return self._information(pcb, body)
        if pcb & 0xEE == _R_ACK:
            return self._acknowledgement(pcb)
        if pcb == _S_DESELECT:
            self.state = IsoDepState.DESELECTED
            return self._block(_S_DESELECT, b"")
        if pcb == _S_WTX and self.state is IsoDepState.READY and self._last[:1] and self._last[0] & ~_DID == _S_WTX:
            self.state = IsoDepState.WORKING
        return b""

    def finish(self, answer: bytes, *, endless: bool = False) -> bytes:
        """Takes the card's answer, and returns its first block.

        Args:
            answer: the response APDU.
            endless: goes on with zeros after it, for ever, as a hostile card can.
        """
        self.state = IsoDepState.READY
        self._rest, self._endless = answer, endless
        return self._next()

    def extend(self, multiplier: int = 1) -> bytes:
        """Rule 9: the card needs longer: S(WTX), which the reader answers with the same."""
        self.state = IsoDepState.READY
        return self._remember(self._block(_S_WTX, bytes((max(1, min(multiplier, _MAX_WTXM)),))))

    def _addressed(self, block: bytes) -> bool:
        """True if a block is addressed to this card (§7.1.1.2).

        A card answers blocks with its number. One with number 0 also answers those without any. It answers no others.
        """
        if not block:
            return False
        if block[0] & _DID:
            self._prefix = block[1:2]
            return len(block) > 1 and block[1] & 0x0F == self._did
        self._prefix = b""
        return self._did == 0

    def _information(self, pcb: int, body: bytes) -> bytes:
        # NAD is optional and was not announced. Rule D: the number changes with each I-block, before the answer; a
        # block of another number is an error, on which a card stays silent.
        if pcb & _NAD or pcb & 1 == self._number or self.state is IsoDepState.WORKING:
            return b""
        self._number ^= 1
        self._command += body
        if len(self._command) > self._max_command:
            self._command = b""
            return b""
        if pcb & _CHAINING:
            return self._remember(self._block(_R_ACK | self._number, b""))
        command, self._command = self._command, b""
        self.state = IsoDepState.WORKING
        self._rest, self._endless = b"", False
        self._begin(command)
        return b""

    def _acknowledgement(self, pcb: int) -> bytes:
        if self.state is IsoDepState.WORKING:
            return b""
        if pcb & 1 == self._number:
            # Rule 11.
            return self._last
        if pcb & 0x10:
            # Rule 12: R(NAK), a reader that looks whether the card is there.
            return self._block(_R_ACK | self._number, b"")
        if not (self._rest or self._endless):
            return b""
        # Rules E and 13.
        self._number ^= 1
        return self._next()

    def _next(self) -> bytes:
        room = self._room - 1 - len(self._prefix)
        part, self._rest = self._rest[:room], self._rest[room:]
        if self._endless:
            part = part.ljust(room, b"\x00")
        more = _CHAINING if self._rest or self._endless else 0
        return self._remember(self._block(0x02 | more | self._number, part))

    def _block(self, pcb: int, body: bytes) -> bytes:
        return bytes((pcb | (_DID if self._prefix else 0),)) + self._prefix + body

    def _remember(self, block: bytes) -> bytes:
        self._last = block
        return block
