"""Picture of a simulated phone's screen: the code in its panel, what stands around it, and the hand.

Lengths are in modules of the code. A texture of ``scale`` pixels a module thus suits whatever the camera resolves.
Values are those of a camera with gamma 2: light is the square of a value. Light that doubles is a value times √2.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import segno
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Look", "Texture", "code_modules", "texture"]

# Shares of the width of the screen, measured on phones of today: 20 to 9, and codes that leave some air.
_TALL: Final = 2.1
_PANEL: Final = 0.86
_CODE_AT: Final = 0.62
_AIR: Final = 0.16
_QUIET: Final = 4  # ISO/IEC 18004 §9.1

_SKINS: Final = ((224, 178, 150), (198, 142, 110), (141, 92, 66), (95, 62, 46))


@dataclass(frozen=True, slots=True)
class Look:
    """Appearance of a phone.

    Attributes:
        payload: what the code says; empty for a screen without a code.
        level: error correction of the code: ``L``, ``M``, ``Q`` or ``H``.
        dark: the code inverted, light on dark.
        white: light of a white pixel of the screen, where 1 is what the sensor just bears.
        black: light of a black one, with what the glass reflects.
        ambient: light on the hand and on the case.
        cover: share of the code's width that a finger covers.
        left: how much of the code's time is left, 0 to 1.
        hand: which of four hands.
    """

    payload: bytes = field(repr=False)
    level: str = "M"
    dark: bool = False
    white: float = 0.8
    black: float = 0.01
    ambient: float = 1.0
    cover: float = 0.0
    left: float = 0.7
    phone_user: int = 0


@dataclass(frozen=True, slots=True)
class Texture:
    """A drawn phone.

    Attributes:
        image: its picture with premultiplied alpha: La, or RGBa in colour; transparent beside phone and hand.
        scale: pixels a module.
        code: left, top and width of the code without its quiet zone, in pixels.
        screen: left, top, width and height of the screen, in pixels.
    """

    image: Image.Image
    scale: int
    code: tuple[int, int, int]
    screen: tuple[int, int, int, int]


@lru_cache(maxsize=256)
def code_modules(payload: bytes, level: str = "M") -> NDArray[np.bool_]:
    """The modules of the code, dark ones True, without quiet zone."""
    # Trying all eight masks, as the standard wants, takes most of the time of a frame; any of them can be read.
    mask = sum(payload) % 8
    made = segno.make(payload, error=level, mode="byte", mask=mask, boost_error=False, micro=False)
    return np.array([[bool(module) for module in row] for row in made.matrix])


@lru_cache(maxsize=16)
def texture(look: Look, scale: int, *, colour: bool = False) -> Texture:
    """Draws a phone, with so many pixels a module."""
    return _Drawing(look, scale, colour=colour).made()


class _Drawing:
    """One phone in the making; what the room lights is dimmed with it, what the screen emits is not."""

    def __init__(self, look: Look, scale: int, *, colour: bool) -> None:
        self._look = look
        self._colour = colour
        self._modules = code_modules(look.payload or b"-" * 200, look.level)
        self._scale = scale
        self._side = len(self._modules) * scale
        self._panel = self._side + 2 * _QUIET * scale
        self._width = round(self._panel / _PANEL)
        self._height = round(self._width * _TALL)
        self._rim = max(self._width // 30, 2)
        self._margin = round(self._width * _AIR)

    def made(self) -> Texture:
        width, height, margin = self._width, self._height, self._margin
        whole = Image.new("RGBA" if self._colour else "LA", (width + 2 * margin, height + margin))
        top = margin // 3
        self._hold(whole, top)
        whole.paste(self._screen(), (margin, top), _rounded((width, height), width // 12))
        if self._look.cover:
            self._finger(ImageDraw.Draw(whole), top)
        code = (margin + (width - self._side) // 2, top + self._code_top(), self._side)
        return Texture(whole.convert("RGBa" if self._colour else "La"), self._scale, code, (margin, top, width, height))

    def _lit(self, colour: tuple[int, ...], share: float = 1.0) -> tuple[int, ...]:
        """A colour to be drawn: in the light of the room and the bands of the picture, opaque."""
        bands = [min(round(value * share * self._look.ambient**0.5), 255) for value in colour]
        if not self._colour:
            bands = [(bands[0] * 299 + bands[1] * 587 + bands[2] * 114) // 1000]
        return (*bands, 255)

    def _code_top(self) -> int:
        return round(self._width * _CODE_AT) + _QUIET * self._scale

    def _screen(self) -> Image.Image:
        look, width = self._look, self._width
        ground, ink, panel, accent = (236, 20, 255, 96) if not look.dark else (18, 225, 0, 150)
        screen = Image.new("L", (width, self._height), ground)
        draw = ImageDraw.Draw(screen)
        unit = width / 100
        draw.rectangle((0, 0, width, 30 * unit), fill=accent)
        _write(draw, (6 * unit, 2 * unit), "09:41", 4 * unit, 255)
        _write(draw, (6 * unit, 12 * unit), "appli (simulation)", 8 * unit, 255)
        _write(draw, (7 * unit, 36 * unit), "CLAIRE MERLE-ESSAI", 6 * unit, ink)
        _write(draw, (7 * unit, 45 * unit), "Montrez ce code au lecteur", 5 * unit, ink)
        at = ((width - self._panel) // 2, self._code_top() - _QUIET * self._scale)
        if look.payload:
            screen.paste(self._panel_with_code(panel), at, _rounded((self._panel, self._panel), int(3 * unit)))
        below = at[1] + self._panel + 6 * unit
        draw.rounded_rectangle((7 * unit, below, 93 * unit, below + 2 * unit), unit, fill=(ground + 128) // 2)
        draw.rounded_rectangle((7 * unit, below, (7 + 86 * look.left) * unit, below + 2 * unit), unit, fill=accent)
        _write(draw, (7 * unit, below + 6 * unit), "Ce code change souvent", 4.5 * unit, ink)
        draw.rounded_rectangle((7 * unit, 188 * unit, 93 * unit, 202 * unit), 4 * unit, outline=accent, width=3)
        return self._shining(screen)

    def _panel_with_code(self, light: int) -> Image.Image:
        drawn = np.pad(self._modules, _QUIET)
        dark = drawn if light else ~drawn
        values = np.where(dark, np.uint8(0), np.uint8(255)).repeat(self._scale, 0).repeat(self._scale, 1)
        return Image.fromarray(values)

    def _shining(self, screen: Image.Image) -> Image.Image:
        """Turns the picture into the light that leaves the glass; white of screens is a little blue."""
        look = self._look
        light = look.black + (look.white - look.black) * (np.arange(256) / 255) ** 2
        tints = (0.95, 0.99, 1.0) if self._colour else (0.98,)
        tables = [(np.sqrt(np.clip(light * tint, 0, 1)) * 255).astype(np.uint8).tolist() for tint in tints]
        bands = [screen.point(table) for table in tables]
        return Image.merge("RGB", bands).convert("RGBA") if self._colour else bands[0].convert("LA")

    def _hold(self, whole: Image.Image, top: int) -> None:
        """The case, four fingers at one side of it and the ball of the thumb at the other."""
        draw, unit, margin, rim = ImageDraw.Draw(whole), self._width / 100, self._margin, self._rim
        skin = _SKINS[self._look.phone_user % len(_SKINS)]
        right = margin + self._width
        palm = (margin - 15 * unit, top + 105 * unit, margin + 30 * unit, top + 230 * unit)
        draw.ellipse(palm, fill=self._lit(skin, 0.9))
        for finger in range(4):
            y = top + (95 + 23 * finger) * unit
            reach = (9, 13, 12, 8)[finger] * unit
            draw.rounded_rectangle(
                (right - 20 * unit, y, right + reach, y + 20 * unit), 9 * unit, fill=self._lit(skin, 0.8)
            )
            draw.rounded_rectangle(
                (right - 20 * unit, y, right + reach - 2, y + 17 * unit), 8 * unit, fill=self._lit(skin)
            )
        case = (margin - rim, top - rim, right + rim, top + self._height + rim)
        draw.rounded_rectangle(case, self._width // 10, fill=self._lit((28, 29, 33)))

    def _finger(self, draw: ImageDraw.ImageDraw, top: int) -> None:
        """A finger that comes from below right and covers a part of the code, so wide as ``cover`` says."""
        wide = self._look.cover * self._side
        right = self._margin + (self._width + self._side) // 2
        bottom = top + self._code_top() + self._side
        tip = (right - 0.75 * wide, bottom - 0.9 * wide)
        skin = _SKINS[self._look.phone_user % len(_SKINS)]
        for part, share in enumerate((1.0, 0.93, 0.8)):
            radius = wide * share / 2
            for step in range(24):
                x, y = tip[0] + step * wide * 0.11, tip[1] + step * wide * 0.16
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=self._lit(skin, 0.8 + part / 10))


def _rounded(size: tuple[int, int], radius: int) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius, fill=255)
    return mask


def _write(draw: ImageDraw.ImageDraw, at: tuple[float, float], words: str, height: float, tone: int) -> None:
    draw.text(at, words, fill=tone, font=_font(max(round(height), 1)))


@lru_cache(maxsize=64)
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)
