"""The driver ``camera`` on cameras made of arrays: held by others, blocked, still, covered, unplugged and back."""

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.drivers.camera.fakes import FIRST, RENEWED, SECOND, STRING, FakeBus, FakeDecoder, Scene, Symbol
from tests.problems import detail_of, named
from vitale_drivers.base import (
    Arm,
    Health,
    Presented,
    Preview,
    PreviewPicture,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Started,
    Transmit,
    Transmitted,
)
from vitale_drivers.camera import feeds as camera_feeds
from vitale_drivers.camera.capture import CameraPlace
from vitale_drivers.camera.driver import CameraDriver
from vitale_drivers.contract import Inbox
from vitale_drivers.readers import discovery
from vitale_protocol.errors import ReaderBusy, ReaderUnavailable, ToolMissing
from vitale_protocol.problems import Problem

Open = Callable[..., tuple[CameraDriver, Inbox]]
QUICK: dict[str, object] = {"look": 0.01, "settle": 0.05, "still": 0.05, "dark": 0.05}
UNHURRIED: dict[str, object] = {"open_limit": 60.0, "frame_limit": 60.0, "slow_limit": 60.0, "linger": 600.0}
"""A camera whose thread does not run for a while is no camera that blocks; tests of those say when one does."""


@pytest.fixture
def open_driver() -> Iterator[Open]:
    drivers: list[CameraDriver] = []

    def start(bus: FakeBus, **options: object) -> tuple[CameraDriver, Inbox]:
        # One decoder for all: what it reads is before the first camera, unless there is but the second.
        scene = bus.scenes[(bus.there or [FIRST])[0].id]
        driver, inbox = CameraDriver({**QUICK, **UNHURRIED, **options}, bus, lambda: FakeDecoder(scene)), Inbox()
        drivers.append(driver)
        driver.open(inbox)
        return driver, inbox

    yield start
    for driver in drivers:
        driver.close()


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus(FIRST)


@pytest.fixture
def scene(bus: FakeBus) -> Scene:
    return bus.scenes[FIRST.id]


def arm(*again: str, readers: tuple[str, ...] = (), ends_in: float = 600.0) -> Arm:
    return Arm(media=("apcv-qr",), readers=readers, again=again, deadline=time.monotonic() + ends_in)


def empty(report: ReaderAdded | ReaderChanged) -> bool:
    return report.reader.state == "empty"


def unavailable(report: ReaderAdded | ReaderChanged) -> bool:
    return report.reader.state == "unavailable"


# ── silence ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_camera_is_open_only_while_it_is_armed(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    driver, inbox = open_driver(bus)
    inbox.wait(ReaderAdded)
    assert scene.opened == 0
    driver.arm(arm())
    scene.wait_opened()
    driver.disarm()
    scene.wait_closed()
    assert scene.opened == 1


def test_a_camera_closes_at_the_deadline(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    driver, _ = open_driver(bus)
    driver.arm(arm())
    scene.wait_opened()
    driver.arm(arm(ends_in=0.05))
    scene.wait_closed()


def test_a_camera_that_is_not_asked_for_stays_closed(open_driver: Open) -> None:
    bus = FakeBus(FIRST, SECOND)
    bus.scenes[FIRST.id].show(STRING)
    driver, inbox = open_driver(bus)
    driver.arm(Arm(media=("vitale-card",), deadline=time.monotonic() + 600))
    driver.arm(arm(readers=(FIRST.id,)))
    inbox.wait(Presented)
    assert bus.scenes[SECOND.id].opened == 0


def test_after_disarming_a_code_that_was_read_is_watched_until_it_leaves(
    open_driver: Open, bus: FakeBus, scene: Scene
) -> None:
    driver, inbox = open_driver(bus)
    scene.show(STRING)
    driver.arm(arm())
    inbox.wait(Presented)
    driver.disarm()
    driver.arm(arm())
    driver.disarm()
    scene.show()
    inbox.wait(ReaderChanged, empty)
    scene.wait_closed()
    assert len(inbox.outcomes()) == 1
    assert scene.opened == 1


def test_after_disarming_a_code_that_stays_is_not_watched_for_ever(
    open_driver: Open, bus: FakeBus, scene: Scene
) -> None:
    driver, inbox = open_driver(bus, linger=0.1)
    scene.show(STRING)
    driver.arm(arm())
    inbox.wait(Presented)
    driver.disarm()
    inbox.wait(ReaderChanged, empty)
    scene.wait_closed()


def test_a_camera_may_be_kept_warm_and_is_not_looked_at(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    driver, inbox = open_driver(bus, warm=True)
    scene.wait_opened()
    scene.show(STRING)
    driver.arm(arm())
    inbox.wait(Presented)
    driver.disarm()
    scene.show()
    inbox.wait(ReaderChanged, empty)
    scene.show(RENEWED)
    driver.arm(arm())
    inbox.wait(Presented)
    assert (scene.opened, scene.open) == (1, 1)


def test_a_camera_may_be_kept_warm_for_a_while(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    driver, inbox = open_driver(bus, warm=600.0)
    driver.arm(arm())
    scene.wait_opened()
    driver.disarm()
    scene.show(STRING)
    driver.arm(arm())
    inbox.wait(Presented)
    assert scene.opened == 1


def test_a_camera_is_kept_warm_for_no_longer(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    driver, _ = open_driver(bus, warm=0.1)
    driver.arm(arm())
    scene.wait_opened()
    driver.disarm()
    scene.wait_closed()


def test_a_camera_that_closes_is_opened_anew_only_then(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    driver, inbox = open_driver(bus)
    scene.show(STRING)
    scene.hold_open = threading.Event()
    driver.arm(arm())
    driver.disarm()
    driver.arm(arm())
    scene.hold_open.set()
    inbox.wait(Presented)
    assert scene.open == 1


# ── coming and going ─────────────────────────────────────────────────────────────────────────────────────────────


def test_cameras_come_one_after_the_other_and_are_armed_like_those_that_were_there(open_driver: Open) -> None:
    bus = FakeBus(SECOND)
    driver, inbox = open_driver(bus)
    assert inbox.wait(ReaderAdded).reader.id == SECOND.id
    driver.arm(arm(readers=(FIRST.id,)))
    bus.scenes[SECOND.id].show(STRING)
    bus.plug(FIRST)
    assert inbox.wait(ReaderAdded).reader.id == FIRST.id
    assert inbox.wait(Presented).reader == FIRST.id


def test_a_camera_that_is_unplugged_goes_and_comes_back_the_same(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    driver, inbox = open_driver(bus)
    reader = inbox.wait(ReaderAdded).reader
    driver.arm(arm())
    scene.show(STRING)
    inbox.wait(Presented)
    bus.unplug(FIRST)
    assert inbox.wait(ReaderRemoved).reader == FIRST.id
    bus.plug(FIRST)
    assert inbox.wait(ReaderAdded).reader == reader
    inbox.wait(Presented)


def test_a_camera_that_is_unplugged_while_closed_goes_too(open_driver: Open, bus: FakeBus) -> None:
    _, inbox = open_driver(bus)
    inbox.wait(ReaderAdded)
    bus.unplug(FIRST)
    assert inbox.wait(ReaderRemoved).reader == FIRST.id
    bus.plug(FIRST)
    inbox.wait(ReaderAdded, empty)


def test_what_was_simulated_once_is_never_real(open_driver: Open, bus: FakeBus) -> None:
    program = CameraPlace(FIRST.id, "first", FIRST.address, simulated=True, where="9")
    bus.there = [program]
    _, inbox = open_driver(bus)
    assert inbox.wait(ReaderAdded).reader.simulated
    bus.there = []
    inbox.wait(ReaderRemoved)
    bus.there = [FIRST]
    assert inbox.wait(ReaderAdded).reader.simulated


# ── what is the matter ───────────────────────────────────────────────────────────────────────────────────────────

PERMISSION = ReaderUnavailable("this user may not use the camera", variant="camera-permission")
BUSY = ReaderBusy("something else uses the camera", variant="camera", data={"holder": "visio"})


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [(PERMISSION, "reader_unavailable.camera-permission"), (BUSY, "reader_busy.camera")],
)
def test_a_camera_that_cannot_be_opened_is_shown_with_the_remedy_until_it_can(
    open_driver: Open, bus: FakeBus, scene: Scene, refusal: ReaderUnavailable | ReaderBusy, reason: str
) -> None:
    scene.refusal = refusal
    driver, inbox = open_driver(bus)
    driver.arm(arm())
    shown = inbox.wait(ReaderChanged, unavailable).reader
    assert shown.error == refusal.reason
    health = inbox.wait(Health, lambda one: one.state == "degraded")
    assert named(health.problem) == reason
    assert str(refusal.data.get("holder", "")) in detail_of(health.problem)
    assert named(inbox.wait(Progress).problem) == reason
    driver.arm(arm())
    assert named(inbox.wait(Progress).problem) == reason
    scene.refusal = None
    scene.show(STRING)
    inbox.wait(Presented)
    assert [one for one in inbox.reports if isinstance(one, Health)][-1].state == "ok"


def test_that_a_camera_may_not_be_used_is_known_before_it_is_needed(open_driver: Open, bus: FakeBus) -> None:
    bus.refusal = PERMISSION
    _, inbox = open_driver(bus)
    assert inbox.wait(ReaderAdded).reader.state == "unavailable"
    bus.refusal = None
    inbox.wait(ReaderChanged, empty)


def test_whether_a_camera_would_work_is_not_known_once_it_is_not_needed(
    open_driver: Open, bus: FakeBus, scene: Scene
) -> None:
    scene.refusal = BUSY
    driver, inbox = open_driver(bus)
    driver.arm(arm())
    inbox.wait(ReaderChanged, unavailable)
    driver.disarm()
    inbox.wait(ReaderChanged, empty)


def test_a_camera_that_stands_still_is_opened_anew(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    driver, inbox = open_driver(bus)
    driver.arm(arm())
    scene.wait_opened()
    scene.still = True
    assert inbox.wait(ReaderChanged, unavailable).reader.error == "reader_unavailable"
    assert named(inbox.wait(Progress).problem) == "reader_unavailable.camera-still"
    scene.wait_opened(2)
    scene.still = False
    inbox.wait(ReaderChanged, empty)
    scene.show(STRING)
    inbox.wait(Presented)


def test_a_camera_that_stays_still_is_not_taken_for_well_each_time_it_is_opened(
    open_driver: Open, bus: FakeBus, scene: Scene
) -> None:
    scene.still = True
    driver, inbox = open_driver(bus)
    driver.arm(arm())
    inbox.wait(Progress)
    scene.wait_opened(4)
    states = [one.reader.state for one in inbox.reports if isinstance(one, ReaderChanged)]
    assert states == ["unavailable"]
    assert sum(isinstance(one, Progress) for one in inbox.reports) == 1


def test_a_program_may_show_the_same_picture_for_ever(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    bus.there = [CameraPlace(FIRST.id, "first", FIRST.address, simulated=True)]
    scene.still = True
    driver, inbox = open_driver(bus, still=0.01, linger=0.2)
    driver.arm(arm())
    scene.show(STRING)
    assert inbox.wait(Presented).simulated
    driver.disarm()
    inbox.wait(ReaderChanged, empty)  # after it has lingered
    assert not any(isinstance(one, Progress) for one in inbox.reports)


def test_a_covered_lens_is_told_once_and_is_no_fault(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    scene.black = True
    driver, inbox = open_driver(bus)
    driver.arm(arm())
    told = inbox.wait(Progress)
    assert (told.step, named(told.problem)) == ("retry", "reader_unavailable.camera-dark")
    driver.arm(arm())
    inbox.wait(Progress)
    scene.black = False
    inbox.wait(ReaderChanged, empty)  # as it was: it sees again
    scene.show(STRING)
    inbox.wait(Presented)
    assert sum(isinstance(one, Progress) for one in inbox.reports) == 2
    assert not any(isinstance(one, ReaderChanged) and unavailable(one) for one in inbox.reports)


def test_pictures_that_are_damaged_one_after_the_other_are_a_fault(
    open_driver: Open, bus: FakeBus, scene: Scene
) -> None:
    scene.damaged = True
    driver, inbox = open_driver(bus)
    driver.arm(arm())
    assert named(inbox.wait(Progress).problem) == "reader_unavailable.camera"
    scene.damaged = False
    scene.show(STRING)
    inbox.wait(Presented)


@pytest.mark.parametrize("where", ["hold", "hold_open"])
def test_a_camera_that_blocks_is_named_and_holds_up_nothing(
    open_driver: Open, bus: FakeBus, scene: Scene, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(camera_feeds, "_PATIENCE", 0.05)
    held = threading.Event()
    setattr(scene, where, held)
    driver, inbox = open_driver(bus, open_limit=0.1)
    driver.arm(arm())
    assert named(inbox.wait(Progress).problem) == "reader_unavailable.camera"
    began = time.monotonic()
    for _ in range(300):
        driver.arm(arm())
        driver.disarm()
        driver.preview(Preview(reader=FIRST.id, every=1.0, until=time.monotonic() + 1))
    assert time.monotonic() - began < 25, "the shortest limit of a camera, waited out each time, takes longer"
    driver.arm(arm())
    _until(lambda: driver.stuck() == f"call to {FIRST.id}")
    scene.show(STRING)
    held.set()
    inbox.wait(Presented)
    _until(lambda: driver.stuck() == "")


def test_a_driver_whose_camera_blocks_closes_in_time(
    open_driver: Open, bus: FakeBus, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.hold = threading.Event()
    monkeypatch.setattr(discovery, "CLOSE_LIMIT", 0.2)
    driver, _ = open_driver(bus)
    driver.arm(arm())
    scene.wait_opened()
    driver.close()  # the camera is let go after it only
    scene.hold.set()


def test_a_camera_that_blocks_leaves_the_others_alone(open_driver: Open) -> None:
    bus = FakeBus(FIRST, SECOND)
    bus.scenes[SECOND.id].hold = held = threading.Event()
    driver, inbox = open_driver(bus, open_limit=0.1)
    bus.scenes[FIRST.id].show(STRING)
    driver.arm(arm(readers=(FIRST.id,)))
    inbox.wait(Presented)
    inbox.forget()  # from here on only the second is waited for no longer than that
    driver.arm(arm())
    inbox.wait(ReaderChanged, lambda one: one.reader.id == SECOND.id and one.reader.state == "unavailable")
    bus.scenes[FIRST.id].show(RENEWED)
    assert inbox.wait(Presented).reader == FIRST.id
    assert not any(
        isinstance(one, ReaderChanged) and one.reader.id == FIRST.id and one.reader.state == "unavailable"
        for one in inbox.reports
    )
    held.set()


# ── a long day ───────────────────────────────────────────────────────────────────────────────────────────────────


def _bad_day(open_driver: Open, rounds: int) -> list[float]:
    """Faults one after the other; returns the seconds from the end of each to the next presentation."""
    bus = FakeBus(FIRST)
    scene = bus.scenes[FIRST.id]
    driver, inbox = open_driver(bus, open_limit=0.2, still=0.02, frame_limit=0.05)
    driver.arm(arm())
    inbox.wait(ReaderAdded)
    recovery: list[float] = []
    for number in range(rounds):
        match number % 4:
            case 0:
                scene.hold = held = threading.Event()
                inbox.wait(ReaderChanged, unavailable)
                scene.hold = None
                held.set()
            case 1:
                scene.still = True
                inbox.wait(ReaderChanged, unavailable)
                scene.still = False
            case 2:
                bus.unplug(FIRST)
                inbox.wait(ReaderRemoved)
                bus.plug(FIRST)
            case _:
                scene.fault = ReaderUnavailable("the camera gives no pictures", variant="camera")
                inbox.wait(ReaderChanged, unavailable)
                scene.fault = None
        began = time.monotonic()
        scene.show(b"this is code number %d" % number)
        presented = inbox.wait(Presented)
        recovery.append(time.monotonic() - began)
        assert presented.evidence["string"] == b"this is code number %d" % number
        scene.show()
        inbox.wait(ReaderChanged, empty)
        inbox.forget()
    driver.disarm()
    scene.wait_closed()
    return recovery


def test_a_camera_recovers_from_each_fault(open_driver: Open) -> None:
    assert len(_bad_day(open_driver, 8)) == 8


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_camera_recovers_from_a_thousand_faults(open_driver: Open) -> None:
    threads = threading.active_count()
    assert max(_bad_day(open_driver, 1000)) < 2
    assert threading.active_count() <= threads + 2


# ── what else ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pictures_are_shown_while_it_is_armed_and_no_longer_than_ordered(
    open_driver: Open, bus: FakeBus, scene: Scene
) -> None:
    driver, inbox = open_driver(bus)
    driver.preview(Preview(reader="no-such-reader", every=0.1, until=time.monotonic() + 600))
    driver.preview(Preview(reader=FIRST.id, every=0.1, until=time.monotonic() + 600))
    inbox.wait(ReaderAdded)
    assert scene.opened == 0
    driver.arm(arm())
    seen = [inbox.wait(PreviewPicture) for _ in range(3)]
    assert all(frame.jpeg.startswith(b"\xff\xd8") and frame.reader == FIRST.id for frame in seen)
    assert all(later.at - earlier.at > 0.09 for earlier, later in itertools.pairwise(seen))
    driver.preview(Preview(reader=FIRST.id, every=0, until=0))
    scene.show(STRING)
    inbox.wait(Presented)
    before = sum(isinstance(one, PreviewPicture) for one in inbox.reports)
    scene.show()
    inbox.wait(ReaderChanged, empty)
    assert sum(isinstance(one, PreviewPicture) for one in inbox.reports) == before
    driver.preview(Preview(reader=FIRST.id, every=0.1, until=time.monotonic() - 1))
    scene.show(RENEWED)
    inbox.wait(Presented)
    assert sum(isinstance(one, PreviewPicture) for one in inbox.reports) == before


def test_the_codes_in_a_picture_are_outlined_wanted_or_not(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    """Pictures are 64 pixels wide and high; a code at the edge has corners beyond it."""
    driver, inbox = open_driver(bus)
    inbox.wait(ReaderAdded)
    driver.arm(arm())
    driver.preview(Preview(reader=FIRST.id, every=0.1, until=time.monotonic() + 600))
    assert () == inbox.wait(PreviewPicture).codes
    left = Symbol(STRING, corners=((8.0, 16.0), (24.0, 16.0), (24.0, 32.0), (8.0, 32.0)))
    right = Symbol(b"a box", corners=((48.0, 0.0), (65.0, 0.0), (64.0, 16.0), (48.0, 16.0)))
    cut_off = Symbol(b"without a place", corners=())
    scene.codes = (left, right, cut_off)
    outlined = inbox.wait(PreviewPicture, lambda report: bool(report.codes))
    assert (
        ((0.125, 0.25), (0.375, 0.25), (0.375, 0.5), (0.125, 0.5)),
        ((0.75, 0.0), (1.0156, 0.0), (1.0, 0.25), (0.75, 0.25)),
    ) == outlined.codes
    scene.show()
    inbox.wait(PreviewPicture, lambda report: not report.codes)


def test_raw_commands_are_refused(open_driver: Open, bus: FakeBus) -> None:
    driver, inbox = open_driver(bus)
    driver.transmit(Transmit(id=3, reader=FIRST.id, apdus=(bytes(5),)))
    assert inbox.wait(Transmitted) == Transmitted(id=3, responses=(), problem=Problem("medium_unsupported", "lease"))


def test_a_renewed_code_is_another_presentation(open_driver: Open, bus: FakeBus, scene: Scene) -> None:
    driver, inbox = open_driver(bus)
    driver.arm(arm())
    scene.show(STRING)
    assert inbox.wait(Presented).evidence["string"] == STRING
    scene.show(RENEWED)
    assert inbox.wait(Presented).evidence["string"] == RENEWED


@pytest.mark.parametrize("module", ["camera.opencv", "decoding"])
def test_without_its_libraries_it_does_not_open(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"vitale_drivers.{module}", None)
    with pytest.raises(ToolMissing):
        CameraDriver({}).open(Inbox())


@pytest.mark.parametrize(("there", "version"), [(True, ""), (False, "zbar missing")])
def test_that_zbar_is_missing_is_said_and_no_fault(
    bus: FakeBus, monkeypatch: pytest.MonkeyPatch, there: bool, version: str
) -> None:
    monkeypatch.setattr("vitale_drivers.decoding.has_zbar", lambda: there)
    driver, inbox = CameraDriver(QUICK, bus), Inbox()
    driver.open(inbox)
    driver.close()
    assert inbox.wait(Started).version == version
    assert inbox.wait(Health) == Health(state="ok")


def test_it_says_that_it_started_and_is_well(open_driver: Open, bus: FakeBus) -> None:
    _, inbox = open_driver(bus)
    assert isinstance(inbox.reports[0], Started)
    assert inbox.reports[1] == Health(state="ok")


def _until(condition: Callable[[], bool]) -> None:
    end, pace = time.monotonic() + 30, threading.Event()
    while not condition():
        assert time.monotonic() < end
        pace.wait(0.005)
