"""Envelopes: what is published is in them, what comes back is distrusted, and nothing of either is quoted."""

import contextlib
import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from vitale_protocol.errors import ConfigurationInvalid, PayloadInvalid, ResolverUnavailable
from vitale_reader.resolvers.envelope import (
    AUTHENTICATE,
    RELEASE,
    RESTORE,
    SIGN,
    ContextRequest,
    Fault,
    Sender,
    ServiceAnswer,
    Shape,
    SigningShape,
    build,
    build_signing,
    parse,
)

NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://www.w3.org/2005/08/addressing",
    "w": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "l": "urn:siram:lps:ctxlps",
    "v": "http://www.sesam-vitale.fr/apcv/auth/1/0",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
}
ASSERTION = b'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1"/>'
SENDER = Sender(
    identifiant_facturation="123456782",
    code_specialite="50",
    emetteur="E",
    idam="IDAM-1",
    lps_nom="N",
    lps_version="1.2",
    lps_instance="I",
)
ID = "urn:uuid:0b1f6c1e-6d0c-4a44-9d0e-3f8d2f5e7a10"


def request(operation: str = AUTHENTICATE, value: str = "<opaque> & é") -> ContextRequest:
    at = dt.datetime(2026, 11, 22, 1, 2, 3, tzinfo=dt.UTC)
    return ContextRequest(operation=operation, value=value, message_id=ID, at=at, url="https://service.example/")


def test_a_request_has_what_is_published() -> None:
    root: Any = etree.fromstring(build(request(), SENDER, ASSERTION))

    def text(path: str) -> str | None:
        found: str | None = root.findtext(path, namespaces=NS)
        return found

    assert text("s:Header/a:Action") == "urn:ApCV_AUTH:1.0.0:authentifierUtilisateurProximite"
    assert text("s:Header/a:MessageID") == ID
    assert root.find("s:Header/w:Security/saml:Assertion", NS).get("ID") == "_1"
    assert root.find("s:Header/l:ContexteLPS", NS).attrib == {"Nature": "CTXLPS", "Version": "01_00"}
    assert text("s:Header/l:ContexteLPS/l:Temps") == "2026-11-22T01:02:03Z"
    assert text("s:Header/l:ContexteLPS/l:Emetteur") == "E"
    assert text("s:Header/l:ContexteLPS/l:LPS/l:IDAM") == "IDAM-1"
    assert root.find("s:Header/l:ContexteLPS/l:LPS/l:IDAM", NS).get("R") == "4"
    assert [text(f"s:Header/l:ContexteLPS/l:LPS/l:{name}") for name in ("Version", "Instance", "Nom")] == [
        "1.2",
        "I",
        "N",
    ]
    assert text("s:Body/*/v:ProfessionnelSante/v:IdentifiantFacturation") == "123456782"
    assert text("s:Body/*/v:ProfessionnelSante/v:CodeSpecialiteAMO") == "50"
    assert text("s:Body/*/v:Donnees") == "<opaque> & é"


def test_a_request_to_sign_has_what_is_published() -> None:
    invoice = etree.Element("{urn:of:the:plug-in}Facture")
    root: Any = etree.fromstring(build_signing(request(SIGN, "ctx"), SENDER, ASSERTION, (invoice,), SigningShape()))
    signing = "http://www.sesam-vitale.fr/apcv/sign/1/0"
    assert root.findtext("s:Header/a:Action", namespaces=NS) == "urn:ApCV_SIGN:1.0.0:signerVitale"
    assert root.find("s:Header/w:Security/saml:Assertion", NS).get("ID") == "_1"
    assert root.findtext("s:Header/l:ContexteLPS/l:LPS/l:IDAM", namespaces=NS) == "IDAM-1"
    (asked,) = root.find("s:Body", NS)
    assert (f"{{{signing}}}SignerVitaleReq", {"version": "1.0"}) == (asked.tag, dict(asked.attrib))
    assert [f"{{{signing}}}ContexteApCV", invoice.tag] == [each.tag for each in asked]
    assert asked.findtext(f"{{{signing}}}ContexteApCV/{{{signing}}}Identifiant") == "ctx"


PUBLISHED_BODIES = {
    AUTHENTICATE: (
        '<AuthentifierUtilisateurProximiteReq version="1.0" xmlns="http://www.sesam-vitale.fr/apcv/auth/1/0">'
        "<ProfessionnelSante><IdentifiantFacturation>123456782</IdentifiantFacturation>"
        "<CodeSpecialiteAMO>50</CodeSpecialiteAMO></ProfessionnelSante><Donnees>v</Donnees>"
        "</AuthentifierUtilisateurProximiteReq>"
    ),
    RESTORE: '<RestituerContexteApCVReq version="1.0" xmlns="http://www.sesam-vitale.fr/apcv/auth/1/0"/>',
    RELEASE: (
        '<DetruireContexteApCVReq version="1.0" xmlns="http://www.sesam-vitale.fr/apcv/auth/1/0">'
        "<ContexteApCV><Identifiant>v</Identifiant></ContexteApCV></DetruireContexteApCVReq>"
    ),
}


@pytest.mark.parametrize("operation", PUBLISHED_BODIES)
def test_a_body_is_as_integrators_have_published_it(operation: str) -> None:
    root: Any = etree.fromstring(build(request(operation, "v"), SENDER, ASSERTION))
    (body,) = root.find("s:Body", NS)
    expected: Any = etree.fromstring(PUBLISHED_BODIES[operation])
    assert etree.tostring(expected, method="c14n", exclusive=True) == etree.tostring(
        body, method="c14n", exclusive=True
    )


def test_a_context_may_be_asked_for_by_its_name() -> None:
    shape = Shape(restore="named", version="", names={"ContexteApCV": "Contexte"})
    root: Any = etree.fromstring(build(request(RESTORE, "ctx"), SENDER, ASSERTION, shape))
    (body,) = root.find("s:Body", NS)
    assert {} == dict(body.attrib)
    assert root.findtext("s:Body/v:RestituerContexteApCVReq/v:Contexte/v:Identifiant", namespaces=NS) == "ctx"


def test_what_cannot_be_sent_is_told() -> None:
    with pytest.raises(PayloadInvalid) as raised:
        build(request(value="nul \0"), SENDER, ASSERTION)
    assert raised.value.data == {"sent": False}
    assert raised.value.variant == "control"
    with pytest.raises(ConfigurationInvalid):
        build(request(), SENDER, b"not xml")


def answer(members: str, relates: str = ID, extra: str = "") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{NS["s"]}" xmlns:a="{NS["a"]}" xmlns:v="{NS["v"]}">'
        f"<s:Header><a:RelatesTo>{relates}</a:RelatesTo></s:Header><s:Body>{members}</s:Body>{extra}</s:Envelope>"
    ).encode()


def members(identifiant: str = "ctx", apcv: str = "SECRET", ends: str = "2026-11-22T02:00:00Z") -> str:
    return (
        f"<v:rep><v:dateFinValidite>{ends}</v:dateFinValidite><v:identifiant>{identifiant}</v:identifiant>"
        f"<v:tokenApCV>{apcv}</v:tokenApCV></v:rep>"
    )


def test_a_context_is_read() -> None:
    found = parse(answer(members()), ID)
    assert isinstance(found, ServiceAnswer)
    assert (found.identifiant, found.token) == ("ctx", "SECRET")
    assert found.date_fin_validite == dt.datetime(2026, 11, 22, 2, tzinfo=dt.UTC)


def test_other_zones_and_none() -> None:
    found = parse(answer(members(ends="2026-11-22T03:00:00+01:00")), ID)
    assert isinstance(found, ServiceAnswer)
    assert found.date_fin_validite == dt.datetime(2026, 11, 22, 2, tzinfo=dt.UTC)
    local = parse(answer(members(ends="2026-11-22T03:00:00")), ID)
    assert isinstance(local, ServiceAnswer)
    assert local.date_fin_validite == dt.datetime(2026, 11, 22, 3).astimezone(dt.UTC)


def test_an_answer_to_a_release_has_no_context() -> None:
    found = parse(answer("<v:done/>"), ID)
    assert isinstance(found, ServiceAnswer)
    assert found.date_fin_validite is None


@pytest.mark.parametrize(
    ("value", "subcode", "expected"),
    [
        ("s:Sender", "x:STRING_USED", Fault("STRING_USED", receiver=False)),
        ("s:Receiver", "", Fault("Receiver", receiver=True)),
        ("s:Sender", "MERLE-ESSAI CLAIRE 2840613990412", Fault("unreadable", receiver=False)),
        ("s:Sender", "x" * 100, Fault("unreadable", receiver=False)),
        ("", "", Fault("unreadable", receiver=False)),
    ],
)
def test_faults(value: str, subcode: str, expected: Fault) -> None:
    sub = f"<s:Subcode><s:Value>{subcode}</s:Value></s:Subcode>" if subcode else ""
    fault = f"<s:Fault><s:Code><s:Value>{value}</s:Value>{sub}</s:Code></s:Fault>"
    assert parse(answer(fault), ID) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<",
        b"<a/>",
        b"\xff\xfe\x00",
        answer(members(), relates="urn:uuid:another"),
        answer(members(identifiant="")),
        answer(members(identifiant="x" * 201)),
        b"<!DOCTYPE x [<!ENTITY e 'v'>]>" + answer(members()),
        answer("<deep>" * 2000 + "</deep>" * 2000),
    ],
    ids=range(9),
)
def test_what_is_no_answer_is_refused_without_being_quoted(content: bytes) -> None:
    with pytest.raises(ResolverUnavailable) as raised:
        parse(content, ID)
    assert (raised.value.variant, raised.value.data) == ("unreadable", {})
    assert raised.value.__cause__ is None
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "told",
    [
        members(apcv=""),
        members(apcv="x" * 40_000),
        members(ends=""),
        members(ends="soon"),
        members(ends="9999-12-31T23:59:59-23:59"),
    ],
    ids=["no token", "a long token", "no end", "an end that is no date", "an end beyond all dates"],
)
def test_a_context_that_cannot_be_used_has_a_name_to_be_released_by(told: str) -> None:
    found = parse(answer(told), ID)
    assert isinstance(found, ServiceAnswer)
    assert (found.identifiant, found.token, found.date_fin_validite) == ("ctx", "", None)


def test_another_version_has_another_shape() -> None:
    own = "http://service.example/auth/2/0"
    shape = Shape(
        namespace=own,
        action="urn:ApCV_AUTH:2.0.0:",
        names={AUTHENTICATE: "AuthentifierRequete", "Donnees": "DonneesApCV"},
        date_form="%Y%m%d%H%M%S",
    )
    root: Any = etree.fromstring(build(request(), SENDER, ASSERTION, shape))
    ns = NS | {"v": own}
    assert root.findtext("s:Header/a:Action", namespaces=ns) == f"urn:ApCV_AUTH:2.0.0:{AUTHENTICATE}"
    assert root.findtext("s:Body/v:AuthentifierRequete/v:DonneesApCV", namespaces=ns) == "<opaque> & é"
    assert root.find("s:Body/v:AuthentifierRequete/v:ProfessionnelSante", ns) is not None
    found = parse(answer(members(ends="20261122030000")).replace(NS["v"].encode(), own.encode()), ID, shape)
    assert isinstance(found, ServiceAnswer)
    assert found.date_fin_validite == dt.datetime(2026, 11, 22, 3).astimezone(dt.UTC)


@given(st.binary(max_size=300) | st.text(max_size=200).map(answer))
def test_whatever_comes_only_documented_errors(content: bytes) -> None:
    with contextlib.suppress(ResolverUnavailable):
        parse(content, ID)
