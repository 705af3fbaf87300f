"""The host frames of a PN532: the manual's examples, and any stream in any pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_firmware_sim.pn532.frames import ACK, ERROR, MAX_DATA, NACK, Ack, Data, Event, FrameReader, Garbled, encode
from vitale_firmware_sim.pn532.frames import Nack as NackEvent

contents = st.binary(min_size=1, max_size=MAX_DATA)
events: st.SearchStrategy[Event] = st.one_of(st.just(Ack()), st.just(NackEvent()), contents.map(Data))


def read(stream: bytes, cuts: list[int] | None = None) -> list[Event]:
    reader, found = FrameReader(), list[Event]()
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts or [])})
    for begin, end in pairwise(places):
        found += reader.receive(stream[begin:end])
    return found


@pytest.mark.parametrize(
    ("content", "frame"),
    [
        # UM0701-02 §7.2.2 and §7.2.10, and what nfcpy and libnfc send at their start.
        ("D402", "0000FF02FED4022A00"),
        ("D5033201 0607", "0000FF06FAD50332010607E800"),
        ("D4140100", "0000FF04FCD414010017 00"),
    ],
)
def test_the_frames_of_the_manual(content: str, frame: str) -> None:
    assert encode(Data(bytes.fromhex(content))) == bytes.fromhex(frame)
    assert read(bytes.fromhex(frame)) == [Data(bytes.fromhex(content))]


def test_the_frames_without_data() -> None:
    assert (encode(Ack()), encode(NackEvent())) == (ACK, NACK)
    assert read(ACK + NACK) == [Ack(), NackEvent()]
    assert read(ERROR) == [Data(b"\x7f")]


@pytest.mark.parametrize(("length", "start"), [(1, "0000FF01FF"), (254, "0000FFFE02"), (255, "0000FFFFFF00FF01")])
def test_long_data_travel_in_extended_frames(length: int, start: str) -> None:
    frame = encode(Data(bytes(length)))
    assert frame.startswith(bytes.fromhex(start))
    assert read(frame) == [Data(bytes(length))]


def test_a_normal_frame_of_the_largest_length_is_understood() -> None:
    # Not sent here, see _NORMAL_MAX; a host may.
    content = bytes(range(255))
    frame = bytes.fromhex("0000FFFF01") + content + bytes((-sum(content) & 0xFF, 0))
    assert read(frame) == [Data(content)]


@pytest.mark.parametrize("length", [0, MAX_DATA + 1])
def test_what_no_frame_can_carry_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="bytes of data"):
        encode(Data(bytes(length)))
    with pytest.raises(ValueError, match="garbled"):
        encode(Garbled())


@given(sent=st.lists(events, max_size=8), cuts=st.lists(st.integers(0, 5000), max_size=20))
def test_any_frames_in_any_pieces(sent: list[Event], cuts: list[int]) -> None:
    found = read(b"".join(map(encode, sent)), cuts)
    assert [_plain(event) for event in found] == sent


@given(junk=st.binary(max_size=40).filter(lambda junk: b"\xff" not in junk), content=contents)
def test_what_comes_before_a_frame_is_counted(junk: bytes, content: bytes) -> None:
    assert read(junk + encode(Data(content))) == [Data(content, len(junk))]


@given(stream=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=20), content=contents)
def test_after_any_bytes_a_frame_gets_through(stream: bytes, cuts: list[int], content: bytes) -> None:
    reader = FrameReader()
    found = read(stream, cuts)
    assert found == read(stream)
    assert all(isinstance(event, Ack | NackEvent | Data | Garbled) for event in found)
    # Whatever half a frame the stream ended with, it is over after as many bytes as a frame can have.
    reader.receive(stream + bytes(MAX_DATA + 8))
    assert [_plain(event) for event in reader.receive(encode(Data(content)))] == [Data(content)]


@given(content=contents, place=st.integers(5, 300), change=st.integers(1, 255))
def test_a_changed_byte_of_the_data_is_noticed(content: bytes, place: int, change: int) -> None:
    frame = bytearray(encode(Data(content)))
    header = 5 if len(content) <= 254 else 8
    frame[header + place % len(content)] ^= change
    assert Data(content) not in [_plain(event) for event in read(bytes(frame))]
    assert Garbled() in read(bytes(frame))


def _plain(event: Event) -> Event:
    return Data(event.content) if isinstance(event, Data) else event
