"""Pictures of one camera on their way: those in which nothing has moved are known by a small copy."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from vitale_drivers.base import Arm
from vitale_drivers.camera.capture import Pixels, Shot
from vitale_drivers.camera.frames import FramePipeline
from vitale_drivers.camera.settings import CameraSettings
from vitale_drivers.readers.presence import Presence
from vitale_protocol.errors import ReaderUnavailable

SIZE = (480, 640)


@dataclass
class Jpeg:
    """A picture whose bytes are given; ``made`` is what was made of it."""

    pixels: Pixels
    light: int = 120
    damaged: bool = False
    made: list[str] = field(default_factory=list[str])

    def grey(self) -> Pixels | None:
        self.made.append("grey")
        return None if self.damaged else np.full(SIZE, self.light, np.uint8)

    def glance(self) -> Pixels | None:
        self.made.append("glance")
        return None if self.damaged else np.full((SIZE[0] // 8, SIZE[1] // 8), self.light, np.uint8)

    def jpeg(self) -> bytes | None:
        return None


@dataclass
class Resting:
    """A decoder that is at rest, and for which nothing has moved."""

    at_rest: bool = True
    moves: bool = False
    seen: int = 0

    def passes(self, glance: Pixels, /) -> bool:
        return not self.moves

    def see(self, frame: Pixels, /, *, around: bool) -> Sequence[object]:
        self.seen += 1
        return ()

    def survey(self) -> Sequence[object]:
        return ()


@pytest.fixture
def decoder() -> Resting:
    return Resting()


@pytest.fixture
def pipeline(decoder: Resting) -> FramePipeline:
    presence = Presence("camera:1")
    presence.arm(Arm(media=("apcv-qr",), deadline=1e9))
    pipeline = FramePipeline("camera:1", lambda: decoder, presence, CameraSettings(dark=1.0))  # type: ignore[arg-type,return-value]
    pipeline.open(still=2.0)
    return pipeline


def shown(pipeline: FramePipeline, number: int, **picture: object) -> Jpeg:
    """A picture a tenth of a second after the one before."""
    made = Jpeg(np.full(64, number % 250, np.uint8), **picture)  # type: ignore[arg-type]
    assert pipeline.examine(Shot(number, made, number / 10)) == (not made.damaged)
    pipeline.decode(simple=False)
    return made


def test_what_has_not_moved_is_not_decoded(pipeline: FramePipeline, decoder: Resting) -> None:
    assert [shown(pipeline, number).made for number in range(3)] == [["glance"]] * 3
    assert decoder.seen == 0
    assert pipeline.is_sure


@pytest.mark.parametrize(("at_rest", "moves", "made"), [(True, True, ["glance", "grey"]), (False, False, ["grey"])])
def test_all_else_is(pipeline: FramePipeline, decoder: Resting, at_rest: bool, moves: bool, made: list[str]) -> None:
    decoder.at_rest, decoder.moves = at_rest, moves
    assert shown(pipeline, 1).made == made
    assert decoder.seen == 1


def test_a_damaged_picture_is_told_at_rest_too(pipeline: FramePipeline) -> None:
    assert shown(pipeline, 1, damaged=True).made == ["glance", "grey"]


def test_a_camera_that_stands_still_is_told_at_rest_too(pipeline: FramePipeline, decoder: Resting) -> None:
    picture = Jpeg(np.full(64, 7, np.uint8))

    def watched() -> None:
        for number in range(40):
            decoder.at_rest = number % 4 != 0  # whatever part of its pictures is decoded
            pipeline.examine(Shot(number, picture, number / 10))

    with pytest.raises(ReaderUnavailable):
        watched()


def test_a_covered_lens_is_told_at_rest_too(pipeline: FramePipeline) -> None:
    shots = [Shot(number, Jpeg(np.full(64, number, np.uint8), light=2), number / 10) for number in range(12)]
    for shot in shots:
        pipeline.examine(shot)
    (told,) = pipeline.pictures(shots[-1], 0.0, 1.2)
    assert getattr(told, "step", "") == "retry"
