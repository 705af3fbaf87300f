"""Result of a read: one verified token with its claims, and the small typed values around it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeVar, overload

from vitale_protocol.claims import Claims, ContextClaim
from vitale_protocol.errors import ContextUnknown
from vitale_protocol.events import Reader
from vitale_protocol.records import Beneficiaire, Medium, Origin, Proof

__all__ = ["InvoiceSignature", "Presentation", "ReaderChange", "context_of", "several"]

NameT = TypeVar("NameT", bound=str)


@dataclass(frozen=True)
class Presentation:
    """A medium that was presented, as its verified token says.

    Attributes:
        token: the JWS, to be handed to whoever verifies it; never log it. Not shown by ``repr``.
        claims: what the token says, decoded from the token itself after its signature was verified.
    """

    token: str = field(repr=False)
    claims: Claims = field(repr=False)

    def __repr__(self) -> str:
        """Representation without personal data."""
        return f"<Presentation {self.medium} {self.proof.method} origin={self.origin} jti={self.claims.jti}>"

    @property
    def jti(self) -> str:
        """Identifier of the token."""
        return self.claims.jti

    @property
    def medium(self) -> Medium:
        """Medium that was presented."""
        return self.claims.medium

    @property
    def proof(self) -> Proof:
        """Proof of the data; ``proof.verified`` is true only where a signature or a service vouched for them."""
        return self.claims.proof

    @property
    def origin(self) -> Origin:
        """``production``, ``test``, ``demo``, ``simulated`` or ``unknown``."""
        return self.claims.origin

    @property
    def warnings(self) -> tuple[str, ...]:
        """Catalogue reasons that did not prevent the token, such as ``nir_key_mismatch``."""
        return self.claims.warnings

    @property
    def context(self) -> ContextClaim | None:
        """The apCV context behind it; None for other media, without a resolver, or without the scope ``context``."""
        return self.claims.context

    @property
    def delegate(self) -> str | None:
        """Person who presented the application for the patient; None where that was the patient."""
        return self.claims.delegate

    @property
    def beneficiaries(self) -> tuple[Beneficiaire, ...]:
        """Everybody that the token speaks of, within the scopes asked for."""
        return self.claims.record.beneficiaires or ()

    @property
    def holder(self) -> Beneficiaire | None:
        """The holder of the medium; None where the medium or the scopes do not tell who that is."""
        index = self.claims.record.porteur
        if index is None or not 0 <= index < len(self.beneficiaries):
            return None
        return self.beneficiaries[index]


@dataclass(frozen=True, slots=True)
class InvoiceSignature:
    """Signature of an invoice, as the apCV service gave it; its form is not public.

    Attributes:
        content: the signature's bytes; not shown by ``repr``.
        origin: ``simulated`` where it is worth nothing.
    """

    content: bytes = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class ReaderChange:
    """A reader came, changed, or went. A watch begins with one ``added`` for each reader there is."""

    kind: Literal["added", "changed", "removed"]
    reader: Reader


def context_of(claims: Claims) -> str:
    """The ``identifiant`` of the context of what was read.

    Raises:
        ContextUnknown: there is none.
    """
    if claims.context is not None:
        return claims.context.identifiant
    if claims.medium in {"apcv-nfc", "apcv-qr"}:
        raise ContextUnknown("no context was read", variant="absent")
    raise ContextUnknown(f"a {claims.medium} has no context", variant="card")


@overload
def several(given: NameT | Iterable[NameT]) -> tuple[NameT, ...]: ...
@overload
def several(given: NameT | Iterable[NameT] | None) -> tuple[NameT, ...] | None: ...
def several(given: NameT | Iterable[NameT] | None) -> tuple[NameT, ...] | None:
    """One name or several, or None: a text is one, and not its letters."""
    if given is None:
        return None
    if isinstance(given, str):
        return (given,)  # pyright: ignore[reportReturnType]  # a text that is a NameT is one
    return tuple(given)
