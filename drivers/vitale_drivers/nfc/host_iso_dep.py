"""Readers that leave ISO-DEP to their host (RC-S380, ACR122U, nfcpy's stand-in over UDP), by nfcpy's own layers.

nfcpy senses the target and exchanges blocks. Activation is ours, because nfcpy's fails on a short ATS. So is the bound
on a phone's delays, because nfcpy has none. These readers find one target at a time: a collision of several looks like
an empty field.
"""

import time
from typing import NamedTuple

import nfc.clf
import nfc.tag
from nfc.clf import device as nfcpy
from nfc.tag import tt4

from vitale_drivers.nfc.nfcpy_errors import CHIP_FAULTS
from vitale_drivers.nfc.transport import MAX_ANSWER, NfcTarget, ReaderTransport
from vitale_protocol.errors import MediumRemoved, MediumUnreadable, ReaderUnavailable

__all__ = ["Activation", "GenericTransport", "parse_ats", "parse_attributes"]

_ISO_DEP = 0x20
_FSC = (16, 24, 32, 40, 48, 64, 96, 128, 256)
_FWT_UNIT = 4096 / 13.56e6
_DEFAULT_FSCI, _DEFAULT_FWI = 2, 4
"""ISO/IEC 14443-4 §5.2.3 and §5.2.5: what holds where an ATS does not say: frames of 32 bytes, 4.8 ms."""
_WTX, _WTX_MASK = 0xF2, 0xFE
_ACTIVATION_LIMIT = 0.05
_PRESENCE_LIMIT = 1.0
_WAY = 0.004
"""Seconds that a block takes on its way, beside the phone's waiting time; as nfcpy reckons."""
_MALFORMED = (IndexError, TypeError, ValueError)
"""What nfcpy's ISO-DEP could raise of a block that it did not expect; faults of the reader never come this far."""


class Activation(NamedTuple):
    """Properties of a target, read at its activation.

    Attributes:
        frame: the largest frame that it takes, in bytes.
        waiting: its frame waiting time in seconds.
    """

    frame: int
    waiting: float


def _activation(fsci: int, fwi: int) -> Activation:
    """Decodes the indices; those reserved for the future stand for the largest frame and the default time."""
    return Activation(_FSC[min(fsci, 8)], _FWT_UNIT * 2 ** (fwi if fwi < 15 else _DEFAULT_FWI))


def parse_ats(ats: bytes) -> Activation:
    """Reads an ATS (ISO/IEC 14443-4 §5.2).

    It has TL, T0, and TA, TB, TC as T0 announces them. Each of them may be absent, T0 too.
    """
    fsci, fwi = _DEFAULT_FSCI, _DEFAULT_FWI
    if len(ats) > 1:
        fsci = ats[1] & 0x0F
        at = 2 + bool(ats[1] & 0x10)
        if ats[1] & 0x20 and len(ats) > at:
            fwi = ats[at] >> 4
    return _activation(fsci, fwi)


def parse_attributes(sensb: bytes) -> Activation:
    """ISO/IEC 14443-3 §7.9.4: the protocol information in ATQB."""
    if len(sensb) < 12:
        return _activation(_DEFAULT_FSCI, _DEFAULT_FWI)
    return _activation(sensb[10] >> 4, sensb[11] >> 4)


class GenericTransport(ReaderTransport):
    """A reader that nfcpy has opened."""

    def __init__(self, device: nfcpy.Device) -> None:
        self._device = device
        self._target: nfc.clf.RemoteTarget | None = None
        self._protocol: tt4.IsoDepInitiator | None = None
        self._field = False
        self._has_type_b = True
        self._end = 0.0
        self._room = 0

    def find(self) -> tuple[NfcTarget, ...]:
        """Looks for type A, then for type B."""
        self._field = True
        self._target = self._protocol = None
        try:
            return self._find_a() or self._find_b()
        except nfc.clf.CommunicationError:
            return ()
        except CHIP_FAULTS as error:
            raise ReaderUnavailable("the reader does not answer any more") from error

    def choose(self, target: NfcTarget) -> None:
        """Finds one at most: there is nothing to choose from."""

    def transmit(self, apdu: bytes, limit: float) -> bytes:
        """Exchanges one APDU; the reader sees to each block."""
        if self._protocol is None:
            raise MediumRemoved("there is no phone")
        self._end, self._room = time.monotonic() + limit, MAX_ANSWER
        try:
            return bytes(self._protocol.exchange(apdu))
        except tt4.Type4TagCommandError as error:
            if error.errno == nfc.tag.PROTOCOL_ERROR:
                raise MediumUnreadable("the phone does not keep to its protocol") from error
            raise MediumRemoved("the phone left the field") from error
        except nfc.clf.CommunicationError as error:
            raise MediumRemoved("the phone left the field") from error
        except _MALFORMED as error:
            raise MediumUnreadable("the phone gives blocks that are none") from error

    def present(self) -> bool:
        """Asks the phone to acknowledge an empty block."""
        if self._protocol is None:
            return False
        self._end, self._room = time.monotonic() + _PRESENCE_LIMIT, MAX_ANSWER
        try:
            self._protocol.exchange(None)
        except (nfc.clf.CommunicationError, tt4.Type4TagCommandError, MediumUnreadable, *_MALFORMED):
            return False
        return True

    def quiet(self) -> None:
        """Turns the field off."""
        if not self._field:
            return
        self._field = False
        self._target = self._protocol = None
        try:
            self._device.mute()
        except CHIP_FAULTS as error:
            raise ReaderUnavailable("the reader does not answer any more") from error

    def cancel(self) -> None:
        """Does nothing: there are no means, and the limits of the calls end them."""

    def close(self) -> None:
        """Lets go of the reader."""
        try:
            self._device.close()
        except CHIP_FAULTS:
            return

    # ── what nfcpy's ISO-DEP calls ──

    def exchange(self, data: bytes, timeout: float) -> bytearray:
        """One block there and back, looked over before nfcpy looks into it."""
        rest = self._end - time.monotonic()
        if rest <= 0:
            raise MediumUnreadable("the answer of the phone does not come to its end in time")
        try:
            answer = bytearray(self._device.send_cmd_recv_rsp(self._target, bytearray(data), min(timeout, rest)) or b"")
        except nfc.clf.CommunicationError:
            raise
        except CHIP_FAULTS as error:
            raise ReaderUnavailable("the reader does not answer any more") from error
        if not answer and data[0] & _WTX_MASK == _WTX:
            # nfcpy takes an empty block for a disturbance everywhere but here, where it looks for the first byte.
            raise MediumUnreadable("the phone asks for time and then says nothing")
        if answer and answer[0] & _WTX_MASK == _WTX and len(answer) != 2:
            raise MediumUnreadable("the phone asks for time in no way that there is")
        self._room -= len(answer)
        if self._room < 0:
            raise MediumUnreadable("the answer of the phone does not end")
        return answer

    # ── inside ──

    def _find_a(self) -> tuple[NfcTarget, ...]:
        target = self._device.sense_tta(nfc.clf.RemoteTarget("106A"))
        if target is None:
            return ()
        uid = bytes(target.sdd_res or b"")
        if not (target.sel_res and target.sel_res[0] & _ISO_DEP):
            return (NfcTarget(uid, iso_dep=False),)
        room = min(256, self._device.get_max_recv_data_size(target))
        command = b"\xe0\x80" if room >= 256 else b"\xe0\x70"
        ats = self._device.send_cmd_recv_rsp(target, bytearray(command), _ACTIVATION_LIMIT)
        self._activate(target, parse_ats(bytes(ats or b"")))
        return (NfcTarget(uid, iso_dep=True),)

    def _find_b(self) -> tuple[NfcTarget, ...]:
        if not self._has_type_b:
            return ()
        try:
            target = self._device.sense_ttb(nfc.clf.RemoteTarget("106B"))
        except nfc.clf.UnsupportedTargetError:
            self._has_type_b = False
            return ()
        if target is None or not target.sensb_res or len(target.sensb_res) < 12:
            return ()
        attributes = bytes(target.sensb_res)
        # ATTRIB (§7.10): PUPI, no changes to the timing, frames of 256 bytes, ISO/IEC 14443-4, no CID.
        command = b"\x1d" + attributes[1:5] + b"\x00\x08\x01\x00"
        self._device.send_cmd_recv_rsp(target, bytearray(command), _ACTIVATION_LIMIT)
        self._activate(target, parse_attributes(attributes))
        return (NfcTarget(attributes[1:5], iso_dep=True),)

    def _activate(self, target: nfc.clf.RemoteTarget, activation: Activation) -> None:
        self._target = target
        frame = min(activation.frame, self._device.get_max_send_data_size(target))
        self._protocol = tt4.IsoDepInitiator(self, frame, activation.waiting + _WAY)
