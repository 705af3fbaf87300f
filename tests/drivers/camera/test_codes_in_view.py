"""What is in view of a camera: thirty pictures are one presentation, and what else the rules of the module say."""

import itertools
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.problems import named
from vitale_drivers.base import Arm, Presented, Progress, ReaderChanged, Report
from vitale_drivers.camera.codes_in_view import MEDIA, SEVERAL, CameraView, Moment
from vitale_drivers.readers.presence import Presence
from vitale_protocol.events import Reader

PICTURE = 1 / 30
SETTLE = 1.0
FIRST, SECOND = b"an opaque string", b"the next opaque string"
INS = b"IS01" + b"0" * 22 + b"S1SOMETHING"
TWO_D_DOC = b"DC04FR0000011F3E1F3E01" + b"62NATACHA"
MEDICINE = b"\x1d010340093000001417280800104F21B"


@dataclass(frozen=True)
class Part:
    index: int
    count: int
    parity: int


@dataclass(frozen=True)
class Symbol:
    data: bytes
    symbology: str = "qr"
    x: float = 0.0
    sequence: Part | None = None

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        return ((self.x, 0.0), (self.x + 100, 0.0), (self.x + 100, 100.0), (self.x, 100.0))


class Scene:
    """A view, a clock, and what was told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.presence = Presence("camera:1")
        reader = Reader(id="camera:1", name="first", driver="camera", media=MEDIA, state="empty")
        numbers: Iterator[int] = itertools.count()
        self.view = CameraView(reader, self.presence, lambda: f"number {next(numbers)}", settle=SETTLE, collect=5.0)
        self.reports: list[Report] = []
        self.surveys = 0

    def arm(self, *media: str, again: bool = False, ends_in: float = 600.0) -> None:
        self.presence.arm(Arm(media=media or MEDIA, again=("camera:1",) if again else (), deadline=self.now + ends_in))

    def show(self, *symbols: Symbol, pictures: int = 1, hidden: Sequence[Symbol] = ()) -> None:
        """Pictures; what is hidden is found by a survey alone."""

        def survey() -> tuple[Sequence[Symbol], float]:
            self.surveys += 1
            return [*symbols, *hidden], 0.0

        for _ in range(pictures):
            self.now += PICTURE
            self.reports += self.view.saw(symbols, Moment(self.now, at=self.now + 1e9, elapsed=0.004), survey)

    def pause(self, seconds: float) -> None:
        """No pictures."""
        self.now += seconds
        self.reports += self.view.passed(self.now)

    def rest(self, seconds: float) -> None:
        """Pictures without codes."""
        self.show(pictures=round(seconds / PICTURE))

    @property
    def presented(self) -> list[bytes]:
        return [next(iter(one.evidence.values())) for one in self.reports if isinstance(one, Presented)]

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(one.step, named(one.problem)) for one in self.reports if isinstance(one, Progress)]

    @property
    def states(self) -> list[str]:
        return [one.reader.state for one in self.reports if isinstance(one, ReaderChanged)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def parts(data: bytes, count: int, mark: int | None = None) -> list[Symbol]:
    parity = 0
    for one in data:
        parity ^= one
    size = -(-len(data) // count)
    return [
        Symbol(data[at * size : (at + 1) * size], sequence=Part(at, count, parity if mark is None else mark))
        for at in range(count)
    ]


def test_thirty_pictures_are_one_presentation(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST), pictures=30)
    (presented,) = [one for one in scene.reports if isinstance(one, Presented)]
    assert presented == Presented(
        id="number 0",
        medium="apcv-qr",
        reader="camera:1",
        at=1000 + PICTURE + 1e9,
        evidence={"string": FIRST, "symbology": b"qr"},
        simulated=False,
        elapsed=0.004,
    )
    assert scene.states == ["present"]
    assert scene.view.reader.medium == "apcv-qr"


def test_the_format_that_a_licence_names_is_presented(scene: Scene) -> None:
    string = b'{"jeton": "0123456789abcdef0123"}'
    scene.arm()
    scene.show(Symbol(string))
    assert [one for one in scene.reports if isinstance(one, Presented)] == []
    scene.view = CameraView(
        scene.view.reader, scene.presence, lambda: "number 1", settle=SETTLE, collect=5.0, formats=("json",)
    )
    scene.show(Symbol(string))
    (presented,) = [one for one in scene.reports if isinstance(one, Presented)]
    assert string == presented.evidence["string"]


def test_the_reader_is_shown_before_the_presentation_of_what_is_in_it(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST))
    assert [type(one) for one in scene.reports] == [ReaderChanged, Presented]


@pytest.mark.parametrize(
    ("data", "symbology", "medium"),
    [(FIRST, "qr", "apcv-qr"), (INS, "datamatrix", "ins-datamatrix"), (INS, "qr", "ins-datamatrix")],
)
def test_media_are_told_by_what_they_say(scene: Scene, data: bytes, symbology: str, medium: str) -> None:
    scene.arm()
    scene.show(Symbol(data, symbology))
    assert [one.medium for one in scene.reports if isinstance(one, Presented)] == [medium]


def test_a_code_is_gone_when_it_was_not_seen_for_long_enough_and_not_before(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST))
    scene.rest(SETTLE - 0.1)
    scene.show(Symbol(FIRST))
    assert scene.presented == [FIRST]
    scene.rest(SETTLE + 0.1)
    assert scene.states == ["present", "empty"]
    scene.show(Symbol(FIRST))
    assert scene.presented == [FIRST, FIRST]


def test_where_no_more_pictures_come_a_code_is_remembered_and_not_for_ever(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST))
    assert scene.view.passed(scene.now + 15.0) == []
    (left,) = scene.view.passed(scene.now + 15.1)
    assert isinstance(left, ReaderChanged)
    assert left.reader.state == "empty"


@pytest.mark.parametrize("rate", [0.4, 0.7, 1.0, 5.0])
def test_a_still_code_in_a_slow_stream_is_one_presentation(scene: Scene, rate: float) -> None:
    scene.arm()
    for _ in range(12):
        scene.pause(1 / rate)
        scene.show(Symbol(FIRST))
    assert scene.presented == [FIRST]
    scene.pause(max(SETTLE, 1 / rate))
    scene.show()
    scene.pause(max(SETTLE, 1 / rate))
    scene.show()
    assert scene.states == ["present", "empty"]


@pytest.mark.parametrize("away", [0.3, 2.0, 12.0])
def test_a_still_code_before_a_camera_that_is_opened_anew_is_one_presentation(scene: Scene, away: float) -> None:
    scene.arm()
    scene.show(Symbol(FIRST), pictures=5)
    for _ in range(3):
        scene.view.interrupted()
        scene.pause(away)
        scene.rest(SETTLE / 2)  # the camera finds its light
        scene.show(Symbol(FIRST), pictures=5)
    assert scene.presented == [FIRST]


def test_a_code_that_left_while_a_camera_was_opened_anew_is_gone_after_a_while(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST), pictures=5)
    scene.view.interrupted()
    scene.pause(3.0)
    scene.rest(SETTLE + 0.1)
    assert scene.states == ["present", "empty"]


def test_another_code_after_a_camera_was_opened_anew_is_presented_at_once(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST), pictures=5)
    scene.view.interrupted()
    scene.pause(3.0)
    scene.show(Symbol(SECOND, x=20))
    assert scene.presented == [FIRST, SECOND]


def test_a_code_that_only_a_look_at_all_of_the_picture_finds_makes_it_ambiguous(scene: Scene) -> None:
    scene.arm()
    for other in (Symbol(SECOND, x=500), Symbol(INS, "datamatrix", x=500)):
        scene.show(Symbol(FIRST), hidden=[other], pictures=3)
        assert scene.presented == []
        assert scene.told == [("ambiguous", named(SEVERAL))]
        scene.reports += scene.view.leave()
        scene.reports.clear()


def test_all_of_the_picture_is_looked_at_for_each_presentation_and_for_no_other(scene: Scene) -> None:
    scene.show(Symbol(FIRST), pictures=30)
    assert scene.surveys == 0
    scene.arm()
    scene.show(Symbol(FIRST), pictures=30)
    assert scene.surveys == 1
    scene.arm(again=True)
    scene.show(Symbol(FIRST), hidden=[Symbol(SECOND, x=500)], pictures=2)
    assert scene.surveys == 2
    assert scene.presented == [FIRST]


def test_a_code_half_out_of_the_picture_for_a_moment_stays_one_presentation(scene: Scene) -> None:
    scene.arm()
    for _ in range(5):
        scene.show(Symbol(FIRST), pictures=10)
        scene.rest(SETTLE - 0.1)
    assert scene.presented == [FIRST]


def test_a_renewed_code_is_another_presentation_at_once(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST), pictures=5)
    scene.show(Symbol(SECOND, x=20))
    assert scene.presented == [FIRST, SECOND]
    assert scene.states == ["present", "empty", "present"]
    scene.show(Symbol(SECOND, x=40), pictures=30)
    assert scene.presented == [FIRST, SECOND]


def test_a_code_that_follows_another_elsewhere_waits_until_that_is_gone_for_certain(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST), pictures=5)
    scene.show(Symbol(SECOND, x=500), pictures=5)
    assert scene.presented == [FIRST]
    scene.show(Symbol(SECOND, x=500), pictures=10)
    assert scene.presented == [FIRST, SECOND]
    assert scene.told == []


def test_of_two_codes_in_view_none_is_presented_until_one_is_left(scene: Scene) -> None:
    scene.arm()
    both = (Symbol(FIRST), Symbol(SECOND, x=500))
    scene.show(*both, pictures=20)
    assert (scene.presented, scene.told) == ([], [("ambiguous", named(SEVERAL))])
    scene.show(both[1], pictures=15)
    assert scene.presented == [SECOND]
    assert scene.told == [("ambiguous", named(SEVERAL))]


def test_two_codes_that_are_seen_by_turns_are_two(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST))
    for _ in range(30):
        scene.show(Symbol(SECOND, x=500))
        scene.show(Symbol(FIRST))
    assert scene.presented == [FIRST]
    assert scene.told == [("ambiguous", named(SEVERAL))]


def test_a_code_beside_the_one_that_was_read_is_not_presented_while_that_stays(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST))
    scene.show(Symbol(FIRST), Symbol(SECOND, x=500), pictures=30)
    scene.show(Symbol(FIRST), pictures=60)
    assert scene.presented == [FIRST]
    assert scene.told == [("ambiguous", named(SEVERAL))]


def test_a_code_that_is_not_wanted_does_not_make_another_ambiguous(scene: Scene) -> None:
    scene.arm("ins-datamatrix")
    scene.show(Symbol(FIRST), Symbol(INS, "datamatrix", x=500), pictures=10)
    assert (scene.presented, scene.told) == ([INS], [])


def test_what_comes_to_be_wanted_while_something_else_is_in_view_is_presented(scene: Scene) -> None:
    scene.arm("apcv-qr")
    scene.show(Symbol(FIRST))
    scene.arm("ins-datamatrix")
    scene.show(Symbol(FIRST), Symbol(INS, "datamatrix", x=500))
    assert scene.presented == [FIRST, INS]


def test_it_is_presented_once_more_each_time_this_is_asked_and_only_while_it_is_seen(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST), pictures=3)
    scene.arm(again=True)
    scene.show(pictures=3)
    assert scene.presented == [FIRST]
    scene.show(Symbol(FIRST), pictures=3)
    assert scene.presented == [FIRST, FIRST]
    ids = [one.id for one in scene.reports if isinstance(one, Presented)]
    assert len(set(ids)) == 2


def test_arming_again_and_again_changes_nothing(scene: Scene) -> None:
    for _ in range(5):
        scene.arm()
        scene.show(Symbol(FIRST))
        scene.presence.disarm()
        scene.show(Symbol(FIRST))
    assert scene.presented == [FIRST]


def test_nothing_is_presented_unless_it_is_wanted(scene: Scene) -> None:
    scene.show(Symbol(FIRST))
    scene.arm("vitale-card")
    scene.show(Symbol(FIRST))
    scene.arm(ends_in=-1)
    scene.show(Symbol(FIRST))
    assert scene.presented == []
    assert scene.states == ["present"]
    scene.arm()
    scene.show(Symbol(FIRST))
    assert scene.presented == [FIRST]


def test_posters_are_told_once_where_nothing_else_is_seen(scene: Scene) -> None:
    box = Symbol(MEDICINE, "datamatrix")
    scene.show(box, pictures=30)
    assert scene.told == []
    scene.arm()
    scene.show(box, pictures=3)
    scene.show(box, pictures=60)
    assert scene.told == [("retry", "medium_unsupported.other")]
    assert scene.states == []
    scene.rest(SETTLE + 0.1)
    scene.show(box, pictures=30)
    assert len(scene.told) == 2


def test_a_poster_behind_a_phone_is_ignored(scene: Scene) -> None:
    scene.arm()
    box = Symbol(MEDICINE, "datamatrix", x=500)
    scene.show(box, pictures=10)
    scene.show(box, Symbol(FIRST), pictures=60)
    assert (scene.presented, scene.told) == ([FIRST], [])


def test_several_boxes_are_told_once(scene: Scene) -> None:
    scene.arm()
    scene.show(*(Symbol(MEDICINE + bytes([48 + at]), "datamatrix", x=at * 200) for at in range(5)), pictures=30)
    assert scene.told == [("retry", "medium_unsupported.other")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"mdoc:owBjMS4w", "medium_unsupported.mdoc"), (b"openid4vp://?x=1", "medium_unsupported.openid4vp")],
)
def test_wallets_are_told_at_once(scene: Scene, data: bytes, reason: str) -> None:
    scene.arm()
    scene.show(Symbol(data))
    assert scene.told == [("retry", reason)]


SIMULATED = b"VITALESIM.c29tZXRoaW5n"


@pytest.mark.parametrize("between", [b"", b"\r\n"], ids=["glued", "on two lines"])
@pytest.mark.parametrize("behind", [SIMULATED, INS, TWO_D_DOC], ids=["apcv", "ins", "2d-doc"])
@pytest.mark.parametrize("before", [FIRST, SIMULATED, INS, TWO_D_DOC], ids=["opaque", "apcv", "ins", "2d-doc"])
@pytest.mark.parametrize("media", [MEDIA, *((medium,) for medium in MEDIA)])
def test_one_symbol_with_two_codes_is_told_at_once_and_never_presented(
    scene: Scene, media: tuple[str, ...], before: bytes, behind: bytes, between: bytes
) -> None:
    scene.arm(*media)
    scene.show(Symbol(before + between + behind))
    assert (scene.presented, scene.told) == ([], [("retry", "payload_invalid.several")])
    scene.show(Symbol(before + between + behind), pictures=60)
    assert (scene.presented, len(scene.told)) == ([], 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"x" * 5000, "payload_invalid.too-long"), (b"1850763220001", "medium_unsupported.nir")],
)
def test_what_cannot_be_presented_is_told_after_a_while(scene: Scene, data: bytes, reason: str) -> None:
    scene.arm()
    scene.show(Symbol(data), pictures=30)
    assert (scene.presented, scene.told) == ([], [("retry", reason)])


def test_a_code_seen_by_half_is_not_seen(scene: Scene) -> None:
    scene.arm()
    scene.rest(2.0)
    assert scene.reports == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_parts_are_joined_in_whatever_order_they_are_seen(scene: Scene, order: Sequence[int]) -> None:
    scene.arm()
    shown = parts(FIRST, 3)
    for at in order:
        assert scene.presented == []
        scene.show(shown[at], pictures=3)
    assert scene.presented == [FIRST]
    for at in (*order, *order):
        scene.show(shown[at], pictures=10)
    assert scene.presented == [FIRST]
    assert scene.states == ["present"]


def test_parts_that_take_too_long_are_forgotten(scene: Scene) -> None:
    scene.arm()
    first, second = parts(FIRST, 2)
    scene.show(first)
    scene.rest(6)
    scene.show(second, pictures=3)
    assert scene.presented == []
    scene.show(first)
    assert scene.presented == [FIRST]


def test_parts_of_different_codes_are_not_joined(scene: Scene) -> None:
    scene.arm()
    mine, other = parts(FIRST, 2), parts(SECOND, 2)
    assert mine[0].sequence != other[0].sequence
    scene.show(mine[0], other[1], pictures=3)
    assert scene.presented == []
    scene.show(mine[1])
    assert scene.presented == [FIRST]


def test_a_part_that_says_something_else_than_before_begins_anew(scene: Scene) -> None:
    scene.arm()
    mine, other = parts(FIRST, 2, mark=7), parts(SECOND, 2, mark=7)
    scene.show(mine[0])
    scene.show(other[0])
    scene.show(other[1])
    assert scene.presented == [SECOND]


@pytest.mark.parametrize("at_once", [True, False])
def test_parts_on_two_screens_whose_marks_are_the_same_by_chance_are_not_joined(scene: Scene, at_once: bool) -> None:
    scene.arm()
    mine, other = parts(FIRST, 2, mark=7), [replace(part, x=500) for part in parts(SECOND, 2, mark=7)]
    if at_once:
        scene.show(mine[0], other[1], pictures=3)
    else:
        scene.show(mine[0], pictures=3)
        scene.show(other[1], pictures=3)
    assert scene.presented == []
    scene.show(mine[1], pictures=3)
    scene.show(mine[0], pictures=3)
    assert scene.presented == [FIRST]


def test_parts_that_agree_with_their_mark_may_lie_side_by_side(scene: Scene) -> None:
    scene.arm()
    one, other = parts(FIRST, 2)
    scene.show(one, replace(other, x=500))
    assert scene.presented == [FIRST]


def test_a_part_that_cannot_be_is_ignored(scene: Scene) -> None:
    scene.arm()
    for part in (Part(0, 1, 0), Part(5, 3, 0), Part(-1, 3, 0), Part(0, 40, 0)):
        scene.show(Symbol(FIRST, sequence=part))
    assert scene.reports == []


def test_thousands_of_series_that_never_end_take_no_memory(scene: Scene) -> None:
    scene.arm()
    scene.show(*(Symbol(b"part of %d" % number, sequence=Part(0, 16, number)) for number in range(5_000)))
    kept = pickle.dumps(vars(scene.view)["_series"])
    assert kept.count(b"part of ") <= 4
    mine = parts(FIRST, 2)
    scene.show(*mine)
    assert scene.presented == [FIRST], "nor are they in anybody's way"


def test_a_picture_full_of_codes_takes_no_memory(scene: Scene) -> None:
    scene.arm()
    for picture in range(20):
        scene.show(*(Symbol(b"code %d of %d" % (number, picture)) for number in range(1_000)))
    assert scene.presented == []
    assert len(pickle.dumps(vars(scene.view)["_codes"])) < 20_000


def test_when_the_camera_closes_nothing_is_in_view(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST))
    scene.show(parts(SECOND, 2)[0])
    (left,) = scene.view.leave()
    assert isinstance(left, ReaderChanged)
    assert left.reader.state == "empty"
    assert not scene.view.occupied
    scene.show(parts(SECOND, 2)[1])
    assert scene.presented == [FIRST]
    scene.show(Symbol(FIRST))
    assert scene.presented == [FIRST, FIRST]


def test_what_codes_say_is_nowhere_in_what_is_kept(scene: Scene) -> None:
    scene.arm()
    scene.show(Symbol(FIRST), pictures=3)
    assert FIRST not in pickle.dumps(vars(scene.view)["_codes"])
    assert FIRST.decode() not in repr(vars(scene.view))


CODES = st.sampled_from(
    [Symbol(FIRST), Symbol(SECOND, x=30), Symbol(SECOND, x=500), Symbol(INS, "datamatrix", x=300),
     Symbol(MEDICINE, "datamatrix", x=700), *parts(FIRST * 2, 2)]
)  # fmt: skip
Event: TypeAlias = list[Symbol] | Literal["arm", "again", "disarm", "wait", "leave"]
WORDS: tuple[Event, ...] = ("arm", "again", "disarm", "wait", "leave")
PICTURES: st.SearchStrategy[Event] = st.lists(CODES, max_size=3, unique=True)
EVENTS = st.lists(st.one_of(PICTURES, st.sampled_from(WORDS)), max_size=60)


@given(EVENTS)
def test_whatever_happens_each_presence_is_presented_once_and_once_more_for_each_order(events: list[Event]) -> None:
    scene = Scene()
    orders = 0
    for event in events:
        match event:
            case "arm":
                scene.arm()
            case "again":
                scene.arm(again=True)
                orders += 1
            case "disarm":
                scene.presence.disarm()
            case "wait":
                scene.now += SETTLE + 0.1
                scene.reports += scene.view.passed(scene.now)
            case "leave":
                scene.reports += scene.view.leave()
            case _:
                armed = scene.presence.wanted(scene.now, frozenset(MEDIA))
                before = len(scene.presented)
                scene.show(*event)
                assert armed or len(scene.presented) == before
    assert len(scene.presented) <= scene.states.count("present") + orders
    # A state is told when it is new.
    assert all(one != other for one, other in itertools.pairwise(scene.states))
    # What is presented is what lies there.
    occupied = None
    for report in scene.reports:
        if isinstance(report, ReaderChanged):
            occupied = report.reader.medium
        elif isinstance(report, Presented):
            assert report.medium == occupied
