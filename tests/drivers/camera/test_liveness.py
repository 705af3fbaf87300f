"""Whether a camera is alive: noise, stillness and black, with a clock of the test's own."""

import numpy as np
import pytest

from vitale_drivers.camera.capture import Pixels
from vitale_drivers.camera.liveness import Liveness, is_dark

PICTURE = 1 / 32  # exact


def noise(seed: int, low: int = 0, high: int = 255) -> Pixels:
    return np.random.default_rng(seed).integers(low, high, (72, 128), dtype=np.uint8)


@pytest.fixture
def watch() -> Liveness:
    return Liveness(still=1.0, dark=2.0)


def test_a_sensor_has_noise(watch: Liveness) -> None:
    seen = [watch.saw(noise(at), dark=False, now=at * PICTURE) for at in range(100)]
    assert seen == ["unsure", *["alive"] * 99]


def test_a_picture_that_is_repeated_is_still(watch: Liveness) -> None:
    watch.saw(noise(0), dark=False, now=0.0)
    seen = [watch.saw(noise(1), dark=False, now=at * PICTURE) for at in range(1, 40)]
    assert seen.index("still") == 32
    assert set(seen[32:]) == {"still"}
    assert watch.saw(noise(2), dark=False, now=2.0) == "alive"


def test_a_camera_that_never_moved_is_not_known_to_live(watch: Liveness) -> None:
    seen = [watch.saw(noise(1), dark=False, now=at * PICTURE) for at in range(35)]
    assert set(seen[:32]) == {"unsure"}
    assert seen[-1] == "still"


def test_a_slow_camera_is_given_more_time(watch: Liveness) -> None:
    seen = [watch.saw(noise(1), dark=False, now=at * 1.0) for at in range(6)]
    assert seen.index("still") == 4


def test_a_program_may_stand_still(watch: Liveness) -> None:
    watch.still = 0
    assert {watch.saw(noise(1), dark=False, now=at * 1.0) for at in range(60)} == {"alive"}


def test_black_is_no_stillness_and_is_told_after_a_while(watch: Liveness) -> None:
    black = np.zeros((72, 128), np.uint8)
    seen = [watch.saw(black, dark=True, now=at * PICTURE) for at in range(96)]
    assert seen.index("dark") == 64
    assert set(seen) == {"unsure", "dark"}
    assert watch.saw(noise(1), dark=False, now=4.0) == "alive"
    assert watch.saw(black, dark=True, now=4.1) == "unsure"


@pytest.mark.parametrize(("low", "high", "dark"), [(0, 8, True), (16, 22, True), (0, 60, False), (0, 255, False)])
def test_darkness(low: int, high: int, dark: bool) -> None:
    assert is_dark(noise(1, low, high)) == dark


def test_a_small_copy_is_as_dark() -> None:
    random = np.random.default_rng(4)
    for low, high in ((0, 8), (0, 200)):
        picture = random.integers(low, high, (480, 640), dtype=np.uint8)
        small = picture.reshape(60, 8, 80, 8).mean(axis=(1, 3)).astype(np.uint8)
        assert is_dark(small, smaller=8) == is_dark(picture)


def test_a_lamp_in_the_dark_is_not_darkness() -> None:
    picture = noise(1, 0, 8)
    picture[:32, :32] = 240
    assert not is_dark(picture)
