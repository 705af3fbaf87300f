"""Cards in the PN532's field: finding them, numbering them, and exchanging with one at a time."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from vitale_firmware_sim.pn532.card import Phase, RfCard, TargetB
from vitale_firmware_sim.pn532.crc import crc_a, is_unchecked
from vitale_firmware_sim.pn532.field import CRC, RfError, RfField, Wait
from vitale_firmware_sim.pn532.iso_dep import ats_frame_index, ats_waiting_index, frame_waiting_time
from vitale_firmware_sim.pn532.iso_dep_initiator import READER_FRAME_SIZE, IsoDepInitiator
from vitale_firmware_sim.pn532.registers import MODULATION_A, MODULATION_B, MODULATION_F, REQA, Registers

__all__ = ["RfSettings", "Targets"]

_WRONG_CONTEXT: Final = 0x27
_FORMAT_ERROR: Final = 0x13
# RATS for frames of 64 bytes, no card number; ATTRIB for the same, with card number 1, as the firmware has it.
_RATS: Final = b"\xe0\x50"
_B_DID: Final = 1
# ISO/IEC 14443-3 §6.2.3.1: REQA and WUPA are frames of seven bits.
_SHORT_BITS: Final = 7
_FOREVER: Final = 0xFF
# A request without an answer, with what the firmware does around it. Of this order on a chip; not a measured figure.
_REQUEST_SECONDS: Final = 0.001
# UM0701-02 §7.3.13: the unit of InAutoPoll's period.
_PERIOD_SECONDS: Final = 0.15


@dataclass(slots=True)
class RfSettings:
    """Settings made by SetParameters and RFConfiguration; the values are those after power-on.

    Attributes:
        automatic_rats: whether a card of type 4A is brought into ISO-DEP when it is found.
        retry_timeout: index of the time that InCommunicateThru waits: 100 µs · 2^(n−1), 0 without limit.
        communication_retries: how often InDataExchange repeats.
        activation_retries: how often a search repeats; FF for ever.
        last_error: for GetGeneralStatus.
    """

    automatic_rats: bool = True
    retry_timeout: int = 0x0A
    communication_retries: int = 0
    activation_retries: int = _FOREVER
    last_error: int = 0


@dataclass(slots=True)
class _Known:
    """A card that has a number."""

    card: RfCard
    listed: bytes
    dep: IsoDepInitiator | None


class Targets:
    """Cards found and numbered by the PN532."""

    def __init__(self, field: RfField, registers: Registers, settings: RfSettings, wait: Wait) -> None:
        self._field = field
        self._registers = registers
        self._settings = settings
        self._wait = wait
        self._known: dict[int, _Known] = {}
        self._current: _Known | None = None
        self._resting: set[RfCard] = set()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers that were given."""
        return tuple(self._known)

    def forget(self) -> None:
        """No card is known any more."""
        self._known, self._current = {}, None

    # ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────

    def list_passive(self, most: int, kind: int, data: bytes) -> list[bytes]:
        """InListPassiveTarget: the data of each card found, in the order of their numbers.

        A card that the chip still speaks with is found again. Independent programs list in a loop without letting go.
        One that was put to rest by InDeselect or InRelease answers only a search for its own identifier.
        """
        for known in self._known.values():
            if known.card not in self._resting:
                known.card.restart()
        self.forget()
        self._registers.modulate({0: MODULATION_A, 3: MODULATION_B}.get(kind, MODULATION_F))
        self._registers.leave_in_fifo(REQA)
        tries = quiet = 0
        while not self._search(most, kind, data):
            tries += 1
            quiet += 1
            forever = self._settings.activation_retries == _FOREVER
            if not forever and tries > self._settings.activation_retries:
                break
            # After two requests without answer no card changes by itself: only a change in the field is worth another.
            before = self._field.cards
            if self._wait(partial(self._changed, before), None if forever and quiet >= 2 else _REQUEST_SECONDS):
                quiet = 0
        return [known.listed for known in self._known.values()]

    def auto_poll(self, times: int, period: int, kinds: bytes) -> list[tuple[int, bytes]]:
        """InAutoPoll: types and data of what is found first; FF times for ever."""
        searched = {0x00: 0, 0x10: 0, 0x20: 0, 0x03: 3, 0x23: 3}
        turn = 0
        while times == _FOREVER or turn < times:
            turn += 1
            for kind in kinds:
                self.forget()
                self._registers.modulate(MODULATION_B if kind & 0x0F == 3 else MODULATION_A)
                if kind in searched and self._search(2, searched[kind], b"\x00" if searched[kind] else b""):
                    return [(kind, known.listed) for known in self._known.values()]
            before = self._field.cards
            self._wait(partial(self._changed, before), max(period, 1) * _PERIOD_SECONDS)
        return []

    def _changed(self, before: tuple[RfCard, ...]) -> bool:
        return self._field.cards is not before

    def _search(self, most: int, kind: int, data: bytes) -> bool:
        find = {0: self._find_a, 3: self._find_b}.get(kind)
        while find is not None and len(self._known) < most:
            if self._current is not None and self._current.dep is None:
                # A card that is selected but not in ISO-DEP would hear the next request.
                self._let_go()
            try:
                found = find(data)
            except RfError:
                # A card that is lost on the way is not found.
                break
            if found is None:
                break
            self._known[len(self._known) + 1] = self._current = found
        return bool(self._known)

    def _find_a(self, uid: bytes) -> _Known | None:
        cards = [card for card in self._field.cards if not isinstance(card.target, TargetB)]
        answering = [card for card in cards if card.request(wake_up=bool(uid))]
        if answering:
            self._registers.leave_in_fifo(0x00)
        wanted = [card for card in answering if _wanted(card, uid)]
        if not wanted or any(card.faults.collision for card in answering):
            return None
        card = max(wanted, key=_identifier)
        for other in answering:
            if other is not card:
                other.pass_over()
        self._let_go()
        self._resting.discard(card)
        return self._activated(card) if card.select() else None

    def _find_b(self, data: bytes) -> _Known | None:
        for card in self._field.cards:
            if isinstance(card.target, TargetB) and card.request():
                self._let_go()
                return self._attributed(card, card.target)
        return None

    def _activated(self, card: RfCard) -> _Known:
        """Tells SENS_RES, SEL_RES, identifier, and the ATS where the card was brought into ISO-DEP."""
        target = card.target
        if isinstance(target, TargetB):
            raise RfError(_FORMAT_ERROR)
        listed = target.atqa + bytes((target.sak, len(target.uid))) + target.uid
        if not (target.sak & 0x20 and self._settings.automatic_rats):
            return _Known(card, listed, None)
        exchange = partial(self._to, card)
        ats = exchange(_RATS, self._seconds(0x0B))
        if ats[0] != len(ats) or len(ats) > READER_FRAME_SIZE:
            raise RfError(_FORMAT_ERROR)
        return _Known(
            card,
            listed + ats,
            IsoDepInitiator(exchange, ats_frame_index(ats), frame_waiting_time(ats_waiting_index(ats))),
        )

    def _attributed(self, card: RfCard, target: TargetB) -> _Known:
        atqb = target.atqb
        attrib = b"\x1d" + atqb[1:5] + bytes((0x00, 0x05, 0x01, _B_DID))
        exchange = partial(self._to, card)
        answer = exchange(attrib, self._seconds(0x0B))
        dep = IsoDepInitiator(exchange, atqb[10] >> 4, frame_waiting_time(atqb[11] >> 4), _B_DID)
        return _Known(card, atqb + bytes((len(answer),)) + answer, dep)

    # ── speaking ─────────────────────────────────────────────────────────────────────────────────────────────────

    def exchange(self, number: int, data: bytes, *, more: bool) -> tuple[bytes, bool]:
        """InDataExchange: the answer, and whether the card has more of it.

        Raises:
            RfError: the error that the chip reports.
        """
        self.select(number)
        known = self._known[number]
        if known.dep is None:
            return self._to(known.card, data, self._seconds(self._settings.retry_timeout)), False
        known.dep.retries = self._settings.communication_retries
        return known.dep.send(data, more=more)

    def communicate(self, data: bytes) -> bytes:
        """InCommunicateThru: a raw frame to whoever listens.

        Raises:
            RfError: the error that the chip reports.
        """
        short = len(data) == 1 and is_unchecked(data)
        if short and self._registers.last_bits != _SHORT_BITS:
            data = b""
        sent = data
        if not self._registers.checks_sent and not is_unchecked(data):
            sent = data[:-2] if crc_a(data[:-2]) == data[-2:] else b""
        # A frame that nobody understands is sent all the same, and nobody answers.
        card = self._listening() if sent else None
        answer = self._to(card, sent, self._seconds(self._settings.retry_timeout))
        if self._registers.checks_received and is_unchecked(sent):
            raise RfError(CRC)
        return answer if self._registers.checks_received or is_unchecked(sent) else answer + crc_a(answer)

    def attention(self) -> bytes:
        """Diagnose 6: whether the card is still there.

        Raises:
            RfError: it is not, or there is none in ISO-DEP.
        """
        if self._current is None or self._current.dep is None:
            raise RfError(_WRONG_CONTEXT)
        self._current.dep.present()
        return b""

    def select(self, number: int) -> bytes:
        """InSelect: brings a known card back.

        Raises:
            RfError: there is no such number, or nobody answers.
        """
        if number not in self._known:
            raise RfError(_WRONG_CONTEXT)
        known = self._known[number]
        if known is self._current:
            return b""
        self._let_go()
        self._resting.discard(known.card)
        known.card.request(wake_up=True)
        if isinstance(known.card.target, TargetB):
            renewed = self._attributed(known.card, known.card.target)
        else:
            known.card.select()
            renewed = self._activated(known.card)
        self._known[number] = self._current = renewed
        return b""

    def deselect(self, number: int) -> bytes:
        """InDeselect: the card rests and keeps its number; 0 for all.

        Raises:
            RfError: there is no such number.
        """
        if number and number not in self._known:
            raise RfError(_WRONG_CONTEXT)
        self._resting |= {known.card for known in ([self._known[number]] if number else self._known.values())}
        if number == 0 or self._known[number] is self._current:
            self._let_go()
        return b""

    def release(self, number: int) -> bytes:
        """InRelease: the card rests and loses its number; 0 for all.

        Raises:
            RfError: there is no such number.
        """
        self.deselect(number)
        if number == 0:
            self.forget()
        else:
            del self._known[number]
        return b""

    def _let_go(self) -> None:
        known, self._current = self._current, None
        if known is None:
            return
        try:
            if known.dep is not None:
                known.dep.deselect()
            else:
                self._field.exchange(known.card, b"\x50\x00", _REQUEST_SECONDS, self._wait)
        except RfError:
            # A HALT is answered by silence, and a card that is gone rests for good.
            return

    def _listening(self) -> RfCard | None:
        """The card that a raw frame reaches."""
        of_kind = [
            card
            for card in self._field.cards
            if self._registers.modulation == (MODULATION_B if isinstance(card.target, TargetB) else MODULATION_A)
        ]
        addressed = [card for card in of_kind if card.phase in {Phase.READY, Phase.ACTIVE, Phase.PROTOCOL}]
        awake = [card for card in of_kind if card.phase is not Phase.HALTED]
        return next(iter(addressed or awake or of_kind), None)

    def _to(self, card: RfCard | None, frame: bytes, seconds: float | None) -> bytes:
        return self._field.exchange(card, frame, seconds, self._wait)

    @staticmethod
    def _seconds(index: int) -> float | None:
        """§7.3.1, item 02."""
        return None if index == 0 else 100e-6 * 2.0 ** (min(index, 16) - 1)


def _identifier(card: RfCard) -> bytes:
    return b"" if isinstance(card.target, TargetB) else card.target.uid


def _wanted(card: RfCard, uid: bytes) -> bool:
    """True if a search for one identifier, cascade tags included, means this card."""
    own = _identifier(card)
    cascaded = {4: own, 7: b"\x88" + own, 10: b"\x88" + own[:3] + b"\x88" + own[3:]}.get(len(own), own)
    return uid in {b"", cascaded}
