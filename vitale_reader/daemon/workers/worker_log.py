"""The log of a worker, repeated in the daemon's: its names and its levels are not the worker's choice."""

import logging
import re

from vitale_drivers.base import Log

__all__ = ["repeat"]

logger = logging.getLogger(__name__)

#: The name of a logger, as modules have them; what else a worker calls one is not repeated.
LOGGER = re.compile(r"(?![\s\S]{101})[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")

#: Characters of a line; a traceback has some two thousand.
LONGEST = 4_096


def repeat(report: Log) -> None:
    """Logs what a worker logged, under the name that it gave.

    No logger is made of that name, and only the usual levels are used. Logging keeps both for ever, and a driver may
    send new ones without end.
    """
    level = min(max(report.level // 10 * 10, logging.DEBUG), logging.CRITICAL)
    text = report.text if len(report.text) <= LONGEST else f"{report.text[:LONGEST]}…"
    name = report.logger if LOGGER.fullmatch(report.logger) else __name__
    if logger.isEnabledFor(level):
        logger.handle(logger.makeRecord(name, level, __file__, 0, "%s", (text,), None))
