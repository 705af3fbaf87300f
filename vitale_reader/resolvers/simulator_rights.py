"""The rights that the project's simulated service sends: the uniform record as JSON, in a separate element.

::

    <sim:droits xmlns:sim="urn:vitale-reader:sim:apcv:1" origine="simulated" au="2026-11-22T01:00:00Z"
                delegataire="PAUL MERLE-ESSAI">{"assure": …, "beneficiaires": […], "porteur": 0}</sim:droits>
"""

import datetime as dt

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError, ResolverUnavailable
from vitale_protocol.records import Record
from vitale_reader.resolvers.licensed_plugins import Element, Rights, RightsReader

__all__ = ["NAMESPACE", "SimulatorRights"]

NAMESPACE = "urn:vitale-reader:sim:apcv:1"


class SimulatorRights(RightsReader):
    """Reader of the element ``sim:droits``."""

    simulated = True

    def read(self, body: Element) -> Rights:
        """Returns the rights in ``sim:droits``.

        Raises:
            ResolverUnavailable: it is there, and is not what it should be.
        """
        element = body.find(f".//{{{NAMESPACE}}}droits")
        if element is None:
            return Rights(origin="simulated")
        try:
            told = element.get("au")
            return Rights(
                record=decode_document((element.text or "{}").encode(), Record),
                delegate=element.get("delegataire"),
                rights_at=dt.datetime.fromisoformat(told).astimezone(dt.UTC) if told else None,
                origin="simulated",
            )
        except (ParseError, ValueError):  # UnicodeEncodeError; a time that is none, which is quoted
            pass
        raise ResolverUnavailable("the simulated rights cannot be read", variant="unreadable")
