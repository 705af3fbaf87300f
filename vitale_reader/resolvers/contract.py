"""The suite that every resolver passes: the rules of ``base``, checked with a service that it can call.

A resolver's tests import it, from this project or another::

    class MyBench(ResolverBench):
        def resolver(self) -> Resolver: ...
        def string(self) -> bytes: ...
        def refused(self) -> bytes: ...
        def sent(self) -> int: ...
        def away(self) -> AbstractContextManager[None]: ...
        def invoice(self) -> bytes: ...      # of a resolver that signs; and
        def signed(self) -> int: ...

    class TestMyResolver(ResolverContract):
        @pytest.fixture
        def bench(self) -> ResolverBench: ...

and pytest runs every test of the class with that bench. pytest itself is imported by the tests only.
"""

import abc
import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager

import msgspec

from vitale_protocol.errors import (
    ContextUnknown,
    PayloadInvalid,
    ResolverRefused,
    ResolverUnavailable,
    SignatureUnsupported,
    VitaleError,
)
from vitale_protocol.records import Record
from vitale_reader.resolvers.base import Resolution, Resolver, announced
from vitale_reader.resolvers.guarded import GuardedResolver

__all__ = ["ResolverBench", "ResolverContract"]

TIMEOUT = 30.0
"""Seconds: far more than any call of these tests takes."""


class ResolverBench(abc.ABC):
    """A service, simulated or of test, and strings for it."""

    @abc.abstractmethod
    def resolver(self) -> Resolver:
        """A new resolver for the service, not open."""

    @abc.abstractmethod
    def string(self) -> bytes:
        """A string that the service takes once."""

    @abc.abstractmethod
    def refused(self) -> bytes:
        """A string that the service refuses."""

    @abc.abstractmethod
    def sent(self) -> int:
        """Counts the strings that have reached the service."""

    @abc.abstractmethod
    def away(self) -> AbstractContextManager[None]:
        """Makes the service unreachable for a while: nothing of it listens."""

    def invoice(self) -> bytes:
        """An invoice that the service signs, for a resolver that ``signs``."""
        raise NotImplementedError

    def signed(self) -> int:
        """Counts the invoices that have reached the service."""
        raise NotImplementedError


class ResolverContract:
    """The tests; the fixture ``bench`` is the author's."""

    def test_a_string_becomes_a_context(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            made = await resolver.resolve(bench.string(), nonce="n")
            assert isinstance(made, Resolution)
            assert made.identifiant
            assert made.token
            assert made.date_fin_validite.tzinfo is not None
            assert made.date_fin_validite > dt.datetime.now(dt.UTC)
            assert bench.sent() == 1, "once, and no more"

        _run(bench, work)

    def test_the_guard_of_the_daemon_takes_what_it_gives(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            clock = asyncio.get_running_loop().time
            guarded = GuardedResolver(resolver, limit=TIMEOUT, random=lambda: 0.0, clock=clock)
            made = await guarded.resolve(bench.string(), nonce="n")
            assert (await guarded.restore(made.identifiant)).identifiant == made.identifiant
            await guarded.release(made.identifiant)
            assert guarded.health.state == "ready"

        _run(bench, work)

    def test_a_context_is_restored_as_often_as_one_likes(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            made = await resolver.resolve(bench.string(), nonce="n")
            for _ in range(2):
                again = await resolver.restore(made.identifiant)
                assert (again.identifiant, again.date_fin_validite) == (made.identifiant, made.date_fin_validite)

        _run(bench, work)

    def test_a_context_that_was_released_is_unknown(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            made = await resolver.resolve(bench.string(), nonce="n")
            await resolver.release(made.identifiant)
            await _raises(ContextUnknown, lambda: resolver.restore(made.identifiant))
            await _raises(ContextUnknown, lambda: resolver.release(made.identifiant))

        _run(bench, work)

    def test_a_string_counts_once(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            string = bench.string()
            await resolver.resolve(string, nonce="n")
            error = await _raises(VitaleError, lambda: resolver.resolve(string, nonce="n"))
            assert error.data.get("sent") is not False

        _run(bench, work)

    def test_a_refusal_is_one_and_quotes_nothing(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            string = bench.refused()
            error = await _raises(VitaleError, lambda: resolver.resolve(string, nonce="n"))
            assert not isinstance(error, ResolverUnavailable), "the service is there, and answered"
            if isinstance(error, ResolverRefused):
                assert error.data.get("code"), "the service's own code"
            assert string.decode("latin-1") not in f"{error} {error.data}"

        _run(bench, work)

    def test_a_service_that_is_away_has_used_up_nothing(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            string, before = bench.string(), bench.sent()
            with bench.away():
                error = await _raises(ResolverUnavailable, lambda: resolver.resolve(string, nonce="n"))
                assert error.data.get("sent") is False
                await _raises(ResolverUnavailable, lambda: resolver.restore("nobody's"))
            assert bench.sent() == before
            assert (await resolver.resolve(string, nonce="n")).identifiant

        _run(bench, work)

    def test_an_invoice_is_signed_in_a_context_once_a_call(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            made = await resolver.resolve(bench.string(), nonce="n")
            if not resolver.signs:
                error = await _raises(SignatureUnsupported, lambda: resolver.sign(made.identifiant, b"an invoice"))
                assert error.data.get("sent") is False
                return
            invoice = bench.invoice()
            signature = await resolver.sign(made.identifiant, invoice)
            assert isinstance(signature.content, bytes)
            assert signature.content
            assert signature.origin == made.origin
            assert bench.signed() == 1, "once, and no more"
            assert invoice.decode("latin-1") not in repr(signature)

        _run(bench, work)

    def test_in_a_context_that_was_released_nothing_is_signed(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            made = await resolver.resolve(bench.string(), nonce="n")
            await resolver.release(made.identifiant)
            kind = ContextUnknown if resolver.signs else SignatureUnsupported
            invoice = bench.invoice() if resolver.signs else b"an invoice"
            error = await _raises(kind, lambda: resolver.sign(made.identifiant, invoice))
            assert invoice.decode("latin-1") not in f"{error} {error.data}"

        _run(bench, work)

    def test_a_service_that_is_away_has_signed_nothing(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            made = await resolver.resolve(bench.string(), nonce="n")
            if not resolver.signs:
                await _raises(SignatureUnsupported, lambda: resolver.sign(made.identifiant, b"an invoice"))
                return
            invoice = bench.invoice()
            with bench.away():
                error = await _raises(ResolverUnavailable, lambda: resolver.sign(made.identifiant, invoice))
                assert error.data.get("sent") is False
            assert bench.signed() == 0
            await _raises(PayloadInvalid, lambda: resolver.sign(made.identifiant, b"\x00 nobody's invoice"))
            assert bench.signed() == 0
            assert (await resolver.sign(made.identifiant, invoice)).content

        _run(bench, work)

    def test_what_is_announced_is_announced_before_it_is_sent(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            with announced() as sending:
                await resolver.resolve(bench.string(), nonce="n")
            assert sending.begun is resolver.announces

        _run(bench, work)

    def test_a_call_that_is_cancelled_ends(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            asking = asyncio.ensure_future(resolver.resolve(bench.string(), nonce="n"))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait((asking,))
            assert asking.cancelled()

        _run(bench, work)

    def test_calls_at_the_same_time_have_answers_of_their_own(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            made = await asyncio.gather(*(resolver.resolve(bench.string(), nonce=str(one)) for one in range(5)))
            assert len({one.identifiant for one in made}) == 5

        _run(bench, work)

    def test_it_is_opened_and_closed_again_and_again(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            await resolver.close()
            await resolver.open()
            assert (await resolver.resolve(bench.string(), nonce="n")).identifiant

        _run(bench, work)

    def test_a_context_shows_nothing_of_itself(self, bench: ResolverBench) -> None:
        async def work(resolver: Resolver) -> None:
            made = await resolver.resolve(bench.string(), nonce="n")
            assert made.token not in repr(made)
            assert msgspec.json.decode(msgspec.json.encode(made.record), type=Record) == made.record

        _run(bench, work)


def _run(bench: ResolverBench, work: Callable[[Resolver], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(TIMEOUT), _open(bench.resolver()) as resolver:
            await work(resolver)

    asyncio.run(main())


@asynccontextmanager
async def _open(resolver: Resolver) -> AsyncGenerator[Resolver]:
    await resolver.open()
    try:
        yield resolver
    finally:
        await resolver.close()


async def _raises(kind: type[VitaleError], call: Callable[[], Awaitable[object]]) -> VitaleError:
    try:
        await call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")
