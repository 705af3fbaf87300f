"""An assertion that no CPS signed, for the simulated apCV service only.

It says so, and every other service refuses it. Registered as ``simulator`` in ``vitale_reader.assertions``; a daemon in
production mode refuses it at start.
"""

from collections.abc import Mapping
from typing import Final

__all__ = ["SimulatedAssertion"]

_ASSERTION: Final = (
    b'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_simulated" Version="2.0">'
    b"<saml:Issuer>urn:vitale-reader:sim</saml:Issuer></saml:Assertion>"
)


class SimulatedAssertion:
    """Gives the same unsigned assertion to everybody; it has no options."""

    simulated: bool = True

    def __init__(self, options: Mapping[str, object]) -> None:
        """Stores the options without using them."""
        self.options = options

    async def assertion(self) -> bytes:
        """The assertion, as the bytes of an XML element."""
        return _ASSERTION
