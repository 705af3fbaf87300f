"""Background of a webcam at a pharmacy's counter, with patterns that mislead a decoder though they are no code.

Nothing here decodes: bars have widths that no symbology has, and squares of modules are noise.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

__all__ = ["COUNTERS", "counter"]

COUNTERS: Final = 8
"""How many different views there are."""

# The font that Pillow brings has no accents.
_WORDS: Final = (
    "Mode d'emploi", "1 gel. matin et soir", "30 gel.", "Notice : information du patient", "PHARMACIE", "Ordonnance",
    "Voie orale", "Avant le repas", "Au sec et au frais", "500 mg", "Lot 4F21B", "EXP 08/2027", "EN SUS",
)  # fmt: skip
Colour = tuple[int, int, int]
_LAMINATES: Final[tuple[Colour, ...]] = (
    (206, 186, 158),
    (188, 190, 192),
    (214, 212, 206),
    (168, 140, 112),
    (150, 158, 162),
)


def counter(number: int, size: tuple[int, int], mode: Literal["L", "RGB"] = "RGB") -> Image.Image:
    """The view of that number; it is drawn once and must not be changed."""
    return _view(number % COUNTERS, size, mode)


@lru_cache(maxsize=COUNTERS * 2)
def _view(number: int, size: tuple[int, int], mode: Literal["L", "RGB"]) -> Image.Image:
    return _View(number, size).made() if mode == "RGB" else _view(number, size, "RGB").convert(mode)


class _View:
    """One view in the making: shelves and a person behind, out of focus; the counter before them."""

    def __init__(self, number: int, size: tuple[int, int]) -> None:
        self._random = np.random.default_rng((2026, number))
        self._width, self._height = size
        # Some webcams look down at the counter, and see nothing of the shop.
        self._horizon = 0 if number % 3 == 2 else round(self._height * self._between(0.5, 0.7))
        self._unit = self._height / 100

    def made(self) -> Image.Image:
        image = Image.new("RGB", (self._width, self._height), self._colour(160, 215))
        if self._horizon:
            self._shelves(ImageDraw.Draw(image))
            self._person(ImageDraw.Draw(image))
            image = image.filter(ImageFilter.GaussianBlur(self._unit * 0.5))
        self._surface(image)
        for _ in range(self._whole(2, 5)):
            self._sheet(image)
        for _ in range(self._whole(2, 6)):
            self._box(image)
        return image.filter(ImageFilter.GaussianBlur(0.6))

    def _between(self, low: float, high: float) -> float:
        return float(self._random.uniform(low, high))

    def _whole(self, low: int, high: int) -> int:
        return int(self._random.integers(low, high))

    def _colour(self, low: int, high: int) -> Colour:
        """A colour between grey and gaudy, as print has them."""
        grey = self._whole(low, high)
        red, green, blue = ((self._whole(low, high) + 2 * grey) // 3 for _ in range(3))
        return red, green, blue

    def _word(self) -> str:
        return _WORDS[self._whole(0, len(_WORDS))]

    def _shelves(self, draw: ImageDraw.ImageDraw) -> None:
        unit, step = self._unit, self._between(14, 20) * self._unit
        y = -self._between(0, 10) * unit
        while y < self._horizon:
            x = -self._between(0, 8) * unit
            while x < self._width:
                wide, tall = self._between(3, 12) * unit, self._between(0.45, 0.9) * step
                colour = self._colour(60, 245)
                draw.rectangle((x, y + step - tall, x + wide, y + step - unit), fill=colour)
                stripe = self._colour(30, 255)
                draw.rectangle((x, y + step - tall * 0.6, x + wide, y + step - tall * 0.4), fill=stripe)
                x += wide + self._between(0, 1.5) * unit
            draw.rectangle((0, y + step - unit, self._width, y + step + unit), fill=(205, 205, 200))
            y += step

    def _person(self, draw: ImageDraw.ImageDraw) -> None:
        unit = self._unit
        x, top = self._between(0.3, 0.7) * self._width, self._between(5, 20) * unit
        coat = self._colour(40, 160)
        shoulders = (x - 38 * unit, top + 38 * unit, x + 38 * unit, top + 140 * unit)
        draw.rounded_rectangle(shoulders, 20 * unit, fill=coat)
        draw.rectangle((x - 6 * unit, top + 28 * unit, x + 6 * unit, top + 42 * unit), fill=(196, 146, 118))
        draw.ellipse((x - 13 * unit, top, x + 13 * unit, top + 34 * unit), fill=(214, 166, 138))
        draw.pieslice((x - 14 * unit, top - 3 * unit, x + 14 * unit, top + 26 * unit), 180, 360, fill=(70, 52, 40))

    def _surface(self, image: Image.Image) -> None:
        """Laminate: long streaks, and less light towards the edges."""
        height = self._height - self._horizon
        streaks = self._random.normal(0, 5, (height // 3 + 1, 12))
        grain = Image.fromarray(streaks.astype(np.float32)).resize((self._width, height), Image.Resampling.BICUBIC)
        slope = np.linspace(-18, 14, self._width)[None, :] * self._between(-1, 1)
        base = np.array(_LAMINATES[self._whole(0, len(_LAMINATES))], dtype=np.float32)
        values = base + (np.asarray(grain) + slope)[..., None]
        image.paste(Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)), (0, self._horizon))

    def _lay(self, image: Image.Image, thing: Image.Image) -> None:
        """Turns a thing, gives it a shadow and puts it somewhere on the counter."""
        turned = thing.convert("RGBA").rotate(self._between(-35, 35), Image.Resampling.BICUBIC, expand=True)
        at = (
            self._whole(-turned.width // 3, self._width - turned.width // 2),
            self._whole(self._horizon - turned.height // 4, self._height - turned.height // 3),
        )
        shadow = Image.new("RGBA", turned.size)
        shadow.putalpha(turned.getchannel("A").point([value // 3 for value in range(256)]))
        offset = round(self._unit)
        image.paste(shadow, (at[0] + offset, at[1] + offset), shadow)
        image.paste(turned, at, turned)

    def _sheet(self, image: Image.Image) -> None:
        """A prescription or a leaflet: lines of words, and a square of noise with frames, as codes have them."""
        unit = self._unit
        wide, tall = round(self._between(34, 50) * unit), round(self._between(40, 62) * unit)
        sheet = Image.new("RGB", (wide, tall), (243, 242, 236))
        draw = ImageDraw.Draw(sheet)
        y = 4 * unit
        while y < tall - 6 * unit:
            size = max(round(self._between(1.6, 3.2) * unit), 6)
            words = " ".join(self._word() for _ in range(3))
            draw.text((4 * unit, y), words, fill=(50, 50, 60), font=ImageFont.load_default(size))
            y += size * self._between(1.2, 2.4)
        side = round(self._between(10, 16) * unit)
        sheet.paste(self._noise_square(side), (wide - side - round(3 * unit), round(4 * unit)))
        self._lay(image, sheet)

    def _box(self, image: Image.Image) -> None:
        """A box of medicine: a name, a band of colour, bars."""
        unit = self._unit
        wide, tall = round(self._between(20, 36) * unit), round(self._between(10, 18) * unit)
        box = Image.new("RGB", (wide, tall), self._colour(200, 255))
        draw = ImageDraw.Draw(box)
        draw.rectangle((0, tall * 0.62, wide, tall), fill=self._colour(30, 220))
        font = ImageFont.load_default(max(round(3 * unit), 6))
        draw.text((2 * unit, unit), self._word(), fill=self._colour(0, 90), font=font)
        bars = self._bars(round(wide * 0.4), round(tall * 0.5))
        box.paste(bars, (round(wide * 0.55), round(tall * 0.42)))
        side = round(tall * 0.35)
        box.paste(self._noise_square(side), (round(2 * unit), round(tall * 0.5)))
        self._lay(image, box)

    def _bars(self, wide: int, tall: int) -> Image.Image:
        image = Image.new("L", (wide, tall), 250)
        draw = ImageDraw.Draw(image)
        x = wide * 0.08
        while x < wide * 0.9:
            bar = self._between(0.008, 0.05) * wide
            draw.rectangle((x, tall * 0.06, x + bar, tall * 0.8), fill=25)
            x += bar + self._between(0.01, 0.05) * wide
        return image

    def _noise_square(self, side: int) -> Image.Image:
        """Modules at random; some with the frames of a QR code's corners, some with the edges of a Datamatrix."""
        count = self._whole(14, 26)
        modules = self._random.random((count, count)) < 0.5
        if self._random.random() < 0.5:
            for row, column in ((0, 0), (0, count - 7), (count - 7, 0)):
                modules[row : row + 7, column : column + 7] = _finder()
        else:
            modules[:, 0] = modules[-1] = True
        values = np.where(np.pad(modules, 2), np.uint8(20), np.uint8(250))
        return Image.fromarray(values).resize((side, side), Image.Resampling.BOX)


def _finder() -> Sequence[Sequence[bool]]:
    rings = [[max(abs(row - 3), abs(column - 3)) for column in range(7)] for row in range(7)]
    return [[ring != 2 for ring in row] for row in rings]
