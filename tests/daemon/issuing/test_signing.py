"""Invoices are signed in the context of their client, by the resolver, once a call; each refusal says why."""

import asyncio
import random
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import vitale_reader
from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol import tlv
from vitale_protocol.errors import (
    ContextUnknown,
    PayloadInvalid,
    ResolverRefused,
    ResolverUnavailable,
    SignatureUnsupported,
    VitaleError,
)
from vitale_protocol.events import PresentationProgress
from vitale_reader import Scope
from vitale_reader.aio import Connection, Presentation
from vitale_reader.resolvers.base import Signature

WANTED: tuple[Scope, ...] = ("identity", "context")
INVOICE = b'{"professionnel": "Dr ESSAI", "centimes": 2650}'
SIGNING = 'signing = { form = "simulator" }'
APCV = """
timeout = 60.0
profiles = ["simulator"]
resolver = "apcv-soap"
[apcv.options]
url = "{url}"
assertion = "simulator"
rights = "simulator"
identifiant_facturation = "123456782"
code_specialite = "50"
emetteur = "comptoir-1"
idam = "IDAM-0000"
lps_nom = "Logiciel"
lps_version = "1"
lps_instance = "comptoir-1"
"""


@pytest.fixture
def service() -> Iterator[ApcvService]:
    with ApcvService(load_scenario("famille")) as running:
        yield running


def phone(service: ApcvService, holder: str = "claire", owner: str = "") -> PhoneUser:
    return PhoneUser(
        load_scenario("famille"),
        holder,
        clock=time.time,
        random=random.Random(3).randbytes,
        receipts=service.contexts.receipts,
        present_for=owner,
    )


async def read(counter: Any, reader: Connection, string: bytes, scopes: tuple[Scope, ...] = WANTED) -> Presentation:
    def tap(step: PresentationProgress) -> None:
        if step.step == "armed":
            counter.tap(string)

    return await reader.read(media=["apcv-nfc"], scopes=scopes, on_progress=tap)


def counted(counter: Any, service: ApcvService, work: Callable[[Connection], Awaitable[None]], more: str = "") -> None:
    """Runs the work with the SDK at a desk whose resolver is that of the simulated service."""

    async def main() -> None:
        async with (
            counter.station(counter.config(apcv=APCV.format(url=service.url) + more), scripted=False),
            vitale_reader.aio.connect(
                home=counter.home.config.parent, connect_timeout=60, call_timeout=60, language="en"
            ) as reader,
        ):
            await work(reader)

    asyncio.run(main())


async def refused(kind: type[VitaleError], signing: Awaitable[object]) -> tuple[str, VitaleError]:
    """The cause that the counter is told, beside the error."""
    with pytest.raises(kind) as raised:
        await signing
    assert "ESSAI" not in f"{raised.value} {raised.value.data}"
    return raised.value.catalogued("en").cause, raised.value


def test_an_invoice_is_signed_and_its_receipt_is_on_the_phone(counter: Any, service: ApcvService) -> None:
    claire = phone(service)

    async def work(reader: Connection) -> None:
        found = await read(counter, reader, claire.tap())
        signature = await reader.sign_invoice(found.claims, INVOICE)
        assert (signature.content.partition(b":")[0], signature.origin) == (b"simulated", "simulated")
        assert b"simulated" not in repr(signature).encode().replace(b"origin='simulated'", b"")
        assert found.context is not None
        await reader.sign_invoice(found.context.identifiant, INVOICE)
        assert service.actions.count("signerVitale") == 2

    counted(counter, service, work, SIGNING)
    claire.unlock()
    now = time.time()
    kept = claire.phone.receipts(now)
    assert [("Dr ESSAI", 2650)] * 2 == [(receipt.practitioner, receipt.cents) for receipt in kept]


def test_each_refusal_says_why(counter: Any, service: ApcvService) -> None:
    async def work(reader: Connection) -> None:
        found = await read(counter, reader, phone(service, "claire", "yvonne").tap())
        cause, error = await refused(
            PayloadInvalid, reader.sign_invoice(found.claims, b'{"professionnel": "Dr ESSAI"}')
        )
        assert (error.data["sent"], "form" in cause) == (False, True)
        service.contexts.withdraw("yvonne", "claire")
        cause, error = await refused(ResolverRefused, reader.sign_invoice(found.claims, INVOICE))
        assert error.data["code"] == "DELEGATION_ENDED"
        assert "no longer acts for the patient" in cause
        service.behave("garbage")
        cause, error = await refused(ResolverUnavailable, reader.sign_invoice(found.claims, INVOICE))
        assert (error.variant, "may be signed" in cause) == ("signature", True)
        service.behave("normal")
        assert found.context is not None
        service.contexts.release(found.context.identifiant, time.time())
        for _ in range(2):
            await refused(ContextUnknown, reader.sign_invoice(found.claims, INVOICE))
        assert service.actions.count("signerVitale") == 3, "what has ended is not asked for again"
        assert service.contexts.receipts("yvonne", time.time()) == ()
        found = await read(counter, reader, phone(service).tap(), ("identity",))
        _, error = await refused(ContextUnknown, reader.sign_invoice(found.claims, INVOICE))
        assert error.variant == "absent"

    counted(counter, service, work, SIGNING)


def test_for_a_card_there_is_nothing_to_sign(counter: Any, service: ApcvService) -> None:
    async def work(reader: Connection) -> None:
        counter.put_card()

        def insert(step: PresentationProgress) -> None:
            if step.step == "armed":
                counter.give_card(
                    {"identity": tlv.encode(0x65, [tlv.encode(0x80, b"ESSAI"), tlv.encode(0x81, b"ANNE")])}
                )

        found = await reader.read(media=["vitale-card"], scopes=WANTED, on_progress=insert)
        cause, error = await refused(ContextUnknown, reader.sign_invoice(found.claims, INVOICE))
        assert ("card", True) == (error.variant, "not the application" in cause)
        assert service.actions == ()

    counted(counter, service, work, SIGNING)


def test_a_resolver_without_a_form_of_invoices_signs_nothing(counter: Any, service: ApcvService) -> None:
    async def work(reader: Connection) -> None:
        found = await read(counter, reader, phone(service).tap())
        cause, error = await refused(SignatureUnsupported, reader.sign_invoice(found.claims, INVOICE))
        assert (error.data["sent"], "configured" in cause) == (False, True)
        assert "signerVitale" not in service.actions

    counted(counter, service, work)


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_signing_needs_its_own_scope_and_the_context_of_this_client(counter: Any) -> None:
    async def work(line: Any) -> None:
        made = dict((await counter.claims(line, b"opaque", scopes=list(WANTED)))["context"])
        named = {"identifiant": made["identifiant"], "invoice_b64": b64encode(INVOICE).decode()}
        assert await line.reason("context.sign", named) == "signature_unsupported"
        for wrong in ("", "====", "AAA", "AA=A", "AB=="):
            assert await line.reason("context.sign", named | {"invoice_b64": wrong}) == "invalid_params"

    counter.run(work)

    async def main() -> None:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as line:
            await line.open()
            made = dict((await counter.claims(line, b"another", scopes=list(WANTED)))["context"])
            named = {"identifiant": made["identifiant"], "invoice_b64": b64encode(INVOICE).decode()}
            for scopes, reason in ((["identity", "context"], "not_authorised"), (["sign"], "context_unknown")):
                added = await line.result("clients.add", {"name": "x", "scopes": scopes, "transports": ["unix"]})
                async with counter.tools.unix_line(endpoints) as other:
                    await other.open(credential=added["credential"])
                    assert await other.reason("context.sign", named) == reason
            assert counter.resolver.count("sign") == 0

    asyncio.run(main())


def test_test_and_simulated_are_not_mixed(counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sign(identifiant: str, invoice: bytes) -> Signature:
        assert invoice == INVOICE
        return Signature(content=b"of another service", origin="test")

    async def work(line: Any) -> None:
        monkeypatch.setattr(counter.resolver, "sign", sign)
        made = dict((await counter.claims(line, b"opaque", scopes=list(WANTED)))["context"])
        named = {"identifiant": made["identifiant"], "invoice_b64": b64encode(INVOICE).decode()}
        assert await line.reason("context.sign", named) == "mixed_origin"

    counter.run(work)
