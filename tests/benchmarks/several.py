"""Frames with two codes: phones of all sizes, distances, lights and angles, or one beside a Datamatrix on paper."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tests.benchmarks.paper import Label, datamatrix, ins, lay
from vitale_firmware_sim.camera.picture import render
from vitale_firmware_sim.camera.scene import scene

__all__ = ["Pair", "frame_of", "pairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A frame, and what its two codes say: the near one first."""

    picture: npt.NDArray[np.uint8] = field(repr=False)
    contents: tuple[bytes, bytes] = field(repr=False)
    modules: tuple[float, float]
    medium: str


def pairs(count: int, seed: int = 0) -> Iterator[Pair]:
    """So many frames, from the seed alone; in every third, a Datamatrix on paper is one of the two."""
    for number in range(count):
        yield frame_of(number, seed)


def frame_of(number: int, seed: int = 0) -> Pair:
    """One of these frames."""
    return _pair(np.random.default_rng((1618, seed, number)), on_paper=number % 3 == 2)


def _pair(random: np.random.Generator, *, on_paper: bool) -> Pair:
    near, far = sorted(random.uniform(2, 6.5, 2))[::-1] if random.random() < 0.7 else random.uniform(2, 8, 2)
    number = int(random.integers(1 << 30))
    sides = (0.27, 0.76) if random.random() < 0.5 else (0.76, 0.27)
    first = replace(
        scene("plain", seed=number),
        module=float(near),
        at=(sides[0] + random.uniform(-0.04, 0.04), random.uniform(0.42, 0.58)),
        noise=float(random.uniform(1, 6)),
        blur=float(random.choice((0.0, 0.0, 0.8))),
    )
    # Long strings make a code of seventy modules, of which two of eight pixels fill more than a frame.
    first = replace(first, payload=first.payload[: int(random.integers(40, 100 if near > 5 else 200))])
    at = (sides[1] + random.uniform(-0.05, 0.05), random.uniform(0.35, 0.65))
    yaw, pitch, roll = random.uniform(-25, 25), random.uniform(-15, 15), random.uniform(-180, 180)
    if on_paper:
        content = ins(random)
        label = Label(module=min(far, 5.5), at=at, roll=roll, yaw=yaw, pitch=pitch, light=random.uniform(0.35, 0.9))
        frame = lay(render(first, seed=number), datamatrix(content), label, random)
        return Pair(frame, (first.payload, content), (float(near), float(far)), "datamatrix")
    other = scene("plain", seed=number + 1)
    second = replace(
        other,
        payload=other.payload[: int(random.integers(30, 90 if far > 5 else 200))],
        module=float(far),
        at=at,
        yaw=float(yaw),
        pitch=float(pitch),
        roll=float(roll),
        white=float(random.choice((0.8, 0.45, 0.2, 0.1))),
        dark=bool(random.random() < 0.25),
    )
    picture = render(first, seed=number, beside=(second,))
    return Pair(picture, (first.payload, second.payload), (float(near), float(far)), "qr")
