"""Targets in the field of one reader and their handling, driven step by step by the reader's thread.

Rules, beside those of ``base``:

- The field is on only while somebody is to be read here, or what was read is watched. It is watched until it leaves.
- A phone that leaves before it was read was not presented. That is told (``retry``), and its next tap is a new one.
- A phone that was read and drops out for less than ``settle`` has not left. Phones do this when they are shifted.
- Of several phones none is read. A phone that lies with a badge or a bank card is read if it alone has the application.
- A phone that is locked, silent, or without the application is tried again every half second. That goes on for as long
  as it stays.
- What keeps a phone from being read is one state of its presence. It is told once each time that it changes.
- One that answers wrongly is tried again as well, ``UNREADABLE_TRIES`` times: its user may be between two applications.
- One that breaks off again and again is tried after growing pauses, and given up after ``TRIES``.
- What has no application of a profile is ``unknown-card``, as a stranger's card is in a slot.
"""

import time
from collections import deque
from collections.abc import Callable

import msgspec

from vitale_drivers.base import Emit, Failed, Presented, Progress, ReaderChanged, Report
from vitale_drivers.cards.channel import Channel
from vitale_drivers.cards.tasks import (
    LOCKED,
    NO_PHONE,
    NOT_HERE,
    PHONE,
    SILENT,
    TORN,
    UNREADABLE,
    UNREADABLE_TRIES,
    Task,
    is_locked,
    phone_reading,
)
from vitale_drivers.nfc.settings import NfcSettings
from vitale_drivers.nfc.transport import NfcTarget, ReaderTransport
from vitale_drivers.readers.presence import Presence
from vitale_protocol.errors import (
    AmbiguousMedium,
    MediumRemoved,
    MediumUnreadable,
    MediumUnsupported,
    ReaderError,
    VitaleError,
)
from vitale_protocol.events import Reader, Step
from vitale_protocol.media.apcv import selection_script
from vitale_protocol.media.apcv_profile import Profile
from vitale_protocol.problems import Problem

__all__ = ["MEDIUM", "RETRY_DELAYS", "SEVERAL", "SILENT_TRIES", "TRIES", "NfcField"]

MEDIUM = PHONE

SEVERAL = Problem(AmbiguousMedium.reason, "phones")

RETRY_DELAYS = (0.0, 0.1, 0.2, 0.5)
"""Seconds before a phone that broke off is tried again; the last from then on."""

TRIES = 8
"""Of a phone that breaks off or is silent, and stays: then it cannot be read, and that is the outcome."""

SILENT_TRIES = 3
"""Of a phone that lets the limit of an exchange pass: each takes seconds."""

_MEDIA = frozenset({MEDIUM})
_WHILE_SEVERAL = 5
"""Pauses of ``poll`` between two looks at several phones: each look wakes them all."""


class NfcField:
    """The field of a reader that is open."""

    def __init__(
        self,
        transport: ReaderTransport,
        reader: Reader,
        presence: Presence,
        profiles: tuple[Profile, ...],
        settings: NfcSettings,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Stores; ``reader`` is what clients know the reader as, empty, and was told already."""
        self._transport = transport
        self._reader = reader
        self._presence = presence
        self._profiles = profiles
        self._settings = settings
        self._emit = emit
        self._clock = clock
        self._target: NfcTarget | None = None
        self._known: NfcTarget | None = None
        self._answered = False
        self._trying = False
        self._state: Problem | None = None
        self._failures = 0
        self._torn: NfcTarget | None = None
        self._torn_at = 0.0
        self._several = False
        self._asked = list[bytes]()
        self._lost_at: float | None = None
        self._unwanted_since: float | None = None
        self._watched_at = 0.0
        self._tried_at = 0.0

    def step(self) -> float | None:
        """Does what is next, and returns for how many seconds there is nothing to do.

        None means until an order comes.

        Raises:
            ReaderGone: the reader does not answer any more.
            ReaderUnavailable: likewise.
        """
        wanted = bool(self._profiles) and self._presence.wanted(time.monotonic(), _MEDIA)
        if self._target is not None:
            return self._attend(wanted)
        if wanted or self._lost_at is not None:
            return self._seek()
        self._several = False
        self._transport.quiet()
        return None

    def perform(self, tasks: deque[Task]) -> None:
        """Carries out raw exchanges with what is there.

        Raises:
            ReaderGone: the reader does not answer any more.
            ReaderUnavailable: likewise.
        """
        while tasks:
            task = tasks.popleft()
            self._emit(self._carry_out(task))

    def leave(self) -> None:
        """Ends all presences: the reader goes."""
        self._forget()
        self._reader = msgspec.structs.replace(self._reader, state="empty", medium=None, error=None)

    # ── nothing is there ──

    def _seek(self) -> float:
        began = self._clock()
        if (rest := self._torn_at + self._patience() - began) > 0:
            return rest
        targets = self._alone(self._transport.find())
        pause = max(0.0, self._settings.poll - (self._clock() - began))
        if len(targets) > 1:
            return self._ambiguous()
        self._several = False
        if self._lost_at is not None and not self._is_back(targets, self._lost_at):
            return pause
        if not targets:
            if self._torn is not None and self._clock() - self._torn_at >= self._settings.settle:
                self._forgive()
            return pause
        if self._target is None:
            self._arrive(targets[0])
        return 0.0

    def _alone(self, targets: tuple[NfcTarget, ...]) -> tuple[NfcTarget, ...]:
        """Of several targets the one that alone may be a phone with the application; else all of them.

        What is least like a phone is asked first. The last that is left is not asked at all. They are asked once: a
        phone may prepare its string when it is asked.
        """
        kinds = sorted(target.traits for target in targets)
        if len(targets) < 2 or (self._several and kinds == self._asked):
            return targets
        self._asked = kinds
        left = sorted((target for target in targets if target.iso_dep), key=lambda target: target.random)
        phones = list[NfcTarget]()
        while left and (phones or len(left) > 1):
            target = left.pop(0)
            if self._may_be_read(target):
                phones.append(target)
        phones += left
        if len(phones) != 1:
            return targets
        self._transport.choose(phones[0])
        return tuple(phones)

    def _may_be_read(self, target: NfcTarget) -> bool:
        """Asks for the application only: nothing is read of a phone that is not alone."""
        self._transport.choose(target)
        end = self._clock() + self._settings.exchange_limit
        try:
            Channel(lambda apdu: self._transmit(apdu, end)).run(selection_script(self._profiles))
        except MediumUnsupported:
            return False
        except (MediumRemoved, MediumUnreadable):
            # In doubt it is a phone: locked, moving, or slow.
            return True
        return True

    def _ambiguous(self) -> float:
        if not self._several:
            self._several = True
            self._report_step("ambiguous", SEVERAL)
        self._transport.quiet()
        return self._settings.poll * _WHILE_SEVERAL

    def _is_back(self, targets: tuple[NfcTarget, ...], since: float) -> bool:
        """True if the fate of a lost target is known by now: it is the target again, or gone."""
        if targets and self._known is not None and targets[0].may_be(self._known):
            self._lost_at = None
            self._target = self._known = targets[0]
            return True
        if not targets and self._clock() - since < self._settings.settle:
            return False
        self._end()
        return True

    def _arrive(self, target: NfcTarget) -> None:
        if self._torn is not None and not target.may_be(self._torn):
            self._forgive()
        self._target = self._known = target
        self._watched_at = self._clock()
        if target.iso_dep:
            self._presence.came(MEDIUM)
        else:
            self._is_unknown(NO_PHONE)

    def _is_unknown(self, state: Problem) -> None:
        self._presence.came("unknown-card")
        self._answered = True
        self._trying = state is NOT_HERE
        self._is(state)
        self._show(medium="unknown-card")

    def _patience(self) -> float:
        """Seconds of rest for what broke off, by how often it did."""
        return RETRY_DELAYS[min(self._failures, len(RETRY_DELAYS)) - 1] if self._failures else 0.0

    def _forgive(self) -> None:
        """Forgets the reading that broke off: its target has left, was read, or is another now."""
        self._torn, self._torn_at, self._failures, self._state = None, 0.0, 0, None

    # ── something is there ──

    def _attend(self, wanted: bool) -> float | None:
        now = self._clock()
        if wanted:
            self._unwanted_since = None
        if self._presence.due(time.monotonic()):
            self._presence.begin()
            if not self._failures:
                self._report_step("detected")
                self._report_step("reading")
            self._read(now)
            return 0.0
        if self._trying and wanted and now - self._tried_at >= self._settings.unlock:
            self._read(now)
            return 0.0
        if not wanted and self._may_rest(now):
            self._end()
            self._transport.quiet()
            return None
        if now - self._watched_at >= self._settings.watch:
            self._watched_at = now
            self._look()
        return self._settings.watch

    def _may_rest(self, now: float) -> bool:
        """True if the target need not be watched any longer, since no request wants it."""
        if self._unwanted_since is None:
            self._unwanted_since = now
        return not self._answered or now - self._unwanted_since >= self._settings.linger

    def _look(self) -> None:
        if self._transport.present():
            return
        self._transport.quiet()
        self._target = None
        if self._answered:
            self._lost_at = self._clock()
        else:
            self._end()

    def _read(self, now: float) -> None:
        self._tried_at = now
        task = phone_reading(self._presence.number, self._reader.id, self._profiles, simulated=self._reader.simulated)
        end = now + self._settings.reading_limit
        try:
            report = task.run(Channel(lambda apdu: self._transmit(apdu, end)))
        except MediumRemoved as error:
            self._broke_off(task, error)
        except MediumUnsupported:
            self._is_unknown(NOT_HERE)
        except MediumUnreadable as error:
            self._unreadable(task, error)
        except ReaderError as error:
            self._emit(task.failed(error))
            raise
        else:
            self._answer(report)

    def _transmit(self, apdu: bytes, end: float) -> bytes:
        rest = end - self._clock()
        if rest <= 0:
            raise MediumUnreadable("the reading takes longer than it may", variant=MEDIUM)
        return self._transport.transmit(apdu, min(rest, self._settings.exchange_limit))

    def _broke_off(self, task: Task, error: MediumRemoved) -> None:
        """Handles a phone that left, or so it seems.

        One that is back at once, time and again, lies there and does not answer.
        """
        self._failures += 1
        self._torn, self._torn_at = self._target, self._clock()
        if self._failures >= TRIES:
            self._answer(task.failed(MediumUnreadable(error.detail, variant="phone-silent")))
            return
        self._is(TORN if self._failures == 1 else SILENT)
        state = self._state
        self._transport.quiet()
        self._end()
        self._state = state

    def _unreadable(self, task: Task, error: MediumUnreadable) -> None:
        if is_locked(error):
            self._may_be_tried(LOCKED)
        elif self._failures + 1 < self._tries(error):
            self._failures += 1
            self._may_be_tried(SILENT if error.variant == SILENT.variant else UNREADABLE)
        else:
            # What the link says is said of a phone, not of a card.
            self._answer(task.failed(error if error.variant else MediumUnreadable(error.detail, variant=MEDIUM)))

    def _tries(self, error: MediumUnreadable) -> int:
        """Attempts at a phone that answered so; one where it took all the time that it may."""
        if error.variant == SILENT.variant:
            return SILENT_TRIES
        return UNREADABLE_TRIES if self._clock() - self._tried_at < self._settings.exchange_limit else 1

    def _is_phone(self) -> None:
        """Shows a phone, whatever the target seemed before; its reading has begun."""
        self._presence.media = _MEDIA
        self._presence.begin()

    def _may_be_tried(self, state: Problem) -> None:
        """It stays, and may become readable: it is a phone that is not answered yet."""
        self._trying, self._answered = True, False
        self._is_phone()
        self._is(state)
        self._show(medium=None)

    def _answer(self, report: Report) -> None:
        """Ends the reading with its outcome.

        The reader is shown first, since an outcome is one of what lies there.
        """
        self._answered, self._trying = True, False
        self._forgive()
        self._is_phone()
        match report:
            case Presented():
                self._show(medium=MEDIUM)
            case Failed(problem=problem):
                self._show(medium=None, error=problem.reason)
            case _:
                pass
        self._emit(report)

    def _carry_out(self, task: Task) -> Report:
        if self._target is None or not self._target.iso_dep:
            return task.failed(MediumRemoved("there is no phone"))
        try:
            return task.run(Channel(lambda apdu: self._transport.transmit(apdu, self._settings.exchange_limit)))
        except ReaderError as error:
            self._emit(task.failed(error))
            raise
        except VitaleError as error:
            return task.failed(error)

    # ── reports ──

    def _end(self) -> None:
        """Ends the presence, and reports the reader empty."""
        self._forget()
        self._show(state="empty")

    def _forget(self) -> None:
        self._target = self._known = None
        self._answered = self._trying = False
        self._state = None
        self._lost_at = self._unwanted_since = None
        self._presence.left()

    def _is(self, state: Problem) -> None:
        """Reports the reason why the target cannot be read, if it is a new one."""
        if state != self._state:
            self._state = state
            self._report_step("retry", state)

    def _report_step(self, step: Step, problem: Problem | None = None) -> None:
        medium = MEDIUM if problem is None else ""
        self._emit(Progress(reader=self._reader.id, step=step, problem=problem, medium=medium))

    def _show(self, *, state: str = "present", medium: str | None = None, error: str | None = None) -> None:
        shown = msgspec.structs.replace(self._reader, state=state, medium=medium, error=error)
        if shown != self._reader:
            self._reader = shown
            self._emit(ReaderChanged(reader=shown))
