"""The token: claims, signing and verification of one presentation, ES256 and nothing else.

A token is a JWS in compact form (RFC 7515) with exactly three header members: ``typ``, ``alg``, ``kid``. Any other
member (``crit``, ``jwk``, ``jku``, ``x5c`` …) is refused. The algorithm is fixed. The key comes from the JWK Set that
the verifier trusts, never from the token. An error never quotes the token.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, NoReturn, cast, get_args

import msgspec
from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode

from vitale_protocol.claims import Claims, ContextClaim, Evidence, ReaderClaim, Seen
from vitale_protocol.documents import once
from vitale_protocol.errors import LimitExceeded, LocalMisuse, ParseError, TokenInvalid
from vitale_protocol.records import Origin, ProofMethod
from vitale_protocol.session import jsonrpc
from vitale_protocol.signing import ALGORITHM, TOKEN_CHARACTERS, TYPE, sign

__all__ = [
    "ALGORITHM",
    "CHECKS",
    "LEEWAY",
    "LIFETIME",
    "TOKEN_CHARACTERS",
    "TYPE",
    "Check",
    "Claims",
    "ContextClaim",
    "Evidence",
    "ReaderClaim",
    "Seen",
    "public_jwk",
    "sign",
    "thumbprint",
    "verify",
]

# Seconds; docs/reference/wire.md, "The token".
LEEWAY: Final = 30
LIFETIME: Final = 600
# The header with a SHA-256 thumbprint has 126 characters.
HEADER_CHARACTERS: Final = 512
# A payload nests no deeper than a message may (docs/reference/wire.md, "Limits").
DEPTH: Final = 32

Check = Literal[
    "format",
    "algorithm",
    "type",
    "key",
    "signature",
    "claims",
    "audience",
    "nonce",
    "expired",
    "not_yet_valid",
    "origin",
    "proof",
    "replayed",
]
CHECKS: tuple[Check, ...] = get_args(Check)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The RFC 7638 thumbprint of a P-256 key, SHA-256 in base64url: its ``kid`` where it was given no other.

    Raises:
        LocalMisuse: not an EC key.
    """
    if jwk.get("kty") != "EC" or not all(isinstance(jwk.get(member), str) for member in ("crv", "x", "y")):
        raise LocalMisuse("the key is not an EC key")
    # RFC 7638, section 3.2: these members, in this order, without white space.
    canonical = json.dumps({member: jwk[member] for member in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()


def public_jwk(key: ECKey) -> dict[str, Any]:
    """The public half of a key, as a station publishes it in its JWK Set.

    Raises:
        LocalMisuse: not a P-256 key.
    """
    if key.curve_name != "P-256":
        raise LocalMisuse("the key is not a P-256 key")
    jwk = key.as_dict(private=False)
    public = {member: jwk[member] for member in ("kty", "crv", "x", "y")}
    return {**public, "kid": jwk.get("kid") or thumbprint(public), "use": "sig", "alg": ALGORITHM}


# ── verification ─────────────────────────────────────────────────────────────────────────────────────────────────


def verify(
    token: str,
    jwks: Mapping[str, Any],
    *,
    audience: str,
    nonce: str,
    now: float,
    leeway: float = LEEWAY,
    require_origin: Collection[Origin] | None = None,
    require_proof: Collection[ProofMethod] | None = None,
    seen: Seen | None = None,
) -> Claims:
    """Returns the claims of a token that passes every check.

    The order is: form, algorithm, type, key, signature; only then are the claims read.

    Args:
        token: the JWS.
        jwks: the station's JWK Set, from a trusted place.
        audience: the client id that the token must be for.
        nonce: the nonce that was asked with.
        now: seconds since the epoch.
        leeway: seconds allowed between the clocks, 30 at most.
        require_origin: the origins accepted; all by default.
        require_proof: the methods of proof accepted; all by default.
        seen: the memory of used tokens; without one, the caller keeps account of ``jti``.

    Raises:
        TokenInvalid: ``data.check`` names the check that failed.
        LocalMisuse: a leeway out of bounds.
    """
    if not 0 <= leeway <= LEEWAY:
        raise LocalMisuse(f"the leeway is 0 to {LEEWAY} seconds")
    key = _trusted_key(_read_header(token), jwks)
    claims = _read_claims(_verified_payload(token, key))
    _check_claims(claims)
    if claims.aud != audience:
        _refuse("audience", "the token is for somebody else")
    if claims.nonce != nonce:
        _refuse("nonce", "the token answers another nonce")
    # Written so that a ``now`` that is not a number lets nothing through.
    if not now < claims.exp + leeway:
        _refuse("expired", "the token has expired")
    if not now >= claims.iat - leeway:
        _refuse("not_yet_valid", "the token comes from the future")
    if require_origin is not None and claims.origin not in require_origin:
        _refuse("origin", f"the origin is {claims.origin}")
    if require_proof is not None and claims.proof.method not in require_proof:
        _refuse("proof", f"the proof is {claims.proof.method}")
    if seen is not None:
        seen.use(claims.jti, claims.exp + leeway)
    return claims


def _refuse(check: Check, detail: str) -> NoReturn:
    raise TokenInvalid(detail, variant=check, data={"check": check})


def _read_header(token: object) -> str:
    """The ``kid`` of a header that is as it must be."""
    if not isinstance(token, str):
        _refuse("format", f"a token is a text, and not {type(token).__name__}")
    if len(token) > TOKEN_CHARACTERS or not token.isascii() or token.count(".") != 2:
        _refuse("format", "not a compact JWS, or too long")
    segment = token.partition(".")[0]
    if len(segment) > HEADER_CHARACTERS:
        _refuse("format", "the header is too long")
    header = _decode_header(segment)
    if header.get("alg") != ALGORITHM:
        _refuse("algorithm", f"the algorithm is not {ALGORITHM}")
    if header.get("typ") != TYPE:
        _refuse("type", f"the type is not {TYPE}")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        _refuse("key", "the header names no key")
    if len(header) != 3:
        _refuse("format", "the header has a member other than typ, alg, kid")
    return kid


def _decode_header(segment: str) -> dict[str, object]:
    try:
        header = _each_once.decode(urlsafe_b64decode(segment.encode()).decode())
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        _refuse("format", "the header is not a JSON object in base64url")
    return cast("dict[str, object]", header)


#: Made once: a decoder of its own for each token costs more than what it reads.
_each_once = json.JSONDecoder(object_pairs_hook=once)

_registry = jws.JWSRegistry(algorithms=[ALGORITHM])


def _trusted_key(kid: str, jwks: object) -> ECKey:
    keys = cast("Mapping[str, object]", jwks).get("keys") if isinstance(jwks, Mapping) else None
    members = cast("list[object]", keys) if isinstance(keys, list) else []
    candidates = [cast("dict[str, Any]", key) for key in members if isinstance(key, dict)]
    named = [key for key in candidates if key.get("kid") == kid]
    if len(named) != 1:
        _refuse("key", "the key set has no key, or several, of this name")
    jwk = named[0]
    x, y = jwk.get("x"), jwk.get("y")
    usable = jwk.get("kty") == "EC" and jwk.get("crv") == "P-256" and isinstance(x, str) and isinstance(y, str)
    # A private half in a published set means that the key is everybody's.
    if not usable or "d" in jwk or not _is_to_verify_with(jwk):
        _refuse("key", "the key of this name is not a public P-256 key for signatures")
    try:
        return _import_key(cast("str", x), cast("str", y))
    except (JoseError, ValueError):
        pass
    _refuse("key", "the key of this name is not a point of the curve")


def _is_to_verify_with(jwk: Mapping[str, object]) -> bool:
    """True if a key is meant for this, by RFC 7517, sections 4.2 to 4.4."""
    operations = jwk.get("key_ops", ["verify"])
    suits = isinstance(operations, list) and "verify" in cast("list[object]", operations)
    return suits and jwk.get("alg", ALGORITHM) == ALGORITHM and jwk.get("use", "sig") == "sig"


@lru_cache(maxsize=64)
def _import_key(x: str, y: str) -> ECKey:
    return ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})


def _verified_payload(token: str, key: ECKey) -> bytes:
    check: Check = "format"
    try:
        return jws.deserialize_compact(token, key, registry=_registry).payload
    except BadSignatureError:
        check = "signature"
    except (JoseError, ValueError):
        pass
    _refuse(check, "the signature does not fit" if check == "signature" else "not a compact JWS")


def _read_claims(payload: bytes) -> Claims:
    try:
        claims = msgspec.convert(jsonrpc.decode(payload, DEPTH), Claims)  # the depth is bounded from here on
        _each_once.decode(payload.decode())
        return claims
    except (msgspec.ValidationError, ParseError, LimitExceeded, ValueError):
        pass
    _refuse("claims", "the claims are not those of version 1")


def _check_claims(claims: Claims) -> None:
    if claims.ver != 1:
        _refuse("claims", "the version is not 1")
    if not claims.iss.startswith("urn:vitale-reader:"):
        _refuse("claims", "the issuer is not a station")
    if not 0 < claims.exp - claims.iat <= LIFETIME:
        _refuse("claims", f"the token lives longer than {LIFETIME} s, or not at all")
    if claims.presented_at >= claims.iat + 1:  # ``iat`` has no fraction
        _refuse("claims", "the medium was presented after the token was issued")
    if not 22 <= len(claims.nonce) <= 128 or not 1 <= len(claims.jti) <= 64:
        _refuse("claims", "the nonce or the jti has a wrong length")
