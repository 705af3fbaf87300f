"""The daemon's log on standard error, through the one formatter that cannot leak a patient."""

import logging
import sys
import time

from vitale_drivers.host.redaction import RedactingFormatter

__all__ = ["to_stderr"]


class LineFormatter(RedactingFormatter):
    """Time in UTC, level, logger, and the redacted text."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{when}.{int(record.msecs):03d}Z {record.levelname:<7} {record.name}: {super().format(record)}"


def to_stderr(level: str) -> None:
    """Sends the log of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
