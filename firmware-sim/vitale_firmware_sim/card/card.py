"""A Vitale 2 in software: an ISO/IEC 7816-4 card as a state machine.

Bytes go in and bytes come out, with the manners of T=0. Under T=0 a command carries data or asks for data, never both.
The answer to a case 4 command waits for GET RESPONSE (``61xx``). A wrong Le is answered with the right one (``6Cxx``).
Le 00 and ``61 00`` mean 256.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vitale_firmware_sim.card.files import CardApplication, File, applications
from vitale_firmware_sim.card.images import Image
from vitale_protocol import tlv
from vitale_protocol.apdu import Response, StatusWord

__all__ = ["Card", "VirtualCard"]

_MF = 0x3F00
# INS whose P3 is the length of command data; for all others it is Le. READ is free, every change is protected.
_SELECT, _READ_BINARY, _GET_RESPONSE, _READ_RECORD = 0xA4, 0xB0, 0xC0, 0xB2
_CHANGES = frozenset({0x0E, 0xD0, 0xD2, 0xD6, 0xDA, 0xDC, 0xE0, 0xE2, 0xE4})
_INCOMING = _CHANGES | {_SELECT, 0x20, 0x24, 0x2C, 0x22, 0x2A, 0x82, 0x88}


class VirtualCard(Protocol):
    """Interface of a card for a link or a driver."""

    def reset(self) -> bytes:
        """Powers the card up, or resets it; the ATR, empty if the card stays mute."""
        ...

    def transmit(self, apdu: bytes) -> bytes:
        """Answers one command APDU with one response APDU."""
        ...

    def release(self) -> None:
        """Lets go of a call that is kept waiting; called from another thread when the card is taken out."""
        ...


class _Refusal(Exception):
    """A status word that ends the handling of a command; never leaves the card."""

    def __init__(self, sw: int) -> None:
        super().__init__()
        self.sw = sw


@dataclass(frozen=True, slots=True)
class _Tpdu:
    """A command as it travels under T=0: four header bytes, then P3 as Lc or as Le."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    le: int


class Card:
    """The card of an image."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self._applications: tuple[CardApplication, ...] = applications(image) if image.beneficiaires else ()
        self._forget()

    def _forget(self) -> None:
        self._current = 0
        self._file: File | None = None
        self._pending = b""

    def reset(self) -> bytes:
        """Forgets what was selected, and gives the ATR."""
        self._forget()
        return self.image.atr

    def release(self) -> None:
        """Does nothing: this card never waits."""

    def transmit(self, apdu: bytes) -> bytes:
        """Answers a command; whatever the bytes are, the answer is a response APDU."""
        try:
            response = self._answer(apdu)
        except _Refusal as refusal:
            response = Response(b"", refusal.sw)
        return response.to_bytes()

    def _answer(self, apdu: bytes) -> Response:
        if len(apdu) < 4:
            raise _Refusal(StatusWord.WRONG_LENGTH)
        if not self._applications:
            raise _Refusal(StatusWord.CLASS_NOT_SUPPORTED)
        _check_class(apdu[0])
        handler = self._handlers().get(apdu[1])
        if handler is None:
            raise _Refusal(StatusWord.INSTRUCTION_NOT_SUPPORTED)
        command = _parse(apdu)
        if command.ins != _GET_RESPONSE:
            self._pending = b""
        return handler(command)

    def _handlers(self) -> dict[int, Callable[[_Tpdu], Response]]:
        return {
            _SELECT: self._select,
            _READ_BINARY: self._read_binary,
            _GET_RESPONSE: self._get_response,
            _READ_RECORD: self._read_record,
            **dict.fromkeys(_CHANGES, self._change),
        }

    # ── SELECT ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _select(self, command: _Tpdu) -> Response:
        # §11.1.1, table 63: bits 4 and 3 of P2 say what is to be returned, bits 2 and 1 which occurrence; first only.
        if command.p2 & 0xF0:
            raise _Refusal(StatusWord.INCORRECT_P1_P2)
        if command.p2 & 0x03:
            raise _Refusal(StatusWord.FILE_OR_APPLICATION_NOT_FOUND)
        find = {
            0x00: self._find_any,
            0x01: self._find_child_application,
            0x02: self._find_file,
            0x03: self._find_parent,
            0x04: self._find_by_name,
            0x08: self._find_by_path,
            0x09: self._find_file,
        }.get(command.p1)
        if find is None:
            raise _Refusal(StatusWord.INCORRECT_P1_P2)
        self._current, self._file = find(command.data)
        information = self._control_information(command.p2 & 0x0C)
        return self._wait_for_get_response(information)

    def _find_any(self, data: bytes) -> tuple[int, File | None]:
        # §11.1.1: with P1-P2 0000 and no data, or 3F00, it is the root.
        if data in {b"", _MF.to_bytes(2, "big")}:
            return 0, None
        return self._find_file(data)

    def _find_file(self, data: bytes) -> tuple[int, File | None]:
        if len(data) != 2:
            raise _Refusal(StatusWord.WRONG_LENGTH)
        fid = int.from_bytes(data, "big")
        for file in self._applications[self._current].files:
            if file.fid == fid:
                return self._current, file
        raise _Refusal(StatusWord.FILE_OR_APPLICATION_NOT_FOUND)

    def _find_child_application(self, data: bytes) -> tuple[int, File | None]:
        """Finds nothing: the applications have names only, no file identifier."""
        if len(data) != 2:
            raise _Refusal(StatusWord.WRONG_LENGTH)
        raise _Refusal(StatusWord.FILE_OR_APPLICATION_NOT_FOUND)

    def _find_parent(self, data: bytes) -> tuple[int, File | None]:
        if data:
            raise _Refusal(StatusWord.WRONG_LENGTH)
        return 0, None

    def _find_by_name(self, data: bytes) -> tuple[int, File | None]:
        # ISO/IEC 7816-4 §5.4.1: a name may be right-truncated; an AID has 5 to 16 bytes.
        if not 5 <= len(data) <= 16:
            raise _Refusal(StatusWord.WRONG_LENGTH)
        for index, application in enumerate(self._applications):
            if application.aid.startswith(data):
                return index, None
        raise _Refusal(StatusWord.FILE_OR_APPLICATION_NOT_FOUND)

    def _find_by_path(self, data: bytes) -> tuple[int, File | None]:
        """A path from the root; no file lies deeper than one level below it."""
        current, self._current = self._current, 0
        try:
            return self._find_file(data)
        finally:
            self._current = current

    def _control_information(self, wanted: int) -> bytes:
        """FCI, FCP or FMD as bits 4 and 3 of P2 ask; empty for none."""
        if wanted == 0x0C:
            return b""
        template = {0x00: 0x6F, 0x04: 0x62, 0x08: 0x64}[wanted]
        if self._file is None:
            return tlv.encode(template, _application_information(self._applications[self._current]))
        return tlv.encode(template, _file_information(self._file))

    def _wait_for_get_response(self, data: bytes) -> Response:
        self._pending = data
        return Response(b"", _more(len(data)) if data else StatusWord.OK)

    def _get_response(self, command: _Tpdu) -> Response:
        if command.p1 or command.p2:
            raise _Refusal(StatusWord.INCORRECT_P1_P2)
        if not self._pending:
            raise _Refusal(StatusWord.CONDITIONS_OF_USE_NOT_SATISFIED)
        if command.le > len(self._pending):
            raise _Refusal(_wrong_le(len(self._pending)))
        given, self._pending = self._pending[: command.le], self._pending[command.le :]
        return Response(given, _more(len(self._pending)) if self._pending else StatusWord.OK)

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_binary(self, command: _Tpdu) -> Response:
        file, offset = self._addressed(command)
        if file.protected:
            raise _Refusal(StatusWord.SECURITY_STATUS_NOT_SATISFIED)
        left = len(file.content) - offset
        if left <= 0:
            raise _Refusal(StatusWord.WRONG_OFFSET)
        if command.le > left:
            raise _Refusal(_wrong_le(left))
        return Response(file.content[offset : offset + command.le], StatusWord.OK)

    def _addressed(self, command: _Tpdu) -> tuple[File, int]:
        """File and offset that P1 and P2 address (§11.3.3).

        With bit 8 of P1, bits 5 to 1 are an SFI and P2 the offset. Without it P1-P2 is the offset.
        """
        if not command.p1 & 0x80:
            if self._file is None:
                raise _Refusal(StatusWord.NO_CURRENT_EF)
            return self._file, command.p1 << 8 | command.p2
        if command.p1 & 0x60:
            raise _Refusal(StatusWord.INCORRECT_P1_P2)
        sfi = command.p1 & 0x1F
        if sfi == 0:
            return self._addressed(_Tpdu(command.cla, command.ins, 0, command.p2, b"", command.le))
        for file in self._applications[self._current].files:
            if file.sfi == sfi:
                self._file = file
                return file, command.p2
        raise _Refusal(StatusWord.FILE_OR_APPLICATION_NOT_FOUND)

    def _read_record(self, _command: _Tpdu) -> Response:
        """Every file here is transparent."""
        raise _Refusal(StatusWord.NO_CURRENT_EF if self._file is None else StatusWord.COMMAND_INCOMPATIBLE_WITH_FILE)

    def _change(self, _command: _Tpdu) -> Response:
        """Refuses: this card cannot be written."""
        raise _Refusal(StatusWord.SECURITY_STATUS_NOT_SATISFIED)


def _check_class(cla: int) -> None:
    """ISO/IEC 7816-4 §5.4.1: only the first interindustry class, without chaining, protection or logical channels."""
    if cla & 0xE0:
        raise _Refusal(StatusWord.CLASS_NOT_SUPPORTED)
    if cla & 0x10:
        raise _Refusal(StatusWord.COMMAND_CHAINING_NOT_SUPPORTED)
    if cla & 0x0C:
        raise _Refusal(StatusWord.SECURE_MESSAGING_NOT_SUPPORTED)
    if cla & 0x03:
        raise _Refusal(StatusWord.LOGICAL_CHANNEL_NOT_SUPPORTED)


def _parse(apdu: bytes) -> _Tpdu:
    """Reads a command as T=0 sends it.

    A case 4 command may keep its Le, which T=0 does not transmit.
    """
    cla, ins, p1, p2 = apdu[:4]
    p3 = apdu[4] if len(apdu) > 4 else 0
    body = apdu[5:]
    if ins not in _INCOMING:
        if body:
            raise _Refusal(StatusWord.WRONG_LENGTH)
        return _Tpdu(cla, ins, p1, p2, b"", p3 or 256)
    if len(body) not in {p3, p3 + 1} or (p3 == 0 and body):
        raise _Refusal(StatusWord.WRONG_LENGTH)
    return _Tpdu(cla, ins, p1, p2, body[:p3], 256)


def _more(length: int) -> int:
    return 0x6100 | min(length, 256) & 0xFF


def _wrong_le(length: int) -> int:
    return 0x6C00 | length & 0xFF


def _application_information(application: CardApplication) -> list[bytes]:
    # ISO/IEC 7816-4 §5.3.3, table 10: file descriptor 38 (dedicated file), name, life cycle 05 (activated).
    return [tlv.encode(0x82, b"\x38"), tlv.encode(0x84, application.aid), tlv.encode(0x8A, b"\x05")]


def _file_information(file: File) -> list[bytes]:
    # File descriptor 01 (transparent, working). With the marker the template of an identity file has 30 bytes, which is
    # what public node readers ask for without looking (00 C0 00 00 1E).
    fields = [
        tlv.encode(0x80, len(file.content).to_bytes(2, "big")),
        tlv.encode(0x82, b"\x01"),
        tlv.encode(0x83, file.fid.to_bytes(2, "big")),
    ]
    if file.sfi is not None:
        fields.append(tlv.encode(0x88, bytes((file.sfi << 3,))))
    return [*fields, tlv.encode(0x8A, b"\x05"), tlv.encode(0xA5, tlv.encode(0xC1, b"SIMULEE"))]
