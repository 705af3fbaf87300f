"""A lease of a card: what is done for its holder while the card is held, and the one end that it comes to.

The thread that has the card runs it, with the transaction held from beginning to end; it waits in ``run`` for the
holder's commands. Everybody else only says what they want: one more command, more time, or the end.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from vitale_drivers.base import Emit, LeaseCommand, Leased, Report, Transmit, Transmitted, Unleased
from vitale_drivers.cards.channel import Channel
from vitale_drivers.cards.tasks import Task, transmission
from vitale_protocol.errors import CardError, LeaseExpired, MediumUnreadable, ReaderError, VitaleError
from vitale_protocol.events import LeaseWhy
from vitale_protocol.problems import Problem

__all__ = ["CardLease"]


class CardLease:
    """One lease of the card that lies in a reader now."""

    def __init__(self, command: LeaseCommand, emit: Emit) -> None:
        """Stores; nothing is held yet."""
        self.id = command.id
        self._until = command.until
        self._reader = command.reader
        self._emit = emit
        self._changed = threading.Condition()
        self._commands: deque[Transmit] = deque()
        self._why: LeaseWhy | None = None
        self._held = False

    def task(self, presence: int, atr: Callable[[], bytes]) -> Task:
        """The task that holds the card; ``atr`` is that of the card, asked for once it is held."""

        def run(channel: Channel) -> Report:
            with self._changed:
                self._held = True
            self._emit(Leased(id=self.id, atr=atr()))
            return self._serve(channel)

        return Task(presence, run, self._failed, reads=False, lease=self)

    def extend(self, until: float) -> None:
        """Moves the end to ``until``, of ``time.monotonic()``, later or sooner."""
        with self._changed:
            self._until = until
            self._changed.notify_all()

    def add(self, command: Transmit) -> None:
        """Queues APDUs for the card; after the end of the lease they are answered with an error."""
        with self._changed:
            if self._why is None:
                self._commands.append(command)
                self._changed.notify_all()
                return
        self._refuse(command)

    def end(self, why: LeaseWhy) -> None:
        """Ends it, once what is being exchanged has been; the first reason stays."""
        with self._changed:
            self._why = self._why or why
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """True if it has ended, or is about to."""
        return self._why is not None

    def _serve(self, channel: Channel) -> Report:
        while (command := self._next()) is not None:
            task = transmission(0, command)
            try:
                self._emit(task.run(channel))
            except CardError as error:
                self._emit(task.failed(error))
            except VitaleError as error:
                # Whatever it was, the card is not in the state that the holder believes it to be in.
                self._emit(task.failed(error if error.code else MediumUnreadable(error.detail)))
                self.end("reader" if isinstance(error, ReaderError) else "card")
        return Unleased(id=self.id, why=self._finish())

    def _next(self) -> Transmit | None:
        """Waits for the next command; None at the end."""
        with self._changed:
            while self._why is None:
                left = self._until - time.monotonic()
                if left <= 0:
                    self._why = "ttl"
                elif self._commands:
                    return self._commands.popleft()
                else:
                    self._changed.wait(left)
            return None

    def _finish(self) -> LeaseWhy:
        with self._changed:
            self._why = why = self._why or "card"
            left = tuple(self._commands)
            self._commands.clear()
        for command in left:
            self._refuse(command)
        return why

    def _failed(self, error: VitaleError) -> Report:
        """Ends the lease: the card was not obtained, or was lost with its reader."""
        self.end("reader" if isinstance(error, ReaderError) else "card")
        why = self._finish()
        if self._held:
            return Unleased(id=self.id, why=why)
        return Leased(id=self.id, problem=Problem.of(error))

    def _refuse(self, command: Transmit) -> None:
        why = self._why or "card"
        problem = Problem(LeaseExpired.reason, why, data={"why": why})
        self._emit(Transmitted(id=command.id, responses=(), problem=problem))
