"""Log lines about what goes and comes back, so many about one subject and no more.

A loose cable can lose its reader ten times a second, for a night. The first lines are written one by one; then one in a
while, which says how many were not.
"""

import logging
import time
from collections.abc import Callable

from vitale_reader.daemon.fairness.token_buckets import Buckets, Rate

__all__ = ["LINES", "RationedLog"]

#: Fifty crashes of a service with four readers are told whole; in the long run, a line a minute.
LINES = Rate(1 / 60, 500.0)

#: Subjects whose untold lines are counted.
MOST_SUBJECTS = 1_000


class RationedLog:
    """Lines of one logger at level ``info``.

    Args:
        logger: writes them.
        clock: monotonic seconds.
        rate: of one subject.
    """

    def __init__(
        self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic, *, rate: Rate = LINES
    ) -> None:
        self._logger = logger
        self._shares = Buckets(rate, clock)
        self._untold: dict[str, int] = {}

    def write(self, subject: str, text: str, *arguments: object) -> None:
        """Writes a line about a subject, or counts it."""
        if not self._shares.of(subject).take():
            if subject in self._untold or len(self._untold) < MOST_SUBJECTS:
                self._untold[subject] = self._untold.get(subject, 0) + 1
            return
        if untold := self._untold.pop(subject, 0):
            self._logger.info("%s: %d lines like the next one were not written", subject, untold)
        self._logger.info(text, *arguments)
