"""The frames of one camera: what is found where it was, beside it, after it moved; turns and budgets."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import segno

from vitale_drivers.decoding import StreamDecoder, decode
from vitale_drivers.decoding import stream as module
from vitale_drivers.decoding.picture import Picture
from vitale_drivers.decoding.stages import HARD_STAGES, Stage
from vitale_drivers.decoding.survey import Look, survey
from vitale_drivers.decoding.symbol import Symbol
from vitale_firmware_sim.camera.sequence import sequence

Grey = npt.NDArray[np.uint8]


def code(content: str, module: int = 4) -> Grey:
    modules = np.array(
        [list(row) for row in segno.make(content, micro=False).matrix_iter(scale=1, border=4)], dtype=np.uint8
    )
    return np.where(modules > 0, 0, 255).repeat(module, axis=0).repeat(module, axis=1).astype(np.uint8)


def frame(*codes: tuple[str, int, int]) -> Grey:
    """A frame of 1280 × 720 with codes at places (x, y)."""
    picture = np.full((720, 1280), 120, dtype=np.uint8)
    for content, x, y in codes:
        drawn = code(content)
        picture[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    return picture


def data(symbols: Sequence[Symbol]) -> set[bytes]:
    return {symbol.data for symbol in symbols}


def test_a_code_that_is_held_still_is_found_where_it_was() -> None:
    decoder = StreamDecoder()
    assert [symbol.stage for symbol in decoder.see(frame(("held", 600, 300)))] != [module.WHERE]
    for _ in range(3):
        assert [(symbol.stage, symbol.data) for symbol in decoder.see(frame(("held", 610, 295)))] == [
            (module.WHERE, b"held")
        ]


def test_its_place_is_told_in_the_whole_frame() -> None:
    decoder = StreamDecoder()
    decoder.see(frame(("held", 600, 300)))
    found = decoder.see(frame(("held", 600, 300)))
    assert np.allclose(found[0].corners[0], (616, 316), atol=3)


def test_each_frame_says_what_it_shows_now() -> None:
    decoder = StreamDecoder()
    assert data(decoder.see(frame(("first", 600, 300)))) == {b"first"}
    assert data(decoder.see(frame(("renewed", 600, 300)))) == {b"renewed"}
    assert data(decoder.see(frame())) == set()


def test_a_code_that_jumps_is_found_at_once() -> None:
    decoder = StreamDecoder()
    decoder.see(frame(("jumps", 100, 100)))
    assert data(decoder.see(frame(("jumps", 1000, 500)))) == {b"jumps"}


def test_another_code_beside_it_is_found_soon_and_then_always() -> None:
    decoder = StreamDecoder()
    decoder.see(frame(("held", 200, 200)))
    both = frame(("held", 200, 200), ("other", 900, 400))
    seen = [data(decoder.see(both)) for _ in range(module.EVERY + 2)]
    assert seen[module.EVERY :] == [{b"held", b"other"}] * 2


def test_it_is_found_at_once_where_this_is_asked() -> None:
    decoder = StreamDecoder()
    decoder.see(frame(("held", 200, 200)))
    assert data(decoder.see(frame(("held", 200, 200), ("other", 900, 400)), around=True)) == {b"held", b"other"}


def test_a_code_is_told_once_though_it_is_found_twice() -> None:
    decoder = StreamDecoder()
    decoder.see(frame(("held", 200, 200)))
    assert len(decoder.see(frame(("held", 200, 200)), around=True)) == 1


def test_a_place_is_forgotten_after_a_while() -> None:
    decoder = StreamDecoder()
    decoder.see(frame(("gone", 200, 200)))
    for _ in range(module.KEPT + 1):
        assert decoder.see(frame()) == []
    assert [symbol.stage for symbol in decoder.see(frame(("gone", 200, 200)))] != [module.WHERE]


def test_a_frame_of_another_size_does_no_harm() -> None:
    decoder = StreamDecoder()
    decoder.see(frame(("far right", 1100, 500)))
    assert decoder.see(np.full((60, 80), 120, dtype=np.uint8)) == []


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the hard stages that looked, in order; they find nothing."""
    looked: list[str] = []

    def looks(stage: Stage) -> Callable[[Picture], list[Symbol]]:
        def symbols(_picture: Picture) -> list[Symbol]:
            looked.append(stage.name)
            return []

        return symbols

    class Counted:
        def __init__(self, stage: Stage) -> None:
            self.symbols = looks(stage)

    monkeypatch.setattr(module, "HARD_STAGES", tuple(Counted(stage) for stage in HARD_STAGES))
    return looked


def moving(number: int) -> Grey:
    """A frame without a code, in which something is elsewhere each time."""
    picture = frame()
    picture[300:420, 60 * number : 60 * number + 120] = 30
    return picture


def test_stages_take_turns_where_there_is_no_time_for_all(turns: list[str]) -> None:
    decoder = StreamDecoder(budget_ms=0)
    for number in range(len(HARD_STAGES) + 2):
        decoder.see(moving(number % 18))
    names = [stage.name for stage in HARD_STAGES]
    assert turns == [*names, *names[:2]]


def noisy(picture: Grey, seed: int, light: float = 1.0) -> Grey:
    noise = np.random.default_rng(seed).normal(0, 6, picture.shape)
    return np.clip(picture * light + noise, 0, 255).astype(np.uint8)


def test_a_picture_that_stands_still_gets_one_round_and_then_little(turns: list[str]) -> None:
    decoder = StreamDecoder(budget_ms=60_000)
    for number in range(21):
        decoder.see(noisy(moving(3), number, 1 + 0.02 * (number % 3)))
    assert turns[: len(HARD_STAGES)] == [stage.name for stage in HARD_STAGES]
    assert len(turns) == len(HARD_STAGES) + 5  # frames 4, 8, 12, 16 and 20
    decoder.see(noisy(moving(4), 99))
    assert len(turns) >= 2 * len(HARD_STAGES) + 5


def test_what_moves_a_little_is_worth_all_of_them(turns: list[str]) -> None:
    shown = frame(("VITALESIM.held by a hand", 600, 300))
    decoder = StreamDecoder(budget_ms=60_000)
    empty = frame()
    for number in range(5):
        step = np.roll(shown, 5 * number, axis=1)
        # The code is taken out, so that nothing is read: its place, as grey as it is on average, moves.
        decoder.see(np.where(step == empty, empty, 90).astype(np.uint8))
    assert len(turns) == 5 * len(HARD_STAGES)


def test_all_look_where_there_is_time(turns: list[str]) -> None:
    StreamDecoder(budget_ms=60_000).see(frame())
    assert turns == [stage.name for stage in HARD_STAGES]


def test_a_phone_that_is_brought_up_is_read_while_it_is_there_and_never_wrongly() -> None:
    decoder = StreamDecoder(budget_ms=60_000)
    read = clear = 0
    for shown in sequence("hurried", 1):
        found = data(decoder.see(shown.picture))
        assert found <= {shown.payload}
        read += bool(found)
        clear += shown.clear and shown.payload is not None
    assert read >= clear > 0


def test_a_stream_reads_what_a_single_picture_gives() -> None:
    shown = next(one for one in sequence("still", 3))
    assert data(StreamDecoder().see(shown.picture)) == data(decode(shown.picture)) == {shown.payload}


def test_all_of_a_frame_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(picture: Picture, *given: Any) -> list[Symbol]:
        sizes.append(picture.grey.size)
        return survey(picture, *given)

    monkeypatch.setattr(module, "survey", counted)
    decoder = StreamDecoder()
    assert decoder.survey() == []
    for text in ("first", "second"):
        decoder.see(frame((text, 300, 300)))
        assert [data(decoder.survey()) for _ in range(2)] == [{text.encode()}] * 2
    assert sizes == [1280 * 720] * 2


LOOKS = [(Picture(np.full((8, 8), number, dtype=np.uint8)), stage) for number, stage in enumerate(HARD_STAGES)]


def read(look: Look) -> list[Symbol]:
    return [Symbol(look[1].name.encode(), "", "qr", ((0, 0), (1, 0), (1, 1), (0, 1)), look[1].name)]


@pytest.mark.parametrize("helpers", [0, 1, 3])
@pytest.mark.parametrize("whole", [0, 6, len(LOOKS)])
def test_threads_look_at_all_of_a_frame_once(monkeypatch: pytest.MonkeyPatch, helpers: int, whole: int) -> None:
    monkeypatch.setattr(module, "HELPERS", helpers)
    looked: list[str] = []

    def noted(look: Look) -> list[Symbol]:
        looked.append(look[1].name)
        return read(look)

    done = module.in_threads(noted, LOOKS[:whole], iter(LOOKS[whole:]))
    assert done == [read(look) for look in LOOKS]
    assert Counter(looked) == Counter(stage.name for _, stage in LOOKS)


@pytest.mark.parametrize("fault", [0, 5, 6, len(LOOKS) - 1])
def test_a_look_that_fails_in_any_thread_fails_the_survey(fault: int) -> None:
    def fails(look: Look) -> list[Symbol]:
        if look is LOOKS[fault]:
            raise ArithmeticError
        return read(look)

    with pytest.raises(ArithmeticError):
        module.in_threads(fails, LOOKS[:6], iter(LOOKS[6:]))


@pytest.mark.parametrize("whole", [0, 6])
def test_where_to_look_that_is_not_found_fails_the_survey(whole: int) -> None:
    def around() -> Iterator[Look]:
        yield LOOKS[-1]
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        module.in_threads(read, LOOKS[:whole], around())


def test_while_other_cameras_have_the_threads_all_of_a_frame_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELPERS", 1)
    free = threading.Event()
    busy = [module.threads().submit(free.wait) for _ in range(module.MOST_THREADS)]
    decoder = StreamDecoder()
    decoder.see(frame(("first", 100, 300), ("second", 900, 300)))
    try:
        assert data(decoder.survey()) == {b"first", b"second"}
    finally:
        free.set()
    assert all(one.result() for one in busy)


def is_enough(decoder: StreamDecoder, picture: Grey) -> bool:
    """Whether a glance at the next frame is asked for, and is enough."""
    small = np.asarray(cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA), np.uint8)
    return decoder.at_rest and decoder.passes(small)


def test_where_nothing_moves_a_glance_is_enough(turns: list[str]) -> None:
    decoder = StreamDecoder(budget_ms=60_000)
    assert not is_enough(decoder, moving(3))
    decoder.see(noisy(moving(3), 1))
    glanced = 0
    for number in range(2, 14):
        if is_enough(decoder, noisy(moving(3), number)):
            glanced += 1
        else:
            decoder.see(noisy(moving(3), number))
    assert glanced == 9  # all but one in four
    assert len(turns) == len(HARD_STAGES) + 3
    assert is_enough(decoder, moving(3))
    assert not is_enough(decoder, moving(4))


def test_a_code_in_view_is_never_passed_over(turns: list[str]) -> None:
    decoder = StreamDecoder()
    for _ in range(3):
        decoder.see(frame(("held", 600, 300)))
        assert not is_enough(decoder, frame(("held", 600, 300)))
    assert turns == []
