"""Records of the daemon's log, from its file or from the journal of systemd."""

import contextlib
import datetime as dt
import json
import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import msgspec

__all__ = ["LEVELS", "Level", "LogRecord", "followed", "instant", "of_entry", "of_files", "of_line"]

Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)

#: A line as ``daemon.log_output`` writes it.
_LINE: Final = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>[A-Z]+) *(?P<source>[\w.]+): (?P<text>.*)"
)

_NAMED: Final[dict[str, Level]] = {level.upper(): level for level in LEVELS}

#: Seconds of the units in ``10m``.
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "j": 86_400}
_AGO: Final = re.compile(r"(\d+)\s*([smhdj])")

#: Levels of syslog(3): 0 to 3 are errors, 4 a warning, 7 for developers.
_PRIORITIES: Final[dict[str, Level]] = {**dict.fromkeys("0123", "error"), "4": "warning", "7": "debug"}


class LogRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record; ``time`` in seconds since the epoch, ``source`` a logger or a program."""

    time: float
    level: Level
    source: str
    text: str


def of_line(line: str) -> LogRecord | None:
    """The record on a line of the daemon; None where it is another text."""
    found = _LINE.fullmatch(line.rstrip("\r\n"))
    if found is None:
        return None
    return LogRecord(
        time=dt.datetime.fromisoformat(found["time"]).timestamp(),
        level=_NAMED.get(found["level"], "error"),  # logging's CRITICAL
        source=found["source"],
        text=found["text"],
    )


def of_entry(entry: bytes | str) -> LogRecord | None:
    """The record of an entry that ``journalctl --output=json`` gives; None where it is none."""
    try:
        fields: dict[str, Any] = json.loads(entry)
        time = int(fields["__REALTIME_TIMESTAMP"]) / 1_000_000
    except (LookupError, RecursionError, TypeError, ValueError):
        return None
    message = fields.get("MESSAGE") or ""
    # Text with bytes in it that are none comes as a list of bytes.
    text = bytes(cast("list[int]", message)).decode("utf-8", "replace") if isinstance(message, list) else str(message)
    return of_line(text) or LogRecord(
        time=time,
        level=_PRIORITIES.get(str(fields.get("PRIORITY")), "info"),
        source=str(fields.get("SYSLOG_IDENTIFIER") or "vitale-reader"),
        text=text,
    )


def of_files(files: Iterable[Path]) -> Iterator[LogRecord]:
    """The records in files of the daemon, oldest file first."""
    for file in files:
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from filter(None, map(of_line, lines))


def followed(file: Path, wait: Callable[[], None]) -> Generator[LogRecord]:
    """The records that come to a file from now on, also after it was put aside for a new one.

    Args:
        file: the newest file of the log.
        wait: returns when it is time to look again; what it raises ends the following.
    """
    inode, place = _end(file)
    rest = b""
    while True:
        inode, place, came = _news(file, inode, place)
        *whole, rest = (rest + came).split(b"\n")
        yield from filter(None, (of_line(line.decode("utf-8", "replace")) for line in whole))
        wait()


def _end(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_size


def _news(file: Path, inode: int, place: int) -> tuple[int, int, bytes]:
    """The file and the place to go on from, and what came since: the rest of one that was put aside comes first."""
    try:
        with file.open("rb") as stream:
            found = os.fstat(stream.fileno())
            goes_on = found.st_ino == inode and found.st_size >= place
            before = b"" if goes_on else _rest(file.with_name(f"{file.name}.1"), inode, place)
            stream.seek(place if goes_on else 0)
            came = stream.read()
            return found.st_ino, stream.tell(), before + came
    except FileNotFoundError:  # not there yet, or put aside this moment
        return inode, place, b""


def _rest(aside: Path, inode: int, place: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), aside.open("rb") as stream:
        if os.fstat(stream.fileno()).st_ino == inode:
            stream.seek(place)
            return stream.read()
    # Gone for good: half a line of it is not to be taken for the beginning of another.
    return b"\n"


def instant(told: str, now: float) -> float:
    """The instant of ``10m``, ``2h``, ``3d`` (ago), of a date, or of a date with a time of this machine.

    Raises:
        ValueError: it is none of them.
    """
    if ago := _AGO.fullmatch(told.strip().lower()):
        return now - int(ago[1]) * _UNITS[ago[2]]
    return dt.datetime.fromisoformat(told.strip()).astimezone().timestamp()
