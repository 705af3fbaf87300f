"""The clock of the desk: whether it can be right, and whether it follows a time server."""

import datetime as dt
from collections.abc import Iterator

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.home import Home

__all__ = ["look"]

#: Seconds. A file that is a little newer than now was written by a clock that was put back a little since.
TOLERATED = 3_600.0

#: Seconds since the epoch: 1 January 2026, before the first version.
FIRST = 1_767_225_600.0

#: Made by systemd-timesyncd (systemd-timesyncd.service(8)): the folder when it runs, the file once it has the time.
_TIMESYNC = "/run/systemd/timesync"


def look(machine: InspectedMachine, home: Home) -> Iterator[CheckResult]:
    """Looks at the clock."""
    now = machine.now()
    known = max((FIRST, *_times(home)))
    if now < known - TOLERATED:
        values = {"now": _day(now), "known": _day(known)}
        yield CheckResult(id="clock_behind", subject="clock", state="wrong", values=values)
    elif machine.at(_TIMESYNC).is_dir() and not machine.at(f"{_TIMESYNC}/synchronized").exists():
        yield CheckResult(id="clock_alone", subject="clock", state="note")
    else:
        yield CheckResult(id="clock", subject="clock", state="ok", values={"now": _day(now)})


def _times(home: Home) -> Iterator[float]:
    for file in (home.state / "station.json", home.state / "store.db", home.config):
        try:
            yield file.stat().st_mtime
        except OSError:
            continue


def _day(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone().strftime("%d/%m/%Y %H:%M")
