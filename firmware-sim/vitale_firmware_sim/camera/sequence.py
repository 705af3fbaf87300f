"""Frames of a webcam to which a phone is shown: brought up, focused, held unsteadily, taken away.

======================  =======================================================================
``presented``           comes up within half a second, is held for three, goes
``renewing``            stays, with another code every two seconds
``hurried``             comes and goes within a second
``shaky``               an old hand, and a slow focus
``far``                 stays farther away than it should
``dark_mode``           ``presented`` with a dark screen
``still``               lies before the camera from the first frame to the last
``empty``               nobody comes
======================  =======================================================================
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vitale_firmware_sim.camera.picture import SIZE, Frame, corners, render
from vitale_firmware_sim.camera.scene import Scene, Severity, fitted, opaque_string, scene
from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["FPS", "SEQUENCES", "Codes", "PhoneShowing", "sequence"]

FPS: Final = 30
Codes = Callable[[float], bytes]
"""What the screen shows so many seconds after the sequence began."""

# What a frame is exposed for: half of the time from one to the next, in the light of a shop.
_SHUTTER: Final = 0.5
# Beyond these, in modules, a decoder may fail.
_CLEAR_MOTION: Final = 0.6
_CLEAR_DEFOCUS: Final = 0.35


@dataclass(frozen=True, slots=True)
class PhoneShowing:
    """Course of showing a phone. Times in seconds.

    Attributes:
        seconds: how long the sequence is.
        arrives: when the phone begins to come.
        takes: how long it is on its way, in and out.
        leaves: when it begins to go.
        focus: how long the camera needs to find its focus, after the phone is there.
        shake: how far the hand strays, in pixels of a frame 1280 wide.
        renews: for how long a code is shown; 0 for good.
        kind: what is difficult about the scene.
        severity: and how much.
    """

    seconds: float = 5.0
    arrives: float = 0.5
    takes: float = 0.5
    leaves: float = math.inf
    focus: float = 0.7
    shake: float = 1.5
    renews: float = 0.0
    kind: str = "plain"
    severity: Severity = "light"


SEQUENCES: Final[Mapping[str, PhoneShowing]] = {
    "presented": PhoneShowing(leaves=4.0),
    "renewing": PhoneShowing(seconds=8.0, renews=2.0),
    "hurried": PhoneShowing(seconds=2.0, arrives=0.4, takes=0.25, leaves=1.15, focus=0.2),
    "shaky": PhoneShowing(seconds=6.0, takes=0.9, focus=1.2, shake=7.0),
    "far": PhoneShowing(kind="size", severity="medium"),
    "dark_mode": PhoneShowing(leaves=4.0, kind="dark_mode"),
    "still": PhoneShowing(seconds=2.0, arrives=-10.0, focus=0.0, shake=0.3),
    "empty": PhoneShowing(seconds=2.0, arrives=math.inf),
}
"""The sequences that have a name."""


def sequence(
    showing: str | PhoneShowing,
    seed: int = 0,
    *,
    codes: Codes | None = None,
    size: tuple[int, int] = SIZE,
    colour: bool = False,
) -> Iterator[Frame]:
    """The frames of a sequence, 30 a second; the same arguments give the same frames.

    Args:
        showing: the name of one of ``SEQUENCES``, or settings.
        seed: for the scene, the hand and the noise.
        codes: what the screen shows; None for opaque strings that are renewed as ``showing`` says.
        size: width and height.
        colour: BGR instead of grey.

    Raises:
        ConfigurationInvalid: there is no such sequence, kind or severity.
    """
    if isinstance(showing, str):
        if showing not in SEQUENCES:
            raise ConfigurationInvalid("a sequence is one of " + ", ".join(SEQUENCES), data={"path": "sequence"})
        showing = SEQUENCES[showing]
    film = _Film(showing, seed, codes or _renewing(showing, seed), size)
    return (film.frame(number, colour=colour) for number in range(round(showing.seconds * FPS)))


def _renewing(showing: PhoneShowing, seed: int) -> Codes:
    def code(at: float) -> bytes:
        turn = int(at // showing.renews) if showing.renews else 0
        return opaque_string(np.random.default_rng((seed, turn)))

    return code


class _Film:
    """One sequence: where the phone is at an instant, and how sharp."""

    def __init__(self, showing: PhoneShowing, seed: int, codes: Codes, size: tuple[int, int]) -> None:
        self._showing = showing
        self._seed = seed
        self._codes = codes
        self._size = size
        self._scene = fitted(scene(showing.kind, showing.severity, seed), size[0])
        random = np.random.default_rng((3030, seed))
        # A hand strays as a sum of slow waves and a tremor of 8 to 12 Hz.
        self._waves = [
            (random.uniform(0.3, 1.5), random.uniform(0, 7), random.uniform(0, 7), 0.6) for _ in range(3)
        ] + [(random.uniform(8, 12), random.uniform(0, 7), random.uniform(0, 7), 0.08)]

    def frame(self, number: int, *, colour: bool) -> Frame:
        at = number / FPS
        made = self._at(at)
        picture = render(made, size=self._size, seed=self._seed * 100_000 + number, colour=colour)
        if not made.phone:
            return Frame(picture, at=at, clear=False)
        where = corners(made, self._size)
        whole = where is not None and all(0 <= x < self._size[0] and 0 <= y < self._size[1] for x, y in where)
        sharp = made.motion < _CLEAR_MOTION * made.module and made.defocus < _CLEAR_DEFOCUS * made.module
        return Frame(picture, made.payload if whole else None, where, at, whole and sharp)

    def _at(self, at: float) -> Scene:
        if self._away(at) >= 1:
            return replace(self._scene, phone=False)
        x, y = self._place(at)
        later_x, later_y = self._place(at + _SHUTTER / FPS)
        moved_x, moved_y = (later_x - x) * self._size[0], (later_y - y) * self._size[1]
        return replace(
            self._scene,
            payload=self._codes(at),
            module=self._scene.module * (1 - 0.25 * self._away(at)),
            at=(x, y),
            roll=self._scene.roll + 25 * self._away(at),
            motion=math.hypot(moved_x, moved_y) + self._scene.motion,
            motion_angle=math.degrees(math.atan2(moved_y, moved_x)),
            defocus=self._defocus(at) * self._size[0] / SIZE[0] + self._scene.defocus,
            left=self._left(at),
        )

    def _away(self, at: float) -> float:
        """Distance of the phone from its place: 0 there, 1 out of the frame; it starts and stops softly."""
        showing = self._showing
        come = min(max((at - showing.arrives) / showing.takes, 0), 1)
        gone = min(max((at - showing.leaves) / showing.takes, 0), 1)
        eased = [share * share * (3 - 2 * share) for share in (come, gone)]
        return 1 - eased[0] + eased[1]

    def _place(self, at: float) -> tuple[float, float]:
        """The middle of the code, as shares of the frame: from below right to its place, and shaken."""
        x = sum(weight * math.sin(2 * math.pi * rate * at + phase) for rate, phase, _, weight in self._waves)
        y = sum(weight * math.sin(2 * math.pi * rate * at + phase) for rate, _, phase, weight in self._waves)
        away, shake = self._away(at), self._showing.shake / SIZE[0]
        height = SIZE[0] / SIZE[1]
        return self._scene.at[0] + x * shake + 0.15 * away, self._scene.at[1] + y * shake * height + 1.1 * away

    def _defocus(self, at: float) -> float:
        """Simulates an autofocus, which goes too far, comes back and settles."""
        settled = self._showing.focus
        since = at - self._showing.arrives - self._showing.takes / 2
        if settled <= 0 or since >= settled:
            return 0.0
        share = max(since, 0) / settled
        return 5.0 * abs(math.cos(2.2 * math.pi * share)) * math.pow(1 - share, 1.5)

    def _left(self, at: float) -> float:
        renews = self._showing.renews or 30.0
        # In steps: each is a picture of the screen that has to be drawn.
        return round(1 - at % renews / renews, 1)
