"""Rendered frames: the same for the same seed, marked, readable where they are easy, and where they say the code is."""

from dataclasses import replace

import numpy as np
import pytest
import zxingcpp

from vitale_firmware_sim.camera.picture import corners, empty_scenes, render, scenes
from vitale_firmware_sim.camera.scene import COMBINED, KINDS, SEVERITIES, Scene, opaque_string, scene
from vitale_protocol.errors import ConfigurationInvalid

SMALL = (640, 480)


def read(picture: np.ndarray) -> list[bytes]:
    return [symbol.bytes for symbol in zxingcpp.read_barcodes(picture)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_light_is_readable(kind: str) -> None:
    frames = list(scenes(kind, "light", 3, seed=5))

    assert [[frame.payload] for frame in frames] == [read(frame.picture) for frame in frames]


@pytest.mark.parametrize("kind", [*KINDS, *COMBINED])
def test_severities_of_one_seed_differ_in_the_difficulty_alone(kind: str) -> None:
    first, second, third = (scene(kind, severity, 11) for severity in SEVERITIES)

    assert first.payload == second.payload == third.payload
    assert (first.counter, first.phone_user, first.at) == (third.counter, third.phone_user, third.at)
    assert first != third or kind == "plain"


@pytest.mark.parametrize("colour", [False, True])
def test_the_same_seed_gives_the_same_bytes(*, colour: bool) -> None:
    made = scene("glare+moire", "hard", 3)
    one, other, third = (render(made, size=SMALL, seed=seed, colour=colour) for seed in (1, 1, 2))

    assert one.shape == ((480, 640, 3) if colour else (480, 640))
    assert one.dtype == np.uint8
    assert one.flags.c_contiguous
    assert np.array_equal(one, other)
    assert not np.array_equal(one, third)


@pytest.mark.parametrize("kind", ["plain", "perspective", "rotation", "size"])
def test_corners_are_where_a_decoder_finds_them(kind: str) -> None:
    for frame in scenes(kind, "medium", 3, seed=8, colour=True):
        (symbol,) = zxingcpp.read_barcodes(frame.picture)
        assert frame.corners is not None
        place = symbol.position
        found = [(p.x, p.y) for p in (place.top_left, place.top_right, place.bottom_right, place.bottom_left)]
        assert np.abs(np.array(found) - np.array(frame.corners)).max() < 6


def test_frames_without_a_code_have_none() -> None:
    frames = list(empty_scenes(6, seed=2))

    assert [None] * 6 == [frame.payload for frame in frames]
    assert [None] * 6 == [frame.corners for frame in frames]
    assert [[]] * 6 == [read(frame.picture) for frame in frames]


def test_a_phone_out_of_the_frame_is_not_seen() -> None:
    aside = replace(scene("moire+glare+motion", "hard", 1), at=(4.0, 0.5))

    assert np.array_equal(render(aside, size=SMALL), render(aside, size=SMALL))
    assert [] == read(render(aside, size=SMALL))
    assert corners(aside, SMALL) is not None


def test_a_phone_near_an_edge_is_cut() -> None:
    for at in ((0.0, 0.0), (1.0, 1.0), (0.99, 0.1)):
        assert render(replace(scene("defocus", "hard", 1), at=at), size=SMALL).shape == (480, 640)


def test_strings_say_that_they_are_simulated() -> None:
    random = np.random.default_rng(1)
    lengths = [len(opaque_string(random)) for _ in range(50)]

    assert scene("plain", seed=4).payload.startswith(b"VITALESIM.")
    assert 170 <= min(lengths) < max(lengths) <= 240
    assert len(opaque_string(random, 30)) == 30
    assert "VITALESIM" not in repr(scene("plain")) + repr(next(scenes("plain", count=1, size=SMALL)))


@pytest.mark.parametrize(("kind", "severity"), [("fog", "light"), ("size+fog", "hard"), ("", "light"), ("size", "x")])
def test_what_there_is_not_is_refused(kind: str, severity: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        scene(kind, severity)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_scene_by_hand() -> None:
    made = Scene(payload=b"VITALESIM.abc", module=5, blur=0.8)

    assert [b"VITALESIM.abc"] == read(render(made, size=SMALL))
