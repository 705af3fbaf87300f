"""The card's end of ISO-DEP: the scenarios of ISO/IEC 14443-4 annex B, and any APDU through any frame size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_firmware_sim.pn532.field import RfError
from vitale_firmware_sim.pn532.iso_dep import (
    FRAME_SIZES,
    IsoDepCard,
    IsoDepState,
    ats_frame_index,
    ats_waiting_index,
    frame_size,
    frame_waiting_time,
)
from vitale_firmware_sim.pn532.iso_dep_initiator import ANSWER_MAX, IsoDepInitiator

ABC = bytes.fromhex


class Engine:
    """A card that answers at once, with what it was asked or what it is told to."""

    def __init__(self, size: int = 256, did: int = 0, answer: bytes | None = None) -> None:
        self.commands: list[bytes] = []
        self.answer = answer
        self.card = IsoDepCard(self.commands.append, size, did)

    def send(self, block: str | bytes) -> str:
        answer = self.card.receive(block if isinstance(block, bytes) else ABC(block))
        if self.card.state is IsoDepState.WORKING:
            answer = self.card.finish(self.commands[-1] if self.answer is None else self.answer)
        return answer.hex().upper()


def test_commands_and_answers_with_changing_block_numbers() -> None:
    engine = Engine()
    assert [engine.send("02AA"), engine.send("03BB"), engine.send("02CC")] == ["02AA", "03BB", "02CC"]
    assert engine.commands == [b"\xaa", b"\xbb", b"\xcc"]


def test_a_block_of_the_wrong_number_is_met_with_silence() -> None:
    engine = Engine()
    assert engine.send("03AA") == ""
    engine.send("02AA")
    assert engine.send("02AA") == ""
    assert engine.commands == [b"\xaa"]


def test_a_lost_answer_is_repeated() -> None:
    engine = Engine()
    engine.send("02AA")
    assert engine.send("B2") == "02AA"
    assert engine.commands == [b"\xaa"]


def test_the_presence_check_is_answered_by_an_acknowledgement() -> None:
    engine = Engine()
    engine.send("02AA")
    assert engine.send("B3") == "A2"
    assert engine.send("03BB") == "03BB"


def test_a_chained_command() -> None:
    engine = Engine()
    assert [engine.send("12AA"), engine.send("13BB"), engine.send("02CC")] == ["A2", "A3", "02AABBCC"]


def test_a_chained_answer_and_a_lost_part_of_it() -> None:
    engine = Engine(size=16, answer=bytes(range(30)))
    assert engine.send("02AA") == "12" + bytes(range(13)).hex().upper()
    assert engine.send("A3") == "13" + bytes(range(13, 26)).hex().upper()
    assert engine.send("A3") == "13" + bytes(range(13, 26)).hex().upper()
    assert engine.send("A2") == "02" + bytes(range(26, 30)).hex().upper()
    assert engine.send("A3") == ""


def test_more_time_is_asked_for_and_granted() -> None:
    engine = Engine()
    engine.card.receive(ABC("02AA"))
    assert engine.card.extend(3) == ABC("F203")
    assert engine.card.receive(ABC("F203")) == b""
    assert engine.card.state is IsoDepState.WORKING
    assert engine.card.finish(b"\x90\x00") == ABC("029000")


def test_more_time_that_nobody_asked_for_is_ignored() -> None:
    engine = Engine()
    engine.send("02AA")
    assert engine.send("F201") == ""
    assert engine.card.state is IsoDepState.READY


def test_deselection_ends_it() -> None:
    engine = Engine()
    assert engine.send("C2") == "C2"
    assert engine.card.state is IsoDepState.DESELECTED
    assert engine.send("02AA") == ""


def test_a_numbered_card_hears_its_number_only() -> None:
    engine = Engine(did=3)
    assert engine.send("02AA") == ""
    assert engine.send("0A04AA") == ""
    assert engine.send("0A03AA") == "0A03AA"
    assert engine.send("CA03") == "CA03"


def test_a_command_without_end_is_given_up() -> None:
    card = IsoDepCard(lambda _: None, 256, max_command=10)
    assert card.receive(ABC("12") + bytes(10)) == ABC("A2")
    assert card.receive(ABC("13") + bytes(1)) == b""


@given(blocks=st.lists(st.binary(max_size=20), max_size=30))
def test_whatever_comes_the_answer_is_a_block_or_silence(blocks: list[bytes]) -> None:
    engine = Engine(size=16)
    for block in blocks:
        answer = ABC(engine.send(block))
        assert len(answer) <= 14
        assert not answer or answer[0] & 0xC0 in {0x00, 0x80, 0xC0}


@given(
    command=st.binary(min_size=1, max_size=600),
    answer=st.binary(min_size=2, max_size=600),
    size=st.sampled_from(FRAME_SIZES),
    index=st.integers(0, 8),
    lost=st.sets(st.integers(0, 200)),
    did=st.sampled_from([0, 1]),
)
def test_both_ends_together_through_any_frames_and_losses(
    command: bytes, answer: bytes, size: int, index: int, lost: set[int], did: int
) -> None:
    engine = Engine(min(size, 64), did, answer)
    turn = 0

    def exchange(block: bytes, _seconds: float | None) -> bytes:
        nonlocal turn
        assert len(block) + 2 <= frame_size(index)
        turn += 1
        given = ABC(engine.send(block))
        # Never twice one after the other: that would be one more than is retried.
        if not given or (turn in lost and turn - 1 not in lost):
            raise RfError(0x01)
        return given

    reader = IsoDepInitiator(exchange, index, 0.01, did)
    reader.retries = 2
    for _ in range(2):
        assert _whole(reader, command) == answer
    assert engine.commands == [command, command]


def _whole(reader: IsoDepInitiator, command: bytes) -> bytes:
    part, more = reader.send(command, more=False)
    whole = part
    while more:
        part, more = reader.send(b"", more=False)
        assert len(part) <= ANSWER_MAX
        whole += part
    return whole


@pytest.mark.parametrize(("index", "seconds"), [(0, 0.000302), (4, 0.004833), (14, 4.949), (15, 0.004833)])
def test_the_frame_waiting_times_of_the_standard(index: int, seconds: float) -> None:
    assert frame_waiting_time(index) == pytest.approx(seconds, rel=1e-3)


@pytest.mark.parametrize(
    ("ats", "frame", "waiting"),
    [("0578807002", 8, 7), ("01", 2, 4), ("0200", 0, 4), ("03 48 02", 8, 4), ("03 25 B0", 5, 11), ("0278", 8, 4)],
)
def test_what_an_answer_to_select_says_and_what_holds_where_it_is_silent(ats: str, frame: int, waiting: int) -> None:
    assert (ats_frame_index(ABC(ats)), ats_waiting_index(ABC(ats))) == (frame, waiting)


def test_sizes_for_future_use_mean_the_largest() -> None:
    assert (frame_size(0), frame_size(8), frame_size(15)) == (16, 256, 256)
