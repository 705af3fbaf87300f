"""Card images: what a simulated card shows, read from TOML.

An image comes by name from those shipped here, or from a file. It has an ``atr`` (hex), a ``description``,
``date_debut_validite``, and ``beneficiaires`` with ``nom``, ``prenom``, ``date_naissance``, ``nationalite`` and
``nir``. Without beneficiaries the card shows its ATR and refuses every command. Everybody in the shipped images is
invented.
"""

from typing import Annotated

import msgspec

from vitale_firmware_sim.shipped import Shipped
from vitale_protocol.errors import ConfigurationInvalid

__all__ = ["DEFAULT_IMAGE", "CardHolder", "Image", "image_names", "load_image", "parse_image"]

DEFAULT_IMAGE = "adulte"

_SHIPPED = Shipped("images", "the card image")

# The card's text is ISO-8859-1 without control characters. With thirty persons of the longest fields, a file stays
# below the 8 KB that the reading script is ready to read.
_Text = Annotated[str, msgspec.Meta(max_length=40, pattern=r"^[\x20-\x7e\xa0-\xff]*\Z")]


class CardHolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person on the card, written as the card has it.

    No field is checked against a calendar or a key.
    """

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
    return _SHIPPED.names()


def load_image(name: str) -> Image:
    """Loads an image.

    Args:
        name: the name of a shipped image, or the path of a file, which ends in ``.toml``.

    Raises:
        ConfigurationInvalid: no such image, or it cannot be used; ``data`` has ``file`` and, where known, ``path``.
    """
    return parse_image(*_SHIPPED.read(name))


def parse_image(name: str, content: bytes) -> Image:
    """Reads an image from its TOML.

    Args:
        name: what to call it.
        content: the TOML, in UTF-8.

    Raises:
        ConfigurationInvalid: it is not an image; ``data.path`` says where.
    """
    _SHIPPED.require_short(name, content)
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
