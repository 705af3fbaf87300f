"""Records of the daemon's log, from its file or from the journal of systemd."""

import contextlib
import datetime as dt
import json
import os
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast, get_args

import msgspec

__all__ = ["LEVELS", "Level", "LogFiles", "LogRecord", "cursor", "instant", "of_entry", "of_line"]

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

#: Characters of a record that are told, and bytes of a line that are looked at; the daemon's own take some hundred.
MOST: Final = 16_384
MOST_BYTES: Final = 65_536

#: Seconds since the epoch, in the year 9999: later ones have no place in a calendar.
_LATEST: Final = 253_370_000_000.0


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
    try:
        time = dt.datetime.fromisoformat(found["time"]).timestamp()
    except ValueError:  # no day of any calendar
        return None
    return _record(
        time,
        _NAMED.get(found["level"], "error"),  # logging's CRITICAL
        found["source"],
        found["text"],
    )


def of_entry(entry: bytes | str) -> LogRecord | None:
    """The record of an entry that ``journalctl --output=json`` gives; None where it is none."""
    try:
        fields: dict[str, Any] = json.loads(entry)
        time = int(fields["__REALTIME_TIMESTAMP"]) / 1_000_000
        text = _message(fields.get("MESSAGE"))
    except (LookupError, OverflowError, RecursionError, TypeError, ValueError):
        return None
    level = _PRIORITIES.get(str(fields.get("PRIORITY")), "info")
    source = str(fields.get("SYSLOG_IDENTIFIER") or "vitale-reader")
    return of_line(text) or _record(time, level, source, text)


def cursor(entry: bytes | str) -> str:
    """The place of an entry in the journal; empty where it says none."""
    try:
        return str(json.loads(entry)["__CURSOR"])
    except (LookupError, RecursionError, TypeError, ValueError):
        return ""


def _message(message: object) -> str:
    """The text of an entry. The journal gives invalid text as a list of bytes, and several texts as a list."""
    if not isinstance(message, list):
        return str(message or "")
    values = cast("list[object]", message)
    if any(isinstance(value, list | str) for value in values):
        return _message(values[0])
    return bytes(cast("list[int]", values)).decode("utf-8", "replace")


def _record(time: float, level: Level, source: str, text: str) -> LogRecord | None:
    """The record; None where its time is none that a clock shows."""
    if not 0 <= time < _LATEST:
        return None
    told = _well_formed(text if len(text) <= MOST else f"{text[:MOST]}…")
    return LogRecord(time=time, level=level, source=_well_formed(source), text=told)


def _well_formed(text: str) -> str:
    """The text without halves of characters, which JSON can name and no output takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


class LogFiles:
    """The files of the log, read once: first what is there, then what comes. No record between is lost or told twice.

    Args:
        file: the newest of them; where it is put aside, ``.1`` is added to its name.
        older: how many older ones there are at most.
    """

    def __init__(self, file: Path, older: int) -> None:
        self._file = file
        self._older = older
        self._inode = self._place = 0

    def there(self) -> Iterator[LogRecord]:
        """The records that are there, the oldest first.

        Raises:
            OSError: a file cannot be read.
        """
        with contextlib.ExitStack() as opened:
            files = self._opened(opened)
            for inode, stream in reversed(files.items()):
                self._inode, self._place = inode, 0
                for line, size in _whole_lines(stream):
                    self._place += size
                    if record := of_line(_text(line)):
                        yield record

    def _opened(self, opened: contextlib.ExitStack) -> dict[int, BinaryIO]:
        """Opens all of them at once, the newest first.

        A file that is put aside meanwhile is found under both names.
        """
        found: dict[int, BinaryIO] = {}
        for file in (self._file, *(_aside(self._file, number) for number in range(1, self._older + 1))):
            with contextlib.suppress(FileNotFoundError):
                stream = opened.enter_context(file.open("rb"))
                found.setdefault(os.fstat(stream.fileno()).st_ino, stream)
        return found

    def coming(self, wait: Callable[[], None]) -> Generator[LogRecord]:
        """The records that come after those that were there, even if a new file replaces this one.

        Args:
            wait: returns when it is time to look again; what it raises ends the following.
        """
        rest = b""
        while True:
            self._inode, self._place, came = _appended(self._file, self._inode, self._place)
            *whole, rest = (rest + came).split(b"\n")
            rest = rest[:MOST_BYTES]  # of a line without an end nothing more is told
            yield from filter(None, (of_line(_text(line)) for line in whole))
            wait()


def _whole_lines(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Complete lines, as far as they are looked at, and their sizes; the last line may still be written."""
    begun, size = b"", 0
    while piece := stream.readline(MOST_BYTES):
        begun, size = begun or piece, size + len(piece)
        if piece.endswith(b"\n"):
            yield begun, size
            begun, size = b"", 0


def _text(line: bytes) -> str:
    return line[:MOST_BYTES].decode("utf-8", "replace")


def _aside(file: Path, number: int) -> Path:
    return file.with_name(f"{file.name}.{number}")


def _appended(file: Path, inode: int, place: int) -> tuple[int, int, bytes]:
    """The file and the place to go on from, and what came since.

    The rest of a file that was put aside comes first.
    """
    try:
        with file.open("rb") as stream:
            found = os.fstat(stream.fileno())
            goes_on = found.st_ino == inode and found.st_size >= place
            before = b"" if goes_on else _rest(_aside(file, 1), inode, place)
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
    """The instant of ``10m``, ``2h``, ``3d`` (ago), of a date, or of a date and time.

    Dates and times are those of this machine.

    Raises:
        ValueError: it is none of them.
    """
    if ago := _AGO.fullmatch(told.strip().lower()):
        return now - int(ago[1]) * _UNITS[ago[2]]
    return dt.datetime.fromisoformat(told.strip()).astimezone().timestamp()
