"""A lease of a card: what is done for its holder, and the one end that it comes to.

The thread that has the card runs it, and holds the transaction from beginning to end. It waits in ``run`` for the
holder's commands. Everybody else only says what they want: one more command, more time, or the end.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from vitale_drivers.base import Emit, LeaseCommand, Leased, Report, Transmit, Transmitted, Unleased
from vitale_drivers.cards.channel import Channel
from vitale_drivers.cards.tasks import Task, transmission
from vitale_protocol.errors import CardError, LeaseExpired, MediumUnreadable, ReaderError, VitaleError
from vitale_protocol.events import LeaseWhy
from vitale_protocol.problems import Problem

__all__ = ["IDLE", "CardLease"]

IDLE = 2.0
"""Seconds without a command after which the service is shown that the card is in use: Windows resets one whose
transaction was left alone for five (SCardBeginTransaction, remarks; any call with the card's handle counts)."""


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
        timed = replace(channel, transmit=partial(self._in_time, channel))
        while (command := self._next(channel)) is not None:
            task = transmission(0, command)
            try:
                self._emit(task.run(timed))
            except (CardError, LeaseExpired) as error:
                self._emit(task.failed(error))
            except VitaleError as error:
                # Whatever it was, the card is not in the state that the holder believes it to be in.
                self._emit(task.failed(error if error.code else MediumUnreadable(error.detail)))
                self.end("reader" if isinstance(error, ReaderError) else "card")
        return Unleased(id=self.id, why=self._finish())

    def _in_time(self, channel: Channel, apdu: bytes) -> bytes:
        """One exchange of a series; once the time is over none is begun any more.

        Raises:
            LeaseExpired: it is.
        """
        with self._changed:
            if time.monotonic() >= self._until:
                self._why = self._why or "ttl"
                raise LeaseExpired("the lease ended within a series", variant="ttl", data={"why": "ttl"})
        return channel.transmit(apdu)

    def _next(self, channel: Channel) -> Transmit | None:
        """Waits for the next command, and keeps the card meanwhile; None at the end."""
        while True:
            with self._changed:
                if self._why is None and self._until <= time.monotonic():
                    self._why = "ttl"
                if self._why is not None:
                    return None
                if self._commands:
                    return self._commands.popleft()
                idle = not self._changed.wait(min(self._until - time.monotonic(), IDLE))
            if idle:
                self._keep(channel)

    def _keep(self, channel: Channel) -> None:
        try:
            if channel.keep is not None:
                channel.keep()
        except VitaleError as error:
            self.end("reader" if isinstance(error, ReaderError) else "card")

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
