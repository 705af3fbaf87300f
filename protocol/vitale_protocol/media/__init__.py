"""The media a patient can present, one module each: recognised by ATR, read by script, interpreted by function.

The core calls ``interpret``; a driver for chip cards calls ``recognise`` and ``reading_script``. A new medium is one
new module here, and one line below. What only some desks read is loaded with its first presentation.

For other rooms: ``apcv``, ``codes``, ``ins_datamatrix``, ``medium``, ``nir``, ``pointers``, ``apcv_profile``,
``public_formats``, ``separators``, ``two_d_doc``, ``vitale_card``, ``wedge``.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from vitale_protocol.apdu import ReadingScript
from vitale_protocol.diagnosis.atr import parse_atr
from vitale_protocol.errors import MediumMute, MediumUnsupported
from vitale_protocol.media import cps, vitale_card
from vitale_protocol.media.medium import WARNINGS, CardModule, Evidence, Interpreter, Recognised
from vitale_protocol.records import Reading

if TYPE_CHECKING:
    from vitale_protocol.media.two_d_doc.trust import TrustList

__all__ = ["WARNINGS", "Evidence", "Recognised", "interpret", "reading_script", "recognise"]

_CARDS: Mapping[str, CardModule] = {"vitale-card": vitale_card, "cps-card": cps}


def recognise(atr: bytes) -> Recognised:
    """Names the card of an ATR; one that nobody knows is ``unknown-card``."""
    for module in _CARDS.values():
        if card := module.recognise(atr):
            return card
    return Recognised("unknown-card")


def reading_script(atr: bytes) -> ReadingScript[dict[str, bytes]]:
    """The script that reads the card of an ATR, giving the evidence for ``interpret``.

    Raises:
        MediumMute: there is no ATR, or it is cut short.
        MediumUnsupported: the card cannot be read; ``data`` has its ``medium`` and ``generation``.
    """
    if not parse_atr(atr).complete:
        raise MediumMute("the card gives no whole answer to reset")
    card = recognise(atr)
    if card.medium == "unknown-card":
        raise MediumUnsupported(
            "the ATR is not that of a known card",
            variant="unknown-card",
            data={"medium": card.medium, "generation": ""},
        )
    return _CARDS[card.medium].reading_script(card)


def interpret(medium: str, evidence: Evidence, *, simulated: bool, trust: "TrustList | None" = None) -> Reading:
    """Says what the evidence of a presentation says, in the uniform record.

    Args:
        medium: one of ``vitale_protocol.records.Medium``.
        evidence: the named raw bytes, as the medium's module documents them.
        simulated: whether the reader or the medium is simulated.
        trust: whose seals the site trusts; None where it has no list. Only a 2D-Doc has one.

    Raises:
        MediumUnreadable: the evidence of a card or a phone cannot be understood.
        PayloadInvalid: that of a code cannot.
        MediumUnsupported: nothing here interprets this medium.
    """
    return _interpreter(medium, trust)(evidence, simulated=simulated)


def _interpreter(medium: str, trust: "TrustList | None") -> Interpreter:
    match medium:
        case "vitale-card":
            return vitale_card.interpret
        case "apcv-nfc" | "apcv-qr":
            from vitale_protocol.media import apcv  # noqa: PLC0415

            return partial(apcv.interpret, medium=medium)
        case "ins-datamatrix":
            from vitale_protocol.media import ins_datamatrix  # noqa: PLC0415

            return ins_datamatrix.interpret
        case "2d-doc":
            from vitale_protocol.media.two_d_doc import reading  # noqa: PLC0415

            return partial(reading.interpret, trust=trust)
        case _:
            raise MediumUnsupported("no interpreter for this medium", data={"medium": medium, "generation": ""})
