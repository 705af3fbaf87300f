"""Receipts: a signed invoice pushes one to the patient's phone, which has it for seven days."""

import http.client
import random
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from lxml import etree

from vitale_firmware_sim.apcv_service import soap
from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.phone.application import RECEIPTS_FOR, Receipt
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import load_scenario

NOW = 1_795_000_000.0
SUMMARY = f'<ResumeFacture xmlns="{soap.SIM}" professionnel="Dr ESSAI" centimes="2650"/>'
X = "<ContexteApCV><Identifiant>x</Identifiant></ContexteApCV>"


@pytest.fixture
def clock() -> list[float]:
    return [NOW]


@pytest.fixture
def service(clock: list[float]) -> Iterator[ApcvService]:
    with ApcvService(load_scenario("famille"), clock=lambda: clock[0]) as running:
        yield running


def user(service: ApcvService, clock: list[float], phone: str, **options: str) -> PhoneUser:
    return PhoneUser(
        load_scenario("famille"),
        phone,
        clock=lambda: clock[0],
        random=random.Random(3).randbytes,
        receipts=service.contexts.receipts,
        **options,  # type: ignore[arg-type]
    )


def sign(service: ApcvService, inside: str, action: str = soap.SIGN) -> tuple[int, bytes]:
    where = urlsplit(service.url)
    body = (
        f'<e:Envelope xmlns:e="{soap.SOAP}" xmlns:w="{soap.WSA}"><e:Header><w:Action>{action}</w:Action>'
        f'<w:MessageID>urn:uuid:1</w:MessageID><s:Security xmlns:s="{soap.WSSE}"><a:Assertion xmlns:a="{soap.SAML}"/>'
        f'</s:Security><l:ContexteLPS xmlns:l="{soap.CTXLPS}"/></e:Header>'
        f'<e:Body><SignerVitaleReq version="1.0" xmlns="{soap.SIGNING}">{inside}</SignerVitaleReq></e:Body>'
        "</e:Envelope>"
    )
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    try:
        connection.request("POST", where.path, body.encode())
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_a_signed_invoice_is_a_receipt_on_the_phone(service: ApcvService, clock: list[float]) -> None:
    claire = user(service, clock, "claire")
    context = service.contexts.authenticate(claire.tap(), NOW)
    assert claire.phone.receipts(NOW) == ()

    status, answer = sign(
        service, f"<ContexteApCV><Identifiant>{context.identifiant}</Identifiant></ContexteApCV>{SUMMARY}"
    )
    assert status == 200
    signature = etree.fromstring(answer).findtext(f".//{{{soap.SIM}}}signature") or ""
    assert signature.startswith("simulated:")
    assert service.actions == ("signerVitale",)

    assert claire.phone.receipts(NOW) == (), "until it is opened"
    claire.unlock()
    assert claire.phone.receipts(NOW) == (Receipt(NOW, "Dr ESSAI", 2650),)
    claire.unlock()
    assert len(claire.phone.receipts(NOW)) == 1


def test_it_goes_to_the_patient_and_not_to_who_presented_for_them(service: ApcvService, clock: list[float]) -> None:
    claire, yvonne = user(service, clock, "claire", present_for="yvonne"), user(service, clock, "yvonne")
    context = service.contexts.authenticate(claire.tap(), NOW)
    service.contexts.sign(context.identifiant, Receipt(NOW, "Dr ESSAI", 100), NOW)
    claire.unlock()
    yvonne.unlock()
    assert (len(claire.phone.receipts(NOW)), len(yvonne.phone.receipts(NOW))) == (0, 1)


def test_after_seven_days_it_is_gone_wherever_it_was(service: ApcvService, clock: list[float]) -> None:
    claire, paul = user(service, clock, "claire"), user(service, clock, "paul")
    for phone in (claire, paul):
        context = service.contexts.authenticate(phone.tap(), NOW)
        service.contexts.sign(context.identifiant, Receipt(NOW, "Dr ESSAI", 100), NOW)
    claire.unlock()
    assert len(claire.phone.receipts(NOW)) == 1
    clock[0] = NOW + RECEIPTS_FOR + 1
    for phone in (claire, paul):
        phone.unlock()
        assert phone.phone.receipts(clock[0]) == ()


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (f"<ContexteApCV><Identifiant>unknown</Identifiant></ContexteApCV>{SUMMARY}", "CONTEXT_UNKNOWN"),
        (SUMMARY, "REQUEST_INVALID"),
        (X, "REQUEST_INVALID"),
        (
            f'{X}<ResumeFacture xmlns="{soap.SIM}" centimes="-1"/>',
            "REQUEST_INVALID",
        ),
        (
            f'{X}<ResumeFacture xmlns="{soap.SIM}" centimes="1234567890"/>',
            "REQUEST_INVALID",
        ),
    ],
)
def test_what_is_not_signed(inside: str, code: str, service: ApcvService) -> None:
    status, answer = sign(service, inside)
    assert (status, f"sim:{code}".encode() in answer) == (400, True)


def test_in_an_ended_context_nothing_is_signed(service: ApcvService, clock: list[float]) -> None:
    claire = user(service, clock, "claire")
    context = service.contexts.authenticate(claire.tap(), NOW)
    service.contexts.release(context.identifiant, NOW)
    status, answer = sign(
        service, f"<ContexteApCV><Identifiant>{context.identifiant}</Identifiant></ContexteApCV>{SUMMARY}"
    )
    assert (status, b"sim:CONTEXT_UNKNOWN" in answer) == (400, True)


@pytest.mark.parametrize("event", ["withdraw", "revoke"])
def test_what_ended_meanwhile_signs_nothing(event: str, service: ApcvService, clock: list[float]) -> None:
    yvonne = user(service, clock, "claire", present_for="yvonne")
    context = service.contexts.authenticate(yvonne.tap(), NOW)
    if event == "withdraw":
        service.contexts.withdraw("yvonne", "claire")
    else:
        service.contexts.revoke("claire")
    status, answer = sign(
        service, f"<ContexteApCV><Identifiant>{context.identifiant}</Identifiant></ContexteApCV>{SUMMARY}"
    )
    code = {"withdraw": "DELEGATION_ENDED", "revoke": "APPLICATION_REVOKED"}[event]
    assert (status, f"sim:{code}".encode() in answer) == (400, True)
    assert service.contexts.receipts("yvonne", NOW) == ()
    assert service.contexts.restore(context.identifiant, NOW).identifiant == context.identifiant
