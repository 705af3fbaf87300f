"""``vitale-reader logs``: what the daemon logged, from the journal of its service or from its file."""

import subprocess
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from vitale_protocol.errors import DaemonUnreachable, LocalMisuse, VitaleError
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command
from vitale_reader.cli.frame.exit_status import DONE, OTHER
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.service.installing import scope_option, this_service
from vitale_reader.home import Home
from vitale_reader.service.log_records import LEVELS, Level, LogFiles, LogRecord, cursor, instant, of_entry

if TYPE_CHECKING:
    from vitale_reader.service.base import Service

__all__ = ["logs"]

F = TypeVar("F", bound=Callable[..., Any])

#: Lines that are shown where nothing says how many, and seconds between two looks at a file.
LINES: Final = 200
LOOK: Final = 0.3

_COLOURS: Final[dict[Level, str | None]] = {"debug": None, "info": None, "warning": "yellow", "error": "red"}


class WantedRecords:
    """The records that were asked for.

    Args:
        since: as ``instant`` understands it.
        level: the least level.
        now: seconds since the epoch.
    """

    def __init__(self, since: str | None, level: str, now: float) -> None:
        try:
            self.since = 0.0 if since is None else instant(since, now)
        except (ValueError, OverflowError) as error:
            why = t(
                f"« {since} » n’est ni une durée (10m, 2h, 3j) ni une date",
                f"“{since}” is neither a time ago (10m, 2h, 3d) nor a date",
            )
            raise LocalMisuse(why, data={"path": "--since"}) from error
        self._least = LEVELS.index(cast("Level", level))

    @property
    def is_all(self) -> bool:
        """True if every record is among them."""
        return not self.since and not self._least

    def __contains__(self, record: LogRecord) -> bool:
        """True if a record is among them."""
        return record.time >= self.since and LEVELS.index(record.level) >= self._least


def _options(function: F) -> F:
    for decorate in (
        scope_option,
        as_json,
        click.option(
            "--follow", "-f", is_flag=True, help=t("Suit le journal jusqu’à Ctrl-C.", "Follows until Ctrl-C.")
        ),
        click.option(
            "--lines",
            "-n",
            type=click.IntRange(min=1),
            metavar="N",
            help=t(
                "Les N dernières lignes\N{NO-BREAK SPACE}; 200 par défaut, toutes avec --since.",
                "The last N lines; 200 by default, all with --since.",
            ),
        ),
        click.option(
            "--level",
            type=click.Choice(LEVELS),
            default="debug",
            help=t("Niveau minimal.", "The least level."),
        ),
        click.option(
            "--since",
            metavar=t("QUAND", "WHEN"),
            help=t(
                "Depuis\N{NO-BREAK SPACE}: 10m, 2h, 3j, ou une date, 2026-01-31 ou 2026-01-31T08:00.",
                "Since when: 10m, 2h, 3d, or a date, 2026-01-31 or 2026-01-31T08:00.",
            ),
        ),
    ):
        function = decorate(function)
    return function


@command("logs", help=t("Montre le journal du service.", "Shows the log of the daemon."))
@_options
def logs(
    since: str | None, level: str, lines: int | None, follow: bool, system: bool, as_json: bool, home: Path | None
) -> None:
    """Runs the command ``vitale-reader logs``."""
    wanted = WantedRecords(since, level, time.time())
    found = this_service(home, system=system)
    status = _tell(found, _station(found, home), wanted, lines, follow=follow, as_json=as_json)
    click.get_current_context().exit(status)


def _station(found: "Service", home: Path | None) -> Home:
    if found.scope == "system" and found.station is not None:
        return Home.under(found.station)
    return Home.chosen(home)


def _tell(
    found: "Service", place: Home, wanted: WantedRecords, lines: int | None, *, follow: bool, as_json: bool
) -> int:
    """Tells the records that there are, then those that come; the exit status."""
    journal = _journal(found, place)
    most = lines or (None if wanted.since else LINES)
    log = Journal(found, journal, wanted, most) if journal else _files(place)
    kept = deque((each for each in _readable(log.there()) if each in wanted), maxlen=most)
    if as_json and not follow:
        output.print_json({"records": list(kept)})
        return DONE
    for record in kept:
        _show(record, as_json=as_json)
    if not follow:
        if not kept:
            output.note(t("Rien dans le journal.", "Nothing in the log."))
        return DONE if kept else OTHER
    with closing(log.coming(partial(time.sleep, LOOK))) as coming:
        for record in _readable(coming):
            if record in wanted:
                _show(record, as_json=as_json)
    return DONE


def _readable(records: Iterator[LogRecord]) -> Iterator[LogRecord]:
    """The records of a log that this user may read.

    Raises:
        LocalMisuse: it is another's.
    """
    try:
        yield from records
    except PermissionError as error:
        raise LocalMisuse(f"{error.filename}: {error.strerror}", variant="administrator") from error


class Journal:
    """The journal of the service, read once: first what is there, then what comes, without a gap.

    Args:
        found: the service.
        command: that reads its journal.
        wanted: the records that are asked for.
        most: how many of those that are there.
    """

    def __init__(self, found: "Service", command: tuple[str, ...], wanted: WantedRecords, most: int | None) -> None:
        self._found = found
        self._command = command
        self._since = f"--since=@{int(wanted.since)}"
        # A journal may go back for years: its end is enough, unless records are left out of it. With --since those
        # would be the first lines, not the last.
        self._part = f"--lines={most}" if most is not None and wanted.is_all else self._since
        self._cursor = ""

    def there(self) -> Iterator[LogRecord]:
        """The records that are there, the oldest first."""
        said = (self._found.succeeds(*self._command, self._part) or "").splitlines()
        self._cursor = cursor(said[-1]) if said else ""
        return filter(None, map(of_entry, said))

    def coming(self, _wait: Callable[[], None]) -> Generator[LogRecord]:
        """The records that come after those that were there; the journal itself says when."""
        after = f"--after-cursor={self._cursor}" if self._cursor else self._since
        command = (*self._command, "--follow", "--no-tail", after)
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                yield from filter(None, map(of_entry, process.stdout or ()))
            finally:
                process.terminate()


def _journal(found: "Service", place: Home) -> tuple[str, ...]:
    """The command that reads the journal of the service; empty where its records are rather in the file."""
    command = found.journal()
    if not command or not (state := found.state()).installed:
        return ()
    if not state.running and _published(place):
        return ()  # another daemon serves, which somebody started by hand
    try:
        has_entries = bool((found.succeeds(*command, "--lines=1") or "").strip())
    except VitaleError:
        return ()
    return command if has_entries else ()


def _published(place: Home) -> bool:
    try:
        place.endpoints()
    except DaemonUnreachable:
        return False
    return True


def _files(place: Home) -> LogFiles:
    from vitale_reader.daemon.log_output import FILE, OLDER_FILES

    return LogFiles(place.state / FILE, OLDER_FILES)


def _show(record: LogRecord, *, as_json: bool) -> None:
    if as_json:
        output.print_json(record, pretty=False)
        return
    when = datetime.fromtimestamp(record.time, UTC).astimezone()
    source, text = output.escaped(record.source.rpartition(".")[2]), output.escaped(record.text)
    if not output.interactive():
        click.echo(f"{when.isoformat(timespec='milliseconds')}\t{record.level}\t{source}\t{text}")
        return
    level = click.style(f"{record.level:<7}", fg=_COLOURS[record.level], dim=record.level == "debug")
    click.echo(f"{when:%Y-%m-%d %H:%M:%S} {level} {click.style(source, bold=True)}  {text}")
