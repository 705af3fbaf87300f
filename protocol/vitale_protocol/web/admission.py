"""A gateway's question before it lets a page in, and the core's answer: each a JSON datagram.

The core alone knows which sites may come. A gateway learns one answer at a time, and never the list.
"""

from typing import Annotated, Final, TypeVar

import msgspec

from vitale_protocol.errors import ParseError
from vitale_protocol.privacy import concealed
from vitale_protocol.web.sites import SITE_CHARACTERS

__all__ = ["DATAGRAM_BYTES", "Admitted", "Asked", "read_answer", "read_question", "write"]

#: Bytes of a question; a site has some 270 characters at most.
DATAGRAM_BYTES: Final = 1_024

T = TypeVar("T")
Number = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The question whether a page of a site may come; for the dashboard also whether a secret is good.

    Attributes:
        number: of the question, as the gateway counts.
        site: the web origin that a browser named, byte by byte.
        secret: what a browser handed in; it is no page that asks for a channel then.
    """

    number: Number
    site: Annotated[str, msgspec.Meta(max_length=SITE_CHARACTERS)]
    secret: Annotated[str, msgspec.Meta(max_length=64)] = ""

    __repr__ = concealed


class Admitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The answer. With a yes comes one end of a channel, or a bearer for the secret.

    Attributes:
        number: of the question.
        yes: whether the page may come.
        bearer: opens a session of the dashboard.
    """

    number: Number
    yes: bool
    bearer: Annotated[str, msgspec.Meta(max_length=64)] = ""

    __repr__ = concealed


write = msgspec.json.Encoder().encode


def read_question(datagram: bytes) -> Asked:
    """The question in a datagram.

    Raises:
        ParseError: something else is in it.
    """
    return _read(datagram, Asked)


def read_answer(datagram: bytes) -> Admitted:
    """The answer in a datagram.

    Raises:
        ParseError: something else is in it.
    """
    return _read(datagram, Admitted)


def _read(datagram: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(datagram, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ParseError("another message than that of an admission") from error
