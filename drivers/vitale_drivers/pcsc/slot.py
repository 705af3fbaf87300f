"""One PC/SC reader: what clients see of it, what is to be done there, and its thread.

The thread has a PC/SC context of its own. The service carries out the calls of one context one after the other. A card
that hangs must not block the other readers. Another program may hold a transaction for any time, and PC/SC waits for it
without a limit. That wait is in this thread, while a timer gives the answer.

PC/SC reports the card in the reader, with one doubt. pcscd (1.9.9) polls serial readers every 0.4 s. But a reset or an
exchange may fail because the card has left. Then pcscd notes the reader as empty at once, neither counting this removal
nor signalling it. If another card follows before it polls, it takes the reader for empty as long as that card stays. So
an uncounted removal is checked: at once a few times, and at each order to arm.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import msgspec

from vitale_drivers.base import (
    Arm,
    Emit,
    Failed,
    FindHolders,
    LeaseCommand,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    Transmit,
    Transmitted,
    Unlease,
)
from vitale_drivers.cards.lease import CardLease
from vitale_drivers.cards.tasks import CARD_SILENT, PHONE, SILENT, Task, phone_reading, reading, transmission
from vitale_drivers.pcsc.access import CardAccess
from vitale_drivers.pcsc.api import Pcsc
from vitale_drivers.pcsc.contactless import may_be_phone
from vitale_drivers.pcsc.contention import Contention
from vitale_drivers.pcsc.phone_attempts import PhoneAttempts
from vitale_drivers.pcsc.settings import PcscSettings
from vitale_drivers.pcsc.state import ReaderState
from vitale_drivers.readers.presence import Presence
from vitale_protocol.errors import (
    LeaseExpired,
    MediumMute,
    MediumRemoved,
    MediumUnreadable,
    MediumUnsupported,
    ReaderBusy,
    ReaderUnavailable,
    VitaleError,
)
from vitale_protocol.events import Reader
from vitale_protocol.media import recognise
from vitale_protocol.media.apcv_profile import Profile
from vitale_protocol.problems import Problem

__all__ = ["MEDIA", "PcscSlot"]

MEDIA = ("vitale-card", "cps-card")

SILENCE = 3.0
"""Seconds without an answer to one command after which that is told: slow cards take one and a half."""

LASTING = frozenset({MediumMute.reason, MediumUnreadable.reason, MediumUnsupported.reason})
"""Reasons that stay true of what lies there, and are shown with the reader."""

LOOK = 0.1
"""Seconds between looks for a removal that is not signalled; the first is enough but for the bad luck of one lost."""


class PcscSlot:
    """A reader that is plugged, from ``start`` to ``remove``."""

    def __init__(
        self,
        name: str,
        reader: Reader,
        settings: PcscSettings,
        pcsc: Pcsc,
        emit: Emit,
        look: Callable[[], None],
        find_holders: FindHolders,
        profiles: tuple[Profile, ...] = (),
    ) -> None:
        """Stores; ``name`` is that of PC/SC, ``reader`` what clients know it as.

        ``look`` has PC/SC asked at once. PC/SC does not name who holds a card. The programs that use PC/SC, by
        ``find_holders``, are the best guess.
        """
        self.name = name
        self._reader = reader
        self._settings = settings
        self._emit = emit
        self._look = look
        self._profiles = profiles
        self._medium: str | None = None
        self._phone = PhoneAttempts(settings.reading_limit)
        self._changed = threading.Condition()
        self._state = ReaderState(name)
        self._presence = Presence(reader.id)
        self._error: str | None = None
        self._gone = False
        self._doubtful = False
        self._reconcile = False
        self._tasks: deque[Task] = deque()
        self._task: Task | None = None
        self._silent: Task | None = None  # the last one whose card was told to answer nothing
        self._leases: dict[int, CardLease] = {}
        self._access = CardAccess(name, pcsc, self)
        self._contention = Contention(
            self._changed, settings, find_holders, self._is_held, self._tell_busy, self.finish
        )
        self._thread = threading.Thread(target=self._run, name=f"card in {reader.id}", daemon=True)

    @property
    def id(self) -> str:
        """Stable id of the reader."""
        return self._reader.id

    @property
    def mute(self) -> bool:
        """True if PC/SC last said that the card gives no answer to reset."""
        return self._state.mute

    # ── told by the driver and its monitor ──

    def start(self, state: ReaderState, armed: Arm | None) -> None:
        """Announces the reader with what lies in it, and starts to work."""
        with self._changed:
            if armed is not None:
                self._presence.arm(armed)
            self._take(state)
            self._reader = self._shown()
            self._emit(ReaderAdded(reader=self._reader))
            self._wake()
        self._thread.start()

    def observe(self, state: ReaderState) -> None:
        """Takes what PC/SC says of the reader now."""
        with self._changed:
            if not self._gone:
                self._take(state)
                self._publish()
                self._wake()

    def arm(self, command: Arm) -> None:
        """Reads what is there, under the rules of ``base``."""
        with self._changed:
            self._presence.arm(command)
            self._reconcile = self._doubtful
            self._wake()

    def disarm(self) -> None:
        """Reads no more; a reading that has begun is carried to its end."""
        with self._changed:
            self._presence.disarm()

    def transmit(self, command: Transmit) -> None:
        """Passes raw APDUs to the card, in the transaction of their lease or in one of their own."""
        with self._changed:
            if command.lease:
                self._transmit_leased(command)
                return
            task = transmission(self._presence.number, command)
            if self._state.present:
                self._add(task)
            else:
                self.finish(task, task.failed(MediumRemoved("there is no card")))

    def _transmit_leased(self, command: Transmit) -> None:
        if lease := self._leases.get(command.lease):
            lease.add(command)
        else:
            self._emit(Transmitted(id=command.id, responses=(), problem=Problem(LeaseExpired.reason)))

    def lease(self, command: LeaseCommand) -> None:
        """Holds the card for the commands of one holder, or does so for longer."""
        with self._changed:
            if known := self._leases.get(command.id):
                known.extend(command.until)
                return
            lease = CardLease(command, self._emit)
            task = lease.task(self._presence.number, lambda: self._state.atr)
            self._leases[lease.id] = lease
            if self._state.present:
                self._add(task)
            else:
                self.finish(task, task.failed(MediumRemoved()))

    def unlease(self, command: Unlease) -> None:
        """Ends a lease of the card."""
        with self._changed:
            if lease := self._leases.get(command.id):
                lease.end("released")
                for task in self._open_tasks():
                    if task.lease is lease and not task.granted:
                        self.finish(task, task.failed(LeaseExpired("ended before the card was held")))

    def remove(self, error: VitaleError) -> None:
        """Removes the reader, and drops its tasks."""
        with self._changed:
            while tasks := self._open_tasks():  # the end of a lease begins the reading that waited for it
                for task in tasks:
                    self.finish(task, task.failed(error))
            self._gone = True
            self._emit(ReaderRemoved(reader=self.id))
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Waits for the thread; one that is inside PC/SC may stay there, and ends with the process."""
        self._thread.join(timeout)

    def stuck(self) -> str:
        """Names an operation that exceeded its limit; else empty.

        A card that answers nothing is told first, and its reading has failed. The process that comes next finds the
        reader occupied still, and could not know by whom.
        """
        self._tell_silent()
        operation = self._access.stuck(self._settings.transmit_limit)
        if not operation:
            return ""
        with self._changed:
            task = self._task
            if task is not None and task.reads and task.granted:
                self.finish(task, task.failed(_silent(task).error(MediumUnreadable)))
        return f"{operation} in {self.id}"

    def _tell_silent(self) -> None:
        with self._changed:
            task = self._task
            if task is None or task is self._silent or not task.reads or not task.granted or task.ended:
                return
            if self._access.stuck(min(SILENCE, self._settings.transmit_limit / 2)):
                self._silent = task
                self._emit(Progress(reader=self.id, step="retry", problem=_silent(task)))

    # ── calls of the thread: the interface ReaderControl ──

    def grant(self, task: Task) -> bool:
        """Grants the transaction to the task; true if the task still wants it."""
        with self._changed:
            self._contention.end(task)
            self._contention.clear()
            self._publish()
            if task.ended:
                return False
            if task.reads and not task.granted and not self._phone.told:
                self._emit(Progress(reader=self.id, step="reading", medium=PHONE if task.phone else ""))
            task.granted = True
            self._publish()
            return True

    def finish(self, task: Task, report: Report) -> None:
        """Reports what came of a task, unless that was done before."""
        with self._changed:
            if task.ended or self._gone:
                return
            task.ended = True
            self._contention.end(task)
            if task.phone and not self._take_phone(task, report):
                return
            self._emit(report)
            if task.lease is not None:
                del self._leases[task.lease.id]
                self._wake()
            if task.reads and task.presence == self._presence.number:
                self._error = _lasting(report)
                self._publish()

    def pause(self, seconds: float) -> None:
        """Waits, at most until something changes."""
        with self._changed:
            self._changed.wait(seconds)

    def leaves(self, task: Task, within: float) -> bool:
        """Waits until the card of a task is known to have left; whether that came about in time."""
        end = time.monotonic() + within
        left = False
        while not left and (rest := end - time.monotonic()) > 0:
            self.look()
            with self._changed:
                left = self._changed.wait_for(
                    lambda: self._gone or task.presence != self._presence.number, min(rest, LOOK)
                )
        return left

    def doubt(self, within: float) -> ReaderState | None:
        """Waits for doubts to end, and returns the state that is in doubt if they did not."""
        with self._changed:
            ended = self._changed.wait_for(lambda: self._gone or not self._doubtful, within)
            return None if ended else self._state

    def look(self) -> None:
        """Requests the state of the reader."""
        self._look()

    def _run(self) -> None:
        while not self._gone:
            if task := self._next():
                self._access.perform(task)
                with self._changed:
                    self._task = None
                    self._contention.clear()
                    self._publish()
            else:
                self._access.reconcile()
        self._access.close()

    def _next(self) -> Task | None:
        """Waits for something to do, and returns the task.

        None means that the reader is to be looked into, or was removed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._gone or self._tasks or self._reconcile)
            self._task = self._tasks.popleft() if self._tasks and not self._gone else None
            self._reconcile = self._reconcile and self._task is not None
            return self._task

    # ── the state, under the lock ──

    def _take(self, state: ReaderState) -> None:
        """Takes a state; another card than before ends one presence and begins the next."""
        known = self._state
        if state.silenced(known):
            self._state = replace(state, atr=known.atr)
            self._error = MediumMute.reason if state.mute else self._error
            return
        if state.present or not state.uncounted(known):
            self._doubtful = self._reconcile = False
        elif known.present:
            self._doubtful = self._reconcile = True
        if state.revived(known):
            self._state = state
            self._recognise(state)
            return
        before, now = known.card, state.card
        if before != now and before is not None:
            self._leave(unseen=now is not None)
        self._state = state
        if before != now and now is not None:
            self._come(state)

    def _come(self, state: ReaderState) -> None:
        self._phone = PhoneAttempts(self._settings.reading_limit)
        self._presence.came()
        self._recognise(state)

    def _recognise(self, state: ReaderState) -> None:
        """Names what lies there: the presence may be told so after it has begun, once a mute card answers."""
        self._error = MediumMute.reason if state.mute else None
        self._medium = None if state.mute else recognise(state.atr).medium
        if self._medium == "unknown-card" and self._profiles and may_be_phone(state.atr, self._reader.name):
            # Only its applications identify it, and they were not asked yet.
            self._medium = None
            self._presence.media = frozenset({PHONE})
        else:
            self._presence.media = frozenset(MEDIA if self._medium is None else (self._medium,))

    def _take_phone(self, task: Task, report: Report) -> bool:
        """Takes what came of reading a phone; whether that is its outcome, and so to be reported."""
        here = task.presence == self._presence.number
        result = self._phone.take(report, time.monotonic(), here=here)
        if result.medium:
            self._medium = result.medium
            self._publish()
        if result.told is not None:
            self._emit(Progress(reader=self.id, step="retry", problem=result.told))
        if result.again:
            timer = threading.Timer(self._settings.unlock, self._try_again, (task,))
            timer.daemon = True
            timer.start()
        return result.is_outcome

    def _try_again(self, task: Task) -> None:
        """Time to look whether the phone of a task can be read now."""
        with self._changed:
            if not self._gone and task.presence == self._presence.number:
                if not self._leases and self._presence.wanted(time.monotonic(), frozenset({PHONE})):
                    self._add(self._phone_task())
                else:
                    self._presence.renew()

    def _phone_task(self) -> Task:
        self._phone.begin(time.monotonic())
        return phone_reading(
            self._presence.number,
            self.id,
            self._profiles,
            simulated=self._reader.simulated,
            silent_when_gone=True,
            limit=self._settings.reading_limit,
        )

    def _leave(self, *, unseen: bool) -> None:
        for task in self._open_tasks():
            # One that has the card learns it from the card, and may still get the last byte out of it.
            if not task.granted:
                self.finish(task, task.failed(MediumRemoved("the card was removed before it could be read")))
            elif task.lease is not None:
                task.lease.end("card")
        self._presence.left()
        self._error = self._medium = None
        if unseen:  # another card followed before it was noticed: clients are notified of both
            self._state = ReaderState(self.name)
            self._publish()

    def _shown(self) -> Reader:
        state = self._state
        if state.unavailable:
            return msgspec.structs.replace(
                self._reader, state="unavailable", medium=None, error=ReaderUnavailable.reason
            )
        if not state.present:
            return msgspec.structs.replace(self._reader, state="empty", medium=None, error=None)
        leased = self._task is not None and self._task.lease is not None and self._task.granted
        return msgspec.structs.replace(
            self._reader,
            state="leased" if leased else "busy" if self._contention.told or state.exclusive else "present",
            medium=self._medium if state.atr else None,
            error=self._error,
        )

    def _publish(self) -> None:
        shown = self._shown()
        if shown != self._reader and not self._gone:
            self._reader = shown
            self._emit(ReaderChanged(reader=shown))

    def _wake(self) -> None:
        """Makes the thread look again, and begins a reading that has become due."""
        self._changed.notify_all()
        # What is due while the card is leased is read afterwards.
        if self._leases or not self._presence.due(time.monotonic()):
            return
        self._presence.begin()
        self._emit(Progress(reader=self.id, step="detected", medium=PHONE if PHONE in self._presence.media else ""))
        if PHONE in self._presence.media:
            self._add(self._phone_task())
        else:
            # By the ATR once the card is connected: one that was mute may give it then.
            number, atr = self._presence.number, lambda: self._state.atr
            self._add(reading(number, self.id, atr, simulated=self._reader.simulated))

    def _add(self, task: Task) -> None:
        self._tasks.append(task)
        self._changed.notify_all()
        self._contention.begin(task)

    def _open_tasks(self) -> list[Task]:
        return [task for task in (self._task, *self._tasks) if task is not None and not task.ended]

    # ── waiting for access ──

    def _is_held(self, task: Task) -> bool:
        """True if another program keeps the thread from the card."""
        waits = self._access.waits(self._settings.transmit_limit)
        with self._changed:
            return waits or any(each.blocked for each in (task, self._task) if each is not None)

    def _tell_busy(self, task: Task) -> None:
        self._publish()
        if task.reads:
            self._emit(Progress(reader=self.id, step="retry", problem=Problem(ReaderBusy.reason)))


def _silent(task: Task) -> Problem:
    return SILENT if task.phone else CARD_SILENT


def _lasting(report: Report) -> str | None:
    """The reason that a reader is shown with while the card lies there, if a reading ended so."""
    return report.problem.reason if isinstance(report, Failed) and report.problem.reason in LASTING else None
