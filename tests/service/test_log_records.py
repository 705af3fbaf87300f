"""Records of the log, as the daemon and systemd write them, and those that come while somebody looks."""

import json
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_reader.daemon.log_output import LineFormatter
from vitale_reader.service.log_records import LEVELS, LogFiles, LogRecord, cursor, instant, of_entry, of_line

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


def texts(records: Iterable[LogRecord]) -> list[str]:
    return [record.text for record in records]


class Acts:
    """A wait in which the next of some acts is done; the last is followed by the end."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        self._acts = list(acts)

    def __call__(self) -> None:
        if not self._acts:
            raise KeyboardInterrupt
        self._acts.pop(0)()


def come(files: LogFiles, *acts: Callable[[], object]) -> list[str]:
    told: list[str] = []

    def follow() -> None:
        with closing(files.coming(Acts(*acts))) as coming:
            for record in coming:
                told.append(record.text)  # noqa: PERF401  the end is an exception

    with pytest.raises(KeyboardInterrupt):
        follow()
    return told


def append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(text)


def test_files_are_read_in_their_order(tmp_path: Path) -> None:
    old, new = tmp_path / "daemon.log.1", tmp_path / "daemon.log"
    old.write_text(f"{LINE} 1\nno record\n", "utf-8")
    new.write_text(f"{LINE} 2\n", "utf-8")
    assert ["a line 1", "a line 2"] == texts(LogFiles(new, 2).there())


def test_nothing_is_lost_between_what_is_there_and_what_comes(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    files = LogFiles(file, 2)
    file.write_text(f"{LINE} 1\n{LINE} ha", "utf-8")
    assert ["a line 1"] == texts(files.there())
    append(file, f"lf\n{LINE} between\n")
    assert ["a line half", "a line between", "a line 3"] == come(files, lambda: append(file, f"{LINE} 3\n"))


def test_a_file_that_is_put_aside_while_it_is_read_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    (tmp_path / "daemon.log.1").write_text(f"{LINE} 0\n", "utf-8")
    file.write_text(f"{LINE} 1\n{LINE} 2\n", "utf-8")
    files = LogFiles(file, 2)
    there = files.there()
    first = next(there)
    (tmp_path / "daemon.log.1").rename(tmp_path / "daemon.log.2")
    file.rename(tmp_path / "daemon.log.1")
    append(tmp_path / "daemon.log.1", f"{LINE} 3\n")
    append(file, f"{LINE} 4\n")
    assert ["a line 0", "a line 1", "a line 2", "a line 3", "a line 4"] == [first.text, *texts(there), *come(files)]


def test_a_log_that_begins_later_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    files = LogFiles(file, 2)
    assert [] == texts(files.there())
    assert ["a line 1"] == come(files, lambda: None, lambda: append(file, f"{LINE} 1\n"))


def test_records_that_come_are_told_also_from_a_new_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    file.write_text(f"{LINE} before\n", "utf-8")
    files = LogFiles(file, 2)
    assert ["a line before"] == texts(files.there())
    assert ["a line 1", "a line half", "a line 2", "a line 3"] == come(
        files,
        lambda: append(file, f"{LINE} 1\n{LINE} hal"),
        lambda: append(file, "f\n"),
        lambda: file.rename(tmp_path / "daemon.log.1"),
        lambda: append(file, f"{LINE} 2\n"),
        lambda: file.write_text("", "utf-8"),
        lambda: append(file, f"{LINE} 3\n"),
    )


def test_the_last_lines_of_a_file_that_is_put_aside_are_told(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    file.write_text(f"{LINE} 0\n", "utf-8")
    files = LogFiles(file, 2)
    assert ["a line 0"] == texts(files.there())

    def put_aside() -> None:
        append(file, f"lf\n{LINE} last\n")
        file.rename(tmp_path / "daemon.log.1")

    assert ["a line 1", "a line half", "a line last", "a line new"] == come(
        files,
        lambda: append(file, f"{LINE} 1\n{LINE} ha"),
        put_aside,
        lambda: append(file, f"{LINE} new\n"),
    )


def test_lines_that_are_none_and_lines_without_an_end_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    long = f"{LINE} {'x' * 3_000_000}"
    odd = LINE.replace("01-31", "13-45"), LINE.replace("2026-01", "9999-12")
    binary = bytes(range(256)).replace(b"\n", b"") + b"\n"
    file.write_bytes(binary + "\n".join((*odd, long, f"{LINE} 2", "y" * 3_000_000)).encode())
    files = LogFiles(file, 2)
    told = texts(files.there())
    assert (2, True, "a line 2") == (len(told), len(told[0]) < 20_000, told[-1])
    assert ["a line 3"] == come(files, lambda: append(file, f"\n{LINE} 3\n"))


@pytest.mark.parametrize(
    "odd",
    [
        b"\xff\xfe",
        "[]",
        "7",
        '{"__REALTIME_TIMESTAMP": "x"}',
        entry(__REALTIME_TIMESTAMP="9" * 30),
        entry(__REALTIME_TIMESTAMP="9" * 400),
        entry(__REALTIME_TIMESTAMP="-1"),
        entry(MESSAGE=[1_000]),
        entry(MESSAGE=[None]),
        "[" * 100_000,
    ],
)
def test_an_entry_that_is_none_is_left_out(odd: bytes | str) -> None:
    assert (None, "") == (of_entry(odd), cursor(odd))


def test_an_entry_whose_text_is_several_or_none() -> None:
    told = [of_entry(entry(MESSAGE=message)) for message in (["one", "two"], [list(b"one"), "two"], None)]
    assert ["one", "one", ""] == [each.text for each in told if each is not None]


def test_instants() -> None:
    assert [400.0, 1_000 - 7_200.0, 1_000 - 259_200.0, 1_000 - 259_200.0] == [
        instant(told, 1_000) for told in ("10m", "2 h", "3d", "3j")
    ]
    assert time.mktime((2026, 1, 31, 8, 0, 0, 0, 0, -1)) == instant("2026-01-31T08:00", 0)
    for told in ("", "soon", "10", "m"):
        with pytest.raises(ValueError, match=r".*"):
            instant(told, 0)
