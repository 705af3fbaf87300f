"""Card images: what a simulated card shows, read from TOML, by name from those shipped here or from a file.

An image has an ``atr`` (hex), a ``description``, ``date_debut_validite``, and ``beneficiaires`` with ``nom``,
``prenom``, ``date_naissance``, ``nationalite`` and ``nir``. Without beneficiaries the card shows its ATR and refuses
every command. Everybody in the shipped images is invented.
"""

from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec

from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["DEFAULT_IMAGE", "CardHolder", "Image", "image_names", "load_image", "parse_image"]

DEFAULT_IMAGE = "adulte"

_SHIPPED = resources.files("vitale_firmware_sim") / "images"
# Generous for hand-written images, small enough for a card's file of 32 KB.
_MAX_BYTES = 256 * 1024

# The card's text is ISO-8859-1 without control characters. With thirty persons of the longest fields, a file stays
# below the 8 KB that the reading script is ready to read.
_Text = Annotated[str, msgspec.Meta(max_length=40, pattern=r"^[\x20-\x7e\xa0-\xff]*\Z")]


class CardHolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person on the card, written as the card has it: no field is checked against a calendar or a key."""

    nom: _Text | None = None
    prenom: _Text | None = None
    date_naissance: _Text | None = None
    nationalite: _Text | None = None
    nir: _Text | None = None


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    # ISO/IEC 7816-3 §8.2.1: TS and T0, then up to 31 characters more.
    atr: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{2}( ?[0-9A-Fa-f]{2}){1,32}\Z")]
    description: str = ""
    date_debut_validite: _Text | None = None
    beneficiaires: Annotated[tuple[CardHolder, ...], msgspec.Meta(max_length=30)] = ()


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A card image; ``name`` is that of the file without its suffix."""

    name: str
    atr: bytes
    description: str = ""
    date_debut_validite: str | None = None
    beneficiaires: tuple[CardHolder, ...] = ()


def image_names() -> tuple[str, ...]:
    """The names of the images shipped here, in order."""
    return tuple(sorted(one.name.removesuffix(".toml") for one in _SHIPPED.iterdir() if one.name.endswith(".toml")))


def load_image(name: str) -> Image:
    """Loads an image.

    Args:
        name: the name of a shipped image, or the path of a file, which ends in ``.toml``.

    Raises:
        ConfigurationInvalid: no such image, or it cannot be used; ``data`` has ``file`` and, where known, ``path``.
    """
    if not name.endswith(".toml"):
        if name not in image_names():
            known = ", ".join(image_names())
            raise ConfigurationInvalid(f"no card image of this name; there are {known}", data={"file": name})
        return parse_image(name, (_SHIPPED / f"{name}.toml").read_bytes())
    path = Path(name)
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        # ValueError: a path with a NUL in it.
        raise ConfigurationInvalid("the card image cannot be read", data={"file": name}) from error
    return parse_image(path.stem, content)


def parse_image(name: str, content: bytes) -> Image:
    """Reads an image from its TOML.

    Args:
        name: what to call it.
        content: the TOML, in UTF-8.

    Raises:
        ConfigurationInvalid: it is not an image; ``data.path`` says where.
    """
    if len(content) > _MAX_BYTES:
        raise ConfigurationInvalid("the card image is too long", data={"file": name})
    try:
        document = msgspec.toml.decode(content, type=_Document)
    except msgspec.ValidationError as error:
        # The message names the path after " - at "; it never quotes a value.
        reason, _, path = str(error).partition(" - at ")
        raise ConfigurationInvalid(
            f"the card image is not valid: {reason}", data={"file": name, "path": path.strip("`")}
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationInvalid("the card image is not TOML in UTF-8", data={"file": name}) from error
    return Image(
        name=name,
        atr=bytes.fromhex(document.atr),
        description=document.description,
        date_debut_validite=document.date_debut_validite,
        beneficiaires=document.beneficiaires,
    )
