"""A card in the field of a reader: ISO/IEC 14443-3 states, activation, and then ISO-DEP.

Frames go in and frames come out, without their CRC. The card works in a thread of its own. It can thus be slow, wait
for its holder, or be torn away while the reader waits.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final, Protocol, runtime_checkable

from vitale_firmware_sim.card.card import VirtualCard
from vitale_firmware_sim.pn532.faults import NO_FAULTS, NfcFaults
from vitale_firmware_sim.pn532.iso_dep import IsoDepCard, IsoDepState, ats_waiting_index, frame_size, frame_waiting_time
from vitale_protocol.errors import MediumRemoved

__all__ = ["Phase", "RfAnswer", "RfCard", "TargetA", "TargetB"]

_HLTA: Final = b"\x50\x00"
_REQA, _WUPA, _RATS = 0x26, 0x52, 0xE0
# §6.5.3: the codes of the three cascade levels, the cascade tag, and a request that knows no bit, or all.
_SELECT_CODES: Final = (0x93, 0x95, 0x97)
_CASCADE_TAG: Final = b"\x88"
_NOTHING_KNOWN, _ALL_KNOWN, _MORE_LEVELS = 0x20, 0x70, 0x04
_ATTRIB, _WUPB, _HLTB = 0x1D, 0x05, 0x50
# A card asks for more time before its frame waiting time is over; cards do it well before.
_PATIENCE: Final = 0.7


class TargetA(VirtualCard, Protocol):
    """Interface of a card of type A for a reader."""

    @property
    def uid(self) -> bytes:
        """The identifier of the anticollision."""
        ...

    @property
    def atqa(self) -> bytes:
        """The answer to request, high byte first."""
        ...

    @property
    def sak(self) -> int:
        """The answer to select; bit 6 for ISO/IEC 14443-4."""
        ...

    @property
    def ats(self) -> bytes:
        """The answer to RATS, its length byte first."""
        ...


@runtime_checkable
class TargetB(VirtualCard, Protocol):
    """Interface of a card of type B for a reader."""

    @property
    def atqb(self) -> bytes:
        """The answer to request B, 12 bytes: 50, PUPI (4), application data (4), protocol information (3)."""
        ...


class Phase(Enum):
    """The states of ISO/IEC 14443-3, §6.3 (A) and §7.4 (B)."""

    OFF = "no field"
    IDLE = "powered"
    READY = "has answered a request"
    ACTIVE = "selected"
    HALTED = "answers a wake-up only"
    PROTOCOL = "speaks ISO-DEP"


@dataclass(frozen=True, slots=True)
class RfAnswer:
    """Answer over the air; silence is no bytes."""

    data: bytes
    garbled: bool = False


_SILENCE: Final = RfAnswer(b"")


class RfCard:
    """One target in the field.

    Args:
        target: the card.
        faults: what is wrong with it.
        wake: called, from the card's thread, when an answer is there.
        leave: called when the card is torn away.
    """

    def __init__(
        self,
        target: TargetA | TargetB,
        faults: NfcFaults = NO_FAULTS,
        wake: Callable[[], None] = lambda: None,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        self.target = target
        self.faults = faults
        self.phase = Phase.OFF
        self.gone = False
        self._wake = wake
        self._leave = leave
        self._halted = False
        self._level: int = 0
        self._dep: IsoDepCard | None = None
        self._waiting_time = frame_waiting_time(4)
        # An answer to a question from before the field went off is void: each has the number of its question.
        self._result: tuple[int, bytes] | None = None
        self._turn = 0
        self._moved = 0
        self._answers = 0
        self._released = threading.Event()
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    # ── the field ────────────────────────────────────────────────────────────────────────────────────────────────

    def power(self, *, on: bool) -> None:
        """Switches the field; without it the card forgets everything."""
        if on and self.phase is Phase.OFF:
            self.phase, self._halted = Phase.IDLE, False
            self._reset()
        elif not on:
            self.phase, self._dep = Phase.OFF, None
            self._turn += 1

    def take_away(self) -> None:
        """The card leaves the field, in the middle of whatever it does."""
        self.gone = True
        self.phase = Phase.OFF
        self._released.set()
        self.target.release()
        self._commands.put(None)

    # ── before the protocol ──────────────────────────────────────────────────────────────────────────────────────

    def request(self, *, wake_up: bool = False) -> bool:
        """REQA, REQB, or WUPA, WUPB: whether the card answers, which brings it to READY."""
        if self.phase in {Phase.READY, Phase.ACTIVE}:
            # §6.3: what is not expected here brings the card back, without an answer.
            self.phase = Phase.HALTED if self._halted else Phase.IDLE
            return False
        if self.phase is Phase.IDLE or (wake_up and self.phase is Phase.HALTED):
            self.phase, self._level = Phase.READY, 0
            return self._moves(2)
        return False

    def restart(self) -> None:
        """Starts anew, as without the field for a moment."""
        if self.phase is not Phase.OFF:
            self.power(on=False)
            self.power(on=True)

    def select(self) -> bool:
        """Anticollision and SELECT down to this card; whether it was there to the end."""
        if self.phase is not Phase.READY or isinstance(self.target, TargetB):
            return False
        self.phase = Phase.ACTIVE
        return self._moves(len(self.target.uid) + 1)

    def pass_over(self) -> None:
        """SELECT with the identifier of another card: §6.3.4, this one is back where it was."""
        if self.phase is Phase.READY:
            self.phase = Phase.HALTED if self._halted else Phase.IDLE

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, frame: bytes) -> RfAnswer:
        """Takes a frame; silence also while the card is at work (``busy``)."""
        if not frame or not self._moves(len(frame)):
            return _SILENCE
        if self.phase is Phase.PROTOCOL and self._dep is not None:
            answer = self._dep.receive(frame)
            if self._dep.state is IsoDepState.DESELECTED:
                self._halt()
        elif isinstance(self.target, TargetB):
            answer = self._initial_b(self.target, frame)
        else:
            answer = self._initial_a(self.target, frame)
        return self._sent(answer)

    @property
    def busy(self) -> bool:
        """True if the card works on a command."""
        return not self.gone and self._dep is not None and self._dep.state is IsoDepState.WORKING

    @property
    def patience(self) -> float:
        """Seconds after which a card at work asks for more time."""
        return self._waiting_time * _PATIENCE

    def done(self) -> bool:
        """True if the wait for a card at work is over: it has an answer, or it is gone."""
        result = self._result
        return self.gone or (result is not None and result[0] == self._turn and not self.faults.endless_wtx)

    def finish(self) -> RfAnswer:
        """The first block of the answer; call it when ``done``."""
        if self.gone or self._dep is None or self._result is None:
            return _SILENCE
        response = self._spoilt(self._result[1])
        return self._sent(self._dep.finish(response, endless=self.faults.endless_chaining))

    def extend(self) -> RfAnswer:
        """A request for more time."""
        if self.gone or self._dep is None:
            return _SILENCE
        return self._sent(self._dep.extend())

    def _initial_a(self, target: TargetA, frame: bytes) -> bytes:
        if len(frame) == 1 and frame[0] in {_REQA, _WUPA}:
            return target.atqa[::-1] if self.request(wake_up=frame[0] == _WUPA) else b""
        if self.phase is Phase.READY:
            return self._anticollision(target, frame)
        if self.phase is not Phase.ACTIVE:
            return b""
        if frame[0] == _RATS and len(frame) == 2 and target.sak & 0x20:
            self._enter(frame_size(frame[1] >> 4), frame[1] & 0x0F, ats_waiting_index(target.ats))
            return self._spoilt_ats(target.ats)
        # A HALT has no answer, and neither has what the card does not know, after which it is idle again.
        self.phase = Phase.IDLE
        if frame == _HLTA:
            self._halt()
        return b""

    def _anticollision(self, target: TargetA, frame: bytes) -> bytes:
        """§6.5.3: tells a part of the identifier, or is selected by it, down to the last level."""
        parts = _levels(target.uid)
        part = parts[self._level]
        checked = part + bytes((part[0] ^ part[1] ^ part[2] ^ part[3],))
        code = bytes(_SELECT_CODES[self._level : self._level + 1])
        if frame == code + bytes((_NOTHING_KNOWN,)):
            return checked
        if frame != code + bytes((_ALL_KNOWN,)) + checked:
            self.pass_over()
            return b""
        self._level += 1
        if self._level < len(parts):
            return bytes((target.sak | _MORE_LEVELS,))
        self.phase = Phase.ACTIVE
        return bytes((target.sak,))

    def _initial_b(self, target: TargetB, frame: bytes) -> bytes:
        if frame[0] == _WUPB and len(frame) == 3:
            return target.atqb if self.request(wake_up=bool(frame[2] & 0x08)) else b""
        if self.phase is Phase.READY and frame[1:5] == target.atqb[1:5]:
            if frame[0] == _ATTRIB and len(frame) >= 9:
                self._enter(frame_size(frame[6] & 0x0F), frame[8] & 0x0F, target.atqb[11] >> 4)
                return frame[8:9]
            if frame[0] == _HLTB:
                self._halt()
                return b"\x00"
        return b""

    def _enter(self, size: int, did: int, waiting_index: int) -> None:
        self.phase = Phase.PROTOCOL
        self._waiting_time = frame_waiting_time(waiting_index)
        self._dep = IsoDepCard(self._begin, 4 * size if self.faults.wrong_length else size, did)

    def _halt(self) -> None:
        self.phase, self._halted, self._dep = Phase.HALTED, True, None
        self._turn += 1
        # No session outlives a deselection.
        self._reset()

    # ── the card's own thread ────────────────────────────────────────────────────────────────────────────────────

    def _reset(self) -> None:
        """Resets the card, in its thread where it has one: a card does one thing at a time."""
        if self._thread is None:
            self._reset_now()
        else:
            self._commands.put(self._reset_now)

    def _reset_now(self) -> None:
        self.target.reset()

    def _begin(self, apdu: bytes) -> None:
        self._turn += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="nfc-card", daemon=True)
            self._thread.start()
        self._commands.put(partial(self._transmit, self._turn, apdu))

    def _work(self) -> None:
        while not self.gone and (command := self._commands.get()) is not None:
            command()

    def _transmit(self, turn: int, apdu: bytes) -> None:
        try:
            response = self.target.transmit(apdu)
        except MediumRemoved:
            self._tear()
            return
        if self.faults.slow:
            self._released.wait(self.faults.slow)
        self._result = turn, response
        self._wake()

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _moves(self, count: int) -> bool:
        """Counts bytes over the air; whether all of them came through."""
        self._moved += count
        if self.faults.tear_after is not None and self._moved > self.faults.tear_after:
            self._tear()
        return not self.gone

    def _tear(self) -> None:
        if not self.gone:
            self.take_away()
            self._leave()

    def _sent(self, data: bytes) -> RfAnswer:
        if not data:
            return _SILENCE
        self._answers += 1
        every = self.faults.noise_every
        # Torn in the middle of an answer, the reader has a part of it, which no CRC confirms.
        return RfAnswer(data, garbled=not self._moves(len(data)) or bool(every and self._answers % every == 0))

    def _spoilt(self, response: bytes) -> bytes:
        if self.faults.short:
            return response[:1]
        if self.faults.giant:
            room = max(self.faults.giant - 2, 0)
            return response[:-2].ljust(room, b"\xa5")[:room] + response[-2:]
        return response

    def _spoilt_ats(self, ats: bytes) -> bytes:
        return bytes((ats[0] + 5 & 0xFF,)) + ats[1:] if self.faults.wrong_length else ats


def _levels(uid: bytes) -> list[bytes]:
    """An identifier of 4, 7 or 10 bytes as the cascade levels tell it."""
    parts: list[bytes] = []
    while len(uid) > 4:
        parts.append(_CASCADE_TAG + uid[:3])
        uid = uid[3:]
    return [*parts, uid]
