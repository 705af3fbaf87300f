"""What follows from what PC/SC says of a reader."""

import pytest

from vitale_drivers.pcsc.state import ReaderState

EMPTY, PRESENT, MUTE, IN_USE = 0x10, 0x20, 0x200, 0x100
ATR = bytes.fromhex("3B751300004509EA9000")
CUT = ATR[:8]


def state(bits: int, count: int = 1, atr: bytes = b"") -> ReaderState:
    return ReaderState("Reader", bits | count << 16, atr)


@pytest.mark.parametrize(
    ("one", "card"),
    [
        (state(EMPTY), None),
        (state(PRESENT), None),
        (state(PRESENT, 3, ATR), (3, ATR, False)),
        (state(PRESENT | IN_USE, 3, ATR), (3, ATR, False)),
        (state(PRESENT | MUTE, 3), (3, b"", True)),
        (state(PRESENT, 3, CUT), (3, b"", True)),
    ],
    ids=["empty", "not powered yet", "present", "in use", "mute", "cut"],
)
def test_what_tells_one_presence_from_another(one: ReaderState, card: tuple[int, bytes, bool] | None) -> None:
    assert one.card == card


@pytest.mark.parametrize(("before", "after", "uncounted"), [(4, 4, True), (4, 5, False), (0xFFFF, 0, False)])
def test_what_the_service_counted(before: int, after: int, uncounted: bool) -> None:
    assert state(EMPTY, after).uncounted(since=state(PRESENT, before, ATR)) == uncounted


def test_where_the_service_does_not_count_nothing_is_known() -> None:
    assert not state(EMPTY, 0).uncounted(since=state(PRESENT, 0, ATR))


@pytest.mark.parametrize(
    ("now", "silenced"),
    [
        (state(PRESENT | MUTE), True),
        (state(PRESENT), True),
        (state(PRESENT, 1, CUT), True),
        (state(PRESENT | IN_USE, 1, ATR), False),
        (state(PRESENT | MUTE, 3), False),
        (state(EMPTY), False),
    ],
    ids=["mute", "without power", "cut", "well", "another card", "gone"],
)
def test_a_card_that_answers_no_more_is_still_the_same(now: ReaderState, silenced: bool) -> None:
    assert now.silenced(since=state(PRESENT, 1, ATR)) == silenced


@pytest.mark.parametrize("length", range(1, len(ATR)))
def test_a_card_whose_answer_to_reset_is_cut_is_mute_until_it_is_whole(length: int) -> None:
    cut, whole = state(PRESENT, 1, ATR[:length]), state(PRESENT, 1, ATR)
    assert (cut.mute, whole.mute) == (True, False)
    assert whole.revived(since=cut)
