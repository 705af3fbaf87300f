"""GS1 content of a box of medicine, read by biip: what a counter needs of it.

It gives nothing where anything is wrong.
"""

from biip import ParseError
from biip.gs1_element_strings import GS1ElementString
from biip.gs1_messages import GS1Message

from vitale_protocol.events import Gs1

__all__ = ["read_gs1"]

_FNC1 = "\x1d"
_GTIN, _LOT, _EXPIRY, _SERIAL = "01", "10", "17", "21"
# By the General Specifications, 48 characters in a bar code; a Datamatrix of medicines has less than 100.
_MOST = 400


def read_gs1(data: bytes) -> Gs1 | None:
    """Reads a content; None where it is no GS1, has no GTIN, or something in it is wrong.

    Wrong is an unknown application identifier, or a value that does not fit its own. So are a wrong key of a GTIN, a
    day that is none, and two values of one identifier.

    Args:
        data: the content as imagers send it, without an AIM identifier: FNC1 is GS, and at the beginning absent.
    """
    if len(data) > _MOST or not data.isascii():
        return None
    try:
        message = GS1Message.parse(data.decode("ascii").removeprefix(_FNC1))
    except ParseError:
        return None
    found: dict[str, GS1ElementString] = {}
    for element in message.element_strings:
        if element.gtin_error or element.value != found.setdefault(element.ai.ai, element).value:
            return None
    if _GTIN not in found:
        return None
    expiry = found.get(_EXPIRY)
    return Gs1(
        gtin=found[_GTIN].value,
        lot=_value(found, _LOT),
        expiry=None if expiry is None or expiry.date is None else expiry.date.isoformat(),
        serial=_value(found, _SERIAL),
    )


def _value(found: dict[str, GS1ElementString], identifier: str) -> str | None:
    return found[identifier].value if identifier in found else None
