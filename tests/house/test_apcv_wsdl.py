"""The WSDL of the apCV service says what the resolver sends and what the simulated service answers."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from vitale_firmware_sim.apcv_service import soap
from vitale_firmware_sim.apcv_service.contexts import ServiceContext
from vitale_protocol.records import Record
from vitale_reader.resolvers.envelope import (
    ACTION,
    AUTHENTICATE,
    NAMES,
    RELEASE,
    REQUESTS,
    RESTORE,
    ContextRequest,
    Sender,
    Shape,
    build,
)

XS = "{http://www.w3.org/2001/XMLSchema}"
BODY = f"{{{soap.SOAP}}}Body"
OPERATIONS = (AUTHENTICATE, RESTORE, RELEASE)
SENDER = Sender(
    identifiant_facturation="123456782",
    code_specialite="50",
    emetteur="E",
    idam="IDAM-1",
    lps_nom="N",
    lps_version="1.2",
    lps_instance="I",
)
ASSERTION = f'<saml:Assertion xmlns:saml="{soap.SAML}" ID="_1"/>'.encode()


@pytest.fixture(scope="module")
def wsdl() -> Any:
    return etree.parse(str(Path(__file__).parents[2] / "docs" / "reference" / "apcv-service.wsdl")).getroot()


def schema(wsdl: Any, namespace: str) -> etree.XMLSchema:
    (found,) = (one for one in wsdl.iter(f"{XS}schema") if one.get("targetNamespace") == namespace)
    return etree.XMLSchema(found)


def sent(operation: str, shape: Shape) -> Any:
    at = dt.datetime(2026, 11, 22, 1, 2, 3, tzinfo=dt.UTC)
    request = ContextRequest(operation=operation, value="v", message_id="urn:uuid:1", at=at, url="https://x.example/")
    return etree.fromstring(build(request, SENDER, ASSERTION, shape))


@pytest.mark.parametrize("shape", [Shape(), Shape(restore="named", version="")])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_sent_is_as_it_says(wsdl: Any, operation: str, shape: Shape) -> None:
    envelope = sent(operation, shape)
    schema(wsdl, soap.AUTH).assertValid(envelope.find(BODY)[0])
    schema(wsdl, soap.CTXLPS).assertValid(envelope.find(f".//{{{soap.CTXLPS}}}ContexteLPS"))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_the_simulated_service_answers_is_as_it_says(wsdl: Any, operation: str) -> None:
    made = ServiceContext(
        identifiant="ctx", token="t", ends=2e9, record=Record(), rights_at=1.9e9, delegate="PAUL MERLE-ESSAI"
    )
    request = soap.SoapRequest(ACTION + operation, "urn:uuid:1", "v")
    answer: Any = etree.fromstring(soap.answer(request, None if operation == RELEASE else made))
    schema(wsdl, soap.AUTH).assertValid(answer.find(BODY)[0])


def test_its_operations_and_actions_are_those_of_the_code(wsdl: Any) -> None:
    actions = {one.get("soapAction") for one in wsdl.iter("{http://schemas.xmlsoap.org/wsdl/soap12/}operation")}
    assert {ACTION + operation for operation in OPERATIONS} == actions
    (ours,) = (one for one in wsdl.iter(f"{XS}schema") if one.get("targetNamespace") == soap.AUTH)
    assert {REQUESTS.get(name, name) for name in NAMES} <= {one.get("name") for one in ours.iter(f"{XS}element")}
