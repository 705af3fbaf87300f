"""What is signed, or comes over a network: tokens, key sets, lists of signers, SOAP, HTTP."""

# The servers are given their connections by hand.
# pyright: reportPrivateUsage=false

import base64
import datetime as dt
import io
import json
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, cast

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey

from tests.fuzz.target import NEEDLE_NAME, NEEDLE_NIR, Target, only, silent
from tests.protocol.seal_office import Office
from vitale_firmware_sim.apcv_service import service as simulated
from vitale_firmware_sim.apcv_service import soap
from vitale_firmware_sim.apcv_service.contexts import ServiceRefusal
from vitale_firmware_sim.phone import screen_page as screens
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol.claims import Claims, Evidence, ReaderClaim
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import (
    ConfigurationInvalid,
    LocalMisuse,
    ParseError,
    PayloadInvalid,
    ResolverUnavailable,
    TokenInvalid,
)
from vitale_protocol.media.two_d_doc import seals
from vitale_protocol.media.two_d_doc.parsing import TwoDDoc
from vitale_protocol.media.two_d_doc.parsing import parse as parse_two_d_doc
from vitale_protocol.media.two_d_doc.trust import parse_trust_list
from vitale_protocol.records import Assure, Beneficiaire, Proof, Record
from vitale_protocol.tokens import CHECKS, TYPE, public_jwk, sign, thumbprint, verify
from vitale_reader.resolvers import envelope
from vitale_reader.resolvers.simulator_rights import SimulatorRights

__all__ = ["TARGETS"]

# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────

NOW = 1_800_000_000
NONCE = "n" * 22
KID = "k-1"
PRIVATE = ec.derive_private_key(20_260_101, ec.SECP256R1())
KEY = PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
JWK = public_jwk(ECKey.import_key(KEY, {"kid": KID}))
JWKS: dict[str, Any] = {"keys": [JWK]}
CLAIMS = Claims(
    ver=1,
    iss="urn:vitale-reader:10000000-0000-4000-8000-000000000000",
    aud="c-1",
    iat=NOW,
    exp=NOW + 120,
    jti="j-1",
    nonce=NONCE,
    presented_at=NOW - 0.5,
    medium="vitale-card",
    proof=Proof(method="card-clear-read", verified=False, freshness="none"),
    origin="unknown",
    reader=ReaderClaim(id="pcsc:a", driver="pcsc"),
    purpose=("facturation",),
    scopes=("identity", "nir"),
    record=Record(
        assure=Assure(nir=NEEDLE_NIR[:13], cle_nir=NEEDLE_NIR[13:]),
        beneficiaires=(Beneficiaire(prenom="EMMA", nom_usuel=NEEDLE_NAME),),
    ),
    evidence=Evidence(sha256="0" * 64),
    warnings=(),
)
PAYLOAD = msgspec.json.encode(CLAIMS)
HEADER = json.dumps({"typ": TYPE, "alg": "ES256", "kid": KID}, separators=(",", ":")).encode()


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _signed(header: bytes, payload: bytes) -> str:
    content = _b64(header) + b"." + _b64(payload)
    # Without chance in it: what was kept from another process is still ours.
    r, s = decode_dss_signature(PRIVATE.sign(content, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return (content + b"." + _b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()


TOKEN = _signed(HEADER, PAYLOAD)


def _verified(token: str, jwks: Mapping[str, Any] = JWKS, *, read: bytes) -> Claims | None:
    try:
        return verify(token, jwks, audience="c-1", nonce=NONCE, now=NOW + 1)
    except TokenInvalid as error:
        refused = error
    silent(refused, read)
    assert list(refused.data) == ["check"]
    assert refused.data["check"] in CHECKS
    assert refused.__context__ is None
    return None


def token(data: bytes) -> None:
    """A token as it is, accepted only where it is ours; or any header and payload, signed nevertheless."""
    if len(data) < 3:
        return
    if data[0] & 1:
        text = data[1:].decode("utf-8", "replace")
        assert _verified(text, read=data) is None or text == TOKEN
        return
    split = 1 + int.from_bytes(data[1:3], "big") % len(data) if data[0] & 2 else 0
    header, payload = (data[3:split], data[split:]) if split > 3 else (HEADER, data[3:])
    claims = _verified(_signed(header, payload), read=data)
    if claims is None:
        return
    head = json.loads(header)
    assert (head["alg"], head["typ"], head["kid"], len(head)) == ("ES256", TYPE, KID, 3)
    assert (claims.ver, claims.aud, claims.nonce) == (1, "c-1", NONCE)
    assert 0 < claims.exp - claims.iat <= 600
    assert math.isfinite(claims.presented_at)
    assert claims.presented_at < claims.iat + 1
    # Signed anew, it says the same.
    again = sign(claims, PRIVATE, KID)
    assert _verified(again, read=data) == claims


def _tokens() -> Iterable[bytes]:
    yield b"\x01" + TOKEN.encode()
    yield b"\x00\x00\x00" + PAYLOAD
    yield b"\x02" + (2 + len(HEADER)).to_bytes(2, "big") + HEADER + PAYLOAD
    yield b"\x02" + (2 + len(HEADER) + 11).to_bytes(2, "big") + HEADER[:-1] + b',"crit":[]}' + PAYLOAD
    yield b"\x00\x00\x00" + PAYLOAD.replace(b'"exp":1800000120', b'"exp":1e400')


def key_set(data: bytes) -> None:
    """A key set of any content verifies our token with our public key only."""
    with only(ParseError, read=data):
        jwks = decode_document(data, dict[str, Any])
        claims = _verified(TOKEN, jwks, read=data)
        if claims is not None:
            (named,) = (key for key in _keys(jwks) if key.get("kid") == KID)
            # Zeros before a number are read over, as by others: it is the same key.
            assert all(_number(named[name]) == _number(JWK[name]) for name in "xy")
            assert "d" not in named
        for key in _keys(jwks):
            with only(LocalMisuse):
                assert len(thumbprint(key)) == 43


def _number(encoded: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(encoded + "=="), "big")


def _keys(jwks: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = jwks.get("keys")
    members = cast("list[object]", keys) if isinstance(keys, list) else []
    return [cast("dict[str, Any]", key) for key in members if isinstance(key, dict)]


def _key_sets() -> Iterable[bytes]:
    yield json.dumps(JWKS).encode()
    yield json.dumps({"keys": [{**JWK, "y": JWK["x"]}, {**JWK, "kid": "k-2", "use": "enc"}, 1]}).encode()
    yield json.dumps({"keys": [JWK, JWK]}).encode()


JWS_WORDS = tuple(
    f'"{word}"'.encode()
    for word in (*CLAIMS.__struct_fields__, *JWK, "alg", "typ", "kid", "ES256", TYPE, "none", "d", "key_ops", "P-256")
)

# ── lists of signers ─────────────────────────────────────────────────────────────────────────────────────────────


def trust_list(data: bytes) -> None:
    """A list of signers: XML, PEM or DER; in PEM also where the input is the certificate alone."""
    if not data:
        return
    document = data[1:]
    if data[0] & 1:
        body = base64.encodebytes(document)
        document = b"2D-Doc FR99 0001\n" * (data[0] >> 1 & 1)
        document += b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
    with only(ConfigurationInvalid):
        found = parse_trust_list(document)
        for signer in (*found.signers, *found.untrusted()):
            assert len(found.trusted(signer)) <= len(found.signers[signer])
            assert len(signer.authority) == len(signer.certificate) == 4
            # What its certificates say is asked when a seal is verified.
            for certificate in found.signers[signer]:
                with only(PayloadInvalid):
                    seals.verify_seal(replace(_document(), authority=signer.authority), found)
                seals._in_time(_document(), certificate)


@cache
def _document() -> TwoDDoc:
    return parse_two_d_doc(Office().signer().seal(b"62FOIN"))


@cache
def _lists() -> tuple[bytes, ...]:
    office = Office()
    signer = office.signer()
    der = signer.certificate.public_bytes(Encoding.DER)
    return (
        b"\x00" + office.trusted_list(),
        b"\x00# 2D-Doc FR99\n" + office.certificate.public_bytes(Encoding.PEM) + signer.pem,
        b"\x00" + der,
        b"\x01" + der,
        b"\x03" + office.certificate.public_bytes(Encoding.DER),
    )


# ── SOAP ─────────────────────────────────────────────────────────────────────────────────────────────────────────

MESSAGE = "urn:uuid:1"
AT = dt.datetime.fromtimestamp(NOW, dt.UTC)
NAMESPACES = (envelope.SOAP, envelope.ADDRESSING, envelope.SECURITY, envelope.LPS, envelope.AUTH, soap.SIM, soap.SAML)
XML_WORDS = (
    *(one.encode() for one in NAMESPACES),
    *(b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"<![CDATA[", b"]]>", b"<?xml version='1.0' encoding='UTF-16'?>"),
    *(b"identifiant", b"tokenApCV", b"dateFinValidite", b"Envelope", b"Body", b"Header", b"Fault", b"droits", b"&#0;"),
)


def soap_answer(data: bytes) -> None:
    """What a service answers: a bounded context, a code that is a word, rights that are a record; or unreadable."""
    with only(ResolverUnavailable, read=data):
        answer = envelope.parse(data, MESSAGE)
        if isinstance(answer, envelope.Fault):
            assert len(answer.code) <= 64
            assert not any(one.isspace() or one in "<>&" for one in answer.code)
            return
        assert len(answer.identifiant) <= envelope.IDENTIFIANT_CHARACTERS
        assert len(answer.token) <= envelope.TOKEN_CHARACTERS
        # A context that cannot be used has a name all the same, to be released by.
        assert bool(answer.token) == (answer.date_fin_validite is not None)
        assert answer.identifiant or not answer.token
        rights = SimulatorRights({}).read(answer.body)
        assert rights.origin == "simulated"


def _soap_answers() -> Iterable[bytes]:
    contexts = simulated_service().contexts
    request = soap.SoapRequest(soap.AUTHENTICATE, MESSAGE, _string())
    yield soap.answer(request, contexts.authenticate(_string().encode(), NOW))
    yield soap.fault("STRING_USED", MESSAGE)
    yield (
        f'<e:Envelope xmlns:e="{envelope.SOAP}" xmlns:a="{envelope.AUTH}"><e:Body><a:identifiant>{NEEDLE_NIR}'
        f"</a:identifiant><a:tokenApCV>{NEEDLE_NAME}</a:tokenApCV><a:dateFinValidite>{NEEDLE_NAME}</a:dateFinValidite>"
        "</e:Body></e:Envelope>"
    ).encode()


SENDER = envelope.Sender(
    identifiant_facturation="123456789",
    code_specialite="50",
    emetteur="officine",
    idam="AB12",
    lps_nom="essai",
    lps_version="1",
    lps_instance="1",
)
ASSERTION = f'<saml:Assertion xmlns:saml="{soap.SAML}"/>'.encode()


def soap_build(data: bytes) -> None:
    """Any string that XML can carry arrives at a service as it was sent, but for white space around it."""
    if not data:
        return
    operation = (envelope.AUTHENTICATE, envelope.RESTORE, envelope.RELEASE)[data[0] % 3]
    value = data[1:].decode("utf-8", "replace")
    request = envelope.ContextRequest(operation=operation, value=value, message_id=MESSAGE, at=AT, url="https://a")
    with only(PayloadInvalid, ServiceRefusal, read=data):
        content = envelope.build(request, SENDER, ASSERTION)
        read = soap.parse_request(content)
        assert read.value == ("" if operation == envelope.RESTORE else value.strip())
        assert (read.action, read.message_id) == (envelope.ACTION + operation, MESSAGE)
    with only(ConfigurationInvalid):
        envelope.build(msgspec.structs.replace(request, value="v"), SENDER, data[1:])


@cache
def _string() -> str:
    user = PhoneUser(load_scenario(), clock=lambda: NOW, random=random.Random(1).randbytes)
    return user.tap().decode()


def simulated_service() -> simulated.ApcvService:
    """The simulated service, which listens nowhere before it is entered."""
    return simulated.ApcvService(load_scenario(), clock=lambda: NOW)


_SERVICE = simulated_service()


def soap_request(data: bytes) -> None:
    """What clients send to the simulated service: an answer or a refusal, both of which the resolver can read."""
    status, content = _SERVICE._answered(data, "normal")
    assert status in {200, 400}
    with only(ResolverUnavailable, read=data):
        answer = envelope.parse(content, MESSAGE)
        assert isinstance(answer, envelope.Fault) == (status == 400)


def _soap_requests() -> Iterable[bytes]:
    for operation, value in (
        (envelope.AUTHENTICATE, _string()),
        (envelope.RESTORE, "unknown"),
        (envelope.RELEASE, NEEDLE_NIR),
    ):
        request = envelope.ContextRequest(operation=operation, value=value, message_id=MESSAGE, at=AT, url="https://a")
        yield envelope.build(request, SENDER, ASSERTION)


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Connection:
    """What ``http.server`` needs of a socket: what came, and what is answered."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = b""

    def makefile(self, *how: object) -> io.BytesIO:
        """What came."""
        return io.BytesIO(self._data)

    def sendall(self, data: bytes) -> None:
        """Takes an answer."""
        self.sent += data

    def settimeout(self, seconds: float) -> None:
        """Nothing is waited for."""


SHOWN = (b" 200 ", b'"screen"', b"<svg", b"phone.css")
"""What is in an answer that shows something, with HTTP 1 or before it had heads."""


@cache
def _screen() -> screens.PhoneScreen:
    user = PhoneUser(load_scenario(), clock=lambda: NOW, random=random.Random(1).randbytes)
    return screens.PhoneScreen(user, "EMMA", clock=lambda: NOW, port=8080, secret="s3cret")


def phone_screen(data: bytes) -> None:
    """Browsers at the simulated phone's page: nothing is shown to another host's page, nor without the secret path."""
    connection = Connection(data)
    screens._Handler(_screen(), connection, ("127.0.0.1", 1), cast("Any", None))
    known = b"127.0.0.1:8080" in data or b"localhost:8080" in data
    if not known or b"s3cret" not in data:
        assert not any(sign in connection.sent for sign in SHOWN)


def _pages() -> Iterable[bytes]:
    for path in ("/s3cret/", "/s3cret/state.json", "/s3cret/code-1.svg", "/s3cret/phone.js", "/", f"/{NEEDLE_NAME}"):
        yield f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n".encode()
    yield b"HEAD /s3cret/ HTTP/1.0\r\nHost: localhost:8080\r\n\r\nGET / HTTP/1.1\r\nHost: evil\r\n\r\n"


def service_http(data: bytes) -> None:
    """Clients of the simulated service, before any SOAP."""
    server = simulated._Server.__new__(simulated._Server)
    server.service = _SERVICE
    connection = Connection(data)
    simulated._Handler(cast("Any", connection), ("127.0.0.1", 1), server)
    assert NEEDLE_NAME.encode() not in connection.sent


def _posts() -> Iterable[bytes]:
    (first, *_) = _soap_requests()
    head = (
        f"POST /apcv HTTP/1.1\r\nHost: a\r\nContent-Type: application/soap+xml\r\nContent-Length: {len(first)}\r\n\r\n"
    )
    yield head.encode() + first
    yield b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"
    yield b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /\r\n"


HTTP_WORDS = (
    b"HTTP/1.1",
    b"Host: ",
    b"Content-Length: ",
    b"\r\n\r\n",
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"Expect: 100-continue",
)

TARGETS = (
    Target(name="token", run=token, seeds=_tokens, words=JWS_WORDS),
    Target(name="jwks", run=key_set, seeds=_key_sets, words=JWS_WORDS),
    Target(
        name="trust-list",
        run=trust_list,
        seeds=_lists,
        words=(b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"2D-Doc FR99 0001", b"<!DOCTYPE a []>"),
    ),
    Target(name="soap-answer", run=soap_answer, seeds=_soap_answers, words=XML_WORDS),
    Target(
        name="soap-build",
        run=soap_build,
        seeds=lambda: (b"\x00VITALESIM.a", b"\x01 a\r\n", b"\x02\x00\xff"),
        words=XML_WORDS,
    ),
    Target(name="soap-request", run=soap_request, seeds=_soap_requests, words=XML_WORDS),
    Target(name="service-http", run=service_http, seeds=_posts, words=HTTP_WORDS),
    Target(name="phone-screen", run=phone_screen, seeds=_pages, words=HTTP_WORDS),
)
