"""Questions of a worker to the supervisor, which sees what a confined process cannot."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from vitale_drivers.base import HeldBy, Report, WhoHolds

__all__ = ["PATIENCE", "Questions"]

PATIENCE = 3.0
"""Seconds until an answer; the supervisor needs a hundredth of it. Below the limits of every driver's calls."""


class Questions:
    """Questions that wait for their answers, from any thread but the one that takes the answers.

    Args:
        send: takes a question to the supervisor.
        patience: seconds until nothing is known.
    """

    def __init__(self, send: Callable[[Report], None], patience: float = PATIENCE) -> None:
        self._send = send
        self._patience = patience
        self._lock = threading.Lock()
        self._last = 0
        self._open: dict[int, Future[tuple[str, ...]]] = {}

    def find_holders(self, device: str) -> tuple[str, ...]:
        """The names of the other programs that have a device open; empty if none is known in time."""
        answer: Future[tuple[str, ...]] = Future()
        with self._lock:
            self._last += 1
            number = self._last
            self._open[number] = answer
        try:
            self._send(WhoHolds(id=number, device=device))
            return answer.result(self._patience)
        except TimeoutError:
            return ()
        finally:
            with self._lock:
                del self._open[number]

    def take(self, answer: HeldBy) -> None:
        """Hands an answer to whoever waits for it; one that came too late is dropped."""
        with self._lock:
            asked = self._open.get(answer.id)
        if asked is not None and not asked.done():
            asked.set_result(answer.programs)
