"""The APDU processors, over connections that are lists of answers."""

import contextlib
import logging
from collections.abc import Generator
from dataclasses import replace
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.cards.channel import LENGTH_RETRY_DELAYS, MAX_FETCHES, Channel
from vitale_protocol.apdu import Command, ReadingScript, Response
from vitale_protocol.errors import MediumRemoved, MediumUnreadable

READ = Command(0x00, 0xB0, 0x82, 0x00, le=256)
SELECT = Command(0x00, 0xA4, 0x04, 0x00, b"\xd2\x50\x00\x00\x02", le=256)


class Card:
    """Answers what it was told to, and remembers what it was sent."""

    def __init__(self, *answers: str) -> None:
        self.sent: list[str] = []
        self._answers = iter(answers)

    def __call__(self, apdu: bytes) -> bytes:
        self.sent.append(apdu.hex())
        return bytes.fromhex(next(self._answers))


def test_a_plain_answer_is_passed() -> None:
    card = Card("01029000")
    assert Channel(card).exchange(READ) == Response(b"\x01\x02", 0x9000)
    assert card.sent == ["00b0820000"]


def test_the_rest_of_a_response_is_fetched() -> None:
    card = Card("6102", "aabb6101", "cc9000")
    assert Channel(card).exchange(SELECT) == Response(b"\xaa\xbb\xcc", 0x9000)
    assert card.sent[1:] == ["00c0000002", "00c0000001"]


def test_data_before_61_is_kept() -> None:
    assert Channel(Card("aa6101", "bb9000")).exchange(READ) == Response(b"\xaa\xbb", 0x9000)


def test_61_00_asks_for_256() -> None:
    card = Card("6100", "00" * 256 + "9000")
    assert len(Channel(card).exchange(SELECT).data) == 256
    assert card.sent[1] == "00c0000000"


def test_a_wrong_length_is_put_right_once() -> None:
    card = Card("6c03", "aabbcc9000")
    assert Channel(card).exchange(READ).data == b"\xaa\xbb\xcc"
    assert card.sent == ["00b0820000", "00b0820003"]


def test_a_card_that_needs_a_moment_after_it_named_its_length_gets_one() -> None:
    rests: list[float] = []
    card = Card("6c03", "6a87", "6c03", "6a87", "6c03", "aabbcc9000")
    assert Channel(card, rest=rests.append).exchange(READ).data == b"\xaa\xbb\xcc"
    assert card.sent == ["00b0820000", "00b0820003"] * 3
    assert rests == [pause for pause in LENGTH_RETRY_DELAYS if pause] == sorted(rests)


def test_a_refusal_that_lasts_is_the_scripts_to_judge() -> None:
    card = Card(*["6c03", "6a87"] * len(LENGTH_RETRY_DELAYS))
    assert Channel(card, rest=lambda _: None).exchange(READ).sw == 0x6A87


def test_a_command_that_asks_for_rest_gets_it_before_and_after_its_reset() -> None:
    log: list[object] = []

    def transmit(apdu: bytes) -> bytes:
        log.append(apdu.hex())
        return b"\x90\x00"

    channel = Channel(transmit, rest=log.append, reset=lambda: log.append("reset"))
    channel.exchange(replace(READ, pause=0.5, reset=True))
    channel.exchange(READ)
    assert log == ["reset", 0.5, "00b0820000", "00b0820000"]


def test_a_length_that_stays_wrong_is_the_scripts_to_judge() -> None:
    assert Channel(Card("6c03", "6c04")).exchange(READ).sw == 0x6C04


def test_a_wrong_length_while_fetching_is_put_right() -> None:
    card = Card("6110", "6c08", "00" * 8 + "9000")
    assert len(Channel(card).exchange(SELECT).data) == 8
    assert card.sent[1:] == ["00c0000010", "00c0000008"]


def test_an_error_while_fetching_is_the_answer() -> None:
    assert Channel(Card("6102", "6f00")).exchange(SELECT) == Response(b"", 0x6F00)


@pytest.mark.parametrize(("t0", "sent"), [(True, "00a4040005d250000002"), (False, "00a4040005d25000000200")])
def test_t0_has_no_room_for_le_after_data(t0: bool, sent: str) -> None:
    card = Card("9000")
    Channel(card, t0=t0).exchange(SELECT)
    assert card.sent == [sent]


@pytest.mark.parametrize(("cla", "fetch"), [(0x02, 0x02), (0x0C, 0x00), (0x80, 0x00), (0x91, 0x00)])
def test_the_rest_is_fetched_on_the_same_logical_channel(cla: int, fetch: int) -> None:
    card = Card("6101", "aa9000")
    Channel(card).exchange(Command(cla, 0xB0, 0, 0, le=1))
    assert bytes.fromhex(card.sent[1])[0] == fetch


def test_a_card_that_never_ends_is_given_up() -> None:
    answers = ["6101"] * (MAX_FETCHES + 1)
    with pytest.raises(MediumUnreadable):
        Channel(Card(*answers)).exchange(READ)


@given(answers=st.lists(st.binary(max_size=20), min_size=1, max_size=20))
def test_arbitrary_answers_raise_only_the_documented_error(answers: list[bytes]) -> None:
    given_answers = cycle(answers)
    with contextlib.suppress(MediumUnreadable):
        Channel(lambda _: next(given_answers)).exchange(SELECT)


def script(log: list[str]) -> ReadingScript[bytes]:
    try:
        first = yield READ
        try:
            yield READ
        except MediumUnreadable:
            log.append("unreadable")
        last = yield READ
        return first.data + last.data
    finally:
        log.append("closed")


def test_a_script_gets_responses_and_may_survive_what_is_no_response() -> None:
    log: list[str] = []
    assert Channel(Card("aa9000", "90", "bb9000")).run(script(log)) == b"\xaa\xbb"
    assert log == ["unreadable", "closed"]


def test_a_medium_that_left_ends_the_script() -> None:
    def gone(_: bytes) -> bytes:
        raise MediumRemoved

    log: list[str] = []
    with pytest.raises(MediumRemoved):
        Channel(gone).run(script(log))
    assert log == ["closed"]


def test_a_script_without_commands_is_a_value() -> None:
    def nothing() -> Generator[Command, Response, int]:
        yield from ()
        return 3

    assert Channel(Card()).run(nothing()) == 3


def test_the_trace_shows_headers_and_status_words_and_no_data(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "vitale_drivers.cards.channel")
    secret = b"DUPONT"
    Channel(Card(secret.hex() + "9000")).exchange(Command(0, 0xA4, 4, 0, b"MARTIN", le=256))
    text = caplog.text
    assert "00A40400" in text
    assert "9000" in text
    assert not any(word in text for word in ("DUPONT", "MARTIN", secret.hex(), secret.hex().upper()))


@pytest.mark.parametrize(
    ("cla", "fetch"),
    [
        (0x00, "00"),
        (0x01, "01"),
        (0x02, "02"),
        (0x03, "03"),
        (0x04, "00"),
        (0x07, "03"),
        (0x0F, "03"),
        (0x10, "00"),
        (0x13, "03"),
        (0x20, "00"),
        (0x43, "00"),
        (0x83, "00"),
        (0xE3, "00"),
    ],
)
def test_the_class_byte_of_a_fetch_has_the_channel_and_nothing_else(cla: int, fetch: str) -> None:
    card = Card("6101", "aa9000")
    Channel(card).exchange(Command(cla, 0xB0, 0, 0, le=1))
    assert card.sent[1] == f"{fetch}c0000001"
