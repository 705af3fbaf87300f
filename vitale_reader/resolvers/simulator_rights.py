"""The rights that the project's own simulated service sends: the uniform record as JSON in an element of its own.

::

    <sim:droits xmlns:sim="urn:vitale-reader:sim:apcv:1" origine="simulated" au="2026-11-22T01:00:00Z"
                delegataire="PAUL MERLE-ESSAI">{"assure": …, "beneficiaires": […], "porteur": 0}</sim:droits>
"""

import datetime as dt

import msgspec

from vitale_protocol.errors import ResolverUnavailable
from vitale_protocol.records import Record
from vitale_reader.resolvers.plugins import Element, Rights, RightsReader

__all__ = ["NAMESPACE", "SimulatorRights"]

NAMESPACE = "urn:vitale-reader:sim:apcv:1"


class SimulatorRights(RightsReader):
    """Reads ``sim:droits``."""

    simulated = True

    def read(self, body: Element) -> Rights:
        """What ``sim:droits`` says.

        Raises:
            ResolverUnavailable: it is there, and is not what it should be.
        """
        element = body.find(f".//{{{NAMESPACE}}}droits")
        if element is None:
            return Rights(origin="simulated")
        try:
            told = element.get("au")
            return Rights(
                record=msgspec.json.decode(element.text or "{}", type=Record),
                delegate=element.get("delegataire"),
                rights_at=dt.datetime.fromisoformat(told).astimezone(dt.UTC) if told else None,
                origin="simulated",
            )
        except ValueError:  # msgspec's errors are of this kind too, and quote what they could not read
            pass
        raise ResolverUnavailable("the simulated rights cannot be read", data={"fault": "unreadable"})
