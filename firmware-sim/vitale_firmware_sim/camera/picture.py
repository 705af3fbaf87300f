"""Renders a scene to the frame of a webcam: a phone before a counter, through lens and sensor.

The code is drawn with two samples a pixel each way. They are averaged, as the wells of a sensor average, so small
modules alias.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from vitale_firmware_sim.camera import optics
from vitale_firmware_sim.camera.counter import counter
from vitale_firmware_sim.camera.optics import Picture, Values
from vitale_firmware_sim.camera.pose import Corners, Matrix, Point, Pose, inverse, projection, seen
from vitale_firmware_sim.camera.scene import Scene, Severity, scene
from vitale_firmware_sim.camera.screen_picture import Look, Texture, code_modules, texture

__all__ = ["SIZE", "Frame", "corners", "empty_scene", "empty_scenes", "render", "scenes"]

SIZE: Final = (1280, 720)
"""Width and height that webcams give by default."""

_SAMPLES: Final = 2
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, and what is in it.

    Attributes:
        picture: ``uint8``, (height, width) in grey or (height, width, 3) in BGR.
        payload: what the code in it says; None where there is none.
        corners: of the code without quiet zone: top left, top right, bottom right, bottom left of the code itself.
        at: seconds since the sequence began; 0 where there is none.
        clear: whether the code is at rest, sharp and whole, so that a good decoder has no excuse.
    """

    picture: Picture = field(repr=False)
    payload: bytes | None = field(default=None, repr=False)
    corners: Corners | None = None
    at: float = 0.0
    clear: bool = True


def render(
    scene: Scene,
    *,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
    colour: bool = False,
    beside: Sequence[Scene] = (),
) -> Picture:
    """The frame of a scene; the same arguments give the same bytes.

    Args:
        scene: the scene.
        size: width and height.
        seed: for noise, lamps and the phase of bands.
        colour: BGR instead of grey, at three times the cost.
        beside: further phones before the same camera, laid over the first one.
    """
    random = np.random.default_rng((1280, seed))
    frame = _background(scene, size, colour=colour)
    lamps = None
    if scene.phone:
        drawn = _drawn(scene, colour=colour)
        matrix = _matrix(scene, drawn, size)
        _lay(frame, scene, drawn, matrix)
        if scene.glare:
            lamps = _lamps(scene, drawn, matrix, size, random)
    for other in beside:
        drawn = _drawn(other, colour=colour)
        _lay(frame, other, drawn, _matrix(other, drawn, size))
    picture = optics.exposed(optics.softened(frame, scene.blur), scene, lamps, random)
    if scene.jpeg:
        picture = optics.compressed(picture, scene.jpeg)
    return np.ascontiguousarray(picture[..., ::-1]) if colour else picture


def corners(scene: Scene, size: tuple[int, int] = SIZE) -> Corners | None:
    """Returns the corners of the code in the frame of a scene; None where there is no code."""
    if not scene.phone or not scene.payload:
        return None
    half = len(code_modules(scene.payload, scene.level)) / 2
    matrix = projection(_pose(scene, size), size[0])
    first, second, third, fourth = seen(matrix, [(-half, -half), (half, -half), (half, half), (-half, half)])
    return first, second, third, fourth


def scenes(
    kind: str,
    severity: Severity = "medium",
    count: int = 10,
    seed: int = 0,
    *,
    size: tuple[int, int] = SIZE,
    colour: bool = False,
) -> Iterator[Frame]:
    """Yields frames of a kind, each with another payload; see ``scene`` for the kinds.

    Raises:
        ConfigurationInvalid: there is no such kind or severity.
    """
    for number in range(count):
        made = scene(kind, severity, seed * 10_000 + number)
        picture = render(made, size=size, seed=seed * 10_000 + number, colour=colour)
        yield Frame(picture, made.payload, corners(made, size))


def empty_scene(seed: int = 0) -> Scene:
    """A scene without any code: the counter, and every other time a phone that shows none."""
    return replace(scene("plain", seed=seed), payload=b"", phone=seed % 2 == 1)


def empty_scenes(
    count: int = 10, seed: int = 0, *, size: tuple[int, int] = SIZE, colour: bool = False
) -> Iterator[Frame]:
    """Yields frames without any code, and with much that tempts a decoder."""
    for number in range(count):
        yield Frame(render(empty_scene(seed + number), size=size, seed=seed + number, colour=colour))


def _drawn(scene: Scene, *, colour: bool) -> Texture:
    scale = min(max(round(scene.module * _SAMPLES), 3), 12)
    look = Look(
        payload=scene.payload,
        level=scene.level,
        dark=scene.dark,
        white=scene.white,
        black=min(scene.black, scene.white / 2) if scene.white < 0.03 else scene.black,
        ambient=scene.ambient,
        cover=scene.cover,
        left=round(scene.left, 2),
        phone_user=scene.phone_user,
    )
    return texture(look, scale, colour=colour)


def _pose(scene: Scene, size: tuple[int, int]) -> Pose:
    at = (scene.at[0] * size[0], scene.at[1] * size[1])
    return Pose(at, scene.yaw, scene.pitch, scene.roll, scene.module)


def _matrix(scene: Scene, drawn: Texture, size: tuple[int, int]) -> Matrix:
    """Maps pixels of the texture to pixels of the frame.

    The middle of the code is the origin of the pose.
    """
    left, top, side = drawn.code
    middle = (left + side / 2, top + side / 2)
    to_modules = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, drawn.scale]]) / drawn.scale
    matrix: Matrix = projection(_pose(scene, size), size[0]) @ to_modules
    return matrix


def _background(scene: Scene, size: tuple[int, int], *, colour: bool) -> Picture:
    """A part of a view that is a little larger, lit as the room is."""
    large = (round(size[0] * 1.2), round(size[1] * 1.2))
    whole = counter(scene.counter, large, "RGB" if colour else "L")
    left, top = scene.counter * 37 % (large[0] - size[0]), scene.counter * 53 % (large[1] - size[1])
    part = whole.crop((left, top, left + size[0], top + size[1]))
    table = [min(round(value * scene.ambient**0.5), 255) for value in range(256)]
    return np.array(part.point(table * len(part.getbands())))


def _lay(frame: Picture, scene: Scene, drawn: Texture, matrix: Matrix) -> None:
    """Lays the phone into the frame, in place: sampled, beaten by its grid, moved, out of focus."""
    reach = int(scene.motion / 2 + scene.defocus + 2)
    width, height = drawn.image.size
    edges = seen(matrix, [(0, 0), (width, 0), (width, height), (0, height)])
    box = _around(edges, (frame.shape[1], frame.shape[0]), reach)
    if box is None:
        return
    left, top, right, bottom = box
    values, cover = _sampled(drawn, matrix, box, colour=frame.ndim == 3)
    if scene.grid:
        values *= _grid(scene, drawn, matrix, box, colour=frame.ndim == 3)
    for kernel in _kernels(scene):
        values, cover = optics.spread(values, kernel), optics.spread(cover, kernel)
    behind = frame[top:bottom, left:right]
    values += behind * (1 - (cover if frame.ndim == 2 else cover[..., None]))
    frame[top:bottom, left:right] = np.minimum(values, 255).astype(np.uint8)


def _kernels(scene: Scene) -> list[list[tuple[int, int, float]]]:
    made: list[list[tuple[int, int, float]]] = []
    if scene.motion >= 1:
        made.append(optics.line(scene.motion, scene.motion_angle))
    if scene.defocus >= 0.5:
        made.append(optics.disc(scene.defocus))
    return made


def _around(points: list[Point], size: tuple[int, int], reach: int = 0) -> Box | None:
    """The part of the frame around points; None where next to nothing of it is in the frame."""
    low = np.maximum(np.floor(np.min(points, axis=0)).astype(int) - reach, 0)
    high = np.minimum(np.ceil(np.max(points, axis=0)).astype(int) + reach, size)
    if (high - low).min() < 2:
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _sampled(drawn: Texture, matrix: Matrix, box: Box, *, colour: bool) -> tuple[Values, Values]:
    """The phone in a box of the frame, premultiplied, and how much it covers (0 to 1)."""
    sampled = _transformed(drawn.image.reduce(_SAMPLES), matrix @ np.diag((_SAMPLES, _SAMPLES, 1.0)), box, 1)
    _finely(sampled, drawn, matrix, box)
    values = np.asarray(sampled, dtype=np.float32)
    if colour:
        return values[..., :3].copy(), values[..., 3] / np.float32(255)
    return values[..., 0].copy(), values[..., 1] / np.float32(255)


def _finely(sampled: Image.Image, drawn: Texture, matrix: Matrix, box: Box) -> None:
    """Draws the code with its quiet zone over what is coarse, in place.

    Nothing else needs to be so exact.
    """
    left, top, side = drawn.code
    rim = 3 * drawn.scale
    part = drawn.image.crop((left - rim, top - rim, left + side + rim, top + side + rim))
    place = matrix @ np.array([[1.0, 0, left - rim], [0, 1, top - rim], [0, 0, 1]])
    edges = seen(place, [(0, 0), (part.width, 0), (part.width, part.height), (0, part.height)])
    inner = _around(edges, (box[2], box[3]))
    if inner is None:
        return
    inner = (max(inner[0], box[0]), max(inner[1], box[1]), inner[2], inner[3])
    fine = _transformed(part, place, inner, _SAMPLES).reduce(_SAMPLES)
    # At the very edge there was nothing to sample from: a module less is pasted.
    one = drawn.scale
    far = part.width - one
    inside = seen(place, [(one, one), (far, one), (far, far), (one, far)])
    sampled.paste(fine, (inner[0] - box[0], inner[1] - box[1]), _polygon(inside, inner))


def _transformed(source: Image.Image, matrix: Matrix, box: Box, samples: int) -> Image.Image:
    """Returns the view of a source in a box of the frame, with ``samples`` a pixel each way."""
    left, top, right, bottom = box
    # Pillow asks backwards, from samples to the source, and adds half a sample itself.
    back = inverse(matrix) @ np.array([[1 / samples, 0, left], [0, 1 / samples, top], [0, 0, 1]])
    back /= back[2, 2]
    size = ((right - left) * samples, (bottom - top) * samples)
    coefficients = tuple(back.flatten()[:8].tolist())
    return source.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR)


def _grid(scene: Scene, drawn: Texture, matrix: Matrix, box: Box, *, colour: bool) -> Values:
    """The gain by the pixels of the screen, so many that straight on one fringe comes every ``beat`` pixels."""
    left, top, right, bottom = box
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32) + np.float32(0.5)
    a, b, c, d, e, f, g, h, _ = inverse(matrix).astype(np.float32).flatten()
    finer = np.float32((2 + 1 / scene.beat) * scene.module / drawn.scale)
    under = finer / (g * x + h * y + 1)
    depth = np.asarray(_polygon(_screen(drawn, matrix), box), dtype=np.float32) * np.float32(scene.grid / 255)
    return optics.moire((a * x + b * y + c) * under, (d * x + e * y + f) * under, depth, colour=colour)


def _lamps(scene: Scene, drawn: Texture, matrix: Matrix, size: tuple[int, int], random: np.random.Generator) -> Values:
    """Light of two or three lamps that the glass reflects: long soft spots, on the screen only."""
    lit = np.zeros((size[1], size[0]), dtype=np.float32)
    screen = _screen(drawn, matrix)
    box = _around(screen, size)
    if box is None:
        return lit
    shape = np.asarray(_polygon(screen, box), dtype=np.float32) / 255
    y, x = np.ogrid[box[1] : box[3], box[0] : box[2]]
    # A veil of all the light that is not in the spots.
    light = np.full(shape.shape, 0.04 * min(scene.glare, 1), dtype=np.float32)
    for _ in range(int(random.integers(2, 4))):
        light += _spot(x.astype(np.float32), y.astype(np.float32), scene, drawn, matrix, random)
    lit[box[1] : box[3], box[0] : box[2]] = light * shape
    return lit


def _spot(x: Values, y: Values, scene: Scene, drawn: Texture, matrix: Matrix, random: np.random.Generator) -> Values:
    left, top, side = drawn.code
    ((at_x, at_y),) = seen(matrix, [(left + side * random.uniform(0, 1), top + side * random.uniform(0, 1))])
    long = side / drawn.scale * scene.module * random.uniform(0.12, 0.3)
    thin = long * random.uniform(0.25, 0.6)
    turn = random.uniform(0, np.pi)
    across = (x - np.float32(at_x)) * np.float32(np.cos(turn)) + (y - np.float32(at_y)) * np.float32(np.sin(turn))
    down = (y - np.float32(at_y)) * np.float32(np.cos(turn)) - (x - np.float32(at_x)) * np.float32(np.sin(turn))
    power = np.square(np.square(across / np.float32(long)) + np.square(down / np.float32(thin)))
    spot: Values = np.exp(-np.minimum(power, 30)) * np.float32(scene.glare)
    return spot


def _screen(drawn: Texture, matrix: Matrix) -> list[Point]:
    left, top, width, height = drawn.screen
    return seen(matrix, [(left, top), (left + width, top), (left + width, top + height), (left, top + height)])


def _polygon(points: list[Point], box: Box) -> Image.Image:
    """A mask of a box of the frame, with a polygon in it."""
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in points], fill=255)
    return mask
