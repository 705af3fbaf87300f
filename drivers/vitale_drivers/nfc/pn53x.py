"""PN532 and PN533 by nfcpy's chip layer, with the ISO-DEP that is in the chip itself.

One chip command for each APDU, where nfcpy's tag layer takes four. The numbers are those of NXP's user manual of the
PN532 (UM0701-02); the PN533 has the same commands.
"""

import errno
import time
from contextlib import suppress

from nfc.clf import pn53x

from vitale_drivers.nfc.nfcpy_errors import CHIP_FAULTS
from vitale_drivers.nfc.transport import MAX_ANSWER, NfcTarget, ReaderTransport
from vitale_protocol.errors import MediumRemoved, MediumUnreadable, ReaderUnavailable

__all__ = ["Pn53xTransport"]

_DIAGNOSE, _IN_LIST_PASSIVE_TARGET, _IN_DATA_EXCHANGE = 0x00, 0x4A, 0x40
_TYPE_A, _TYPE_B = 0, 3
_AUTOMATIC_RATS = 0x10
_PRESENCE = b"\x06"
_ISO_DEP = 0x20
_MAX_TARGETS = 2
_MORE = 0x40

_MAX_RETRIES_ITEM = 0x05
_MANY_LOOKS, _ONE_LOOK = b"\xff\x01\x20", b"\xff\x01\x00"
"""§7.3.1: MxRtyATR and MxRtyPSL as the chip starts with, and MxRtyPassiveActivation: the chip looks 33 times by itself,
some 0.2 s, and answers at once when something comes; the host sleeps meanwhile. For ever (FF) would have to be aborted
for each order."""

_TORN = frozenset({0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x23, 0x25, 0x27, 0x2A, 0x2B})
"""§7.1: what a phone on its way out of the field gives: silence, damaged frames, a target that is not active."""

_LISTING_LIMIT = 1.0
_PRESENCE_LIMIT = 1.0
_LOOKS_FOR_TYPE_B = 4
"""Every so many looks there is one for type B too: phones are of type A nearly without exception."""


class Pn53xTransport(ReaderTransport):
    """A chip that nfcpy has opened."""

    def __init__(self, device: pn53x.Device) -> None:
        """Sets the chip up.

        Raises:
            ReaderUnavailable: it does not answer.
        """
        self._device = device
        self._chip: pn53x.Chipset = device.chipset
        self._looks = 0
        self._number = 1
        self._field = False
        try:
            self._chip.set_parameters(_AUTOMATIC_RATS)
            self._chip.rf_configuration(_MAX_RETRIES_ITEM, _MANY_LOOKS)
        except CHIP_FAULTS as error:
            raise ReaderUnavailable("the reader does not take its settings") from error

    def find(self) -> tuple[NfcTarget, ...]:
        """Looks for type A at each call, for type B at some."""
        self._field, self._number = True, 1
        self._looks += 1
        found = _type_a(self._list(_TYPE_A, b""))
        if found or self._looks % _LOOKS_FOR_TYPE_B:
            return found
        return self._find_b()

    def choose(self, target: NfcTarget) -> None:
        """The chip puts the other to rest when the number changes."""
        self._number = target.number

    def transmit(self, apdu: bytes, limit: float) -> bytes:
        """One command; more where the APDU or its answer does not fit into one."""
        end = time.monotonic() + limit
        room = self._chip.host_command_frame_max_size - 3
        start = 0
        while len(apdu) - start > room:
            self._exchange(apdu[start : start + room], end, more=True)
            start += room
        answer, more = self._exchange(apdu[start:], end)
        while more:
            part, more = self._exchange(b"", end)
            answer += part
            if len(answer) > MAX_ANSWER:
                self._abandon()
                raise MediumUnreadable("the answer of the phone does not end")
        return answer

    def present(self) -> bool:
        """Asks by the chip's own test (§7.2.1), which sends an empty block that the phone acknowledges."""
        try:
            status = self._chip.command(_DIAGNOSE, _PRESENCE, _PRESENCE_LIMIT)
        except pn53x.Chipset.Error:
            return False
        except CHIP_FAULTS:
            self._answers_or_raise()
            return False
        return bytes(status or b"") == b"\x00"

    def quiet(self) -> None:
        """Switches the RF field off (RFConfiguration item 1)."""
        if not self._field:
            return
        self._field = False
        try:
            self._device.mute()
        except CHIP_FAULTS:
            self._answers_or_raise()
            self._field = True

    def cancel(self) -> None:
        """Wakes a serial line; over USB the limit of the command ends it."""
        tty = getattr(self._chip.transport, "tty", None)
        if tty is not None:
            tty.cancel_read()

    def close(self) -> None:
        """Leaves the chip asleep, at the speed at which it starts."""
        try:
            self._device.mute()
            self._device.close()
        except CHIP_FAULTS:
            # nfcpy gives up at the first command that fails, and leaves the line open.
            with suppress(*CHIP_FAULTS):
                self._chip.transport.close()

    # ── inside ──

    def _find_b(self) -> tuple[NfcTarget, ...]:
        """One look: as long as it takes, a phone of type A would not be seen."""
        try:
            self._chip.rf_configuration(_MAX_RETRIES_ITEM, _ONE_LOOK)
            found = _type_b(self._list(_TYPE_B, b"\x00"))
            self._chip.rf_configuration(_MAX_RETRIES_ITEM, _MANY_LOOKS)
        except CHIP_FAULTS:
            self._answers_or_raise()
            return ()
        return found

    def _list(self, kind: int, data: bytes) -> bytes:
        # Not nfcpy's in_list_passive_target, which asks for one target whatever its argument.
        try:
            listed = self._chip.command(_IN_LIST_PASSIVE_TARGET, bytes((_MAX_TARGETS, kind)) + data, _LISTING_LIMIT)
        except pn53x.Chipset.Error:
            return b""
        except CHIP_FAULTS:
            self._answers_or_raise()
            return b""
        return bytes(listed or b"")

    def _exchange(self, data: bytes, end: float, *, more: bool = False) -> tuple[bytes, bool]:
        rest = end - time.monotonic()
        if rest <= 0:
            self._abandon()
            raise MediumUnreadable("the answer of the phone does not come to its end in time")
        try:
            answer = self._chip.command(_IN_DATA_EXCHANGE, bytes((self._number | (_MORE if more else 0),)) + data, rest)
        except pn53x.Chipset.Error as error:
            raise MediumUnreadable(f"the reader refused a command: error {error.errno:02X}") from error
        except OSError as error:
            self._answers_or_raise()
            if error.errno == errno.ETIMEDOUT:
                raise MediumUnreadable(
                    "the phone keeps the reader waiting beyond the limit", variant="phone-silent"
                ) from error
            raise MediumRemoved("the connection with the phone was disturbed") from error
        except CHIP_FAULTS as error:
            self._answers_or_raise()
            raise MediumRemoved("the connection with the phone was disturbed") from error
        if not answer:
            raise MediumUnreadable("the reader gave an answer without status")
        return _checked(bytes(answer))

    def _abandon(self) -> None:
        """Restarts a phone that does not end."""
        self._field = True
        self.quiet()

    def _answers_or_raise(self) -> None:
        """Checks that the chip itself still answers after a disturbance, by a command that it always takes."""
        try:
            self._chip.send_ack()  # §6.2.1.3: the chip then aborts its command
            self._chip.get_firmware_version()
        except CHIP_FAULTS as error:
            raise ReaderUnavailable("the reader does not answer any more") from error


def _checked(answer: bytes) -> tuple[bytes, bool]:
    """The data of an answer, and whether more follows.

    The status is as in §7.1: bit 7 says more, bits 6 to 1 the error.
    """
    status = answer[0] & 0x3F
    if status in _TORN:
        raise MediumRemoved(f"the phone left the field: error {status:02X}")
    if status:
        raise MediumUnreadable(f"the phone does not keep to its protocol: error {status:02X}")
    return answer[1:], bool(answer[0] & 0x40)


def _type_a(listed: bytes) -> tuple[NfcTarget, ...]:
    """Targets of 106 kbps type A (§7.3.5).

    Each has number, SENS_RES (2), SEL_RES, length and NFCID1, length (its own included) and ATS.
    """
    found: list[NfcTarget] = []
    rest = listed[1:]
    for _ in range(listed[0] if listed else 0):
        if len(rest) < 5 or len(rest) < 5 + rest[4]:
            break
        sak, uid, traits = rest[3], rest[5 : 5 + rest[4]], rest[1:4]
        rest = rest[5 + len(uid) :]
        iso_dep = bool(sak & _ISO_DEP)
        if iso_dep and rest:
            # An ATS may be its length alone; one that claims to be of no length is taken for that.
            ats, rest = rest[: max(1, rest[0])], rest[max(1, rest[0]) :]
            traits += ats
        found.append(NfcTarget(uid, iso_dep, traits, len(found) + 1))
    return tuple(found)


def _type_b(listed: bytes) -> tuple[NfcTarget, ...]:
    """Targets of 106 kbps type B (§7.3.5).

    Each has number, ATQB (12), length and ATTRIB_RES. PUPI and protocol type are in ATQB.
    """
    found: list[NfcTarget] = []
    rest = listed[1:]
    for _ in range(listed[0] if listed else 0):
        if len(rest) < 14:
            break
        atqb = rest[1:13]
        found.append(NfcTarget(atqb[1:5], bool(atqb[10] & 0x01), number=len(found) + 1))
        rest = rest[14 + rest[13] :]
    return tuple(found)
