"""Plug-ins of a SOAP resolver: the assertion of the practitioner's card, the rights of a context, invoices to sign.

They are plug-ins because none of them can be public. A CPS signs the assertion, with software that is licensed for it.
Only licensees know the format of rights beside a context, and those of an invoice and its signature.
"""

import abc
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, TypeAlias

import msgspec
from lxml import etree

from vitale_protocol.privacy import concealed
from vitale_protocol.records import Origin, Record

__all__ = ["ASSERTIONS", "INVOICES", "RIGHTS", "AssertionProvider", "Element", "InvoiceForm", "Rights", "RightsReader"]

#: An element of a document; lxml has no public name for its class.
Element: TypeAlias = etree._Element  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

ASSERTIONS = "vitale_reader.assertions"
RIGHTS = "vitale_reader.rights"
INVOICES = "vitale_reader.invoices"


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
            ResolverRefused: there is none to be had now (no CPS in its slot, its PIN not entered …). The variant is
                then ``assertion``.
        """
        ...


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """Rights that an answer brings beside its context; see ``Resolution``."""

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
        """Stores the options without using them."""
        self.options = options

    @abc.abstractmethod
    def read(self, body: Element) -> Rights:
        """Reads the rights in the body of an answer, if it has any.

        Raises:
            ResolverUnavailable: there are some that cannot be understood; the variant is ``unreadable``.
        """


class InvoiceForm(abc.ABC):
    """Writes an invoice into a request, and reads its signature. Entry-point group ``vitale_reader.invoices``.

    Attributes:
        simulated: whether only a simulated service understands it; refused in production.
    """

    simulated: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, object]) -> None:
        """Stores the options without using them."""
        self.options = options

    @abc.abstractmethod
    def write(self, invoice: bytes) -> Sequence[Element]:
        """The elements that follow the context in a request: ``Facture`` and ``ResumeFacture``.

        Args:
            invoice: as the billing software gave it, in whatever form the two have agreed on.

        Raises:
            PayloadInvalid: it is not in that form; nothing of it is quoted.
        """

    @abc.abstractmethod
    def read(self, body: Element) -> bytes:
        """Reads the signature in the body of an answer, for the billing software.

        Raises:
            ResolverUnavailable: there is none that can be understood; the variant is ``unreadable``.
        """
