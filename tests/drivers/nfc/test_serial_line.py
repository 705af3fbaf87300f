"""Frames found on a serial line, whatever lies between them and in whatever pieces they come."""

import os
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drivers.nfc.conftest import SetPatience
from tests.posix import raw_terminal
from vitale_drivers.nfc.serial_line import FrameBuffer, SynchronisedTTY
from vitale_firmware_sim.pn532.frames import ACK, Data, encode

pytestmark = pytest.mark.posix

ANSWER = encode(Data(bytes.fromhex("D50332010607")))


def frames(buffer: FrameBuffer) -> list[bytes]:
    found: list[bytes] = []
    while (frame := buffer.frame()) is not None:
        found.append(frame)
    return found


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Frames of a chip, and before each what may lie there: zeros, and bytes that begin no frame."""
    stream, expected = b"", list[bytes]()
    for content in draw(st.lists(st.binary(max_size=264), min_size=1, max_size=5)):
        frame = encode(Data(b"\xd5" + content)) if content else ACK
        between = draw(st.binary(max_size=6)).replace(b"\xff", b"\x55") + bytes(draw(st.integers(0, 3)))
        stream += between + frame
        expected.append(frame)
    return stream, expected


@given(streams(), st.integers(1, 50))
def test_every_frame_is_found_in_whatever_pieces_it_comes(given_stream: tuple[bytes, list[bytes]], piece: int) -> None:
    stream, expected = given_stream
    buffer, found = FrameBuffer(), list[bytes]()
    for start in range(0, len(stream), piece):
        buffer.add(stream[start : start + piece])
        found += frames(buffer)
    assert found == expected


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_anything_may_come(pieces: list[bytes]) -> None:
    buffer = FrameBuffer()
    for piece in pieces:
        buffer.add(piece)
        assert all(frame.startswith(b"\x00\x00\xff") for frame in frames(buffer))


@pytest.mark.parametrize(
    "before",
    ["00", "55", "0000FF", "00FF", "00FF0A", "00FF06FBD5", "0000FF02FED4022A00", "00FF05FBD503320106"],
    ids=["zero", "stray", "start", "start alone", "half a length", "wrong length", "echo", "broken off"],
)
def test_what_is_no_frame_does_not_hide_the_next(before: str) -> None:
    buffer = FrameBuffer()
    buffer.add(bytes.fromhex(before) + ANSWER)
    assert frames(buffer) == [ANSWER]


def test_a_frame_with_a_wrong_checksum_is_given_to_who_refuses_it() -> None:
    buffer = FrameBuffer()
    spoilt = ANSWER[:-2] + bytes((ANSWER[-2] ^ 1, 0))
    buffer.add(spoilt)
    assert frames(buffer) == [spoilt]


@pytest.fixture
def line() -> Iterator[tuple[SynchronisedTTY, int]]:
    host, chip, path = raw_terminal()
    wire = SynchronisedTTY(path)
    yield wire, host
    wire.close()
    os.close(host)
    os.close(chip)


def test_silence_is_told_in_time(line: tuple[SynchronisedTTY, int], set_patience: SetPatience) -> None:
    set_patience(0.2)
    wire, _ = line
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        wire.read(10)
    assert time.monotonic() - began >= 0.2


def test_what_came_before_a_command_is_no_answer_to_it(
    line: tuple[SynchronisedTTY, int], set_patience: SetPatience
) -> None:
    wire, host = line
    os.write(host, ACK + ANSWER)
    set_patience(60.0)
    assert wire.read(100) == ACK
    set_patience(0.2)
    wire.write(ANSWER)
    with pytest.raises(TimeoutError):
        wire.read(10)


def test_a_wait_can_be_cancelled(line: tuple[SynchronisedTTY, int]) -> None:
    wire, _ = line
    assert wire.tty is not None
    threading.Timer(0.1, wire.tty.cancel_read).start()
    with pytest.raises(TimeoutError):
        wire.read(60_000)
