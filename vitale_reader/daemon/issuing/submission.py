"""Presentation of a code that an application read itself: a keyboard-wedge imager's text, or its bytes.

The reader of such a presentation is none of the station's: its token says ``{"id": "submitted", "driver": "submit"}``.
That it was presented here and now is the application's word, and not the station's observation.
"""

import logging
from collections.abc import Collection

import msgspec

from vitale_drivers.base import Presented
from vitale_protocol.errors import InvalidParams, PayloadInvalid
from vitale_protocol.media.codes import classify
from vitale_protocol.media.wedge import repair
from vitale_protocol.methods import PresentationSubmit
from vitale_protocol.problems import Problem
from vitale_reader.daemon.issuing.base64_text import decode_base64

__all__ = ["DRIVER", "READER", "presentation_of"]

logger = logging.getLogger(__name__)

READER = "submitted"
DRIVER = "submit"


def presentation_of(
    params: PresentationSubmit, *, presentation_id: str, at: float, formats: Collection[str] = ()
) -> Presented:
    """The presentation that a client submits.

    Args:
        params: what it said.
        presentation_id: a UUID.
        at: seconds since the epoch.
        formats: the published formats that this site's apCVs have.

    Raises:
        InvalidParams: not exactly one of text and bytes, or not base64.
        PayloadInvalid: nobody's code looks like that, or the text was mangled beyond repair.
        MediumUnsupported: a code, but not one of a medium; ``data.medium`` and the variant say which.
    """
    code = classify(_content(params), formats=formats)
    if code.problem is not None or code.medium is None:
        problem = code.problem or Problem(PayloadInvalid.reason)
        detail = "not a code that can be presented"
        raise msgspec.structs.replace(problem, detail=detail).error(PayloadInvalid)
    return Presented(
        id=presentation_id, medium=code.medium, reader=READER, at=at, evidence=code.evidence, simulated=False
    )


def _content(params: PresentationSubmit) -> bytes:
    match params.payload, params.payload_b64:
        case str(text), None:
            return _typed(text)
        case None, str(encoded):
            return decode_base64(encoded, "$.payload_b64")
        case _:
            raise InvalidParams("one of payload and payload_b64 is needed, and not both", data={"path": "$"})


def _typed(text: str) -> bytes:
    content, mangling = repair(text)
    if mangling:
        # A setting of the imager or of the machine that somebody should mend; the text itself is nobody's business.
        logger.warning("a submitted code was typed in another keyboard language (%s), and put right", mangling)
    return content
