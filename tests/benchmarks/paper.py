"""Codes on paper as a webcam sees them: printed, bent, lit, moved and seen through noise, kind by kind.

Rendered with OpenCV from the seed alone. A label lies on the simulated counter; the kinds are those in which
photographs of prescriptions and of bottles differ from a drawing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import segno
import zxingcpp

from tests.benchmarks.perspective import Turned, perspective
from vitale_firmware_sim.camera.picture import empty_scene, render

__all__ = ["HELD_OUT", "KINDS", "Grey", "Label", "datamatrix", "ins", "lay", "negatives", "papers", "qr"]

Grey = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]

HELD_OUT: Final = 3003
"""A seed by which no stage was chosen."""

_FINE: Final = 8
"""Pixels a module of what is printed, before it is photographed."""


@dataclass(frozen=True, slots=True)
class Label:
    """A printed code before the camera.

    Attributes:
        module: pixels a module, straight on.
        at: the middle of it, as shares of the frame.
        roll: degrees clockwise.
        yaw: degrees about the upright axis.
        pitch: degrees that it leans back.
        bend: how far round a cylinder it goes, as the half angle in degrees; 0 is flat.
        light: of white paper, 0 to 1.
        inverted: light on dark.
        gloss: light of a lamp on the paper.
        wear: share of the modules that the printer spoilt.
        blur: standard deviation, in pixels.
        noise: standard deviation, in steps of 255.
    """

    module: float = 4.0
    at: tuple[float, float] = (0.5, 0.5)
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    bend: float = 0.0
    light: float = 0.85
    inverted: bool = False
    gloss: float = 0.0
    wear: float = 0.0
    blur: float = 0.6
    noise: float = 3.0


Draw = Callable[[np.random.Generator], Mapping[str, float | bool]]

KINDS: Final[Mapping[str, Draw]] = {
    "plain": lambda random: {},
    "rotated": lambda random: {"roll": random.uniform(-180, 180)},
    "inverted": lambda random: {"inverted": True},
    "glossy": lambda random: {"gloss": random.uniform(0.4, 1.2)},
    "curved": lambda random: {"bend": random.uniform(30, 65)},
    "tilted": lambda random: {"yaw": random.uniform(25, 45) * random.choice((-1, 1)), "pitch": random.uniform(-15, 15)},
    "aslant": lambda random: {"yaw": random.uniform(50, 62) * random.choice((-1, 1)), "module": random.uniform(5, 7)},
    "far": lambda random: {"module": random.uniform(1.8, 2.8), "blur": 0.4},
    "close": lambda random: {"module": random.uniform(9, 14)},
    "dim": lambda random: {"light": random.uniform(0.08, 0.18), "noise": random.uniform(4, 8)},
    "bad print": lambda random: {"wear": random.uniform(0.02, 0.06)},
    "blurred": lambda random: {"blur": random.uniform(1.6, 2.4)},
}
"""What is different from a label that lies well, drawn from a generator."""

_NAMES = ("GARCIA-HAMMADI", "LE GOFF", "NGUYEN", "D'AGOSTINO", "LOVELACE", "MARTIN", "DUPONT-DURAND", "ROUX")
_GIVEN = ("SARAH-LOU ANNA", "ANNE-SOPHIE", "ADA", "JEAN MARIE", "INES", "PAUL", "LUCIE ZOE", "YANN")


def ins(random: np.random.Generator) -> bytes:
    """An invented INS Datamatrix, whose key is right."""
    body = f"{random.integers(1, 3)}{random.integers(20, 100):02}{random.integers(1, 13):02}{random.integers(1, 96):02}"
    body += f"{random.integers(1, 990):03}{random.integers(1, 1000):03}"
    key = 97 - int(body) % 97
    given, name = _GIVEN[random.integers(len(_GIVEN))], _NAMES[random.integers(len(_NAMES))]
    text = (
        f"IS01{'0' * 22}S1{body}{key:02}S21.2.250.1.213.1.4.8\x1dS3{given}\x1dS4{name}\x1dS5{'MF'[random.integers(2)]}"
    )
    birth = f"{random.integers(1, 29):02}-{random.integers(1, 13):02}-{random.integers(1930, 2015)}"
    return f"{text}S6{birth}S7{random.integers(1001, 95999):05}".encode()


def datamatrix(content: bytes) -> Grey:
    """The modules of a Datamatrix with its quiet zone, 255 for light, one byte each."""
    kind = zxingcpp.BarcodeFormat.DataMatrix
    made = zxingcpp.create_barcode(content, kind, force_square=True)  # pyright: ignore[reportUnknownMemberType]
    drawn = np.array(made.to_image(scale=1, add_quiet_zones=False), dtype=np.uint8)
    return np.pad(drawn, 2, constant_values=255)


def qr(content: bytes) -> Grey:
    """The modules of a QR code with its quiet zone, likewise."""
    drawn = np.array([list(row) for row in segno.make(content, error="m", micro=False).matrix_iter(border=4)])
    return np.where(drawn > 0, 0, 255).astype(np.uint8)


def papers(
    kind: str,
    count: int,
    seed: int = 0,
    size: tuple[int, int] = (1280, 720),
    draw: Callable[[bytes], Grey] = datamatrix,
) -> Iterator[tuple[Grey, bytes]]:
    """So many frames of a kind, with what the code says; ``draw`` makes the code."""
    for number in range(count):
        random = np.random.default_rng((3141, sorted(KINDS).index(kind), seed, number))
        content = ins(random)
        label = Label(
            module=random.uniform(3.2, 5.0),
            at=(random.uniform(0.35, 0.65), random.uniform(0.4, 0.6)),
            roll=random.uniform(-6, 6),
            yaw=random.uniform(-8, 8),
            pitch=random.uniform(-8, 8),
        )
        label = replace(label, **KINDS[kind](random))  # type: ignore[arg-type]
        desk = replace(empty_scene(2 * int(random.integers(10_000))), ambient=min(1.0, label.light + 0.1))
        frame = render(desk, size=size, seed=int(random.integers(1 << 30)))
        yield lay(frame, draw(content), label, random), content


def lay(frame: Grey, modules: Grey, label: Label, random: np.random.Generator) -> Grey:
    """The frame with a label laid into it."""
    sheet = _printed(modules, label, random)
    height, width = frame.shape
    turned, at = Turned(label.yaw, label.pitch, label.roll), (label.at[0] * width, label.at[1] * height)
    matrix = perspective((sheet.shape[1], sheet.shape[0]), label.module / _FINE, turned, at, 1.2 * width)
    flags = cv2.INTER_AREA if label.module < _FINE else cv2.INTER_LINEAR
    less = min(1.0, max(label.module * 2 / _FINE, 0.25))
    small = cv2.resize(sheet, None, fx=less, fy=less, interpolation=flags)
    matrix = matrix @ np.diag([1 / less, 1 / less, 1.0])
    seen = cv2.warpPerspective(small, matrix, (width, height), flags=cv2.INTER_LINEAR)
    cover = cv2.warpPerspective(np.ones_like(small), matrix, (width, height), flags=cv2.INTER_LINEAR)
    inside = cover > 0.5
    softened = cv2.GaussianBlur(np.where(inside, seen, frame.astype(np.float32)), (0, 0), label.blur)
    values: Values = (softened + random.normal(0, label.noise, frame.shape)).astype(np.float32)
    return np.where(cv2.dilate(cover, np.ones((9, 9))) > 0.5, np.clip(values, 0, 255), frame).astype(np.uint8)


def negatives(count: int, seed: int = 0, size: tuple[int, int] = (1280, 720)) -> Iterator[Grey]:
    """Pictures without a code: counters, textures, text, bar codes and what looks like a code."""
    for number in range(count):
        random = np.random.default_rng((2718, seed, number))
        frame = render(empty_scene(seed + number), size=size, seed=seed + number)
        match number % 5:
            case 1:
                frame = _textured(size, random)
            case 2:
                frame = _text(frame, random)
            case 3:
                frame = lay(frame, _bars(random), Label(module=random.uniform(1.5, 4)), random)
            case 4:
                frame = lay(frame, _decoy(random), Label(module=random.uniform(2, 7)), random)
            case _:
                pass
        yield frame


# ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _printed(modules: Grey, label: Label, random: np.random.Generator) -> Values:
    ink = modules.copy()
    if label.wear:
        spoilt = random.random(ink.shape) < label.wear
        ink[spoilt] = np.where(random.random(int(spoilt.sum())) < 0.8, 255, 0)
    if label.inverted:
        ink = 255 - ink
    large = cv2.resize(ink, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_NEAREST).astype(np.float32)
    sheet = np.pad(large, 4 * _FINE, constant_values=0.0 if label.inverted else 255.0)
    sheet = (18 + sheet * (237 / 255)) * np.float32(label.light)
    if label.bend:
        sheet = _bent(sheet, label.bend)
    if label.gloss:
        sheet = np.minimum(255, sheet + _lamp(sheet.shape[0], label.gloss, random))
    return sheet.astype(np.float32)


def _bent(sheet: Values, degrees: float) -> Values:
    side = sheet.shape[0]
    half = np.deg2rad(degrees)
    x = np.linspace(-1, 1, side, dtype=np.float32) * np.float32(np.sin(half))
    across = (np.arcsin(x) / half * 0.5 + 0.5) * (side - 1)
    down = np.arange(side, dtype=np.float32)
    mapped = cv2.remap(
        sheet,
        np.repeat(across[None, :].astype(np.float32), side, axis=0),
        np.repeat(down[:, None], side, axis=1),
        cv2.INTER_LINEAR,
    )
    shade = np.sqrt(1 - x**2) * 0.75 + 0.25
    return np.asarray(mapped * shade[None, :], dtype=np.float32)


def _lamp(side: int, light: float, random: np.random.Generator) -> Values:
    y, x = np.mgrid[:side, :side].astype(np.float32) / np.float32(side)
    at_x, at_y = random.uniform(0.2, 0.8, 2)
    wide, high = random.uniform(0.1, 0.25), random.uniform(0.05, 0.12)
    spot = np.exp(-(((x - at_x) / wide) ** 2) - ((y - at_y) / high) ** 2)
    return np.asarray(spot * 255 * light, dtype=np.float32)


def _textured(size: tuple[int, int], random: np.random.Generator) -> Grey:
    coarse = int(random.integers(2, 12))
    noise = random.integers(0, 256, (size[1] // coarse + 1, size[0] // coarse + 1)).astype(np.uint8)
    how = cv2.INTER_NEAREST if random.random() < 0.5 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(noise, size, interpolation=how), dtype=np.uint8)


def _text(frame: Grey, random: np.random.Generator) -> Grey:
    done = frame.copy()
    done[40:-40, 80:-80] = 235
    for line in range(70, frame.shape[0] - 60, 26):
        words = "".join(chr(code) for code in random.integers(33, 126, 60))
        cv2.putText(done, words, (100, line), cv2.FONT_HERSHEY_SIMPLEX, float(random.uniform(0.4, 0.9)), 30, 1)
    return done


def _bars(random: np.random.Generator) -> Grey:
    content = "".join(str(figure) for figure in random.integers(0, 10, 20))
    made = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat.Code128)  # pyright: ignore[reportUnknownMemberType]
    drawn = np.array(made.to_image(scale=1, add_quiet_zones=True), dtype=np.uint8)
    row = drawn[drawn.shape[0] // 2]
    return np.repeat(row[None, :], len(row), axis=0)


def _decoy(random: np.random.Generator) -> Grey:
    """Modules at random within the frame of a Datamatrix, or with the finders of a QR code."""
    side = int(random.integers(12, 40)) * 2
    drawn = np.where(random.random((side, side)) < 0.5, 0, 255).astype(np.uint8)
    if random.random() < 0.5:
        drawn[:, 0] = drawn[-1, :] = 0
        drawn[0, ::2], drawn[0, 1::2] = 0, 255
        drawn[1::2, -1], drawn[::2, -1] = 0, 255
    else:
        finder = np.full((8, 8), 255, np.uint8)
        finder[:7, :7] = 0
        finder[1:6, 1:6] = 255
        finder[2:5, 2:5] = 0
        drawn[:8, :8], drawn[:8, -8:], drawn[-8:, :8] = finder, finder[:, ::-1], finder[::-1]
    return np.pad(drawn, 4, constant_values=255)
