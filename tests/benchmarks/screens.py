"""Phones before a counter's camera, most of them read by every decoder, and what makes the others hard.

The share of each difficulty is chosen so that other decoders read what they read of photographs of phones that others
published: zxing-cpp some 83 of a hundred, WeChat's 86, pyzbar 57 (it reads nothing that is light on dark). Seeds below
``HELD_OUT`` are for choosing stages, those from there on for measuring them.

==============  ===============================================================
``held``        as one holds it
``glare``       a lamp or a window in the glass
``defocus``     too near for the focus
``motion``      a hand that moves
``bands``       a screen's light in bands, its grid against that of the sensor
``dim``         at little brightness in a bright room, with a logo
``tilted``      aslant, with many modules
``far``         two to three pixels a module
==============  ===============================================================
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from tests.benchmarks.photographs import Grey, Shot, opaque, photograph, qr

__all__ = ["HELD_OUT", "KINDS", "SHARES", "screens", "shuffled"]

HELD_OUT: Final = 1001
"""The first seed by which no stage was chosen."""

Draw = Callable[[np.random.Generator], Mapping[str, float | bool]]


def _glare(random: np.random.Generator) -> Mapping[str, float | bool]:
    if random.random() < 0.5:
        return {"lamp": random.uniform(0.4, 2.7)}
    return {"window": random.uniform(0.25, 1.3)}


KINDS: Final[Mapping[str, Draw]] = {
    "held": lambda random: {},
    "glare": _glare,
    "defocus": lambda random: {"defocus": random.uniform(1.4, 4.0)},
    "motion": lambda random: {"motion": random.uniform(2, 9)},
    "bands": lambda random: {"moire": random.uniform(0.2, 0.7), "bands": random.uniform(0.2, 0.85)},
    "dim": lambda random: {
        "ink": random.uniform(0.1, 0.5),
        "exposure": random.uniform(0.08, 0.4),
        "logo": random.uniform(0, 0.2),
        "photons": 1200.0,
    },
    "tilted": lambda random: {
        "length": int(random.integers(150, 240)),
        "yaw": random.uniform(25, 50) * float(random.choice((-1, 1))),
        "pitch": random.uniform(-20, 20),
        "roll": random.uniform(-30, 30),
    },
    "far": lambda random: {"module": random.uniform(2.0, 2.9), "defocus": 0.5},
}
"""What is different from a phone that is held well, drawn from a generator."""

SHARES: Final = {
    "held": 29, "glare": 17, "defocus": 12, "motion": 10, "bands": 10, "dim": 8, "tilted": 7, "far": 7,
}  # fmt: skip
"""Of a hundred pictures."""


def shuffled(seed: int) -> list[str]:
    """The kinds of a hundred pictures, in the order of a seed."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(share)]
    np.random.default_rng((5550, seed)).shuffle(kinds)
    return kinds


def screens(count: int, seed: int = 0, size: tuple[int, int] = (1280, 720)) -> Iterator[tuple[str, Grey, bytes]]:
    """So many frames: the kind, the picture and what the code says."""
    kinds = shuffled(seed)
    for number in range(count):
        random = np.random.default_rng((5551, seed, number))
        kind = kinds[number % len(kinds)]
        shot = Shot(
            screen=True,
            module=random.uniform(3.2, 6.0),
            length=int(random.integers(40, 230)),
            inverted=bool(random.random() < 0.21),
            roll=random.uniform(-12, 12),
            yaw=random.uniform(-12, 12),
            pitch=random.uniform(-12, 12),
            defocus=random.uniform(0.5, 1.0),
            jpeg=int(random.integers(60, 95)),
        )
        shot = replace(shot, **KINDS[kind](random))  # type: ignore[arg-type]
        content = opaque(random, shot.length)
        modules = qr(content, random)
        shot = replace(shot, module=min(shot.module, 0.9 * size[1] / len(modules)) * size[0] / 1280)
        yield kind, photograph(modules, shot, size, random), content
