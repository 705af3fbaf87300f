"""The invoices that the project's simulated service signs: a name and an amount, in an element of its own.

The billing software gives JSON, ``{"professionnel": "Dr ESSAI", "centimes": 2650}``. It becomes::

    <sim:ResumeFacture xmlns:sim="urn:vitale-reader:sim:apcv:1" professionnel="Dr ESSAI" centimes="2650"/>

The answer has a ``<sim:signature>`` that is worth nothing.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from lxml import etree

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError, PayloadInvalid, ResolverUnavailable
from vitale_protocol.privacy import concealed
from vitale_reader.resolvers.licensed_plugins import Element, InvoiceForm
from vitale_reader.resolvers.simulator_rights import NAMESPACE

__all__ = ["SimulatorInvoices"]


class SimulatedInvoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An invoice of the simulator: who bills, and how much."""

    __repr__ = concealed

    professionnel: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    centimes: Annotated[int, msgspec.Meta(ge=0, le=999_999_999)]


class SimulatorInvoices(InvoiceForm):
    """Writer of ``sim:ResumeFacture``, and reader of ``sim:signature``."""

    simulated = True

    def write(self, invoice: bytes) -> Sequence[Element]:
        """Returns the element of an invoice.

        Raises:
            PayloadInvalid: it is not the JSON of this module, or has characters that XML cannot carry.
        """
        try:
            told = decode_document(invoice, SimulatedInvoice)
            element = etree.Element(f"{{{NAMESPACE}}}ResumeFacture", nsmap={"sim": NAMESPACE})
            element.set("professionnel", told.professionnel)
            element.set("centimes", str(told.centimes))
        except (ParseError, ValueError):
            pass  # their text quotes the invoice
        else:
            return (element,)
        raise PayloadInvalid("not an invoice of the simulator", variant="invoice", data={"sent": False})

    def read(self, body: Element) -> bytes:
        """Returns the text of ``sim:signature``.

        Raises:
            ResolverUnavailable: it is not there.
        """
        signature = body.findtext(f".//{{{NAMESPACE}}}signature")
        if not signature:
            raise ResolverUnavailable("an answer without a signature", variant="unreadable")
        return signature.encode()
