"""Resolver interface: a licensed online service turns an apCV string into a context.

Rules that every resolver keeps:

- A string is used once: ``resolve`` sends it at most once. Where a failure came before anything was sent, its
  ``data.sent`` is False. Only then may the caller try the same string again.
- ``sign`` is optional, and sends an invoice at most once: each time gives the patient a receipt.
- ``restore`` and ``release`` may be repeated without harm.
- Time limits, retries and the circuit breaker are not its business (``guarded.py`` has them); being cancelled is.
- What the service sends is bounded and distrusted; nothing of it is logged, or quoted in an error.
"""

import abc
import datetime as dt
import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ClassVar

import msgspec

from vitale_protocol.claims import ContextClaim
from vitale_protocol.errors import SignatureUnsupported, VitaleError
from vitale_protocol.methods import StationMode
from vitale_protocol.privacy import concealed
from vitale_protocol.records import Origin, Record

__all__ = [
    "Options",
    "Resolution",
    "Resolver",
    "Sending",
    "Signature",
    "announced",
    "claim_of",
    "sending_begins",
    "timestamp",
]

logger = logging.getLogger(__name__)

Options = Mapping[str, object]


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """An apCV context, and what it says of the patient.

    Attributes:
        identifiant: names the context at the service.
        token: the service's own token, for whoever bills with it (``tokenApCV``).
        date_fin_validite: the context's end, with a time zone.
        record: rights and people, as far as the service tells and this resolver reads them; else empty.
        delegate: who presented the application for the patient, where it was somebody else.
        rights_at: when the service knew the rights to be as told, where it says so.
        origin: what kind of service vouches; ``unknown`` where nothing tells.
    """

    __repr__ = concealed

    identifiant: str
    token: str
    date_fin_validite: dt.datetime
    record: Record = msgspec.field(default_factory=Record)
    delegate: str | None = None
    rights_at: dt.datetime | None = None
    origin: Origin = "unknown"


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice's signature, as the service gave it: only the software that bills knows its form."""

    __repr__ = concealed

    content: bytes
    origin: Origin = "unknown"


class Sending(msgspec.Struct):
    """Note of whether a string has begun to leave the machine."""

    begun: bool = False


_sending: ContextVar[Sending | None] = ContextVar("sending", default=None)


@contextmanager
def announced() -> Generator[Sending]:
    """Gives what ``sending_begins`` is told by whatever is called within."""
    sending = Sending()
    token = _sending.set(sending)
    try:
        yield sending
    finally:
        _sending.reset(token)


def sending_begins() -> None:
    """Announces that from here on the service may have got the string; see ``Resolver.announces``."""
    if (sending := _sending.get()) is not None:
        sending.begun = True


class Resolver(abc.ABC):
    """A service that resolves apCV strings. Registered by name in the entry-point group ``vitale_reader.resolvers``.

    Attributes:
        name: as in the configuration.
        resolves: False only for ``none``.
        reach: seconds within which it finds out that the service cannot be reached, so that nothing was sent.
        announces: whether ``resolve`` calls ``sending_begins`` before the string leaves. Whatever fails or takes too
            long before that has not used the string up. Of a resolver that does not announce, nobody knows.
    """

    name: ClassVar[str]
    resolves: ClassVar[bool] = True
    reach: ClassVar[float] = 4.0
    announces: ClassVar[bool] = False

    def __init__(self, options: Options, mode: StationMode) -> None:
        """Stores the options; touches nothing."""
        self.options = options
        self.mode: StationMode = mode

    @abc.abstractmethod
    async def open(self) -> None:
        """Checks the options and makes ready; does not wait for the service.

        Raises:
            ConfigurationInvalid: the options cannot be used, or not in this station's mode.
            ToolMissing: something that the resolver needs is not installed.
        """

    async def probe(self) -> str:
        """Finds out whether the service can be reached, for ``doctor``; nothing of a patient is sent.

        Returns:
            The host that was reached; empty where there is nothing to reach, or no way to find out.

        Raises:
            ResolverUnavailable: it cannot be reached; its variant says why.
        """
        return ""

    @abc.abstractmethod
    async def close(self) -> None:
        """Ends what ``open`` made; the last call."""

    @abc.abstractmethod
    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        """The context of a string, which is used up by this.

        Args:
            string: as it was presented.
            nonce: the client's, for services that bind their answer to one.

        Raises:
            ResolverUnavailable: the service does not answer, or not understandably; ``data.sent`` is False where
                nothing had been sent.
            ResolverRefused: it answered no; ``data.code`` is its own code.
            MediumExpired: the string is too old.
            Replayed: the string was used before.
        """

    @abc.abstractmethod
    async def restore(self, identifiant: str) -> Resolution:
        """A context once more.

        Raises:
            ContextUnknown: the service does not know it, or not any more.
            ResolverUnavailable, ResolverRefused: as for ``resolve``.
        """

    @abc.abstractmethod
    async def release(self, identifiant: str) -> None:
        """Ends a context.

        Raises:
            ContextUnknown: the service does not know it, or not any more.
            ResolverUnavailable, ResolverRefused: as for ``resolve``.
        """

    @property
    def signs(self) -> bool:
        """True if it implements ``sign``, with the options that it has."""
        return False

    async def sign(self, identifiant: str, invoice: bytes) -> Signature:
        """The signature of an invoice in a context, as the card would sign it (``signerVitale``).

        Args:
            identifiant: of the context.
            invoice: as the billing software made it for the service. Its form is not public: this class reads it no
                further than its service asks.

        Raises:
            SignatureUnsupported: this resolver signs nothing.
            ContextUnknown: the service does not know the context, or not any more.
            PayloadInvalid: this is not an invoice that can be sent; ``data.sent`` is then False.
            ResolverUnavailable, ResolverRefused: as for ``resolve``.
        """
        raise SignatureUnsupported(f"the resolver {self.name} signs nothing", data={"sent": False})

    async def let_go(self, identifiant: str) -> None:
        """Releases a context that nobody can use, as well as can be: else it ends by itself."""
        try:
            await self.release(identifiant)
        except VitaleError as error:
            logger.info("a context was not released, and ends by itself: %s", error)


def claim_of(resolution: Resolution) -> ContextClaim:
    """A context as tokens and answers tell it."""
    return ContextClaim(
        identifiant=resolution.identifiant,
        token=resolution.token,
        date_fin_validite=timestamp(resolution.date_fin_validite),
    )


def timestamp(moment: dt.datetime) -> str:
    """RFC 3339 in UTC, to the second, as on the wire."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
