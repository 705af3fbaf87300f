"""The reader's end of ISO/IEC 14443-4 as the PN532's own firmware speaks it, for InDataExchange."""

from collections.abc import Callable
from typing import Final

from vitale_firmware_sim.pn532.field import RfError
from vitale_firmware_sim.pn532.iso_dep import frame_size

__all__ = ["ANSWER_MAX", "READER_FRAME_SIZE", "IsoDepInitiator"]

# The chip asks cards for frames of 64 bytes at most, CRC included: its FIFO has so many.
READER_FRAME_SIZE: Final = 64
# UM0701-02 §7.3.8: as many bytes of an answer go into one response; the host fetches the rest, announced by MI.
ANSWER_MAX: Final = 262

_PROTOCOL_ERROR: Final = 0x0B
_CHAINING, _DID = 0x10, 0x08
_R_ACK, _R_NAK, _S_DESELECT = 0xA2, 0xB2, 0xC2

Exchange = Callable[[bytes, float | None], bytes]


class IsoDepInitiator:
    """Block numbers, chaining, waiting time extensions and repetition.

    Args:
        exchange: sends a block, waits so many seconds for the answer; raises ``RfError``.
        card_frame_index: FSCI of the card.
        waiting_time: the card's frame waiting time in seconds.
        did: the number given to the card; 0 travels in no block.
    """

    def __init__(self, exchange: Exchange, card_frame_index: int, waiting_time: float, did: int = 0) -> None:
        self.retries = 0
        self._exchange = exchange
        self._waiting_time = waiting_time
        self._prefix = bytes((did,)) if did else b""
        self._room = min(frame_size(card_frame_index), READER_FRAME_SIZE) - 3 - len(self._prefix)
        # Rule A: a reader begins with 0.
        self._number = 0
        self._held: bytes | None = None

    def send(self, data: bytes, *, more: bool) -> tuple[bytes, bool]:
        """Sends a command APDU, or a part of it, and gives the answer, or the first part of it.

        Args:
            data: bytes to send; none when the rest of an answer is wanted.
            more: whether the command goes on with the next call; there is no answer then.

        Returns:
            At most ``ANSWER_MAX`` bytes, and whether the card has more.

        Raises:
            RfError: the card is silent, garbled, or breaks the protocol.
        """
        if self._held is not None and not data:
            block, self._held = self._held, None
            return self._collect(block)
        self._held = None
        parts = [data[at : at + self._room] for at in range(0, len(data), self._room)] or [b""]
        for index, part in enumerate(parts):
            chained = more or index < len(parts) - 1
            block = self._sent(self._information(part, chained=chained))
            if not chained:
                return self._collect(block)
            if block[0] & 0xF6 != _R_ACK:
                raise RfError(_PROTOCOL_ERROR)
            self._number ^= 1
        return b"", False

    def present(self) -> None:
        """Looks whether the card is there, without disturbing it: R(NAK), answered by R(ACK).

        Raises:
            RfError: it is not.
        """
        self._exchange(self._block(_R_NAK | self._number, b""), self._waiting_time)

    def deselect(self) -> None:
        """Ends the protocol; the card is then halted.

        Raises:
            RfError: the card is silent, which also ends it.
        """
        self._exchange(self._block(_S_DESELECT, b""), self._waiting_time)

    def _collect(self, block: bytes) -> tuple[bytes, bool]:
        """Takes the blocks of an answer, asking for the next, until the chip's buffer is full."""
        answer = b""
        while True:
            body = block[1 + len(self._prefix) :]
            if answer and len(answer) + len(body) > ANSWER_MAX:
                self._held = block
                return answer, True
            if block[0] & 0xE6 != 0x02 or block[0] & 1 != self._number:
                raise RfError(_PROTOCOL_ERROR)
            self._number ^= 1
            answer += body
            if not block[0] & _CHAINING:
                return answer, False
            block = self._sent(self._block(_R_ACK | self._number, b""))

    def _sent(self, block: bytes) -> bytes:
        """Sends a block, grants more time as often as it is asked for, and repeats what was not understood."""
        tries, sent, seconds = 0, block, self._waiting_time
        while True:
            try:
                answer = self._exchange(sent, seconds)
            except RfError:
                tries += 1
                if tries > self.retries:
                    raise
                # Rules 4 and 5: within a chain of the card the acknowledgement is repeated.
                sent = block if block[0] & 0xE6 == _R_ACK else self._block(_R_NAK | self._number, b"")
                seconds = self._waiting_time
                continue
            if answer[0] & 0xF6 == 0xF2 and len(answer) == 2 + len(self._prefix):
                multiplier = max(answer[-1] & 0x3F, 1)
                sent, seconds = self._block(0xF2, bytes((answer[-1] & 0x3F,))), self._waiting_time * multiplier
            elif answer[0] & 0xF6 == _R_ACK and answer[0] & 1 != self._number and tries <= self.retries:
                # Rule 6: the card has not got the last block.
                tries += 1
                sent, seconds = block, self._waiting_time
            else:
                return answer

    def _information(self, part: bytes, *, chained: bool) -> bytes:
        return self._block(0x02 | (_CHAINING if chained else 0) | self._number, part)

    def _block(self, pcb: int, body: bytes) -> bytes:
        return bytes((pcb | (_DID if self._prefix else 0),)) + self._prefix + body
