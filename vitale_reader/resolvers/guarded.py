"""A resolver with a time limit, careful retries and a circuit breaker around it: what the daemon speaks to.

- Each call has ``limit`` seconds, retries included.
- ``resolve`` and ``sign`` are tried again only where nothing had been sent. A string is used once, and an invoice has
  one receipt. ``restore`` and ``release`` are tried again after any ``resolver_unavailable``, since repeating them
  changes nothing. No attempt begins in the last ``reach`` seconds of the limit. It could be cut off before it is known
  whether anything was sent.
- After ``FAILURES`` failures in a row the circuit opens, and for ``PAUSE`` seconds calls fail at once. So the patient
  can take out the card without waiting. Then one call is let through as a probe; it closes the circuit, or opens it for
  another pause. A refusal is an answer: it closes the circuit, unless nothing had been sent. ``release`` is never the
  probe: a patient may wait for the next call.
- What comes is distrusted. A record larger than any family's is unreadable, and so is another context than was asked
  for. A context that is of no use is released.
- Where nobody knows what became of an invoice, ``resolver_unavailable`` has the variant ``signature``.
  ``resolver_refused`` has it where an invoice is refused for no other known reason.
- A fault of the resolver or of a plug-in below it is ``resolver_unavailable`` of the variant ``plug-in``. Where the
  resolver announces what it sends, a string counts as used only once it has begun to leave.
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

from vitale_protocol.errors import ResolverRefused, ResolverUnavailable, VitaleError
from vitale_protocol.methods import ResolverHealth
from vitale_reader.resolvers.base import Resolution, Resolver, Signature, announced

__all__ = ["ATTEMPTS", "FAILURES", "PAUSE", "GuardedResolver"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

FAILURES = 5
PAUSE = 10.0
#: Attempts of one call, and the longest wait before the second one; before each further one it doubles.
ATTEMPTS = 3
FIRST_WAIT = 0.2

#: The largest record: people (a Vitale card has room for 19), and bytes of its JSON, which go into a token beside the
#: service's own. The delegate's name, in characters.
MOST_PEOPLE = 30
MOST_RECORD_BYTES = 32_768
MOST_DELEGATE_CHARACTERS = 200
MOST_SIGNATURE_BYTES = 65_536

Sleep = Callable[[float], Awaitable[None]]


class Circuit(msgspec.Struct):
    """True if calls are let through; ``opened_at`` is None while it is closed. Times are the loop's, in seconds."""

    failures: int = 0
    opened_at: float | None = None
    probing: bool = False

    def admit(self, now: float, *, may_probe: bool) -> None:
        """Lets a call through, as a probe where it is time for one and the call may be it.

        Raises:
            ResolverUnavailable: the circuit is open.
        """
        if self.opened_at is None:
            return
        if self.probing or not may_probe or now < self.opened_at + PAUSE:
            raise ResolverUnavailable("the service failed again and again; it is left alone", data={"sent": False})
        self.probing = True

    def succeeded(self) -> None:
        """Records that the service answered."""
        self.failures, self.opened_at, self.probing = 0, None, False

    def failed(self, now: float) -> bool:
        """Records that the service did not answer; true if this opened the circuit."""
        self.failures += 1
        was_open, self.probing = self.opened_at is not None, False
        if was_open or self.failures >= FAILURES:
            self.opened_at = now
        return not was_open and self.opened_at is not None


class GuardedResolver:
    """A resolver that can be relied on to end.

    Args:
        resolver: the plug-in.
        limit: seconds for one call.
        random: gives numbers from 0 to 1, for the jitter.
        clock: seconds that do not jump.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        limit: float,
        random: Callable[[], float],
        clock: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._resolver = resolver
        self._limit = limit
        self._random = random
        self._clock = clock
        self._sleep = sleep
        self._circuit = Circuit()
        self._last: VitaleError | None = None

    @property
    def resolves(self) -> bool:
        """True if there is a service at all."""
        return self._resolver.resolves

    @property
    def health(self) -> ResolverHealth:
        """The resolver as ``station.info`` shows it."""
        return ResolverHealth(
            name=self._resolver.name,
            state=self._state(),
            reason=self._last.reason if self._last else None,
            variant=(self._last.variant or None) if self._last else None,
            detail=self._last.detail if self._last else None,
        )

    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        """Calls ``Resolver.resolve``, within the limit."""

        async def work() -> Resolution:
            resolution = await self._resolver.resolve(string, nonce=nonce)
            try:
                return _bounded(resolution)
            except ResolverUnavailable:
                await self._resolver.let_go(resolution.identifiant)
                raise

        with announced() as sending:
            try:
                return await self._call(work, _nothing_was_sent)
            except ResolverUnavailable as error:
                if self._resolver.announces and not sending.begun:
                    error.data.setdefault("sent", False)
                raise

    async def restore(self, identifiant: str) -> Resolution:
        """Calls ``Resolver.restore``, within the limit; the context keeps the name that was asked for."""

        async def work() -> Resolution:
            return _bounded(await self._resolver.restore(identifiant))

        resolution = await self._call(work, _always)
        # An answer, and not a failure: the published request names no context, and another counter's is the last one.
        if resolution.identifiant != identifiant:
            raise ResolverUnavailable("another context than was asked for", variant="unreadable")
        return resolution

    async def release(self, identifiant: str) -> None:
        """Calls ``Resolver.release``, within the limit."""
        await self._call(lambda: self._resolver.release(identifiant), _always, may_probe=False)

    async def sign(self, identifiant: str, invoice: bytes) -> Signature:
        """Calls ``Resolver.sign``, within the limit; at most one invoice leaves the machine."""

        async def work() -> Signature:
            signature = await self._resolver.sign(identifiant, invoice)
            if not 1 <= len(signature.content) <= MOST_SIGNATURE_BYTES:
                raise ResolverUnavailable("an empty signature, or too long a one", variant="unreadable")
            return signature

        with announced() as sending:
            try:
                return await self._call(work, _nothing_was_sent)
            except ResolverUnavailable as error:
                if self._resolver.announces and not sending.begun:
                    error.data.setdefault("sent", False)
                if _nothing_was_sent(error):
                    raise
                raise ResolverUnavailable(error.detail, variant="signature", data=error.data) from error
            except ResolverRefused as error:
                if error.variant:
                    raise
                raise ResolverRefused(error.detail, variant="signature", data=error.data) from error

    def _state(self) -> Literal["none", "ready", "degraded", "open"]:
        if not self.resolves:
            return "none"
        if self._circuit.opened_at is not None:
            return "open"
        return "degraded" if self._last else "ready"

    async def _call(
        self, work: Callable[[], Awaitable[T]], again: Callable[[ResolverUnavailable], bool], *, may_probe: bool = True
    ) -> T:
        self._circuit.admit(self._clock(), may_probe=may_probe)
        try:
            result = await self._within_limit(work, again)
        except ResolverUnavailable as error:
            self._lost(error)
            if self._circuit.failed(self._clock()):
                logger.warning("the apCV service is left alone for %g s: %s", PAUSE, error)
            raise
        except VitaleError as error:
            if _nothing_was_sent(error):
                self._circuit.probing = False  # nothing is known of the service
            else:
                self._answered()
            raise
        except Exception as error:  # noqa: BLE001  an edge: plug-ins are programs of others
            self._circuit.probing = False  # nothing is known of the service
            fault = _of_plug_in(error)
            self._lost(fault)
            raise fault from None
        except BaseException:
            self._circuit.probing = False  # cancelled: nothing is known of the service
            raise
        self._answered()
        return result

    def _lost(self, error: ResolverUnavailable) -> None:
        """Keeps why a call failed; tells it where the one before did not, or for another reason."""
        if self._last is None or self._last.variant != error.variant:
            logger.info("the apCV service cannot be used: %s", error)
        self._last = error

    def _answered(self) -> None:
        if self._last is not None:
            logger.info("the apCV service is back")
        self._last = None
        self._circuit.succeeded()

    async def _within_limit(self, work: Callable[[], Awaitable[T]], again: Callable[[ResolverUnavailable], bool]) -> T:
        limit = asyncio.timeout(self._limit)
        try:
            async with limit:
                return await self._attempts(work, again)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ResolverUnavailable(f"no answer in {self._limit:g} s") from error

    async def _attempts(self, work: Callable[[], Awaitable[T]], again: Callable[[ResolverUnavailable], bool]) -> T:
        ends = self._clock() + self._limit
        for attempt in range(ATTEMPTS - 1):
            # Full jitter: the desks of a pharmacy fail together and are not to come back together.
            wait = self._random() * FIRST_WAIT * 2**attempt
            try:
                return await work()
            except ResolverUnavailable as error:
                if not again(error) or self._clock() + wait + self._resolver.reach > ends:
                    raise
            await self._sleep(wait)
        return await work()


def _of_plug_in(error: Exception) -> ResolverUnavailable:
    """Returns the error for a fault, without its text or source line, which may quote a string."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    logger.error("a plug-in of the resolver failed: %s at %s:%s", type(error).__name__, where.filename, where.lineno)
    return ResolverUnavailable(type(error).__name__, variant="plug-in")


def _bounded(resolution: Resolution) -> Resolution:
    record = resolution.record
    if (
        len(record.beneficiaires or ()) > MOST_PEOPLE
        or len(msgspec.json.encode(record)) > MOST_RECORD_BYTES
        or len(resolution.delegate or "") > MOST_DELEGATE_CHARACTERS
    ):
        raise ResolverUnavailable("more than could be about a family", variant="unreadable")
    return resolution


def _nothing_was_sent(error: VitaleError) -> bool:
    return error.data.get("sent") is False


def _always(_error: ResolverUnavailable) -> bool:
    return True
