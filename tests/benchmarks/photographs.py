"""Photographs of codes that are hard to read, kind by kind: printed or on a screen, bent, lit, and seen by a camera.

Unlike ``paper``, which adds up what stands on the picture, a camera is followed here: a sheet that is bent, folded or
crumpled reflects the light that falls on it; the lens spreads *light*, not values; the sensor saturates and counts
photons; what it counts gets its curve, is sharpened and compressed. Rendered with OpenCV from the seed alone.

==================  ===========================================================================
``nominal``         nothing is wrong
``rotations``       turned by any angle
``close``           the code fills the frame
``small``           two pixels a module
``high_version``    many modules
``perspective``     far aslant
``curved``          round a bottle
``folded``          a prescription that was folded in three
``crumpled``        and one that was in a pocket
``damaged``         stains, scratches, a corner torn off, worn print
``noncompliant``    no quiet zone, round modules, a logo, light on dark, little contrast
``lookalikes``      squares in squares around it
``blurred``         out of focus, or moved
``brightness``      too much light or too little for the exposure
``bright_spots``    spots of light
``shadows``         edges of shadows across it
``glare``           a lamp or a window in its gloss
``screen``          on a phone, with what else an app shows
``screen_glare``    with a lamp or a window in the glass
``screen_dim``      at the least brightness, in a bright room
``screen_tilted``   far aslant and near
``screen_blurred``  too near for the focus, or moved
``screen_moire``    its grid against that of the sensor, bands of its light
==================  ===========================================================================
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import segno

from tests.benchmarks.paper import datamatrix, ins
from tests.benchmarks.perspective import Turned, perspective

__all__ = ["KINDS", "Grey", "Shot", "opaque", "photograph", "photographs", "qr"]

Grey = npt.NDArray[np.uint8]
Light = npt.NDArray[np.float32]
Random = np.random.Generator

_FINE: Final = 10
"""Pixels a module of what is printed or shown, before it is photographed."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A code before the camera; lengths are in pixels of the frame, or of its modules where that is said.

    Attributes:
        module: pixels a module, straight on.
        length: bytes of an opaque content; 0 for what the symbology is used for.
        screen: on a phone, instead of paper.
        roll, yaw, pitch: degrees: turned, about the upright axis, leaned back.
        bend: half of the angle of a cylinder that it goes round, in degrees.
        fold: degrees between the parts of a sheet folded in three.
        crumple: height of the creases, in modules.
        stains: how many stains, scratches and torn places.
        wear: share of the modules that lost their ink.
        rounded: round modules.
        logo: share of the width that a logo covers.
        bare: no quiet zone.
        inverted: light on dark.
        ink: share of the light that a dark module gives back.
        squares: how many squares in squares stand around it.
        defocus: radius of the disc that a point becomes.
        motion: way during the exposure.
        exposure: 1 is right.
        spots: how many spots of light.
        shadows: how many edges of shadows.
        lamp: light of a lamp's image in the gloss, where white paper gives 1.
        window: likewise of a window's, whose edges are sharp.
        moire: depth of it.
        bands: depth of the bands of a screen's light.
        photons: counted for a white pixel; fewer are noisier.
        jpeg: quality.
    """

    module: float = 4.0
    length: int = 0
    screen: bool = False
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    bend: float = 0.0
    fold: float = 0.0
    crumple: float = 0.0
    stains: int = 0
    wear: float = 0.0
    rounded: bool = False
    logo: float = 0.0
    bare: bool = False
    inverted: bool = False
    ink: float = 0.04
    squares: int = 0
    defocus: float = 0.6
    motion: float = 0.0
    exposure: float = 1.0
    spots: int = 0
    shadows: int = 0
    lamp: float = 0.0
    window: float = 0.0
    moire: float = 0.0
    bands: float = 0.0
    photons: float = 2500.0
    jpeg: int = 85


Draw = Callable[[Random], Mapping[str, float | bool]]


def _either(random: Random, *choices: Mapping[str, float | bool]) -> Mapping[str, float | bool]:
    return choices[int(random.integers(len(choices)))]


def _sign(random: Random) -> float:
    return float(random.choice((-1, 1)))


KINDS: Final[Mapping[str, Draw]] = {
    "nominal": lambda r: {},
    "rotations": lambda r: {"roll": r.uniform(-180, 180)},
    "close": lambda r: {"module": r.uniform(10, 16), "defocus": r.uniform(1, 4)},
    "small": lambda r: {"module": r.uniform(1.7, 2.4), "defocus": 0.4},
    "high_version": lambda r: {"length": int(r.integers(250, 700)), "module": r.uniform(2.6, 4.0)},
    "perspective": lambda r: {
        "yaw": r.uniform(48, 64) * _sign(r),
        "pitch": r.uniform(-25, 25),
        "module": r.uniform(5, 8),
        "roll": r.uniform(-40, 40),
    },
    "curved": lambda r: {"bend": r.uniform(40, 72), "roll": float(r.choice((0, 90))) + r.uniform(-15, 15)},
    "folded": lambda r: {"fold": r.uniform(8, 35), "roll": r.uniform(-30, 30)},
    "crumpled": lambda r: {"crumple": r.uniform(0.05, 0.5), "roll": r.uniform(-30, 30)},
    "damaged": lambda r: {"stains": int(r.integers(2, 6)), "wear": r.uniform(0, 0.04)},
    "noncompliant": lambda r: _either(
        r,
        {"bare": True},
        {"rounded": True, "logo": r.uniform(0.15, 0.24)},
        {"inverted": True, "rounded": True},
        {"ink": r.uniform(0.45, 0.7)},
        {"inverted": True, "bare": True},
    ),
    "lookalikes": lambda r: {"squares": int(r.integers(4, 14))},
    "blurred": lambda r: _either(
        r, {"defocus": r.uniform(2, 4.2)}, {"motion": r.uniform(4, 9)}, {"defocus": 1.8, "motion": r.uniform(3, 6)}
    ),
    "brightness": lambda r: _either(
        r, {"exposure": r.uniform(2.5, 7), "defocus": 1.2}, {"exposure": r.uniform(0.03, 0.1), "photons": 1200}
    ),
    "bright_spots": lambda r: {"spots": int(r.integers(2, 7)), "exposure": 1.3},
    "shadows": lambda r: {"shadows": int(r.integers(1, 4))},
    "glare": lambda r: _either(r, {"lamp": r.uniform(0.8, 4)}, {"window": r.uniform(0.3, 1.6)}),
    "screen": lambda r: {"screen": True, "inverted": bool(r.random() < 0.3), "roll": r.uniform(-25, 25)},
    "screen_glare": lambda r: {
        "screen": True,
        "yaw": r.uniform(-25, 25),
        **_either(r, {"lamp": r.uniform(0.6, 3)}, {"window": r.uniform(0.3, 1.5)}),
    },
    "screen_dim": lambda r: {
        "screen": True,
        "ink": r.uniform(0.55, 0.8),
        "exposure": r.uniform(0.1, 0.5),
        "logo": float(r.choice((0, 0.15))),
    },
    "screen_tilted": lambda r: {
        "screen": True,
        "yaw": r.uniform(35, 58) * _sign(r),
        "pitch": r.uniform(-25, 25),
        "roll": r.uniform(-40, 40),
        "module": r.uniform(3.5, 7),
    },
    "screen_blurred": lambda r: {
        "screen": True,
        **_either(r, {"defocus": r.uniform(2, 4)}, {"motion": r.uniform(4, 10)}),
    },
    "screen_moire": lambda r: {"screen": True, "moire": r.uniform(0.3, 0.8), "bands": r.uniform(0.2, 0.9)},
}
"""What is different from a code that is held well, drawn from a generator."""


def photographs(
    kind: str, count: int, seed: int = 0, size: tuple[int, int] = (1280, 720), *, matrix: bool = False
) -> Iterator[tuple[Grey, bytes]]:
    """So many photographs of a kind, with what the code says: a QR code, or ``matrix`` a Datamatrix of an INS."""
    for number in range(count):
        random = np.random.default_rng((6626, sorted(KINDS).index(kind), int(matrix), seed, number))
        shot = Shot(
            module=random.uniform(3.0, 5.5),
            length=int(random.integers(25, 230)),
            roll=random.uniform(-8, 8),
            yaw=random.uniform(-12, 12),
            pitch=random.uniform(-12, 12),
            defocus=random.uniform(0.5, 1.0),
            jpeg=int(random.integers(60, 95)),
        )
        shot = replace(shot, **KINDS[kind](random))  # type: ignore[arg-type]
        content = ins(random) if matrix else opaque(random, shot.length)
        modules = datamatrix(content)[2:-2, 2:-2] if matrix else qr(content, random)
        # A code that is far larger than the frame cannot be read by anybody.
        shot = replace(shot, module=min(shot.module, 0.9 * size[1] / len(modules)))
        yield photograph(modules, shot, size, random), content


def opaque(random: Random, length: int) -> bytes:
    return bytes(
        random.choice(
            np.frombuffer(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", np.uint8), length
        )
    )


def qr(content: bytes, random: Random) -> Grey:
    made = segno.make(content, error="LMMQ"[int(random.integers(4))], micro=False, boost_error=False)
    return np.where(np.array([list(row) for row in made.matrix]) > 0, 0, 255).astype(np.uint8)


# ── the sheet or the screen ──────────────────────────────────────────────────────────────────────────────────────────


def photograph(modules: Grey, shot: Shot, size: tuple[int, int], random: Random) -> Grey:
    around = _room(size, random)
    sheet = _shaped(_sheet(modules, shot, random), shot, random)
    seen, mask = _placed(sheet, shot, size, random)
    light = np.where(mask > 0.5, seen, around) if not shot.screen else around * (1 - mask) + seen * mask
    light = _lit(light.astype(np.float32), shot, random)
    light = _reflecting(light, mask, shot, random)
    return _taken(_focused(light, shot, random), shot, random)


def _room(size: tuple[int, int], random: Random) -> Light:
    """A desk: unevenness of several sizes, things with straight edges, lines of print."""
    width, height = size
    room = np.full((height, width), random.uniform(0.08, 0.5), np.float32)
    for cells in (3, 9, 40):
        rough = random.normal(0, random.uniform(0.005, 0.06), (cells, 2 * cells)).astype(np.float32)
        room += cv2.resize(rough, size, interpolation=cv2.INTER_CUBIC)
    for _ in range(int(random.integers(2, 9))):
        middle = random.uniform((0, 0), size)
        box = cv2.boxPoints((tuple(middle), tuple(random.uniform(40, 500, 2)), float(random.uniform(0, 180))))
        cv2.fillPoly(room, [box.astype(np.int32)], float(random.uniform(0.02, 0.8)))
    for line in range(int(random.integers(0, 14))):
        at = int(random.uniform(0, width * 0.8)), 40 + 22 * line + int(random.integers(300))
        _words(room, 30, at, (0.6, 1), float(random.uniform(0, 0.6)), random)
    return np.clip(room, 0.01, 1)


def _sheet(modules: Grey, shot: Shot, random: Random) -> Light:
    """Draws what is printed or shown, as shares of the light that it gives back."""
    dark: npt.NDArray[np.bool_] = np.asarray(modules == 0, dtype=np.bool_)
    if shot.wear:
        kept = np.asarray(random.random(modules.shape) > shot.wear, dtype=np.bool_)
        dark = np.asarray(dark & kept, dtype=np.bool_)
    code = _modules(dark, rounded=shot.rounded)
    if shot.logo:
        side = len(code)
        half = int(side * shot.logo / 2)
        inner = slice(side // 2 - half, side // 2 + half)
        code[inner, inner] = 0.0
        cv2.circle(code, (side // 2, side // 2), half * 2 // 3, 1.0, -1)
    if shot.inverted:
        code = 1 - code
    quiet = (0 if shot.bare else 4) * _FINE
    panel = np.pad(code, quiet, constant_values=1.0 if shot.inverted else 0.0)
    rim = int(random.integers(6, 16)) * _FINE
    edge = float(panel[0, 0]) if not shot.bare else 1.0 - float(shot.inverted)
    whole = np.pad(panel, rim, constant_values=edge)
    if shot.screen:
        whole = _app(whole, len(panel), random)
    elif not shot.bare:
        _print_around(whole, rim, random)
    for _ in range(shot.squares):
        _square(whole, rim, random)
    whole = np.asarray(cv2.GaussianBlur(whole, (0, 0), _FINE * 0.12), np.float32)
    light: Light = np.asarray(0.9 * (1 - whole) + shot.ink * 0.9 * whole, np.float32)
    for _ in range(shot.stains):
        _stain(light, rim, random)
    return light


def _modules(dark: npt.NDArray[np.bool_], *, rounded: bool) -> Light:
    fine = np.kron(dark, np.ones((_FINE, _FINE), np.float32)).astype(np.float32)
    if not rounded:
        return fine
    dot = np.zeros((_FINE, _FINE), np.float32)
    cv2.circle(dot, (_FINE // 2, _FINE // 2), int(_FINE * 0.42), 1.0, -1)
    dots = np.kron(dark, dot).astype(np.float32)
    for rows, columns in ((slice(0, 7), slice(0, 7)), (slice(0, 7), slice(-7, None)), (slice(-7, None), slice(0, 7))):
        there = np.zeros_like(dark)
        there[rows, columns] = True
        dots = np.where(np.kron(there, np.ones((_FINE, _FINE), bool)), fine, dots)
    return dots


def _app(whole: Light, panel: int, random: Random) -> Light:
    """A phone's screen around its panel: higher than wide, with words, a bar and a button."""
    side = whole.shape[0]
    above, below = int(side * random.uniform(0.25, 0.6)), int(side * random.uniform(0.3, 0.9))
    dark = bool(random.random() < 0.5)
    done = np.full((above + side + below, side), 0.95 if dark else 0.0, np.float32)
    start = (side - panel) // 2
    done[above + start : above + start + panel, start : start + panel] = whole[
        start : start + panel, start : start + panel
    ]
    ink = 0.1 if dark else 0.9
    for number in range(int(random.integers(2, 7))):
        low = number % 2 * (above + side) + 60 + number * 55
        _words(done, int(random.integers(6, 18)), (30, low), (random.uniform(0.8, 1.8), 4), ink, random)
    cv2.rectangle(done, (40, above + side + below // 2), (side - 40, above + side + below // 2 + 70), ink * 0.7, -1)
    return np.pad(done, 2 * _FINE, constant_values=1.0)


def _print_around(whole: Light, rim: int, random: Random) -> None:
    for low in (rim - 20, whole.shape[0] - rim // 3):
        _words(whole, 20, (rim // 2, low), (1.1, 3), 0.9, random)


def _words(on: Light, count: int, at: tuple[int, int], size: tuple[float, int], value: float, random: Random) -> None:
    """Writes so many letters; ``at`` is where the first begins, ``size`` the scale of the font and its stroke."""
    letters = "".join(chr(code) for code in random.integers(65, 122, count))
    where = np.zeros(on.shape, np.uint8)
    cv2.putText(where, letters, at, cv2.FONT_HERSHEY_SIMPLEX, size[0], 255, size[1], cv2.LINE_AA)
    share = np.asarray(where, dtype=np.float32) / 255
    on += (value - on) * share


def _square(whole: Light, rim: int, random: Random) -> None:
    """Squares in a square, like those by which a code is found, where there is no code."""
    side = int(random.integers(3, max(4, rim // _FINE - 1)))
    place = int(random.integers(4))
    span: int = whole.shape[0] - rim
    along = int(random.uniform(0, span))
    across = int(random.uniform(0, max(1, rim - (side + 2) * _FINE)))
    left, top = (
        (along, across),
        (across, along),
        (along, whole.shape[0] - rim // 2),
        (whole.shape[1] - rim // 2, along),
    )[place]
    size = side * _FINE
    for share, value in ((0.0, 1.0), (1 / 7, 0.0), (2 / 7, 1.0)):
        inset = int(size * share)
        cv2.rectangle(whole, (left + inset, top + inset), (left + size - inset, top + size - inset), value, -1)


def _stain(light: Light, rim: int, random: Random) -> None:
    side = light.shape[0] - 2 * rim
    at = tuple(int(value) for value in random.uniform(rim, rim + side, 2))
    match int(random.integers(3)):
        case 0:
            axes = tuple(int(value) for value in random.uniform(0.03, 0.12, 2) * side)
            cv2.ellipse(light, at, axes, float(random.uniform(0, 180)), 0, 360, float(random.uniform(0.02, 0.9)), -1)
        case 1:
            to = tuple(int(value) for value in random.uniform(rim, rim + side, 2))
            cv2.line(light, at, to, float(random.choice((0.03, 0.88))), int(random.uniform(0.4, 1.6) * _FINE))
        case _:
            size = int(side * random.uniform(0.1, 0.22))
            corner = np.array([[rim + side + 9, rim + side + 9], [rim + side + 9, rim + side - size]])
            torn = np.vstack((corner, [[rim + side - size, rim + side + 9]])).astype(np.int32)
            cv2.fillPoly(light, [torn], float(random.uniform(0.1, 0.6)))


# ── how it lies ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _shaped(sheet: Light, shot: Shot, random: Random) -> Light:
    """Bends, folds and crumples a sheet, as it is seen from above, with the shade that this gives."""
    high, wide = sheet.shape
    down, across = np.mgrid[:high, :wide].astype(np.float32)
    across, down = np.asarray(across, np.float32), np.asarray(down, np.float32)
    shade = np.ones_like(sheet)
    if shot.bend:
        half = np.deg2rad(shot.bend)
        x = np.clip((across / (wide - 1) * 2 - 1) * np.sin(half), -0.999, 0.999)
        across = ((np.arcsin(x) / half + 1) / 2 * (wide - 1)).astype(np.float32)
        shade *= 0.35 + 0.65 * np.sqrt(1 - x**2)
    if shot.fold:
        at = np.array([0.0, random.uniform(0.28, 0.42), random.uniform(0.58, 0.72), 1.0]) * (high - 1)
        tilts = np.deg2rad(shot.fold) * np.array([1, random.uniform(-0.3, 0.3), -1]) * _sign(random)
        seen = np.concatenate(([0.0], np.cumsum(np.diff(at) * np.cos(tilts))))
        seen *= (high - 1) / seen[-1]
        skew = np.interp(down, seen, np.concatenate(([0.0], np.cumsum(np.diff(at) * np.sin(tilts) * 0.1))))
        part = np.clip(np.searchsorted(seen, down[:, 0]) - 1, 0, 2)
        down = np.asarray(np.interp(down, seen, at), np.float32)
        across = (wide / 2 + (across - wide / 2) * (1 + skew / high) + 0.15 * skew).astype(np.float32)
        shade *= (1 + 0.55 * np.sin(tilts))[part][:, None].astype(np.float32)
    if shot.crumple:
        height = sum(
            cv2.resize(random.normal(0, 1 / cells, (cells, cells)).astype(np.float32), (wide, high), interpolation=how)
            for cells, how in ((4, cv2.INTER_CUBIC), (7, cv2.INTER_LINEAR), (12, cv2.INTER_LINEAR))
        )
        height = np.asarray(height, np.float32) * shot.crumple * _FINE * 6
        slope_x, slope_y = cv2.Sobel(height, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(height, cv2.CV_32F, 0, 1) / 8
        across, down = across + height * 0.5, down + height * 0.4
        shade *= np.clip(1 + 1.2 * slope_x + 0.9 * slope_y, 0.25, 1.6)
    if not (shot.bend or shot.fold or shot.crumple):
        return sheet
    across, down = np.asarray(across, np.float32), np.asarray(down, np.float32)
    bent = cv2.remap(sheet, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(bent * shade, np.float32)


def _placed(sheet: Light, shot: Shot, size: tuple[int, int], random: Random) -> tuple[Light, Light]:
    less = min(1.0, 2 * shot.module / _FINE)
    small = cv2.resize(sheet, None, fx=less, fy=less, interpolation=cv2.INTER_AREA)
    if shot.moire:
        small = _grid(np.asarray(small, np.float32), shot.moire, random)
    high, wide = small.shape
    at = random.uniform(0.42, 0.58) * size[0], random.uniform(0.45, 0.55) * size[1]
    turned = Turned(shot.yaw, shot.pitch, shot.roll)
    matrix = perspective((wide, high), shot.module / (_FINE * less), turned, at, 1.3 * size[0])
    seen = cv2.warpPerspective(small, matrix, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(np.ones_like(small), matrix, size, flags=cv2.INTER_LINEAR)
    return np.asarray(seen, np.float32), np.asarray(mask, np.float32)


def _grid(sheet: Light, depth: float, random: Random) -> Light:
    """The beat of a screen's pixels against the sensor's."""
    y, x = np.mgrid[: sheet.shape[0], : sheet.shape[1]].astype(np.float32)
    period, angle = random.uniform(6, 22), random.uniform(0, np.pi)
    phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + 2 * np.sin(y / 90) + 1.5 * np.sin(x / 120)
    return np.asarray(sheet * (1 - depth / 2 + depth / 2 * np.sin(phase)), np.float32)


# ── light, lens and sensor ───────────────────────────────────────────────────────────────────────────────────────────


def _lit(light: Light, shot: Shot, random: Random) -> Light:
    high, wide = light.shape
    y, x = np.mgrid[:high, :wide].astype(np.float32) / np.float32(high)
    slope = random.uniform(-0.3, 0.3, 2)
    lit = 1 + slope[0] * (x - wide / high / 2) + slope[1] * (y - 0.5)
    for _ in range(shot.shadows):
        angle, at = random.uniform(0, 2 * np.pi), random.uniform(-0.15, 0.15)
        side = (x - wide / high / 2) * np.cos(angle) + (y - 0.5) * np.sin(angle) - at
        lit = lit * (
            1 - random.uniform(0.6, 0.93) / (1 + np.exp(np.clip(-side / random.uniform(0.001, 0.02), -60, 60)))
        )
    for _ in range(shot.spots):
        middle = wide / high / 2 + random.uniform(-0.3, 0.3), 0.5 + random.uniform(-0.25, 0.25)
        far = ((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / random.uniform(0.02, 0.1) ** 2
        lit = lit + random.uniform(1, 6) / (1 + far**3)
    if shot.bands:
        lit = lit * (1 - shot.bands * (0.5 + 0.5 * np.sin(2 * np.pi * (random.uniform(2, 12) * y + random.random()))))
    return np.asarray(light * lit, np.float32)


def _reflecting(light: Light, mask: Light, shot: Shot, random: Random) -> Light:
    if not (shot.lamp or shot.window):
        return light
    high, wide = light.shape
    middle = wide / 2 + random.uniform(-0.12, 0.12) * high, high / 2 + random.uniform(-0.12, 0.12) * high
    gloss = np.zeros_like(light)
    if shot.lamp:
        axes = (int(random.uniform(0.06, 0.16) * high), int(random.uniform(0.02, 0.06) * high))
        cv2.ellipse(gloss, (int(middle[0]), int(middle[1])), axes, random.uniform(0, 180), 0, 360, shot.lamp, -1)
        gloss = np.asarray(cv2.GaussianBlur(gloss, (0, 0), random.uniform(0.015, 0.05) * high), np.float32)
    if shot.window:
        sides = random.uniform(0.2, 0.5, 2) * high
        box = cv2.boxPoints((middle, (float(sides[0]), float(sides[1])), float(random.uniform(-30, 30))))
        cv2.fillPoly(gloss, [box.astype(np.int32)], shot.window)
        middle_bar = box.mean(axis=0)
        cv2.line(gloss, tuple(box[0].astype(int)), tuple((2 * middle_bar - box[0]).astype(int)), 0.0, 12)
        gloss = np.asarray(cv2.GaussianBlur(gloss, (0, 0), random.uniform(1, 5)), np.float32)
    return np.asarray(light + gloss * mask, np.float32)


def _focused(light: Light, shot: Shot, random: Random) -> Light:
    radius = max(shot.defocus, 0.3)
    side = 2 * int(np.ceil(radius)) + 3
    y, x = np.mgrid[:side, :side] - side // 2
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    spread = cv2.filter2D(light, -1, disc / disc.sum())
    if shot.motion:
        length = int(np.ceil(shot.motion)) | 1
        line = np.zeros((length + 2, length + 2), np.float32)
        angle = random.uniform(0, np.pi)
        half = np.array([np.cos(angle), np.sin(angle)]) * shot.motion / 2
        middle = (length + 2) / 2
        ends = [tuple(round((middle + sign * part) * 16) for part in half) for sign in (-1, 1)]
        cv2.line(line, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
        spread = cv2.filter2D(spread, -1, line / line.sum())
    return np.asarray(spread, np.float32)


def _taken(light: Light, shot: Shot, random: Random) -> Grey:
    """The sensor counts, saturates, gets its curve; the camera sharpens and compresses."""
    counted = np.minimum(light * shot.exposure * 0.85, 1.0) * shot.photons
    counted = counted + random.normal(0, 1, light.shape) * np.sqrt(counted) + random.normal(0, 4, light.shape)
    # A camera makes up for the dark as far as it can, and noise grows with it.
    gain = min(6.0, max(1.0, 0.35 / max(shot.exposure, 0.02)))
    value = np.clip(counted * gain / shot.photons, 0, 1) ** (1 / 2.2)
    sharp = value + 0.4 * (value - cv2.GaussianBlur(value, (0, 0), 1.2))
    grey = np.clip(sharp * 255, 0, 255).astype(np.uint8)
    done, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, shot.jpeg])
    assert done
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
