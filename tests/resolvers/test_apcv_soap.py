"""apcv-soap with the simulated service in all its manners, and with servers that are worse: bounded, and said."""

import asyncio
import base64
import datetime as dt
import gzip
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from vitale_firmware_sim.apcv_service.assertion import SimulatedAssertion
from vitale_firmware_sim.apcv_service.service import ApcvService
from vitale_firmware_sim.scenario import Behaviour, load_scenario
from vitale_protocol.errors import (
    ConfigurationInvalid,
    ContextUnknown,
    MediumExpired,
    PayloadInvalid,
    Replayed,
    ResolverRefused,
    ResolverUnavailable,
    VitaleError,
)
from vitale_reader.daemon.keystore.certificate_authority import issue, make_authority
from vitale_reader.resolvers.exchange import MOST_BYTES
from vitale_reader.resolvers.guarded import GuardedResolver
from vitale_reader.resolvers.licensed_plugins import Element, Rights, RightsReader
from vitale_reader.resolvers.simulator_invoices import SimulatorInvoices

PATIENCE = 40.0
INVOICE = b'{"professionnel": "Dr ESSAI", "centimes": 2650}'
Show = Callable[..., bytes]
SOAP_TYPE = b"Content-Type: application/soap+xml\r\n"


def run(work: Awaitable[None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE):
            await work

    asyncio.run(main())


def test_a_phone_becomes_a_context_that_is_restored_and_released(soap: Any, show: Show) -> None:
    async def work(service: ApcvService) -> None:
        async with soap.open(service.url) as resolver:
            made = await resolver.resolve(show("claire"), nonce="n")
            assert made.origin == "simulated"
            assert made.delegate is None
            assert made.rights_at is not None
            assert made.record.assure.code_regime == "01"
            assert [person.prenom for person in made.record.beneficiaires] == ["CLAIRE", "LÉA", "TOM"]
            assert made.record.beneficiaires[0].droits_amo
            assert made.record.beneficiaires[0].mutuelle.identification == "62013354"
            assert made.record.beneficiaires[0].amc.numero_b2 == "62013354"
            again = await resolver.restore(made.identifiant)
            assert (again.identifiant, again.token) == (made.identifiant, made.token)
            assert again.date_fin_validite == made.date_fin_validite
            await resolver.release(made.identifiant)
            for call in (resolver.restore, resolver.release):
                with pytest.raises(ContextUnknown):
                    await call(made.identifiant)
        assert service.actions[:3] == (
            "authentifierUtilisateurProximite",
            "restituerContexteApCV",
            "detruireContexteApCV",
        )

    with ApcvService(load_scenario("famille")) as service:
        run(work(service))


def test_what_is_restored_is_the_last_one_or_the_one_that_is_named(soap: Any, show: Show) -> None:
    async def work(url: str) -> None:
        async with soap.open(url) as resolver, soap.open(url, shape={"restore": "named"}) as naming:
            made = [await resolver.resolve(show(who), nonce="n") for who in ("claire", "paul")]
            assert made[1].identifiant == (await resolver.restore(made[0].identifiant)).identifiant
            assert made[0].identifiant == (await naming.restore(made[0].identifiant)).identifiant

    with ApcvService(load_scenario("famille")) as service:
        run(work(service.url))


def test_a_dependant_and_a_delegate(soap: Any, show: Show) -> None:
    async def work(url: str) -> None:
        async with soap.open(url) as resolver:
            made = await resolver.resolve(show("claire", holder="paul", porteur=2), nonce="n")
            assert made.delegate == "PAUL MERLE-ESSAI"
            assert made.record.porteur == 2

    with ApcvService(load_scenario("famille")) as service:
        run(work(service.url))


@pytest.mark.parametrize(
    ("owner", "age", "error", "variant", "data"),
    [
        ("en-regle", 120.0, MediumExpired, "", {"code": "STRING_EXPIRED"}),
        ("expire", 0.0, MediumExpired, "", {"code": "STRING_EXPIRED"}),
        ("revoque", 0.0, ResolverRefused, "revoked", {"code": "APPLICATION_REVOKED"}),
        ("suspendu", 0.0, ResolverRefused, "suspended", {"code": "RIGHTS_SUSPENDED"}),
    ],
)
def test_refusals_have_their_own_errors(
    soap: Any, show: Show, owner: str, age: float, error: type[VitaleError], variant: str, data: dict[str, str]
) -> None:
    async def work(url: str) -> None:
        async with soap.open(url) as resolver:
            with pytest.raises(error) as raised:
                await resolver.resolve(show(owner, scenario="incidents", age=age), nonce="n")
            assert (raised.value.variant, raised.value.data) == (variant, data)

    with ApcvService(load_scenario("incidents")) as service:
        run(work(service.url))


def test_a_string_twice_an_unknown_one_and_one_that_is_not_text(soap: Any, show: Show) -> None:
    async def work(url: str) -> None:
        async with soap.open(url) as resolver:
            string = show("claire")
            await resolver.resolve(string, nonce="n")
            with pytest.raises(Replayed):
                await resolver.resolve(string, nonce="n")
            with pytest.raises(ResolverRefused) as raised:
                await resolver.resolve(b"nobody's string", nonce="n")
            assert (raised.value.variant, raised.value.data) == ("unknown", {"code": "STRING_UNKNOWN"})
            for string in (b"\xff\xfe", b"nul \x00 inside"):
                with pytest.raises(PayloadInvalid) as refused:
                    await resolver.resolve(string, nonce="n")
                assert refused.value.data == {"sent": False}
        async with soap.open(url, donnees="base64") as resolver:
            with pytest.raises(ResolverRefused):
                await resolver.resolve(b"\xff\xfe", nonce="n")

    with ApcvService(load_scenario("famille")) as service:
        run(work(service.url))


def test_what_the_codes_mean_is_for_the_site_to_say(soap: Any, show: Show) -> None:
    async def work(url: str) -> None:
        async with soap.open(url, codes={"STRING_UNKNOWN": "unavailable"}) as resolver:
            with pytest.raises(ResolverUnavailable):
                await resolver.resolve(b"nobody's string", nonce="n")

    with ApcvService(load_scenario("famille")) as service:
        run(work(service.url))


def test_without_a_reader_of_rights_a_simulated_service_is_known_all_the_same(soap: Any, show: Show) -> None:
    async def work(url: str) -> None:
        async with soap.open(url, rights=None, origin="production") as resolver:
            made = await resolver.resolve(show("claire"), nonce="n")
            assert made.origin == "simulated"
            assert made.record.beneficiaires is None

    with ApcvService(load_scenario("famille")) as service:
        run(work(service.url))


@pytest.mark.parametrize(
    ("behaviour", "variant"),
    [
        ("down", ""),
        ("closed", ""),
        ("truncated", ""),
        ("html", "unreadable"),
        ("garbage", "unreadable"),
        ("billion-laughs", "unreadable"),
        ("external-entity", "unreadable"),
        ("huge", "unreadable"),
        ("empty-context", "unreadable"),
    ],
)
def test_bad_manners_are_bounded_and_said(soap: Any, show: Show, behaviour: Behaviour, variant: str) -> None:
    async def work(url: str) -> None:
        async with soap.open(url) as resolver:
            with pytest.raises(ResolverUnavailable) as raised:
                await resolver.resolve(show("claire"), nonce="n")
            assert raised.value.variant == variant
            assert "sent" not in raised.value.data

    with ApcvService(load_scenario("famille")) as service:
        service.behave(behaviour)
        tracemalloc.start()
        try:
            run(work(service.url))
            assert tracemalloc.get_traced_memory()[1] < 16_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("behaviour", ["slow", "silent"])
def test_a_call_can_be_ended_by_whoever_waits_for_it(soap: Any, show: Show, behaviour: Behaviour) -> None:
    async def work(service: ApcvService) -> None:
        async with soap.open(service.url) as resolver:
            call = asyncio.create_task(resolver.resolve(show("claire"), nonce="n"))
            assert await asyncio.to_thread(service.wait_for_actions, 1, PATIENCE)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    scenario = load_scenario("famille")
    # Whoever waits gives up first, on a busy machine as well.
    service_settings = replace(scenario.service, behaviour=behaviour, delay=3_600.0)
    with ApcvService(replace(scenario, service=service_settings)) as service:
        run(work(service))


def test_nobody_there_means_nothing_was_sent(soap: Any, show: Show) -> None:
    async def work(port: int) -> None:
        async with soap.open(f"http://127.0.0.1:{port}/apcv") as resolver:
            with pytest.raises(ResolverUnavailable) as raised:
                await resolver.resolve(show("claire"), nonce="n")
            assert raised.value.data == {"sent": False}

    # Bound, so that nobody else gets the port, and not listened on.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        run(work(silent.getsockname()[1]))


# ── plug-ins that fail ───────────────────────────────────────────────────────────────────────────────────────────


class FaultyAssertions:
    """Assertions of a CPS whose PIN nobody enters, or whose software has a fault."""

    simulated = True

    def __init__(self, fault: Exception | None) -> None:
        self.fault = fault

    async def assertion(self) -> bytes:
        if self.fault is not None:
            raise self.fault
        await asyncio.Event().wait()
        return b""


class FaultyRights(RightsReader):
    """A reader of rights with a fault."""

    simulated = True

    def read(self, body: Element) -> Rights:
        raise LookupError("MERLE-ESSAI")


@asynccontextmanager
async def guarded(resolver: Any, limit: float = PATIENCE) -> AsyncGenerator[GuardedResolver]:
    yield GuardedResolver(resolver, limit=limit, random=lambda: 0.0, clock=time.monotonic)


@pytest.mark.parametrize(
    ("fault", "limit", "variant"),
    [
        (LookupError("MERLE-ESSAI"), PATIENCE, "plug-in"),
        (TimeoutError("of the CPS reader"), PATIENCE, "plug-in"),
        (None, 0.05, ""),
    ],
    ids=["crashes", "times out", "waits for the PIN"],
)
def test_an_assertion_that_does_not_come_uses_up_no_string(
    soap: Any, show: Show, caplog: pytest.LogCaptureFixture, fault: Exception | None, limit: float, variant: str
) -> None:
    async def work(service: ApcvService) -> None:
        string = show("claire")
        async with soap.open(service.url) as resolver:
            whole, resolver._assertions = resolver._assertions, FaultyAssertions(fault)
            async with guarded(resolver, limit) as asked:
                with pytest.raises(ResolverUnavailable) as raised:
                    await asked.resolve(string, nonce="n")
                assert (raised.value.variant, raised.value.data) == (variant, {"sent": False})
                assert asked.health.state == "degraded"
            assert service.actions == ()
            resolver._assertions = whole
            assert (await resolver.resolve(string, nonce="n")).record.assure is not None
        assert "MERLE" not in caplog.text

    with ApcvService(load_scenario("famille")) as service:
        run(work(service))


@pytest.mark.parametrize("behaviour", ["normal", "past-context"])
def test_a_context_that_cannot_be_used_is_released(soap: Any, show: Show, behaviour: Behaviour) -> None:
    async def work(service: ApcvService) -> None:
        service.behave(behaviour)
        async with soap.open(service.url) as resolver:
            resolver._rights = FaultyRights({})
            async with guarded(resolver) as asked:
                with pytest.raises(ResolverUnavailable) as raised:
                    await asked.resolve(show("claire"), nonce="n")
                assert (raised.value.variant, raised.value.data) == ("plug-in", {})
                assert asked.health.state == "degraded"
        assert service.actions == ("authentifierUtilisateurProximite", "detruireContexteApCV")

    with ApcvService(load_scenario("famille")) as service:
        run(work(service))


@pytest.mark.parametrize("ends", ["soon", "2999-01-01T00:00:00Z"])
def test_a_context_without_a_believable_end_is_released(soap: Any, ends: str) -> None:
    made = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
        '<v:rep xmlns:v="http://www.sesam-vitale.fr/apcv/auth/1/0"><v:identifiant>ctx-1</v:identifiant>'
        f"<v:tokenApCV>t</v:tokenApCV><v:dateFinValidite>{ends}</v:dateFinValidite></v:rep></s:Body></s:Envelope>"
    )

    async def work() -> None:
        async with server(http("200 OK", body=made.encode())) as (url, requests), soap.open(url) as resolver:
            with pytest.raises(ResolverUnavailable):
                await resolver.resolve(b"opaque", nonce="n")
            assert [b"ctx-1</Identifiant>" in one for one in requests] == [False, True]

    run(work())


# ── other versions of the service ────────────────────────────────────────────────────────────────────────────────


def in_parts(root: bytes, *included: tuple[str, bytes]) -> bytes:
    parts = [b'Content-Type: application/xop+xml; type="application/soap+xml"\r\nContent-ID: <root>\r\n\r\n' + root]
    head = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{}>\r\n\r\n"
    parts += [head.format(name).encode() + content for name, content in included]
    return b"".join(b"--cut\r\n" + part + b"\r\n" for part in parts) + b"--cut--\r\n"


MTOM = b'Content-Type: multipart/related; boundary=cut; type="application/xop+xml"; start="<root>"\r\n'
WHOLE = b"""<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>
<v:rep xmlns:v="http://www.sesam-vitale.fr/apcv/auth/1/0"><v:identifiant>ctx-1</v:identifiant>
<v:tokenApCV><x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:token%40service"/></v:tokenApCV>
<v:dateFinValidite>END</v:dateFinValidite></v:rep></s:Body></s:Envelope>"""


def test_an_answer_in_parts_is_put_together(soap: Any) -> None:
    ends = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(minutes=30)
    body = in_parts(WHOLE.replace(b"END", ends.isoformat().encode()), ("token@service", b"\x00\xff\r\n--not the end"))

    async def work() -> None:
        async with server(http("200 OK", MTOM, body)) as (url, _), soap.open(url, rights=None) as resolver:
            made = await resolver.resolve(b"opaque", nonce="n")
            assert (made.identifiant, base64.b64decode(made.token)) == ("ctx-1", b"\x00\xff\r\n--not the end")
            assert made.date_fin_validite == ends

    run(work())


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"Content-Type: multipart/related\r\n", in_parts(WHOLE)),
        (MTOM, b""),
        (MTOM, WHOLE),
        (MTOM, in_parts(b"<")),
        (MTOM, in_parts(WHOLE, *[(str(number), b"x") for number in range(40)])),
        (MTOM.replace(b"cut", b"other"), in_parts(WHOLE)),
    ],
    ids=["no boundary", "nothing", "no parts", "no XML", "many parts", "another boundary"],
)
def test_an_answer_in_parts_that_is_none(soap: Any, kind: bytes, body: bytes) -> None:
    async def work() -> None:
        async with server(http("200 OK", kind, body)) as (url, _), soap.open(url) as resolver:
            with pytest.raises(ResolverUnavailable) as raised:
                await resolver.resolve(b"opaque", nonce="n")
            assert raised.value.variant == "unreadable"

    run(work())


def test_the_way_leads_through_a_proxy_that_is_configured(soap: Any) -> None:
    async def work() -> None:
        async with server(http("404 No")) as (proxy, requests):
            async with soap.open("http://localhost:9/apcv", proxy=proxy.removesuffix("/apcv")) as resolver:
                with pytest.raises(ResolverUnavailable):
                    await resolver.resolve(b"opaque", nonce="n")
            assert requests[0].startswith(b"POST http://localhost:9/apcv HTTP/1.1")

    run(work())


def test_a_service_that_asks_for_a_certificate_gets_the_sites(soap: Any, tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    authority = make_authority("of a test", now=now)
    (tmp_path / "ca.pem").write_text(authority.certificate)
    signs = authority.certificate.encode(), authority.private_key.encode()
    for name, host in (("site", None), ("service", "localhost")):
        made = issue(*signs, name, host=host, now=now)
        (tmp_path / f"{name}.pem").write_text(made.certificate)
        (tmp_path / f"{name}.key").write_text(made.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "service.pem", tmp_path / "service.key")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    async def work() -> None:
        own = {"ca_file": str(tmp_path / "ca.pem")}
        certificate = {"certificate": str(tmp_path / "site.pem"), "key": str(tmp_path / "site.key")}
        async with server(http("404 No"), tls=context) as (url, requests):
            address = url.replace("http://127.0.0.1", "https://localhost")
            for options, reached in ((own, 0), (own | certificate, 1)):
                async with soap.open(address, **options) as resolver:
                    with pytest.raises(ResolverUnavailable):
                        await resolver.resolve(b"opaque", nonce="n")
                assert len(requests) == reached

    run(work())


# ── servers that are worse ───────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def server(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A server that sends given bytes, and the requests that came."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        requests.append(head + await reader.readexactly(length))
        # Not writelines: from Python 3.12 on, an empty piece among them is tried again for ever.
        writer.write(b"".join(answers))
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/apcv", requests


def http(status: str, headers: bytes = SOAP_TYPE, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n".encode() + headers + b"\r\n" + body


@pytest.mark.parametrize(
    ("answer", "error", "variant", "data"),
    [
        (http("307 Elsewhere", b"Location: /elsewhere\r\n"), ResolverUnavailable, "", {}),
        (http("200 OK", b"Content-Type: text/html\r\n", b"<p>"), ResolverUnavailable, "unreadable", {}),
        (http("200 OK", b"", b"<p>"), ResolverUnavailable, "unreadable", {}),
        (http("403 No", b"Content-Type: text/html\r\n"), ResolverRefused, "assertion", {"code": "HTTP-403"}),
        (http("404 No"), ResolverUnavailable, "", {}),
        (http("500 Broken", b"Content-Type: text/html\r\n", b"<p>"), ResolverUnavailable, "", {}),
        (
            http("200 OK", SOAP_TYPE + b"Content-Encoding: gzip\r\n", gzip.compress(b"\0" * 50_000_000)),
            ResolverUnavailable,
            "unreadable",
            {},
        ),
        (http("200 OK", SOAP_TYPE + b"X: " + b"x" * 200_000 + b"\r\n"), ResolverUnavailable, "", {}),
        (b"SSH-2.0-OpenSSH\r\n", ResolverUnavailable, "", {}),
        (b"", ResolverUnavailable, "", {}),
    ],
    ids=["redirect", "html", "untyped", "forbidden", "absent", "broken", "compressed", "long header", "ssh", "nothing"],
)
def test_what_is_not_an_answer(
    soap: Any, answer: bytes, error: type[VitaleError], variant: str, data: dict[str, str]
) -> None:
    async def work() -> None:
        async with server(answer) as (url, requests), soap.open(url) as resolver:
            with pytest.raises(error) as raised:
                await resolver.resolve(b"opaque", nonce="n")
            assert (raised.value.variant, raised.value.data) == (variant, data)
            assert len(requests) == 1, "once, and nowhere else"

    run(work())


def test_an_endless_answer_is_cut_off(soap: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + SOAP_TYPE + b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"

    async def work() -> None:
        async with server(head, *[chunk] * (MOST_BYTES // 65_536 + 2)) as (url, _), soap.open(url) as resolver:
            with pytest.raises(ResolverUnavailable) as raised:
                await resolver.resolve(b"opaque", nonce="n")
            assert (raised.value.variant, raised.value.data) == ("unreadable", {})

    run(work())


def test_cookies_are_refused(soap: Any) -> None:
    async def work() -> None:
        answer = http("404 No", b"Set-Cookie: patient=1; Path=/\r\n")
        async with server(answer) as (url, requests), soap.open(url) as resolver:
            for _ in range(2):
                with pytest.raises(ResolverUnavailable):
                    await resolver.resolve(b"opaque", nonce="n")
            assert len(requests) == 2
            assert b"cookie" not in requests[1].lower()

    run(work())


def test_nothing_of_the_environment_gets_into_the_request(
    soap: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    async def work() -> None:
        async with server(http("404 No")) as (url, requests), soap.open(url) as resolver:
            with pytest.raises(ResolverUnavailable):
                await resolver.resolve(b"opaque", nonce="n")
            assert b"authorization" not in requests[0].lower()
            assert b"Accept-Encoding: identity" in requests[0]
            assert b'action="urn:ApCV_AUTH:1.0.0:authentifierUtilisateurProximite"' in requests[0]

    run(work())


# ── invoices ──


def test_the_form_of_invoices_alone_is_not_for_other_stations(soap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedAssertion, "simulated", False)

    async def work() -> None:
        changes = {"rights": None, "signing": {"form": "simulator"}}
        with pytest.raises(ConfigurationInvalid):
            await soap.resolver("https://service.example/", "test", **changes).open()

    run(work())


@pytest.mark.parametrize("behaviour", ["truncated", "garbage", "html", "down", "closed", "billion-laughs"])
def test_whether_an_invoice_was_signed_is_not_claimed_to_be_known(soap: Any, show: Show, behaviour: Behaviour) -> None:
    async def work(service: ApcvService) -> None:
        async with soap.open(service.url, signing={"form": "simulator"}) as resolver:
            made = await resolver.resolve(show("claire"), nonce="n")
            guarded = GuardedResolver(resolver, limit=PATIENCE, random=lambda: 0.0, clock=time.monotonic)
            service.behave(behaviour)
            with pytest.raises(ResolverUnavailable) as raised:
                await guarded.sign(made.identifiant, INVOICE)
            assert raised.value.variant == "signature"
            assert raised.value.data.get("sent") is not False
        assert service.actions.count("signerVitale") == 1

    with ApcvService(load_scenario("famille")) as service:
        run(work(service))


def test_a_form_of_invoices_that_fails_has_sent_nothing(soap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_form: object, invoice: bytes) -> None:
        raise KeyError(invoice)

    monkeypatch.setattr(SimulatorInvoices, "write", fail)

    async def work(url: str) -> None:
        async with soap.open(url, signing={"form": "simulator"}) as resolver:
            guarded = GuardedResolver(resolver, limit=PATIENCE, random=lambda: 0.0, clock=time.monotonic)
            with pytest.raises(ResolverUnavailable) as raised:
                await guarded.sign("ctx", INVOICE)
            assert (raised.value.variant, raised.value.data["sent"]) == ("plug-in", False)
            assert "ESSAI" not in f"{raised.value} {raised.value.data}"

    with ApcvService(load_scenario("famille")) as service:
        run(work(service.url))
        assert service.actions == ()


def test_an_invoice_goes_to_the_address_for_signatures(soap: Any, show: Show) -> None:
    async def work(contexts: ApcvService, signatures: ApcvService) -> None:
        signing = {"form": "simulator", "url": signatures.url}
        async with soap.open(contexts.url, signing=signing) as resolver:
            made = await resolver.resolve(show("claire"), nonce="n")
            with pytest.raises(ContextUnknown):
                await resolver.sign(made.identifiant, INVOICE)
            assert ("signerVitale",) == signatures.actions

    with ApcvService(load_scenario("famille")) as one, ApcvService(load_scenario("famille")) as other:
        run(work(one, other))


# ── options ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://service.example/apcv"},
        {"url": "ftp://127.0.0.1/"},
        {"url": "https://user:secret@service.example/"},
        {"url": "https:///apcv"},
        {"url": "https://service.example:port/"},
        {"assertion": "nobody"},
        {"rights": "nothing"},
        {"ca_file": "/nonexistent.pem"},
        {"certificate": "/nonexistent.pem"},
        {"key": "/nonexistent.pem"},
        {"proxy": "socks://user:secret@proxy.example"},
        {"proxy": "http://:secret@"},
        {"shape": {"restore": "all"}},
        {"shape": {"names": {"Patient": "Malade"}}},
        {"shape": {"names": {"Donnees": "<Donnees>"}}},
        {"origin": "simulated"},
        {"codes": {"X": "weather"}},
        {"signing": {}},
        {"signing": {"form": "nobody"}},
        {"signing": {"form": "simulator", "url": "http://service.example/sign"}},
        {"signing": {"form": "simulator", "url": "https://user:secret@service.example/"}},
        {"signing": {"form": "simulator", "shape": {"request": "<Req>"}}},
        {"misspelt": 1},
    ],
    ids=str,
)
def test_options_are_checked_when_it_opens(soap: Any, changes: dict[str, Any]) -> None:
    async def work() -> None:
        with pytest.raises(ConfigurationInvalid) as raised:
            await soap.resolver(**{"url": "https://service.example/apcv", **changes}).open()
        assert str(raised.value.data["path"]).startswith("apcv.options")
        assert "secret" not in str(raised.value)

    run(work())


@pytest.mark.parametrize("mode", ["production", "test"])
def test_what_is_simulated_is_for_simulated_stations_only(soap: Any, mode: str) -> None:
    async def work() -> None:
        for changes in ({}, {"rights": None}, {"signing": {"form": "simulator"}}):
            with pytest.raises(ConfigurationInvalid):
                await soap.resolver("https://service.example/", mode, **changes).open()

    run(work())


def test_threads_end_with_the_service() -> None:
    with ApcvService(load_scenario("famille")):
        pass
    assert [thread.name for thread in threading.enumerate() if thread.name == "apcv-service"] == []
