"""The simulated apCV service: the published shape over HTTP, its refusals, and its bad manners."""

import contextlib
import http.client
import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import msgspec
import pytest
from lxml import etree

from vitale_firmware_sim.apcv_service import soap
from vitale_firmware_sim.apcv_service.contexts import ServiceContexts, ServiceRefusal
from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.phone.strings import Handle, StringSealer
from vitale_firmware_sim.scenario import Behaviour, Scenario, load_scenario
from vitale_protocol.records import Record

NOW = 1_795_000_000.0
PATIENCE = 40.0
NAMES = {"env": soap.SOAP, "wsa": soap.WSA, "auth": soap.AUTH, "sim": soap.SIM}


@pytest.fixture
def scenario() -> Scenario:
    return load_scenario("famille")


@pytest.fixture
def clock() -> list[float]:
    return [NOW]


@pytest.fixture
def service(scenario: Scenario, clock: list[float]) -> Iterator[ApcvService]:
    with ApcvService(scenario, clock=lambda: clock[0]) as running:
        yield running


def string(scenario: Scenario, owner: str = "claire", holder: str = "", *, until: float = 0.0, porteur: int = 0) -> str:
    handle = Handle(owner, holder or owner, porteur, NOW, until)
    return StringSealer(scenario.secret).seal(handle, secrets.token_bytes).decode()


def envelope(action: str, value: str, *, assertion: bool = True, lps: bool = True) -> bytes:
    security = f'<a:Assertion xmlns:a="{soap.SAML}"/>' if assertion else ""
    context = f'<c:ContexteLPS xmlns:c="{soap.CTXLPS}"/>' if lps else ""
    if action == soap.AUTHENTICATE:
        practitioner = (
            "<ProfessionnelSante><IdentifiantFacturation>991234567</IdentifiantFacturation></ProfessionnelSante>"
        )
        inside = f"{practitioner}<Donnees>{escape(value)}</Donnees>"
    else:
        inside = f"<ContexteApCV><Identifiant>{escape(value)}</Identifiant></ContexteApCV>" if value else ""
    return (
        f'<e:Envelope xmlns:e="{soap.SOAP}" xmlns:w="{soap.WSA}"><e:Header><w:Action>{action}</w:Action>'
        f'<w:MessageID>urn:uuid:1</w:MessageID><s:Security xmlns:s="{soap.WSSE}">{security}</s:Security>{context}'
        f'</e:Header><e:Body><demande xmlns="{soap.AUTH}">{inside}</demande></e:Body></e:Envelope>'
    ).encode()


def post(service: ApcvService, body: bytes, timeout: float = PATIENCE) -> tuple[int, bytes]:
    where = urlsplit(service.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=timeout)
    try:
        connection.request("POST", where.path, body, {"Content-Type": "application/soap+xml"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def text(answer: bytes, path: str) -> str:
    found = etree.fromstring(answer).findtext(path, namespaces=NAMES)
    assert found is not None, path
    return found


def code_of(answer: bytes) -> str:
    assert text(answer, ".//env:Fault/env:Code/env:Value") == "env:Sender"
    return text(answer, ".//env:Subcode/env:Value").removeprefix("sim:")


class TestShape:
    def test_a_string_becomes_a_context(self, service: ApcvService, scenario: Scenario) -> None:
        status, answer = post(service, envelope(soap.AUTHENTICATE, string(scenario)))

        assert status == 200
        assert text(answer, ".//wsa:RelatesTo") == "urn:uuid:1"
        assert text(answer, ".//auth:dateFinValidite") == "2026-11-18T11:36:40Z"
        assert text(answer, ".//auth:identifiant")
        assert text(answer, ".//auth:tokenApCV") != text(answer, ".//auth:identifiant")
        rights = etree.fromstring(answer).find(".//sim:droits", namespaces=NAMES)
        assert rights is not None
        assert dict(rights.attrib) == {"origine": "simulated", "au": "2026-11-18T11:06:40Z"}
        assert msgspec.json.decode(rights.text or "", type=Record) == scenario.phone("claire").record()

    def test_a_context_is_given_again_and_released_once(self, service: ApcvService, scenario: Scenario) -> None:
        _, first = post(service, envelope(soap.AUTHENTICATE, string(scenario)))
        name = text(first, ".//auth:identifiant")

        status, again = post(service, envelope(soap.RESTORE, name))
        assert (status, text(again, ".//auth:identifiant")) == (200, name)
        assert post(service, envelope(soap.RELEASE, name))[0] == 200
        assert code_of(post(service, envelope(soap.RELEASE, name))[1]) == "CONTEXT_UNKNOWN"
        expected = ("authentifierUtilisateurProximite", "restituerContexteApCV", *["detruireContexteApCV"] * 2)
        assert service.actions == expected

    def test_a_delegate_is_named(self, service: ApcvService, scenario: Scenario) -> None:
        shown = string(scenario, "yvonne", "claire", until=NOW + 60)
        _, answer = post(service, envelope(soap.AUTHENTICATE, shown))

        rights = etree.fromstring(answer).find(".//sim:droits", namespaces=NAMES)
        assert rights is not None
        assert rights.get("delegataire") == "CLAIRE MERLE-ESSAI"
        assert (
            msgspec.json.decode(rights.text or "", type=Record).beneficiaires == scenario.phone("yvonne").beneficiaires
        )

    def test_the_chosen_dependant_is_the_holder(self, service: ApcvService, scenario: Scenario) -> None:
        _, answer = post(service, envelope(soap.AUTHENTICATE, string(scenario, porteur=2)))

        assert json.loads(text(answer, ".//sim:droits"))["porteur"] == 2


class TestRefusals:
    def test_without_an_assertion_nothing_is_used_up(self, service: ApcvService, scenario: Scenario) -> None:
        shown = string(scenario)
        status, answer = post(service, envelope(soap.AUTHENTICATE, shown, assertion=False))

        assert (status, code_of(answer)) == (400, "ASSERTION_MISSING")
        assert text(answer, ".//env:Reason/env:Text") == "L’assertion du professionnel de santé est absente."
        assert post(service, envelope(soap.AUTHENTICATE, shown))[0] == 200

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "REQUEST_INVALID"),
            (b"<a/>", "REQUEST_INVALID"),
            (b"\xff\xfe", "REQUEST_INVALID"),
            (b'<!DOCTYPE a [<!ENTITY b "c">]>' + envelope(soap.RESTORE, "x"), "REQUEST_INVALID"),
            (envelope(soap.AUTHENTICATE, ""), "REQUEST_INVALID"),
            (envelope(soap.RESTORE, "x", lps=False), "REQUEST_INVALID"),
            (envelope("urn:ApCV_SIGN:1.0.0:signerAutrement", "x"), "ACTION_UNKNOWN"),
            (envelope(soap.AUTHENTICATE, "AAAA"), "STRING_UNKNOWN"),
            (envelope(soap.AUTHENTICATE, "é" * 50), "STRING_UNKNOWN"),
            (envelope(soap.RESTORE, "x"), "CONTEXT_UNKNOWN"),
        ],
    )
    def test_what_is_not_a_request_is_refused(self, body: bytes, code: str, service: ApcvService) -> None:
        status, answer = post(service, body)

        assert (status, code_of(answer)) == (400, code)

    def test_a_string_is_used_once(self, service: ApcvService, scenario: Scenario) -> None:
        shown = envelope(soap.AUTHENTICATE, string(scenario))

        assert post(service, shown)[0] == 200
        assert code_of(post(service, shown)[1]) == "STRING_USED"

    @pytest.mark.parametrize("later", [60.0, -31.0, 86_400.0])
    def test_a_string_of_another_time_has_expired(
        self, later: float, service: ApcvService, scenario: Scenario, clock: list[float]
    ) -> None:
        clock[0] += later

        assert code_of(post(service, envelope(soap.AUTHENTICATE, string(scenario)))[1]) == "STRING_EXPIRED"

    def test_a_context_ends(self, service: ApcvService, scenario: Scenario, clock: list[float]) -> None:
        _, answer = post(service, envelope(soap.AUTHENTICATE, string(scenario)))
        name = text(answer, ".//auth:identifiant")
        assert service.contexts.open_contexts(clock[0]) == (name,)

        clock[0] += scenario.service.context_life
        assert service.contexts.open_contexts(clock[0]) == ()
        assert code_of(post(service, envelope(soap.RESTORE, name))[1]) == "CONTEXT_UNKNOWN"

    def test_a_delegation_ends(self, service: ApcvService, scenario: Scenario) -> None:
        shown = string(scenario, "yvonne", "claire", until=NOW)

        assert code_of(post(service, envelope(soap.AUTHENTICATE, shown))[1]) == "DELEGATION_ENDED"

    def test_a_request_that_is_too_long_is_not_read(self, service: ApcvService) -> None:
        where = urlsplit(service.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", str(10**12))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


@pytest.mark.parametrize(
    ("phone", "code"),
    [("expire", "STRING_EXPIRED"), ("revoque", "APPLICATION_REVOKED"), ("suspendu", "RIGHTS_SUSPENDED")],
)
def test_the_standing_of_a_phone_decides(phone: str, code: str) -> None:
    scenario = load_scenario("incidents")
    contexts = ServiceContexts(scenario, secrets.token_hex)
    with pytest.raises(ServiceRefusal) as refused:
        contexts.authenticate(string(scenario, phone).encode(), NOW)

    assert refused.value.code == code
    assert contexts.authenticate(string(scenario, "droits-anciens").encode(), NOW).rights_at == NOW - 30 * 3600


def test_a_string_of_another_scenario_means_nothing(scenario: Scenario) -> None:
    contexts = ServiceContexts(scenario, secrets.token_hex)
    for foreign in (
        string(load_scenario("incidents"), "en-regle"),
        string(scenario, "nobody"),
        string(scenario, porteur=99),
        string(scenario, porteur=-1),
    ):
        with pytest.raises(ServiceRefusal) as refused:
            contexts.authenticate(foreign.encode(), NOW)
        assert refused.value.code == "STRING_UNKNOWN"


def test_a_context_and_a_handle_show_nobody(scenario: Scenario) -> None:
    context = ServiceContexts(scenario, itertools.repeat("SECRET").__next__).authenticate(
        string(scenario).encode(), NOW
    )

    assert "MERLE" not in repr(context)
    assert "token=" not in repr(context)


class TestManners:
    @pytest.fixture
    def ask(self, service: ApcvService, scenario: Scenario) -> Callable[[], tuple[int, bytes]]:
        return lambda: post(service, envelope(soap.AUTHENTICATE, string(scenario)))

    def test_down(self, service: ApcvService, ask: Callable[[], tuple[int, bytes]]) -> None:
        service.behave("down")
        assert ask()[0] == 503
        service.behave("normal")
        assert ask()[0] == 200

    def test_closed(self, service: ApcvService, ask: Callable[[], tuple[int, bytes]]) -> None:
        service.behave("closed")
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask()

    def test_silent_until_the_end(self, service: ApcvService, scenario: Scenario) -> None:
        service.behave("silent")
        with pytest.raises(TimeoutError):
            post(service, envelope(soap.AUTHENTICATE, string(scenario)), timeout=0.1)
        assert service.wait_for_actions(1, PATIENCE)

    def test_slow_as_long_as_the_scenario_says(self, scenario: Scenario) -> None:
        slow = msgspec.structs.replace(
            scenario, service=msgspec.structs.replace(scenario.service, behaviour="slow", delay=0.05)
        )
        with ApcvService(slow, clock=lambda: NOW) as service:
            assert post(service, envelope(soap.AUTHENTICATE, string(scenario)))[0] == 200

    def test_garbage_and_a_portal(self, service: ApcvService, ask: Callable[[], tuple[int, bytes]]) -> None:
        service.behave("garbage")
        status, answer = ask()
        assert status == 200
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(answer)
        service.behave("html")
        assert ask()[1].startswith(b"<!DOCTYPE html>")

    def test_truncated(self, service: ApcvService, ask: Callable[[], tuple[int, bytes]]) -> None:
        service.behave("truncated")
        with pytest.raises(http.client.IncompleteRead):
            ask()

    def test_a_billion_laughs_are_short_and_libxml2_stops_them(
        self, service: ApcvService, ask: Callable[[], tuple[int, bytes]]
    ) -> None:
        service.behave("billion-laughs")
        status, answer = ask()
        assert (status, answer.count(b"<!ENTITY"), len(answer) < 2000) == (200, 11, True)
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(answer)

    def test_an_external_entity_stays_outside(self, service: ApcvService, ask: Callable[[], tuple[int, bytes]]) -> None:
        service.behave("external-entity")
        parsed = etree.fromstring(ask()[1], etree.XMLParser(resolve_entities=False, no_network=True))
        assert b"&f;" in etree.tostring(parsed)

    def test_huge(self, service: ApcvService, scenario: Scenario) -> None:
        service.behave("huge")
        where = urlsplit(service.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE)
        connection.request("POST", where.path, envelope(soap.AUTHENTICATE, string(scenario)))
        response = connection.getresponse()
        assert response.getheader("Content-Length") is None
        read = 0
        while read < 8_000_000:
            read += len(response.read(1_000_000))
        connection.close()

    def test_contexts_that_are_none(self, service: ApcvService, ask: Callable[[], tuple[int, bytes]]) -> None:
        service.behave("empty-context")
        assert text(ask()[1], ".//auth:identifiant") == ""
        service.behave("past-context")
        assert text(ask()[1], ".//auth:dateFinValidite") == "2026-11-18T10:06:40Z"


def test_only_the_loopback_is_listened_to(service: ApcvService) -> None:
    assert urlsplit(service.url).hostname == "127.0.0.1"
    where = urlsplit(service.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE)
    connection.request("GET", "/")
    assert connection.getresponse().status == 404
    connection.close()


def test_a_service_that_does_not_run_has_no_address(scenario: Scenario) -> None:
    with pytest.raises(RuntimeError):
        _ = ApcvService(scenario).url


@pytest.mark.parametrize(("behaviour", "status"), [("html", 200), ("garbage", 200), ("down", 200), ("truncated", 400)])
def test_what_stands_in_front_of_the_service_uses_no_string_up(
    behaviour: Behaviour, status: int, service: ApcvService, scenario: Scenario
) -> None:
    asked = envelope(soap.AUTHENTICATE, string(scenario))
    service.behave(behaviour)
    with contextlib.suppress(http.client.IncompleteRead):
        post(service, asked)
    service.behave("normal")

    assert post(service, asked)[0] == status
