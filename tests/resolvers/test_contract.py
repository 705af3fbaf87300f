"""``apcv-soap`` passes the suite for resolvers; resolvers with a fault do not."""

import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from msgspec.structs import replace

from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol.errors import Replayed, ResolverUnavailable, SignatureUnsupported, VitaleError
from vitale_reader.resolvers.base import Resolution, Resolver, Signature, announced
from vitale_reader.resolvers.contract import ResolverBench, ResolverContract

Show = Callable[..., bytes]
INVOICE = b'{"professionnel": "Dr ESSAI", "centimes": 2650}'


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


class SigningBench(SoapBench):
    """The same, with a form of invoices."""

    def resolver(self) -> Resolver:
        made: Resolver = self._soap.resolver(self._service.url, signing={"form": "simulator"})
        self.made = made
        return made

    def invoice(self) -> bytes:
        return INVOICE

    def signed(self) -> int:
        return self._service.actions.count("signerVitale")


@pytest.fixture
def signing_bench(soap: Any, show: Show) -> Iterator[SigningBench]:
    with ApcvService(load_scenario("famille")) as service:
        yield SigningBench(soap, show, service)


class TestApcvSoap(ResolverContract):
    @pytest.fixture
    def bench(self, soap_bench: SoapBench) -> ResolverBench:
        return soap_bench


class TestApcvSoapThatSigns(ResolverContract):
    @pytest.fixture
    def bench(self, signing_bench: SigningBench) -> ResolverBench:
        return signing_bench


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

    @property
    def signs(self) -> bool:
        return self.inner.signs

    async def sign(self, identifiant: str, invoice: bytes) -> Signature:
        return await self.inner.sign(identifiant, invoice)


class SignsTwice(Wrapped):
    async def sign(self, identifiant: str, invoice: bytes) -> Signature:
        await self.inner.sign(identifiant, invoice)
        return await self.inner.sign(identifiant, invoice)


class SignsWithoutTheService(Wrapped):
    async def sign(self, identifiant: str, invoice: bytes) -> Signature:
        return Signature(content=b"signed", origin="simulated")


class SaysThatItSigns(Wrapped):
    async def sign(self, identifiant: str, invoice: bytes) -> Signature:
        raise SignatureUnsupported("nothing is signed")


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


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        (SignsTwice, "test_an_invoice_is_signed_in_a_context_once_a_call"),
        (SignsWithoutTheService, "test_an_invoice_is_signed_in_a_context_once_a_call"),
        (SignsWithoutTheService, "test_in_a_context_that_was_released_nothing_is_signed"),
        (SignsWithoutTheService, "test_a_service_that_is_away_has_signed_nothing"),
        (SaysThatItSigns, "test_an_invoice_is_signed_in_a_context_once_a_call"),
    ],
)
def test_nor_does_one_that_signs_with_a_fault(signing_bench: SigningBench, fault: type[Wrapped], test: str) -> None:
    make = signing_bench.resolver
    signing_bench.resolver = lambda: fault(make())  # type: ignore[method-assign]
    with pytest.raises((AssertionError, VitaleError)):
        getattr(ResolverContract(), test)(signing_bench)
