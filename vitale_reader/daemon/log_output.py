"""The daemon's log, on standard error and in the station's file, through the one formatter that leaks no patient."""

import contextlib
import logging
import os
import sys
import time
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from vitale_drivers.host.redaction import RedactingFormatter

__all__ = ["FILE", "LineFormatter", "has_stderr", "log_files", "to_file", "to_stderr"]

#: The newest file of the log in the state folder; older ones have a number after their name.
FILE = "daemon.log"

#: Bytes of one file, and how many older ones are kept: some weeks of a desk at level ``info``.
FILE_BYTES, OLDER_FILES = 1_000_000, 2


class LineFormatter(RedactingFormatter):
    """Time in UTC, level, logger, and the redacted text."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{when}.{int(record.msecs):03d}Z {record.levelname:<7} {record.name}: {super().format(record)}"


class PrivateFile(RotatingFileHandler):
    """A file for its owner alone; without a folder, or room on the disk, there is standard error still."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record, once the daemon has made its folder."""
        if self.stream is not None or Path(self.baseFilename).parent.is_dir():
            super().emit(record)

    def doRollover(self) -> None:  # noqa: N802  logging's own name
        """Begins a new file; not while another program holds the old one open, as on Windows it may."""
        with contextlib.suppress(PermissionError):
            super().doRollover()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Says nothing: the record is on standard error, and logging itself would repeat it unredacted."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, opener=_private)


def has_stderr() -> bool:
    """True if what is written to standard error can get anywhere; not for ``pythonw``, tasks at logon and agents."""
    return sys.stderr is not None and getattr(sys.stderr, "name", "") != os.devnull and not _goes_nowhere(sys.stderr)


def _goes_nowhere(stream: TextIO) -> bool:
    """True if a stream leads to the null device, as launchd has it, and whoever wrote ``2>/dev/null``."""
    try:
        there, nowhere = os.fstat(stream.fileno()), Path(os.devnull).stat()
    except (OSError, ValueError):  # there is no file behind it
        return False
    # Windows gives no number to any of them.
    return bool(nowhere.st_ino) and os.path.samestat(there, nowhere)


def to_stderr(level: str) -> None:
    """Sends the log of this process to standard error, where there is one."""
    handler = logging.StreamHandler(sys.stderr) if has_stderr() else logging.NullHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def to_file(folder: Path) -> None:
    """Sends the log of this process to the file in a folder as well, for ``doctor --bundle``."""
    handler = PrivateFile(folder / FILE, maxBytes=FILE_BYTES, backupCount=OLDER_FILES, encoding="utf-8", delay=True)
    handler.setFormatter(LineFormatter())
    logging.getLogger().addHandler(handler)


def log_files(folder: Path) -> tuple[Path, ...]:
    """The files of the log that are there, oldest first."""
    names = [*(f"{FILE}.{number}" for number in range(OLDER_FILES, 0, -1)), FILE]
    return tuple(file for name in names if (file := folder / name).is_file())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
