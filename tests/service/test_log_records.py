"""Records of the log, as the daemon and systemd write them, and those that come while somebody looks."""

import json
import logging
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_reader.daemon.log_output import LineFormatter
from vitale_reader.service.log_records import LEVELS, followed, instant, of_entry, of_files, of_line

LINE = "2026-01-31T08:00:00.250Z WARNING vitale_reader.daemon.app: a line"
WHEN = 1_769_846_400.25


@given(st.sampled_from(["debug", "info", "warning", "error", "critical"]), st.text())
def test_what_the_daemon_writes_is_understood(level: str, text: str) -> None:
    made = logging.makeLogRecord({"levelname": level.upper(), "name": "vitale_reader.daemon.app", "msg": text})
    line = LineFormatter().format(made)
    record = of_line(line)
    assert record is not None
    assert (level if level in LEVELS else "error", "vitale_reader.daemon.app") == (record.level, record.source)
    assert line.endswith(record.text)
    assert abs(made.created - record.time) < 0.002


@given(st.text() | st.binary())
def test_what_else_stands_there_is_no_record(text: str | bytes) -> None:
    if isinstance(text, str):
        assert of_line(text) is None
    assert of_entry(text) is None


def entry(**fields: object) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": str(round(WHEN * 1_000_000)), **fields})


def test_entries_of_the_journal() -> None:
    own = of_entry(entry(MESSAGE=LINE, PRIORITY="6", SYSLOG_IDENTIFIER="python"))
    assert own is not None
    assert (WHEN, "warning", "vitale_reader.daemon.app", "a line") == (own.time, own.level, own.source, own.text)
    told = of_entry(entry(MESSAGE="Failed to start", PRIORITY="3", SYSLOG_IDENTIFIER="systemd"))
    assert told is not None
    assert (WHEN, "error", "systemd", "Failed to start") == (told.time, told.level, told.source, told.text)
    odd = of_entry(entry(MESSAGE=list(b"caf\xe9")))
    assert odd is not None
    assert ("info", "caf�") == (odd.level, odd.text)


def test_files_are_read_in_their_order(tmp_path: Path) -> None:
    old, new = tmp_path / "daemon.log.1", tmp_path / "daemon.log"
    old.write_text(f"{LINE} 1\nno record\n", "utf-8")
    new.write_text(f"{LINE} 2\n", "utf-8")
    assert ["a line 1", "a line 2"] == [record.text for record in of_files((old, new))]


def test_records_that_come_are_told_also_from_a_new_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    file.write_text(f"{LINE} before\n", "utf-8")

    def append(text: str) -> None:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(text)

    def acts() -> Iterator[None]:
        append(f"{LINE} 1\n{LINE} hal")
        yield
        append("f\n")
        yield
        file.rename(tmp_path / "daemon.log.1")
        yield
        append(f"{LINE} 2\n")
        yield
        file.write_text("", "utf-8")
        yield
        append(f"{LINE} 3\n")
        yield

    act = acts()
    coming = followed(file, lambda: next(act))
    told = [record.text for record in islice(coming, 4)]
    coming.close()
    assert ["a line 1", "a line half", "a line 2", "a line 3"] == told


def test_the_last_lines_of_a_file_that_is_put_aside_are_told(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    file.write_text(f"{LINE} 0\n", "utf-8")

    def acts() -> Iterator[None]:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{LINE} 1\n{LINE} ha")
        yield
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"lf\n{LINE} last\n")
        file.rename(tmp_path / "daemon.log.1")
        yield
        file.write_text(f"{LINE} new\n", "utf-8")
        yield

    act = acts()
    coming = followed(file, lambda: next(act))
    told = [record.text for record in islice(coming, 4)]
    coming.close()
    assert ["a line 1", "a line half", "a line last", "a line new"] == told


def test_instants() -> None:
    assert [400.0, 1_000 - 7_200.0, 1_000 - 259_200.0, 1_000 - 259_200.0] == [
        instant(told, 1_000) for told in ("10m", "2 h", "3d", "3j")
    ]
    assert time.mktime((2026, 1, 31, 8, 0, 0, 0, 0, -1)) == instant("2026-01-31T08:00", 0)
    for told in ("", "soon", "10", "m"):
        with pytest.raises(ValueError, match=r".*"):
            instant(told, 0)
