"""Log of audit lines that could not be written: one a minute, with the number of the others.

A disk that is full loses a line at each request. A log on the same disk must not have one for each of them.
"""

import logging
import time
from collections.abc import Callable

from vitale_protocol.errors import StoreUnavailable

__all__ = ["LostLines"]

logger = logging.getLogger(__name__)

#: Seconds between two lines of the log.
BETWEEN = 60.0


class LostLines:
    """Account of the lines that were lost.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at: float | None = None
        self._untold = 0

    def lose(self, action: str, outcome: str, error: StoreUnavailable) -> None:
        """Tells of a line that was lost, or counts it."""
        if self._told_at is not None and self._clock() - self._told_at < BETWEEN:
            self._untold += 1
            return
        self.sum_up()
        self._told_at = self._clock()
        logger.error("a line of the audit trail is lost (%s, %s): %s", action, outcome, error)

    def sum_up_when_due(self) -> None:
        """Tells of those that were counted, a while after the last ones were told."""
        if self._untold and self._told_at is not None and self._clock() - self._told_at >= BETWEEN:
            self.sum_up()

    def sum_up(self) -> None:
        """Tells of those that were counted."""
        if self._untold:
            logger.error("other lines of the audit trail that were lost: %d", self._untold)
            self._untold = 0
            self._told_at = self._clock()
