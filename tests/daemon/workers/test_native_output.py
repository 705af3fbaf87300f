"""What native libraries print reaches the log in small doses, on one line each, and never holds a process up."""

import asyncio
import logging

import pytest

from vitale_reader.daemon.workers.native_output import LAST, LONGEST, MOST, NativeOutput


def listen(native_output: NativeOutput, *pieces: bytes) -> None:
    async def work() -> None:
        stream = asyncio.StreamReader()
        for piece in pieces:
            stream.feed_data(piece)
        stream.feed_eof()
        await native_output.listen(stream)

    asyncio.run(work())


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.endswith("native_output")]


@pytest.fixture(autouse=True)
def talkative(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def test_lines_are_told_however_they_come(caplog: pytest.LogCaptureFixture) -> None:
    native_output = NativeOutput("driver camera", lambda: 100.0)
    listen(native_output, b"Corrupt JPEG data: 4 extra", b"neous bytes\nterminate called\n\n  \nno end")
    lines = ["Corrupt JPEG data: 4 extraneous bytes", "terminate called", "no end"]
    assert told(caplog) == [f"driver camera printed: {line}" for line in lines]
    assert list(native_output.last) == lines


def test_the_same_all_day_long_is_told_some_times_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    native_output = NativeOutput("driver camera", lambda: now)
    for minute in range(3):
        now = 100.0 + 60 * minute
        listen(native_output, b"Corrupt JPEG data\n" * 1800)
    assert len(told(caplog)) == 3 * (MOST + 1)
    assert len(native_output.last) == LAST


def test_of_a_flood_little_is_looked_at_and_it_is_read_at_leisure(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bytes] = []
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    hear = NativeOutput.hear

    def look(native_output: NativeOutput, line: bytes) -> None:
        looks.append(line)
        hear(native_output, line)

    monkeypatch.setattr(NativeOutput, "hear", look)
    monkeypatch.setattr("vitale_reader.daemon.workers.native_output.asyncio.sleep", rest)
    native_output = NativeOutput("driver camera", lambda: 100.0)
    listen(native_output, b"x\n" * 500_000, b"the last\n")
    assert list(native_output.last) == ["x", "x", "the last"]
    assert 15 <= len(rests) <= 17
    assert len(looks) <= 18 * (MOST + LAST)


def test_a_line_is_one_line_and_short_whatever_is_in_it(caplog: pytest.LogCaptureFixture) -> None:
    native_output = NativeOutput("driver camera", lambda: 100.0)
    listen(native_output, b"\x1b[2J\rforged\x00\xff\n", b"x" * 1_000_000, b"y" * 1_000_000 + b"\n")
    first, second = told(caplog)
    assert first == "driver camera printed: [2J forged �"
    assert second == "driver camera printed: " + "x" * LONGEST
