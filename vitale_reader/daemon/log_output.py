"""The daemon's log on standard error or in a file, through the one formatter that cannot leak a patient."""

import contextlib
import io
import logging
import logging.handlers
import os
import sys
import time
from pathlib import Path

from vitale_drivers.host.redaction import RedactingFormatter
from vitale_protocol.configuration.settings import refusal
from vitale_reader.daemon.keystore.private_files import private_folder

__all__ = ["RotatingFile", "has_stderr", "start"]

#: Bytes of the file before it is put aside, and how many of those are kept.
MOST_BYTES, KEPT = 5_000_000, 4

#: Its name where nothing is configured, and there is no standard error.
NAME = "daemon.log"


class LineFormatter(RedactingFormatter):
    """Time in UTC, level, logger, and the redacted text."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{when}.{int(record.msecs):03d}Z {record.levelname:<7} {record.name}: {super().format(record)}"


class RotatingFile(logging.handlers.RotatingFileHandler):
    """A file that is closed to others, and put aside when it is long."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8", errors="replace")

    def _open(self) -> io.TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, errors=self.errors, opener=_private)

    def doRollover(self) -> None:  # noqa: N802  the name is that of the library
        """Puts the file aside; not while another program holds it open, as on Windows it may."""
        with contextlib.suppress(PermissionError):
            super().doRollover()


def has_stderr() -> bool:
    """True if what is written to standard error can get anywhere."""
    return sys.stderr is not None and getattr(sys.stderr, "name", "") != os.devnull


def start(level: str, file: str | None, state: Path) -> None:
    """Sends the log of this process to a file, or to standard error.

    Args:
        level: the least that is written.
        file: path of the file; in the state folder where it is relative.
        state: the state folder.

    Raises:
        ConfigurationInvalid: the file cannot be written.
        StoreUnavailable: others have a hand in the state folder.
    """
    if file is None and has_stderr():
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
    else:
        place = private_folder(state) / (file or NAME)
        try:
            handler = RotatingFile(place)
        except OSError as error:
            raise refusal("log.file", f"{place}: {error.strerror}") from error
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
