"""Contention for a card: another program that keeps it is reported after a while.

After longer, it ends the wait for the card.
"""

import threading
from collections.abc import Callable

from vitale_drivers.base import FindHolders, Report
from vitale_drivers.cards.tasks import Task
from vitale_drivers.pcsc.settings import PcscSettings
from vitale_protocol.errors import ReaderBusy

__all__ = ["Contention"]


class Contention:
    """The wait of a reader's tasks for the card.

    Args:
        lock: of the reader; held wherever this is called, and where it calls ``on_kept`` and ``finish``.
        settings: how long is waited.
        find_holders: the programs that use PC/SC.
        is_kept: whether another program keeps the card from a task; called without the lock, since it asks PC/SC.
        on_kept: tells so.
        finish: ends a task with its report.

    Attributes:
        told: whether the reader is shown as busy.
    """

    def __init__(
        self,
        lock: threading.Condition,
        settings: PcscSettings,
        find_holders: FindHolders,
        is_kept: Callable[[Task], bool],
        on_kept: Callable[[Task], None],
        finish: Callable[[Task, Report], None],
    ) -> None:
        self._lock = lock
        self._settings = settings
        self._find_holders = find_holders
        self._is_kept = is_kept
        self._on_kept = on_kept
        self._finish = finish
        self._timers: dict[Task, threading.Timer] = {}
        self.told = False

    def begin(self, task: Task) -> None:
        """A task waits from now on."""
        self._start(task, self._settings.busy_notice, self._notice)

    def end(self, task: Task) -> None:
        """A task waits no more: the card was obtained, or it is over."""
        if timer := self._timers.pop(task, None):
            timer.cancel()

    def clear(self) -> None:
        """The card is with the task whose turn it is, or none has its turn."""
        self.told = False

    def _start(self, task: Task, seconds: float, act: Callable[[Task], None]) -> None:
        timer = threading.Timer(seconds, act, (task,))
        timer.daemon = True
        self._timers[task] = timer
        timer.start()

    def _notice(self, task: Task) -> None:
        kept = self._is_kept(task)
        with self._lock:
            if task.ended or task.granted:
                return
            # One that hesitates, or is powered, is nobody else's; nor is one behind whose task this one waits.
            if not kept:
                self.begin(task)
                return
            self.told = True
            self._on_kept(task)
            self._start(task, self._settings.busy_timeout - self._settings.busy_notice, self._give_up)

    def _give_up(self, task: Task) -> None:
        kept = self._is_kept(task)
        holder = ", ".join(self._find_holders("pcsc")) if kept else ""
        with self._lock:
            if task.ended or task.granted:
                return
            if not kept:  # let go meanwhile, and powered now
                self.begin(task)
            else:
                busy = ReaderBusy("another program holds the card", data={"holder": holder} if holder else None)
                self._finish(task, task.failed(busy))
