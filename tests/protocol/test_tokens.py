"""Tokens: what is signed verifies here and with PyJWT, and every attack of the field is refused by its check."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, cast

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from vitale_protocol.errors import LimitExceeded, LocalMisuse, TokenInvalid
from vitale_protocol.records import Assure, Beneficiaire, Proof, Record
from vitale_protocol.tokens import (
    CHECKS,
    LEEWAY,
    LIFETIME,
    TYPE,
    Claims,
    Evidence,
    ReaderClaim,
    public_jwk,
    sign,
    thumbprint,
    verify,
)

NOW = 1_790_000_000
NONCE = "n" * 22
NIR = "1850699999999"

KEY = ECKey.generate_key("P-256")
OTHER = ECKey.generate_key("P-256")
JWK = public_jwk(KEY)
KID = JWK["kid"]
JWKS = {"keys": [public_jwk(OTHER), JWK]}

CLAIMS = Claims(
    ver=1,
    iss="urn:vitale-reader:00000000-0000-4000-8000-000000000000",
    aud="c-1",
    iat=NOW,
    exp=NOW + 120,
    jti="019a0000-0000-7000-8000-000000000000",
    nonce=NONCE,
    presented_at=NOW - 0.25,
    medium="vitale-card",
    proof=Proof(method="card-clear-read", verified=False, freshness="window"),
    origin="simulated",
    reader=ReaderClaim(id="pcsc:virtuel", driver="pcsc"),
    scopes=("identity", "nir"),
    record=Record(
        assure=Assure(nir=NIR, cle_nir="97"), beneficiaires=(Beneficiaire(prenom="ÉLODIE", nom_usuel="D'ESSAI"),)
    ),
    evidence=Evidence(sha256="0" * 64),
    warnings=("nir_key_mismatch",),
)
PRIVATE = cast("ec.EllipticCurvePrivateKey", KEY.private_key)
TOKEN = sign(CLAIMS, PRIVATE, KID)


class Memory:
    """Used tokens, in the simplest way."""

    def __init__(self) -> None:
        self.used: dict[str, float] = {}

    def use(self, jti: str, expires_at: float) -> None:
        if jti in self.used:
            raise TokenInvalid("used before", variant="replayed", data={"check": "replayed"})
        self.used[jti] = expires_at


def verified(
    token: str,
    jwks: Mapping[str, Any] = JWKS,
    *,
    audience: str = "c-1",
    nonce: str = NONCE,
    now: float = NOW,
    leeway: float = LEEWAY,
    seen: Memory | None = None,
) -> Claims:
    return verify(token, jwks, audience=audience, nonce=nonce, now=now, leeway=leeway, seen=seen)


def refused(token: str, jwks: Mapping[str, Any] = JWKS, **others: Any) -> str:
    """The check that refuses a token, after a look at what the error tells."""
    with pytest.raises(TokenInvalid) as caught:
        verified(token, jwks, **others)
    error = caught.value
    assert list(error.data) == ["check"]
    assert error.data["check"] in CHECKS
    assert NIR not in repr(error)
    assert not any(segment in repr(error) for segment in token.split(".") if len(segment) > 8)
    assert error.__context__ is None
    return str(error.data["check"])


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_signature(data: bytes, key: ECKey) -> bytes:
    """The two 32-byte numbers of RFC 7518, section 3.4."""
    private = key.private_key
    assert private is not None
    r, s = decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def forged(header: object, payload: object = None, key: ECKey = KEY) -> str:
    """A token with any header and any payload, signed nevertheless."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = payload if isinstance(payload, bytes) else msgspec.json.encode(CLAIMS if payload is None else payload)
    signed = f"{b64(head)}.{b64(body)}"
    return f"{signed}.{b64(raw_signature(signed.encode(), key))}"


HEADER = {"typ": TYPE, "alg": "ES256", "kid": KID}


def with_claims(**changes: Any) -> str:
    return forged(HEADER, msgspec.to_builtins(CLAIMS) | changes)


# ── what is signed verifies ──────────────────────────────────────────────────────────────────────────────────────


def test_a_token_says_what_was_signed() -> None:
    assert verified(TOKEN) == CLAIMS


def test_the_header_has_three_members() -> None:
    head = TOKEN.partition(".")[0]
    assert json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))) == HEADER


def test_pyjwt_reads_our_tokens() -> None:
    key = jwt.PyJWKSet.from_dict(JWKS)[KID]
    # PyJWT has the machine's clock: the times are checked by our own verification.
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    claims = jwt.decode(TOKEN, key, algorithms=["ES256"], audience="c-1", options=options)
    assert claims == msgspec.json.decode(msgspec.json.encode(CLAIMS))
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(TOKEN, key, algorithms=["ES256"], audience="c-2", options=options)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(TOKEN, jwt.PyJWKSet.from_dict(JWKS)[JWKS["keys"][0]["kid"]], algorithms=["ES256"], audience="c-1")


def test_we_read_pyjwts_tokens() -> None:
    private = KEY.private_key
    assert private is not None
    token = jwt.encode(msgspec.to_builtins(CLAIMS), private, algorithm="ES256", headers={"typ": TYPE, "kid": KID})
    assert verified(token) == CLAIMS


def test_claims_of_a_newer_station_are_passed_over() -> None:
    assert verified(with_claims(weather="rain")) == CLAIMS


def test_the_thumbprint_of_rfc_7638() -> None:
    assert thumbprint(JWK) == KEY.thumbprint() == KID
    # RFC 7517, appendix A.1, hashed as RFC 7638, section 3 says.
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "use": "enc",
    }
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    assert thumbprint(jwk) == b64(hashlib.sha256(canonical.encode()).digest())
    with pytest.raises(LocalMisuse):
        thumbprint({"kty": "RSA", "n": "AQAB", "e": "AQAB"})


def test_a_published_key_has_no_private_half() -> None:
    assert set(JWK) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    with pytest.raises(LocalMisuse):
        public_jwk(ECKey.generate_key("P-384"))


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_only_a_p256_key_signs(curve: ec.EllipticCurve) -> None:
    with pytest.raises(LocalMisuse):
        sign(CLAIMS, ec.generate_private_key(curve), KID)


def test_a_token_has_the_bytes_that_joserfc_gives_it_but_for_its_signature() -> None:
    theirs = jws.serialize_compact(HEADER, msgspec.json.encode(CLAIMS), KEY)

    assert theirs.rpartition(".")[0] == TOKEN.rpartition(".")[0]
    assert jws.deserialize_compact(TOKEN, KEY).payload == msgspec.json.encode(CLAIMS)


def test_the_header_of_a_token_never_changes() -> None:
    header = "eyJ0eXAiOiJ2aXRhbGUtcHJlc2VuY2Urand0IiwiYWxnIjoiRVMyNTYiLCJraWQiOiJrLTEifQ"

    assert header == sign(CLAIMS, PRIVATE, "k-1").partition(".")[0]


@given(st.integers(min_value=1, max_value=2**255))
def test_a_signature_has_sixty_four_bytes_with_every_key(secret: int) -> None:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    head, _, signature = sign(CLAIMS, key, KID).rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")

    assert 64 == len(raw)
    numbers = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.public_key().verify(numbers, head.encode(), ec.ECDSA(hashes.SHA256()))


def test_a_token_that_no_verifier_accepts_is_not_signed() -> None:
    with pytest.raises(LimitExceeded):
        sign(msgspec.structs.replace(CLAIMS, warnings=("x" * 100_000,)), PRIVATE, KID)


# ── algorithm, type, key (FIELD A9) ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "alg",
    ["none", "None", "NONE", "HS256", "ES384", "RS256", "es256", "ES256 ", "ES256K", "", None, 1, ["ES256"]],
    ids=repr,
)
def test_another_algorithm_is_refused(alg: object) -> None:
    assert refused(forged(HEADER | {"alg": alg})) == "algorithm"


def test_an_unsigned_token_is_refused() -> None:
    head, body = b64(json.dumps(HEADER | {"alg": "none"}).encode()), TOKEN.split(".")[1]
    assert refused(f"{head}.{body}.") == "algorithm"
    assert refused(TOKEN.rpartition(".")[0] + ".") == "signature"


@pytest.mark.parametrize("declared", ["HS256", "ES256"])
def test_a_public_key_is_not_a_secret(declared: str) -> None:
    """CVE-2022-29217, CVE-2024-33663: an HMAC with the public key, in whatever form, as its secret."""
    public = KEY.public_key
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, der, json.dumps(JWK).encode(), JWK["x"].encode()):
        signed = f"{b64(json.dumps(HEADER | {'alg': declared}).encode())}.{TOKEN.split('.')[1]}"
        token = f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"
        assert refused(token) == ("algorithm" if declared == "HS256" else "signature")


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", TYPE.upper(), "application/" + TYPE, "", None, 1], ids=repr)
def test_a_token_of_another_type_is_refused(typ: object) -> None:
    assert refused(forged(HEADER | {"typ": typ})) == "type"


@pytest.mark.parametrize("missing", ["typ", "alg", "kid"])
def test_a_header_without_one_of_its_members_is_refused(missing: str) -> None:
    expected = {"typ": "type", "alg": "algorithm", "kid": "key"}
    assert refused(forged({name: value for name, value in HEADER.items() if name != missing})) == expected[missing]


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"jwk": public_jwk(OTHER)},
        {"jwk": KEY.as_dict(private=True)},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["MIIB"]},
        {"x5t#S256": "x"},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"x": 1},
    ],
    ids=lambda extra: next(iter(extra)),
)
@pytest.mark.parametrize("key", [KEY, OTHER], ids=["station", "stranger"])
def test_a_header_with_anything_more_is_refused(extra: dict[str, Any], key: ECKey) -> None:
    assert refused(forged(HEADER | extra, key=key)) == "format"


def test_a_header_that_says_a_thing_twice_is_refused() -> None:
    twice = f'{{"typ":"{TYPE}","alg":"none","alg":"ES256","kid":"{KID}"}}'
    assert refused(forged(twice.encode())) == "format"


@pytest.mark.parametrize(
    "kid",
    ["", "x", KID[:-1], KID + " ", None, 1, ["x"], "../../etc/passwd"],
    ids=["empty", "another", "shorter", "longer", "null", "a number", "a list", "a path"],
)
def test_an_unknown_key_is_refused(kid: object) -> None:
    assert refused(forged(HEADER | {"kid": kid})) == "key"


def test_another_key_of_the_set_is_not_this_one() -> None:
    assert refused(forged(HEADER, key=OTHER)) == "signature"
    assert refused(forged(HEADER | {"kid": JWKS["keys"][0]["kid"]})) == "signature"


NOT_TO_VERIFY: tuple[object, ...] = (["sign"], [], "verify", None, ["Verify"], {})


UNTRUSTED: list[dict[str, Any]] = [
    {},
    {"keys": None},
    {"keys": {}},
    {"keys": [None, 1, "x", []]},
    {"keys": [JWK, JWK]},
    {"keys": [JWK | {"d": "AAAA"}]},
    {"keys": [KEY.as_dict(private=True) | {"kid": KID}]},
    {"keys": [JWK | {"kty": "oct", "k": "AAAA"}]},
    {"keys": [JWK | {"crv": "P-384"}]},
    {"keys": [JWK | {"crv": "secp256k1"}]},
    {"keys": [JWK | {"alg": "ES384"}]},
    *({"keys": [JWK | {"use": use}]} for use in ("enc", "", "SIG", ["sig"], None)),
    *({"keys": [JWK | {"key_ops": operations}]} for operations in NOT_TO_VERIFY),
    {"keys": [JWK | {"x": JWK["y"]}]},
    {"keys": [JWK | {"x": ""}]},
    {"keys": [JWK | {"x": "!"}]},
    {"keys": [JWK | {"x": "é"}]},
    {"keys": [JWK | {"x": 1}]},
    {"keys": [public_jwk(KEY) | {"y": "A" * 10_000}]},
    {"keys": [{name: value for name, value in JWK.items() if name != "y"}]},
    {"keys": [dict(ECKey.generate_key("P-384").as_dict(private=False)) | {"kid": KID}]},
]


@pytest.mark.parametrize("jwks", UNTRUSTED, ids=[str(number) for number in range(len(UNTRUSTED))])
def test_a_key_set_that_cannot_be_trusted_is_refused(jwks: dict[str, Any]) -> None:
    assert refused(TOKEN, jwks) == "key"


@pytest.mark.parametrize("members", [{}, {"use": "sig"}, {"key_ops": ["sign", "verify"]}, {"key_ops": ["verify"]}])
def test_a_key_that_is_meant_to_verify_does(members: dict[str, Any]) -> None:
    key = {name: value for name, value in JWK.items() if name != "use"}
    assert verified(TOKEN, {"keys": [key | members]}).jti == verified(TOKEN).jti


# ── form and signature ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        TOKEN + ".",
        "." + TOKEN,
        "=" + TOKEN,
        "é" + TOKEN,
        TOKEN.replace(".", "..", 1),
        forged(b"[]"),
        forged(b"1"),
        forged(b"[[" * 50),
        forged(b"\xff"),
        forged(b"{"),
        forged(json.dumps(HEADER | {"kid": "k" * 400}).encode()),
        "x" * 100_001,
        TOKEN.replace(".", "+.", 1),
        TOKEN.replace(".", "/.", 1),
    ],
    ids=lambda token: repr(token[:12]),
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refused(token) == "format"


def test_white_space_is_not_trimmed() -> None:
    for token in (" " + TOKEN, TOKEN + "\n", TOKEN + "="):
        assert refused(token) in {"format", "signature"}


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\xff" * 64, b"\0" * 63, b"\0" * 65], ids=len)
def test_a_signature_of_nothing_is_refused(signature: bytes) -> None:
    """Psychic signatures (CVE-2022-21449) and wrong lengths."""
    assert refused(TOKEN.rpartition(".")[0] + "." + b64(signature)) == "signature"


def test_a_signature_in_der_is_refused() -> None:
    private = KEY.private_key
    assert private is not None
    signed = TOKEN.rpartition(".")[0]
    der = private.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    assert refused(f"{signed}.{b64(der)}") == "signature"


@given(st.data())
def test_any_change_is_noticed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TOKEN) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda letter: letter != TOKEN[at]))
    assert refused(TOKEN[:at] + other + TOKEN[at + 1 :]) in {"format", "algorithm", "type", "key", "signature"}


@given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*"))
def test_any_text_is_refused(text: str) -> None:
    assert refused(text) in {"format", "algorithm"}


# ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "changes",
    [
        {"ver": 2},
        {"ver": True},
        {"ver": "1"},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": ["c-1"]},
        {"aud": ["c-1", "c-2"]},
        {"iat": str(NOW)},
        {"iat": NOW + 0.5},
        {"exp": NOW + LIFETIME + 1},
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": None},
        {"presented_at": NOW + 1.0},
        {"presented_at": "yesterday"},
        {"medium": "bank-card"},
        {"proof": {"method": "card-clear-read", "verified": 1, "freshness": "window"}},
        {"proof": {}},
        {"origin": "paradise"},
        {"nonce": "n" * 21},
        {"nonce": "n" * 129},
        {"jti": ""},
        {"jti": "j" * 65},
        {"record": []},
        {"record": {"assure": {"nir": int(NIR)}}},
        {"scopes": "identity"},
        {"evidence": NIR},
    ],
    ids=repr,
)
def test_claims_that_are_not_those_of_the_wire_are_refused(changes: dict[str, Any]) -> None:
    assert refused(with_claims(**changes)) == "claims"


@pytest.mark.parametrize(
    "missing", ["ver", "iss", "aud", "iat", "exp", "jti", "nonce", "presented_at", "proof", "record"]
)
def test_no_claim_may_be_missing(missing: str) -> None:
    claims = msgspec.to_builtins(CLAIMS)
    del claims[missing]
    assert refused(forged(HEADER, claims)) == "claims"


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000], ids=lambda payload: repr(payload[:4])
)
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    assert refused(forged(HEADER, payload)) == "claims"


@pytest.mark.parametrize(
    ("once", "twice"),
    [
        ('{"', '{"aud":"somebody-else","'),
        ('"proof":{', '"proof":{"verified":true,'),
        ('"record":{', '"record":{"porteur":0,"porteur":0,'),
    ],
    ids=["a claim", "the proof", "the record"],
)
def test_a_payload_that_says_a_thing_twice_is_refused(once: str, twice: str) -> None:
    body = msgspec.json.encode(CLAIMS).decode()
    assert once in body
    assert refused(forged(HEADER, body.replace(once, twice, 1).encode())) == "claims"


@pytest.mark.parametrize("token", [None, b"a.b.c", 7, ["a", "b", "c"]], ids=repr)
def test_what_is_no_text_is_no_token(token: Any) -> None:
    with pytest.raises(TokenInvalid) as caught:
        verified(token, JWKS)
    assert {"check": "format"} == caught.value.data


def test_a_token_is_for_one_client_and_one_nonce() -> None:
    assert refused(TOKEN, audience="c-2") == "audience"
    assert refused(TOKEN, audience="") == "audience"
    assert refused(TOKEN, nonce="m" * 22) == "nonce"
    assert refused(TOKEN, nonce=NONCE + "n") == "nonce"


@pytest.mark.parametrize("leeway", [0, 1, LEEWAY])
def test_a_token_lives_from_its_issue_to_its_end(leeway: int) -> None:
    start, end = CLAIMS.iat - leeway, CLAIMS.exp + leeway
    assert verified(TOKEN, now=start, leeway=leeway) == verified(TOKEN, now=end - 0.001, leeway=leeway) == CLAIMS
    assert refused(TOKEN, now=start - 0.001, leeway=leeway) == "not_yet_valid"
    assert refused(TOKEN, now=end, leeway=leeway) == "expired"


@pytest.mark.parametrize("leeway", [-1, LEEWAY + 1, float("inf"), float("nan")])
def test_the_leeway_has_bounds(leeway: float) -> None:
    with pytest.raises(LocalMisuse):
        verified(TOKEN, leeway=leeway)


def test_a_time_that_is_no_number_does_not_let_a_token_through() -> None:
    assert refused(TOKEN, now=float("nan")) == "expired"


def test_a_token_counts_once() -> None:
    seen = Memory()
    assert verified(TOKEN, seen=seen) == CLAIMS
    assert refused(TOKEN, seen=seen) == "replayed"
    assert seen.used == {CLAIMS.jti: CLAIMS.exp + LEEWAY}


def test_a_token_that_is_refused_is_not_used_up() -> None:
    seen = Memory()
    assert refused(TOKEN, seen=seen, audience="c-2") == "audience"
    assert verified(TOKEN, seen=seen) == CLAIMS


def test_a_malleable_signature_is_the_same_token() -> None:
    """ECDSA: (r, n − s) verifies as well, so that the replay guard must go by jti and not by the text."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    signed, _, signature = TOKEN.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    twin = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    seen = Memory()
    assert verified(TOKEN, seen=seen) == CLAIMS
    assert refused(f"{signed}.{b64(twin)}", seen=seen) == "replayed"


@pytest.mark.parametrize("changes", [{"jti": "j"}, {"jti": "j" * 64}, {"exp": NOW + LIFETIME}], ids=repr)
def test_claims_at_their_limits_are_accepted(changes: dict[str, Any]) -> None:
    assert verified(with_claims(**changes)) == msgspec.structs.replace(CLAIMS, **changes)


@pytest.mark.parametrize("length", [22, 128])
def test_a_nonce_at_its_limits_is_accepted(length: int) -> None:
    assert verified(with_claims(nonce="m" * length), nonce="m" * length).nonce == "m" * length


@pytest.mark.parametrize("kid", ["", None, 1, 1.5, True, ["x"], {}], ids=repr)
def test_a_kid_that_is_no_text_names_no_key(kid: object) -> None:
    """Not even that of a key set in which a key is called the same."""
    jwk = {name: value for name, value in JWK.items() if name != "kid"} | {"kid": kid}
    assert refused(forged(HEADER | {"kid": kid}), {"keys": [jwk]}) == "key"


@pytest.mark.parametrize("signature", ["!", "A", "A" * 85, "A" * 86 + "=", "é", "A" * 85 + "B"], ids=repr)
def test_which_check_a_malformed_signature_fails(signature: str) -> None:
    ascii_only = {"é": "format"}
    assert refused(f"{TOKEN.rpartition('.')[0]}.{signature}") == ascii_only.get(signature, "signature")


def nested(depth: int) -> dict[str, Any]:
    """Claims, and an unknown one that makes the whole as deep as that."""
    inner: list[Any] = []
    for _ in range(depth - 2):
        inner = [inner]
    claims: dict[str, Any] = msgspec.to_builtins(CLAIMS)
    return claims | {"weather": inner}


def test_claims_may_be_nested_32_deep() -> None:
    assert verified(forged(HEADER, nested(32))) == CLAIMS
    assert refused(forged(HEADER, nested(33))) == "claims"
