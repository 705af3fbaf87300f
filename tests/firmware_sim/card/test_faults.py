"""Faults on demand: the words, and what each does to a card."""

import contextlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.cards.channel import Channel
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.faults import NO_FAULTS, Faults, FaultyCard, parse_faults
from vitale_firmware_sim.card.images import load_image
from vitale_protocol.errors import ConfigurationInvalid, MediumRemoved, MediumUnreadable
from vitale_protocol.media import reading_script

READ = bytes.fromhex("00B0820010")


def faulty(words: str) -> FaultyCard:
    return FaultyCard(Card(load_image("adulte")), parse_faults(words))


def read(card: FaultyCard) -> dict[str, bytes]:
    card.reset()
    return Channel(card.transmit, t0=True).run(reading_script(load_image("adulte").atr))


def whole_reading() -> int:
    """How many bytes of answers a reading takes."""
    total = 0
    card = Card(load_image("adulte"))

    def transmit(apdu: bytes) -> bytes:
        nonlocal total
        answer = card.transmit(apdu)
        total += len(answer)
        return answer

    Channel(transmit, t0=True).run(reading_script(card.reset()))
    return total


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        ("", NO_FAULTS),
        ("mute", Faults(mute=None)),
        ("mute=2", Faults(mute=2)),
        ("waking=150", Faults(waking=0.15)),
        ("late-le=100", Faults(late_le=0.1)),
        ("deselected=1", Faults(deselected=1)),
        ("strict-le", Faults(strict_le=True)),
        ("withdrawn@37", Faults(withdrawn_after=37)),
        ("stuck", Faults(stuck_from=0)),
        ("stuck@3", Faults(stuck_from=3)),
        ("slow=50", Faults(slow=0.05)),
        ("hiccup=2", Faults(hiccups=2)),
        ("wrong-length", Faults(wrong_length=True)),
        ("truncated-tlv", Faults(truncated_tlv=True)),
        (" slow=20, withdrawn@0 ,", Faults(slow=0.02, withdrawn_after=0)),
    ],
)
def test_the_words(words: str, faults: Faults) -> None:
    assert parse_faults(words) == faults


@pytest.mark.parametrize(
    "words", ["sleepy", "slow", "slow@50", "slow=", "slow=-1", "withdrawn", "mute@1", "waking", "mute mute"]
)
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_faults(words)


@given(st.text(max_size=30))
def test_arbitrary_words_raise_only_what_is_documented(words: str) -> None:
    with contextlib.suppress(ConfigurationInvalid):
        assert isinstance(parse_faults(words), Faults)


def test_without_faults_it_is_the_card() -> None:
    card = faulty("")
    assert card.reset() == load_image("adulte").atr
    assert card.transmit(READ) == Card(load_image("adulte")).transmit(READ)


def test_a_mute_card_has_no_atr() -> None:
    assert faulty("mute").reset() == b""


def test_a_card_may_be_withdrawn_at_every_byte() -> None:
    total = whole_reading()
    assert total > 80
    for byte in range(total):
        with pytest.raises(MediumRemoved):
            read(faulty(f"withdrawn@{byte}"))
    assert read(faulty(f"withdrawn@{total}"))


@pytest.mark.parametrize("words", ["wrong-length", "truncated-tlv"])
def test_spoilt_answers_cannot_be_understood(words: str) -> None:
    with pytest.raises(MediumUnreadable):
        read(faulty(words))


def test_hiccups_pass() -> None:
    card = faulty("hiccup=2")
    assert [card.transmit(READ)[-2:].hex() for _ in range(3)] == ["6f00", "6f00", "9000"]


def test_a_slow_card_takes_its_time_unless_it_is_let_go_of() -> None:
    card = faulty("slow=30000")
    card.reset()
    threading.Timer(0.05, card.release).start()
    with pytest.raises(MediumRemoved):
        card.transmit(READ)


def test_a_stuck_card_answers_before_and_never_after() -> None:
    card = faulty("stuck@1")
    card.reset()
    assert card.transmit(READ)[-2:] == b"\x90\x00"
    card.release()
    with pytest.raises(MediumRemoved):
        card.transmit(READ)


def test_a_card_that_was_let_go_of_can_be_inserted_again() -> None:
    card = faulty("slow=1")
    card.release()
    card.reset()
    assert card.transmit(READ)[-2:] == b"\x90\x00"
