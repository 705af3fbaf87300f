"""A simulated reader: its slot, its thread, and the rules of ``vitale_drivers.base`` for one reader.

The thread reads or transmits; everything else is done at once by whoever asks. Reports are emitted under the reader's
lock, so that they come in the order of what they tell.
"""

import threading
import time
from collections import deque

import msgspec

from vitale_drivers.base import (
    Arm,
    Emit,
    Failed,
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
from vitale_drivers.cards.channel import Channel
from vitale_drivers.cards.lease import CardLease
from vitale_drivers.cards.tasks import Task, reading, transmission
from vitale_drivers.readers.presence import Presence
from vitale_firmware_sim.card.card import VirtualCard
from vitale_protocol.errors import LeaseExpired, MediumMute, MediumRemoved, ReaderGone, VitaleError
from vitale_protocol.events import LeaseWhy, Reader, ReaderState
from vitale_protocol.media import recognise
from vitale_protocol.problems import Problem

__all__ = ["MEDIA", "SimulatedReader"]

MEDIA = ("vitale-card", "cps-card")


class SimulatedReader:
    """One reader with one slot, plugged or not."""

    def __init__(self, reader: Reader, emit: Emit) -> None:
        """Stores; ``reader`` is what clients know it as, empty."""
        self._reader = reader
        self._emit = emit
        self._changed = threading.Condition()
        self._presence = Presence(reader.id)
        self._card: VirtualCard | None = None
        self._atr = b""
        self._error: str | None = None
        self._plugged = False
        self._closed = False
        self._tasks: deque[Task] = deque()
        self._task: Task | None = None
        self._leases: dict[int, CardLease] = {}
        self._since: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"card in {reader.id}", daemon=True)

    def plug(self) -> None:
        """The reader comes, with what is in it."""
        with self._changed:
            if not self._plugged and not self._closed:
                self._plugged = True
                self._reader = self._shown()
                self._emit(ReaderAdded(reader=self._reader))
                self._come()
                if self._thread.ident is None:
                    self._thread.start()

    def unplug(self) -> None:
        """Unplugs the reader, with the card in it."""
        with self._changed:
            if self._plugged:
                self._end_leases("reader")
                self._fail_waiting(ReaderGone("the simulated reader was unplugged"))
                self._presence.left()
                self._plugged = False
                self._emit(ReaderRemoved(reader=self._reader.id))
            card = self._card
        if card is not None:
            card.release()

    def insert(self, card: VirtualCard) -> None:
        """Puts a card into the slot; one that is there is taken out first."""
        self.remove()
        with self._changed:
            self._card = card
            self._atr = card.reset()
            self._error = None if self._atr else MediumMute.reason
            if self._plugged:
                self._come()

    def remove(self) -> None:
        """Takes the card out, in the middle of whatever it does."""
        with self._changed:
            card = self._card
            self._leave()
        if card is not None:
            card.release()

    def arm(self, command: Arm) -> None:
        """Reads what is there, under the rules of ``base``."""
        with self._changed:
            self._presence.arm(command)
            self._read_if_due()

    def disarm(self) -> None:
        """Reads no more; a reading that has begun is carried to its end."""
        with self._changed:
            self._presence.disarm()

    def transmit(self, command: Transmit) -> None:
        """Passes raw APDUs to the card, with or without a lease."""
        with self._changed:
            if not command.lease:
                self._try(transmission(self._presence.number, command))
            elif lease := self._leases.get(command.lease):
                lease.add(command)
            elif not self._closed:
                self._emit(Transmitted(id=command.id, responses=(), problem=Problem(LeaseExpired.reason)))

    def lease(self, command: LeaseCommand) -> None:
        """Holds the card for the commands of one holder, or does so for longer."""
        with self._changed:
            if known := self._leases.get(command.id):
                known.extend(command.until)
                return
            self._leases[command.id] = lease = CardLease(command, self._emit_open)
            self._try(lease.task(self._presence.number, lambda: self._atr))

    def unlease(self, command: Unlease) -> None:
        """Ends a lease of the card."""
        with self._changed:
            if lease := self._leases.get(command.id):
                lease.end("released")
                for task in [task for task in self._tasks if task.lease is lease]:
                    self._tasks.remove(task)
                    self._finish(task, task.failed(LeaseExpired("ended before the card was held")))

    def _try(self, task: Task) -> None:
        if not self._plugged:
            self._finish(task, task.failed(ReaderGone("the simulated reader is not plugged")))
        elif self._card is None:
            self._finish(task, task.failed(MediumRemoved("there is no card")))
        elif not self._atr:
            self._finish(task, task.failed(MediumMute("the card gives no answer to reset")))
        else:
            self._add(task)

    def busy_for(self, now: float) -> float:
        """Seconds of the monotonic clock for which the card has been at work; 0 where it is not."""
        since = self._since
        return 0.0 if since is None else now - since

    def close(self) -> None:
        """Ends the thread; nothing is emitted afterwards."""
        with self._changed:
            self._closed = True
            self._end_leases("reader")
            self._changed.notify_all()
            card = self._card
        if card is not None:
            card.release()
        if self._thread.ident is not None:
            self._thread.join()

    # ── the reader's own thread ──────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while (task := self._next()) is not None:
            report, removed = self._perform(task)
            with self._changed:
                self._since = self._task = None
                if task.lease is not None and task.presence == self._presence.number and self._card is not None:
                    self._card.reset()
                self._finish(task, report)
                if removed and task.presence == self._presence.number:
                    self._leave()

    def _next(self) -> Task | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._tasks)
            if self._closed:
                return None
            self._task = task = self._tasks.popleft()
            # Whoever has a lease takes its time; what is watched then is each exchange.
            self._since = time.monotonic() if task.lease is None else None
            self._publish()
            if task.reads:
                self._emit(Progress(reader=self._reader.id, step="reading"))
            return task

    def _perform(self, task: Task) -> tuple[Report, bool]:
        card = self._card

        def transmit(apdu: bytes) -> bytes:
            if card is None or task.presence != self._presence.number:
                raise MediumRemoved("the card was taken out")
            if task.lease is None:
                return card.transmit(apdu)
            self._since = time.monotonic()
            try:
                return card.transmit(apdu)
            finally:
                self._since = None

        try:
            return task.run(Channel(transmit, t0=True)), False
        except VitaleError as error:
            return task.failed(error), isinstance(error, MediumRemoved)

    # ── under the lock ───────────────────────────────────────────────────────────────────────────────────────────

    def _come(self) -> None:
        if self._card is not None:
            # A card that does not answer may be any.
            self._presence.came(*((recognise(self._atr).medium,) if self._atr else MEDIA))
            self._publish()
            self._read_if_due()

    def _leave(self) -> None:
        self._end_leases("card")
        self._fail_waiting(MediumRemoved("the card was taken out before it was read"))
        self._card = None
        self._atr = b""
        self._error = None
        self._presence.left()
        self._publish()

    def _read_if_due(self) -> None:
        # What is due while the card is leased is read afterwards.
        if self._leases or not self._plugged or not self._presence.due(time.monotonic()):
            return
        self._presence.begin()
        self._emit(Progress(reader=self._reader.id, step="detected"))
        task = reading(self._presence.number, self._reader.id, lambda: self._atr, simulated=True)
        if self._atr:
            self._add(task)
        else:
            self._finish(task, task.failed(MediumMute("the card gives no answer to reset")))

    def _add(self, task: Task) -> None:
        self._tasks.append(task)
        self._changed.notify_all()

    def _end_leases(self, why: LeaseWhy) -> None:
        for lease in self._leases.values():
            lease.end(why)

    def _fail_waiting(self, error: VitaleError) -> None:
        while self._tasks:
            task = self._tasks.popleft()
            self._finish(task, task.failed(error))

    def _finish(self, task: Task, report: Report) -> None:
        if self._closed:
            return
        self._emit(report)
        if task.lease is not None:
            del self._leases[task.lease.id]
            self._publish()
            self._read_if_due()
        if task.reads and task.presence == self._presence.number:
            failed = report.problem.reason if isinstance(report, Failed) else None
            self._error = None if failed == MediumRemoved.reason else failed
            self._publish()

    def _publish(self) -> None:
        shown = self._shown()
        if shown != self._reader and self._plugged and not self._closed:
            self._reader = shown
            self._emit(ReaderChanged(reader=shown))

    def _shown(self) -> Reader:
        if self._card is None:
            return msgspec.structs.replace(self._reader, state="empty", medium=None, error=None)
        medium = recognise(self._atr).medium if self._atr else None
        leased = self._task is not None and self._task.lease is not None
        state: ReaderState = "leased" if leased else "present"
        return msgspec.structs.replace(self._reader, state=state, medium=medium, error=self._error)

    def _emit_open(self, report: Report) -> None:
        with self._changed:
            if not self._closed:
                self._emit(report)
