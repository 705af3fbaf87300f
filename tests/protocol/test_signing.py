"""Signing: what is signed here PyJWT verifies and the other way round; every other form of a JWS is refused."""

import base64
import hashlib
import json
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from vitale_protocol.errors import LocalMisuse, ParseError
from vitale_protocol.signing import PublicJwk, base64url, from_base64url, public_jwk, sign_jws, verify_jws

KEY = ec.derive_private_key(20_271_130, ec.SECP256R1())
OTHER = ec.derive_private_key(7, ec.SECP256R1())
JWK = public_jwk(KEY)
KID = JWK.thumbprint
TYP = "essai+jwt"
CLAIMS = {"site": "https://facturation.example.fr"}
JWS = sign_jws(json.dumps(CLAIMS).encode(), KEY, typ=TYP, kid=KID)

# RFC 7515, appendix A.3: a JWS with ES256, its key and its payload.
RFC_KEY = PublicJwk(
    kty="EC",
    crv="P-256",
    x="f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y="x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
)


def encoded(header: Any, payload: bytes = b"{}", key: ec.EllipticCurvePrivateKey = KEY) -> str:
    """A JWS with any header at all, signed rightly."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    good = sign_jws(payload, key, typ=TYP, kid=KID).split(".")
    signed = f"{base64url(text)}.{good[1]}"
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(signed.encode(), key)
    return f"{signed}.{base64url(signature)}"


def test_pyjwt_verifies_it() -> None:
    assert CLAIMS == jwt.decode(JWS, KEY.public_key(), algorithms=["ES256"])
    assert {"typ": TYP, "alg": "ES256", "kid": KID} == jwt.get_unverified_header(JWS)


def test_it_verifies_what_pyjwt_signed() -> None:
    made = jwt.encode(CLAIMS, KEY, algorithm="ES256", headers={"typ": TYP, "kid": KID})

    assert CLAIMS == json.loads(verify_jws(made, KEY.public_key(), typ=TYP, kid=KID))


def test_a_key_is_that_of_rfc_7515() -> None:
    assert RFC_KEY == public_jwk(RFC_KEY.key)


def test_a_thumbprint_is_that_of_another_implementation() -> None:
    other = jwt.PyJWK.from_dict(msgspec.to_builtins(JWK)).key
    numbers = other.public_numbers()
    x, y = (base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=") for n in (numbers.x, numbers.y))
    canonical = b'{"crv":"P-256","kty":"EC","x":"' + x + b'","y":"' + y + b'"}'

    assert base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode() == KID


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"typ": "vr-station+jwt", "alg": "ES256", "kid": KID}, id="another type"),
        pytest.param({"typ": TYP, "alg": "none", "kid": KID}, id="no algorithm"),
        pytest.param({"typ": TYP, "alg": "HS256", "kid": KID}, id="HS256"),
        pytest.param({"typ": TYP, "alg": "RS256", "kid": KID}, id="RS256"),
        pytest.param({"typ": TYP, "alg": "ES256", "kid": "other"}, id="another kid"),
        pytest.param({"typ": TYP, "alg": "ES256"}, id="no kid"),
        pytest.param({"typ": TYP, "alg": "ES256", "kid": KID, "jwk": {}}, id="jwk"),
        pytest.param({"typ": TYP, "alg": "ES256", "kid": KID, "jku": "https://a.example"}, id="jku"),
        pytest.param({"typ": TYP, "alg": "ES256", "kid": KID, "x5c": []}, id="x5c"),
        pytest.param({"typ": TYP, "alg": "ES256", "kid": KID, "crit": ["b64"], "b64": False}, id="crit"),
        pytest.param(b'{"typ":"a","typ":"essai+jwt","alg":"ES256","kid":"%s"}' % KID.encode(), id="a member twice"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param([], id="no object"),
        pytest.param(b"\xff", id="no text"),
    ],
)
def test_another_header_is_refused(header: Any) -> None:
    with pytest.raises(ParseError):
        verify_jws(encoded(header), KEY.public_key(), typ=TYP, kid=KID)


def test_another_key_is_refused() -> None:
    with pytest.raises(ParseError):
        verify_jws(JWS, OTHER.public_key(), typ=TYP, kid=KID)


@given(st.integers(0, len(JWS) - 1), st.characters(max_codepoint=300))
def test_any_other_character_is_refused(place: int, character: str) -> None:
    altered = JWS[:place] + character + JWS[place + 1 :]
    if altered == JWS:
        assert CLAIMS == json.loads(verify_jws(altered, KEY.public_key(), typ=TYP, kid=KID))
        return
    with pytest.raises(ParseError):
        verify_jws(altered, KEY.public_key(), typ=TYP, kid=KID)


@pytest.mark.parametrize(
    "altered", [JWS + "=", JWS + "\n", f" {JWS}", f"{JWS}.", JWS.rpartition(".")[0], "..", "", JWS[:-4]]
)
def test_another_form_is_refused(altered: str) -> None:
    with pytest.raises(ParseError):
        verify_jws(altered, KEY.public_key(), typ=TYP, kid=KID)


@pytest.mark.parametrize("numbers", [bytes(64), b"\xff" * 64])
def test_numbers_that_no_signature_has_are_refused(numbers: bytes) -> None:
    with pytest.raises(ParseError):
        verify_jws(JWS.rpartition(".")[0] + "." + base64url(numbers), KEY.public_key(), typ=TYP, kid=KID)


@given(st.binary(max_size=100))
def test_base64url_there_and_back(data: bytes) -> None:
    assert base64.urlsafe_b64encode(data).rstrip(b"=").decode() == base64url(data)
    assert data == from_base64url(base64url(data))


@pytest.mark.parametrize("text", ["A", "AB", "AA==", "AA A", "AA\n", "+A", "/w", "é", "AAAAA"])
def test_what_base64url_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        from_base64url(text)


@given(st.text(max_size=20))
def test_there_is_one_text_for_each_data(text: str) -> None:
    try:
        data = from_base64url(text)
    except ParseError:
        return
    assert text == base64url(data)


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "EC", "crv": "P-384", "x": JWK.x, "y": JWK.y},
        {"kty": "EC", "crv": "P-256", "x": JWK.x, "y": JWK.y, "d": "A" * 43},
        {"kty": "EC", "crv": "P-256", "x": JWK.x, "y": JWK.y, "ext": True},
        {"kty": "EC", "crv": "P-256", "x": JWK.x + "\n", "y": JWK.y},
        {"kty": "EC", "crv": "P-256", "x": JWK.x},
    ],
)
def test_another_key_is_no_public_jwk(jwk: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(jwk, PublicJwk)


@pytest.mark.parametrize(
    ("x", "y"), [("A" * 43, "A" * 43), (JWK.x, JWK.x), ("_" * 42 + "8", JWK.y), (JWK.x, "A" * 42 + "B")]
)
def test_what_is_no_point_is_refused(x: str, y: str) -> None:
    with pytest.raises(ParseError):
        _ = PublicJwk(kty="EC", crv="P-256", x=x, y=y).key


def test_another_curve_is_misuse() -> None:
    other: Any = ec.derive_private_key(7, ec.SECP384R1())
    with pytest.raises(LocalMisuse):
        sign_jws(b"{}", other, typ=TYP, kid=KID)
    with pytest.raises(LocalMisuse):
        public_jwk(other)
