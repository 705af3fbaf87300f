"""``apcv-soap`` passes the suite for resolvers; resolvers with a fault do not."""

import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from msgspec.structs import replace

from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol.errors import Replayed, ResolverUnavailable
from vitale_reader.resolvers.base import Resolution, Resolver, announced
from vitale_reader.resolvers.contract import ResolverBench, ResolverContract

Show = Callable[..., bytes]


class SoapBench(ResolverBench):
    """The simulated service, and a resolver for it."""

    def __init__(self, soap: Any, show: Show, service: ApcvService) -> None:
        self._soap, self._show, self._service = soap, show, service
        self.made: Resolver | None = None

    def resolver(self) -> Resolver:
        made: Resolver = self._soap.resolver(self._service.url)
        self.made = made
        return made

    def string(self) -> bytes:
        return self._show("claire")

    def refused(self) -> bytes:
        return secrets.token_hex(20).encode()

    def sent(self) -> int:
        return self._service.actions.count("authentifierUtilisateurProximite")

    @contextmanager
    def away(self) -> Generator[None]:
        made: Any = self.made
        whole = made._settings
        made._settings = replace(whole, url="http://127.0.0.1:1/apcv")
        try:
            yield
        finally:
            made._settings = whole


@pytest.fixture
def soap_bench(soap: Any, show: Show) -> Iterator[SoapBench]:
    with ApcvService(load_scenario("famille")) as service:
        yield SoapBench(soap, show, service)


class TestApcvSoap(ResolverContract):
    @pytest.fixture
    def bench(self, soap_bench: SoapBench) -> ResolverBench:
        return soap_bench


class Wrapped(Resolver):
    """A resolver around another one, with a fault."""

    name = "wrapped"

    def __init__(self, inner: Resolver) -> None:
        super().__init__({}, "simulated")
        self.inner = inner

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        return await self.inner.resolve(string, nonce=nonce)

    async def restore(self, identifiant: str) -> Resolution:
        return await self.inner.restore(identifiant)

    async def release(self, identifiant: str) -> None:
        await self.inner.release(identifiant)


class SendsTwice(Wrapped):
    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        made = await self.inner.resolve(string, nonce=nonce)
        with suppress(Replayed):
            await self.inner.resolve(string, nonce=nonce)
        return made


class NeverReleases(Wrapped):
    async def release(self, identifiant: str) -> None:
        return


class QuotesTheString(Wrapped):
    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        try:
            return await self.inner.resolve(string, nonce=nonce)
        except Exception as error:
            raise ResolverUnavailable(string.decode()) from error


class AnnouncesNothing(Wrapped):
    announces = True

    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        with announced():
            return await self.inner.resolve(string, nonce=nonce)


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        (SendsTwice, "test_a_string_becomes_a_context"),
        (NeverReleases, "test_a_context_that_was_released_is_unknown"),
        (QuotesTheString, "test_a_refusal_is_one_and_quotes_nothing"),
        (AnnouncesNothing, "test_what_is_announced_is_announced_before_it_is_sent"),
    ],
)
def test_a_resolver_with_a_fault_does_not_pass(soap_bench: SoapBench, fault: type[Wrapped], test: str) -> None:
    make = soap_bench.resolver
    soap_bench.resolver = lambda: fault(make())  # type: ignore[method-assign]
    with pytest.raises(AssertionError):
        getattr(ResolverContract(), test)(soap_bench)
