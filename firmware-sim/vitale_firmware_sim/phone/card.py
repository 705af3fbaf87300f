"""NFC face of the simulated phone: an ISO/IEC 14443-4 type A card with one application, our profile's.

============================  =================================================================================
SELECT by name, F0VITALESIM   9000 with an FCI; a string is made for this reading. 6985: the phone is locked
SELECT by any other name      6A82
GET DATA ``00 CA 00 5E``      the data object 5E with the string
READ BINARY ``00 B0 …``       the string at an offset, or by short file identifier 1; 6B00 behind its end
GET RESPONSE ``00 C0 00 00``  what is left of the answer before, where that ended in 61xx
============================  =================================================================================

An answer has as many bytes as Le asks for and a block has room for. ``61xx`` says that there is more. Le that is absent
asks for all. Host card emulation on phones has it so, since it never learns of Le.
"""

from collections.abc import Callable
from typing import Final, Literal

from vitale_protocol import tlv
from vitale_protocol.apdu import MAX_SHORT, Command, Response, StatusWord
from vitale_protocol.errors import LocalError, LocalMisuse, MediumUnreadable
from vitale_protocol.media.apcv_profile import SIMULATOR_AID

__all__ = ["AtsVariant", "PhoneCard", "PhoneRefusal", "contactless_atr"]

AtsVariant = Literal["normal", "minimal", "no-ta-tb"]

# ISO/IEC 7816-4 §12.1.1: category indicator 80 (compact TLV), then the card capabilities in one byte: selection of an
# application by its full name.
_HISTORICAL: Final = bytes.fromhex("80 71 80")

# ISO/IEC 14443-4 §5.2: TL counts itself; T0 has FSCI 8 (frames of 256 bytes) and says which of TA, TB, TC follow.
# TA 80: 106 kbit/s both ways; TB 70: FWI 7 (39 ms), no SFGT; TC 02: CID.
_ATS: Final[dict[AtsVariant, bytes]] = {
    "normal": bytes.fromhex("08 78 80 70 02") + _HISTORICAL,
    "minimal": bytes.fromhex("01"),
    "no-ta-tb": bytes.fromhex("06 48 02") + _HISTORICAL,
}
_SFI: Final = 0x81
_TAG: Final = 0x5E


class PhoneRefusal(LocalError):
    """The phone refuses; ``data.state`` is its state, ``data.why`` a reason of ``phone.py``.

    Without a reason of its own: it is the simulator's, and not in the catalogue.
    """


class _Refused(Exception):
    """A status word that ends the handling of a command; never leaves the card."""

    def __init__(self, sw: int) -> None:
        super().__init__()
        self.sw = sw


class PhoneCard:
    """A phone on a reader; a ``VirtualCard`` with what the firmware of a reader needs besides.

    One call at a time.

    Args:
        tap: makes the string of one reading; raises ``PhoneRefusal`` while the phone is locked.
        uid: the identifier of the anticollision, 4, 7 or 10 bytes. That of a phone is random and begins with 08.
        sak: 0x20 (ISO/IEC 14443-4) or 0x60 (and NFC-DEP besides, as phones have it).
        ats: which form the answer to select has.
        block: bytes of an answer at most.

    Attributes:
        uid: as given.
        atqa: the answer to request, high byte first, as the PN532 gives it.
        sak: as given.
        ats: the whole answer to select, TL included, without CRC.
        selects: how often the application was selected.
    """

    def __init__(
        self,
        tap: Callable[[], bytes],
        *,
        uid: bytes = bytes.fromhex("08 A1 B2 C3"),
        sak: int = 0x20,
        ats: AtsVariant = "normal",
        block: int = MAX_SHORT,
    ) -> None:
        if len(uid) not in {4, 7, 10} or not sak & 0x20 or not 1 <= block <= MAX_SHORT:
            raise LocalMisuse("no phone on a reader has this UID, this SAK or these blocks")
        self.uid = uid
        # ISO/IEC 14443-3 §6.5.2.1: bits 8 and 7 give the size of the UID, bit 3 one anticollision slot.
        self.atqa = bytes((0x00, {4: 0x04, 7: 0x44, 10: 0x84}[len(uid)]))
        self.sak = sak
        self.ats = _ATS[ats]
        self.selects = 0
        self._tap = tap
        self._block = block
        self._historical = b"" if ats == "minimal" else _HISTORICAL
        self._string = b""
        self._pending = b""

    def reset(self) -> bytes:
        """Forgets what was selected; the ATR that a PC/SC reader makes for such a card."""
        self._string = self._pending = b""
        return contactless_atr(self._historical)

    def release(self) -> None:
        """Does nothing: this card never waits."""

    def transmit(self, apdu: bytes) -> bytes:
        """Answers a command; whatever the bytes are, the answer is a response APDU."""
        try:
            command = Command.parse(apdu)
        except MediumUnreadable:
            return Response(b"", StatusWord.WRONG_LENGTH).to_bytes()
        try:
            return self._answer(command).to_bytes()
        except _Refused as refused:
            return Response(b"", refused.sw).to_bytes()

    def _answer(self, command: Command) -> Response:
        if command.cla != 0x00:
            raise _Refused(StatusWord.CLASS_NOT_SUPPORTED)
        handler = {0xA4: self._select, 0xB0: self._read_binary, 0xC0: self._rest, 0xCA: self._get_data}.get(command.ins)
        if handler is None:
            raise _Refused(StatusWord.INSTRUCTION_NOT_SUPPORTED)
        if command.ins != 0xC0:
            self._pending = b""
        return handler(command)

    def _select(self, command: Command) -> Response:
        self._string = b""
        if command.p1 != 0x04 or command.p2 & 0xF3 or command.data != SIMULATOR_AID:
            raise _Refused(StatusWord.FILE_OR_APPLICATION_NOT_FOUND)
        self.selects += 1
        try:
            self._string = self._tap()
        except PhoneRefusal as refusal:
            raise _Refused(StatusWord.CONDITIONS_OF_USE_NOT_SATISFIED) from refusal
        if command.p2 & 0x0C == 0x0C:
            return Response(b"", StatusWord.OK)
        information = tlv.encode(
            0x6F, [tlv.encode(0x84, SIMULATOR_AID), tlv.encode(0xA5, tlv.encode(0xC1, b"SIMULEE"))]
        )
        return self._given(information, command.le)

    def _get_data(self, command: Command) -> Response:
        string = self._selected()
        if (command.p1, command.p2) != (0x00, _TAG):
            raise _Refused(StatusWord.REFERENCED_DATA_NOT_FOUND)
        return self._given(tlv.encode(_TAG, string), command.le)

    def _read_binary(self, command: Command) -> Response:
        string = self._selected()
        by_identifier = bool(command.p1 & 0x80)
        if by_identifier and command.p1 != _SFI:
            raise _Refused(StatusWord.FILE_OR_APPLICATION_NOT_FOUND)
        offset = command.p2 if by_identifier else command.p1 << 8 | command.p2
        if offset >= len(string):
            raise _Refused(StatusWord.WRONG_OFFSET)
        return self._given(string[offset : offset + (command.le or MAX_SHORT)], command.le)

    def _rest(self, command: Command) -> Response:
        if not self._pending:
            raise _Refused(StatusWord.CONDITIONS_OF_USE_NOT_SATISFIED)
        return self._given(self._pending, command.le)

    def _selected(self) -> bytes:
        if not self._string:
            raise _Refused(StatusWord.FILE_OR_APPLICATION_NOT_FOUND)
        return self._string

    def _given(self, data: bytes, le: int | None) -> Response:
        room = min(le or MAX_SHORT, self._block)
        given, self._pending = data[:room], data[room:]
        left = len(self._pending)
        return Response(given, 0x6100 | min(left, MAX_SHORT) & 0xFF if left else StatusWord.OK)


def contactless_atr(historical: bytes) -> bytes:
    """Builds the ATR of an ISO/IEC 14443-4 type A card from its ATS, as a reader does.

    The rule is that of PC/SC part 3 §3.1.3.2.3.1.

    Args:
        historical: the historical bytes of the ATS, at most 15.
    """
    body = bytes((0x80 | len(historical), 0x80, 0x01)) + historical
    check = 0
    for byte in body:
        check ^= byte
    return b"\x3b" + body + bytes((check,))
