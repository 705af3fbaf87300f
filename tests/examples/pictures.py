"""Pictures of the example's page in the documents: made by its test, and told from what they were made."""

import hashlib
import io
import os
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

__all__ = ["FOLDER", "NAMES", "PAGE", "is_to_be_written", "made_from", "size_of", "write"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "examples" / "pharmacie-web" / "page"
FOLDER = ROOT / "docs" / "pictures"

#: Each picture, and how wide it is.
NAMES = {
    "pharmacie-appairage.png": 1200,
    "pharmacie-lecture.png": 1200,
    "pharmacie-beneficiaires.png": 1200,
    "pharmacie-erreur.png": 1200,
    "pharmacie-sombre.png": 1200,
    "pharmacie-etroit.png": 320,
}

_KEY = "page"


def is_to_be_written() -> bool:
    """Whether this run makes the pictures again (``make pictures``)."""
    return os.environ.get("VITALE_PICTURES") == "write"


def digest() -> str:
    """A digest of all that the page is made of."""
    made = hashlib.sha256()
    for file in sorted(PAGE.iterdir()):
        made.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return made.hexdigest()


def write(name: str, png: bytes) -> None:
    """Keeps a picture: small, and with the digest of the page that it shows."""
    with Image.open(io.BytesIO(png)) as shown:
        small = shown.convert("RGB").quantize(colors=96, dither=Image.Dither.NONE)
    information = PngInfo()
    information.add_text(_KEY, digest())
    small.save(FOLDER / name, optimize=True, pnginfo=information)


def made_from(name: str) -> str | None:
    """The digest of the page that a kept picture shows."""
    with Image.open(FOLDER / name) as kept:
        assert isinstance(kept, PngImageFile)
        told = kept.text.get(_KEY)
        return None if told is None else str(told)


def size_of(png: Path | bytes) -> tuple[int, int]:
    """Width and height of a picture."""
    with Image.open(io.BytesIO(png) if isinstance(png, bytes) else png) as shown:
        return shown.size
