"""Log lines about what goes and comes back, so many about one driver and no more.

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

#: Drivers whose untold lines are counted.
MOST_DRIVERS = 1_000


class RationedLog:
    """Lines of one logger, each about a driver of the desk or about one of its readers.

    All about one driver share its ration: it names its readers, and may name new ones without end.

    Args:
        logger: writes them.
        clock: monotonic seconds.
        rate: of one driver.
    """

    def __init__(
        self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic, *, rate: Rate = LINES
    ) -> None:
        self._logger = logger
        self._shares = Buckets(rate, clock)
        self._untold: dict[str, int] = {}

    def write(self, driver: str, text: str, *arguments: object, level: int = logging.INFO) -> None:
        """Writes a line, or counts it among those of its driver."""
        if not self._shares.of(driver).take():
            if driver in self._untold or len(self._untold) < MOST_DRIVERS:
                self._untold[driver] = self._untold.get(driver, 0) + 1
            return
        if untold := self._untold.pop(driver, 0):
            self._logger.info("driver %s: %d lines like the next one were not written", driver, untold)
        self._logger.log(level, text, *arguments)
