"""Scene before a simulated camera, as numbers; and the kinds of difficulty, each in three severities.

======================  ===========================================================================
``plain``               a phone held well
``size``                far away: few pixels a module
``perspective``         held aslant
``rotation``            turned, up to upside down
``blur``                the lens is dirty, or made for nobody in particular
``motion``              the hand moves while the frame is exposed
``defocus``             nearer than the focus reaches
``glare``               lamps in the glass of the screen
``moire``               the grid of the screen against the grid of the sensor
``dark_mode``           light modules on a dark panel
``dark_room``           little light in the room and on the screen
``overexposed``         the exposure is for a dark room, the screen is bright and spills over
``low_contrast``        a dimmed screen that reflects the room
``noise``               a small sensor with much gain
``jpeg``                a webcam that compresses hard
``cover``               a finger over a part of the code
``banding``             a screen that flickers, seen line by line
======================  ===========================================================================

Kinds are combined with ``+``: ``size+blur``. Numbers are drawn from a range for each severity, from the seed alone.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np

from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.media.apcv import SIMULATED_PREFIX

__all__ = ["COMBINED", "KINDS", "SEVERITIES", "Scene", "Severity", "fitted", "opaque_string", "scene"]

Severity = Literal["light", "medium", "hard"]
SEVERITIES: Final[tuple[Severity, ...]] = ("light", "medium", "hard")


@dataclass(frozen=True, slots=True)
class Scene:
    """A phone before the camera, and the camera.

    Attributes:
        payload: what the code says; empty for a phone that shows none.
        phone: whether there is a phone at all.
        level: error correction of the code.
        module: pixels a module, where the code is seen straight on.
        at: the middle of the code, as shares of the width and height of the frame.
        yaw: degrees that the phone is turned about its upright axis.
        pitch: degrees that it leans back.
        roll: degrees that it is turned clockwise before the camera.
        dark: the code inverted.
        white: light of a white pixel of the screen; 1 is what the sensor just bears.
        black: light of a black one.
        ambient: light in the room.
        exposure: by how much the exposure is more than right.
        bloom: how much of the light that is too much spills over.
        blur: standard deviation of a Gaussian over the frame, in pixels.
        motion: way of the phone during the exposure, in pixels.
        motion_angle: its direction in degrees, 0 to the right, 90 down.
        defocus: radius of the disc that a point of the phone becomes, in pixels.
        glare: light of the lamps that are seen in the glass.
        grid: depth of the moiré, 0 to 1.
        beat: pixels from one fringe of the moiré to the next.
        noise: standard deviation, in steps of 255.
        jpeg: quality that the camera compresses with; 0 for not at all.
        cover: share of the code's width that a finger covers.
        banding: depth of the dark bands, 0 to 1.
        bands: how many there are from top to bottom.
        left: how much of the code's time is left.
        counter: which of the views behind.
        hand: which of the hands.
    """

    payload: bytes = field(default=b"", repr=False)
    phone: bool = True
    level: str = "M"
    module: float = 4.0
    at: tuple[float, float] = (0.5, 0.5)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    dark: bool = False
    white: float = 0.8
    black: float = 0.01
    ambient: float = 0.8
    exposure: float = 1.0
    bloom: float = 0.15
    blur: float = 0.0
    motion: float = 0.0
    motion_angle: float = 0.0
    defocus: float = 0.0
    glare: float = 0.0
    grid: float = 0.0
    beat: float = 8.0
    noise: float = 2.0
    jpeg: int = 0
    cover: float = 0.0
    banding: float = 0.0
    bands: float = 6.0
    left: float = 0.7
    counter: int = 0
    phone_user: int = 0


_WIDTH: Final = 1280
Range = tuple[float, float]

# For each kind and member: the ranges of light, medium and hard.
_RANGES: Final[Mapping[str, Mapping[str, tuple[Range, Range, Range]]]] = {
    "plain": {},
    "size": {"module": ((3.0, 3.6), (2.4, 2.8), (1.7, 2.2))},
    "perspective": {"yaw": ((15, 25), (30, 42), (48, 60)), "pitch": ((5, 12), (10, 22), (15, 30))},
    "rotation": {"roll": ((8, 20), (30, 60), (100, 260))},
    "blur": {"blur": ((1.0, 1.4), (1.8, 2.3), (2.6, 3.4))},
    "motion": {"motion": ((3, 5), (5.5, 7.5), (8, 11))},
    "defocus": {"defocus": ((1.5, 2.0), (2.6, 3.4), (3.6, 4.6))},
    "glare": {"glare": ((0.25, 0.4), (0.6, 0.9), (1.4, 2.5))},
    "moire": {"grid": ((0.2, 0.3), (0.4, 0.55), (0.6, 0.75)), "beat": ((3, 4), (5, 8), (7, 12))},
    "dark_mode": {
        "white": ((0.5, 0.7), (0.15, 0.3), (0.035, 0.055)),
        "black": ((0.005, 0.01), (0.01, 0.02), (0.015, 0.02)),
    },
    "dark_room": {
        "ambient": ((0.1, 0.2), (0.03, 0.06), (0.01, 0.02)),
        "white": ((0.15, 0.25), (0.04, 0.07), (0.02, 0.03)),
        "noise": ((4, 6), (5, 8), (6, 9)),
    },
    "overexposed": {
        "exposure": ((1.8, 2.5), (5, 8), (14, 22)),
        "ambient": ((0.3, 0.4), (0.1, 0.15), (0.02, 0.04)),
        "bloom": ((0.1, 0.15), (0.15, 0.2), (0.3, 0.4)),
    },
    "low_contrast": {
        "white": ((0.4, 0.5), (0.3, 0.36), (0.24, 0.27)),
        "black": ((0.12, 0.16), (0.18, 0.2), (0.18, 0.2)),
    },
    "noise": {"noise": ((8, 12), (20, 28), (40, 55))},
    "jpeg": {"jpeg": ((35, 50), (12, 20), (3, 7))},
    "cover": {"cover": ((0.1, 0.14), (0.2, 0.25), (0.3, 0.38))},
    "banding": {"banding": ((0.3, 0.45), (0.6, 0.75), (0.8, 0.92)), "bands": ((3, 6), (5, 10), (8, 18))},
}

KINDS: Final = tuple(_RANGES)
"""The kinds of difficulty."""

COMBINED: Final = (
    "size+blur", "size+moire", "size+jpeg", "perspective+glare", "perspective+defocus", "rotation+motion",
    "dark_mode+blur", "dark_room+noise", "dark_room+motion", "overexposed+dark_mode", "low_contrast+noise",
    "cover+perspective", "banding+size", "glare+moire", "defocus+noise", "perspective+dark_mode",
)  # fmt: skip
"""Two at once, as they come together at a counter."""


def opaque_string(random: np.random.Generator, length: int = 0) -> bytes:
    """A string as a simulated phone shows one: its mark, then base64url; 170 to 240 characters unless told."""
    length = length or int(random.integers(170, 241))
    body = base64.urlsafe_b64encode(random.bytes(length))
    return (SIMULATED_PREFIX + body)[:length]


def scene(kind: str, severity: Severity = "medium", seed: int = 0, payload: bytes | None = None) -> Scene:
    """A scene of a kind; the same seed gives the same scene.

    Scenes of one seed that differ in severity differ in nothing else.

    Args:
        kind: one of ``KINDS``, or several with ``+`` between.
        severity: of all that is in it.
        seed: from which all numbers are drawn.
        payload: what the code says; None for an opaque string, one in eight of which is short.

    Raises:
        ConfigurationInvalid: there is no such kind or severity.
    """
    names = kind.split("+")
    if not set(names) <= set(KINDS) or severity not in SEVERITIES:
        raise ConfigurationInvalid("a kind is one of " + ", ".join(KINDS), data={"path": "kind"})
    random = np.random.default_rng((7816, seed))
    if payload is None:
        payload = opaque_string(random, 0 if random.random() < 7 / 8 else int(random.integers(24, 60)))
    made = _ordinary(random, payload)
    for name in names:
        made = replace(made, **_drawn(name, SEVERITIES.index(severity), random))
    return made


def fitted(made: Scene, width: int) -> Scene:
    """A scene that was made for frames 1280 wide, as a camera of another resolution sees it."""
    share = width / _WIDTH
    return replace(
        made,
        module=made.module * share,
        motion=made.motion * share,
        defocus=made.defocus * share,
        blur=made.blur * share,
    )


def _ordinary(random: np.random.Generator, payload: bytes) -> Scene:
    """Draws a scene of a phone held without any difficulty."""
    return Scene(
        payload=payload,
        level="LM"[int(random.integers(2))],
        module=float(random.uniform(3.8, 4.8)),
        at=(float(random.uniform(0.4, 0.6)), float(random.uniform(0.45, 0.55))),
        yaw=float(random.uniform(-8, 8)),
        pitch=float(random.uniform(-6, 10)),
        roll=float(random.uniform(-5, 5)),
        motion_angle=float(random.uniform(0, 180)),
        left=float(random.uniform(0.1, 1.0)),
        counter=int(random.integers(1000)),
        phone_user=int(random.integers(4)),
    )


def _drawn(name: str, severity: int, random: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for member, ranges in _RANGES[name].items():
        low, high = ranges[severity]
        values[member] = low + (high - low) * float(random.random())
    for member in {"yaw", "pitch"} & values.keys():
        values[member] *= 1 if random.random() < 0.5 else -1
    if "jpeg" in values:
        values["jpeg"] = round(values["jpeg"])
    if name == "dark_mode":
        values["dark"] = True
    return values
