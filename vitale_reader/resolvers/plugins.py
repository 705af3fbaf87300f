"""The two plug-ins of a SOAP resolver: who asks (an assertion of the practitioner's card), and what a context says.

Both are plug-ins because neither can be public: an assertion is signed by a CPS, with software that is licensed for it,
and the format in which rights travel beside a context is known to licensees only.
"""

import abc
import datetime as dt
from collections.abc import Mapping
from typing import ClassVar, Protocol, TypeAlias

import msgspec
from lxml import etree

from vitale_protocol.privacy import concealed
from vitale_protocol.records import Origin, Record

__all__ = ["ASSERTIONS", "RIGHTS", "AssertionProvider", "Element", "Rights", "RightsReader"]

#: An element of a document; lxml has no public name for its class.
Element: TypeAlias = etree._Element  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

ASSERTIONS = "vitale_reader.assertions"
RIGHTS = "vitale_reader.rights"


class AssertionProvider(Protocol):
    """Gives the SAML assertion that goes into the WS-Security header. Entry-point group ``vitale_reader.assertions``.

    It is made with its options, a mapping. A class need not inherit from this one, so that it can be written without
    this package.

    Attributes:
        simulated: whether its assertions are worth something to a simulated service only; refused in production.
    """

    simulated: bool

    async def assertion(self) -> bytes:
        """One assertion, as the bytes of an XML element.

        Raises:
            ResolverRefused: there is none to be had now (no CPS in its slot, its PIN not entered …);
                the variant is then ``assertion``.
        """
        ...


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says beside its context; see ``Resolution``."""

    __repr__ = concealed

    record: Record = msgspec.field(default_factory=Record)
    delegate: str | None = None
    rights_at: dt.datetime | None = None
    origin: Origin = "unknown"


class RightsReader(abc.ABC):
    """Reads the rights in an answer. Entry-point group ``vitale_reader.rights``.

    Attributes:
        simulated: whether it reads what only a simulated service sends; refused in production.
    """

    simulated: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, object]) -> None:
        """Stores the options."""
        self.options = options

    @abc.abstractmethod
    def read(self, body: Element) -> Rights:
        """What the body of an answer says; no rights where there are none.

        Raises:
            ResolverUnavailable: there are some that cannot be understood; the variant is ``unreadable``.
        """
